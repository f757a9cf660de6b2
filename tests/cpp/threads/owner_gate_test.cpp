#include "threads/owner_gate.hpp"

#include <thread>

#include "testing.hpp"

using namespace numpool::threads;

TEST("a gate opens for its key only, and not while it is shut") {
    OwnerGate gate;
    CHECK(!gate.enter(7));
    gate.open(7);
    CHECK(gate.enter(7));
    gate.leave();
    CHECK(!gate.enter(8));
    gate.shut();
    CHECK(!gate.enter(7));
    gate.wait_outside();
}

TEST("who is to find every gate shut enters neither an open one nor a shut one") {
    OwnerGate gate;
    CHECK(!gate.enter(OwnerGate::opens_nothing));
    gate.open(7);
    CHECK(!gate.enter(OwnerGate::opens_nothing));
    gate.shut();
    CHECK(!gate.enter(OwnerGate::opens_nothing));
    gate.wait_outside();
}

TEST("an owner and one who shuts the gate are never inside together") {
    OwnerGate gate;
    gate.open(1);
    // Ordinary variables: what the gate protects, and, under TSan, the proof that it does.
    long value = 0;
    long copy = 0;
    long entered = 0;
    std::atomic<bool> done = false;
    std::thread owner{[&] {
        while (!done.load(std::memory_order_relaxed)) {
            if (!gate.enter(1)) continue;
            ++value;
            ++copy;
            ++entered;
            gate.leave();
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
        gate.open(1);
    }
    done = true;
    owner.join();
    CHECK(!torn);
    CHECK_EQUAL(value, copy);
    CHECK_EQUAL(value, entered + 20000);
}
