#include "base/owner_gate.hpp"

#include <thread>

#include "testing.hpp"
#include "threads/heavy_barrier.hpp"

using numpool::OwnerGate;
using numpool::threads::heavy_barrier;

TEST("a gate opens for its key only, and not while it is shut") {
    OwnerGate<int> gate;
    int places[2];
    int* place = nullptr;
    gate.set_pointer(places);
    CHECK(!gate.enter(7, place));
    gate.open(7);
    CHECK(gate.enter(7, place));
    CHECK_EQUAL(place, places);
    gate.leave(place + 1);
    CHECK_EQUAL(gate.pointer(), places + 1);
    CHECK(!gate.enter(8, place));
    gate.shut();
    CHECK(!gate.enter(7, place));
    CHECK(!gate.enter(0, place));
    CHECK_EQUAL(gate.pointer(), places + 1);
    gate.wait_outside();
}

TEST("who enters is seen inside, and the pointer is told without that") {
    OwnerGate<int> gate;
    int value = 0;
    int* place = nullptr;
    gate.set_pointer(&value);
    gate.open(7);
    CHECK(gate.enter(7, place));
    CHECK_EQUAL(gate.pointer(), &value);
    std::atomic<bool> outside = false;
    std::thread other{[&] {
        gate.wait_outside();
        outside = true;
    }};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    const bool too_early = outside;
    gate.leave(place);
    other.join();
    CHECK(!too_early);
}

TEST("what was never opened or shut opens for 0, and leads nowhere") {
    OwnerGate<int> gate;
    int* place = nullptr;
    CHECK(!gate.enter(7, place));
    CHECK(gate.enter(0, place));
    CHECK(place == nullptr);
    gate.leave(place);
    gate.shut();
    CHECK(!gate.enter(0, place));
}

TEST("an owner and one who shuts the gate are never inside together") {
    OwnerGate<int> gate;
    gate.open(7);
    static int room[1 << 8];
    gate.set_pointer(room);
    // Ordinary variables: what the gate protects, and, under TSan, the proof that it does.
    long value = 0;
    long copy = 0;
    long entered = 0;
    bool astray = false;
    std::atomic<bool> done = false;
    std::thread owner{[&] {
        int* expected = room;
        while (!done.load(std::memory_order_relaxed)) {
            int* place = nullptr;
            if (!gate.enter(7, place)) continue;
            astray = astray || place != expected;
            ++value;
            ++copy;
            ++entered;
            expected = room + entered % 256;
            gate.leave(expected);
        }
    }};
    bool torn = false;
    for (int i = 0; i < 20000; ++i) {
        gate.shut();
        heavy_barrier();
        gate.wait_outside();
        torn = torn || value != copy;
        ++value;
        ++copy;
        gate.open(7);
    }
    done = true;
    owner.join();
    CHECK(!torn);
    CHECK(!astray);
    CHECK_EQUAL(value, copy);
    CHECK_EQUAL(value, entered + 20000);
}
