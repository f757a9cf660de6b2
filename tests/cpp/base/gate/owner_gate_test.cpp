#include "base/gate/owner_gate.hpp"

#include <thread>

#include "base/gate/real_time.hpp"
#include "base/gate/shut_gates.hpp"
#include "testing.hpp"

using numpool::OwnerGate;
using numpool::shut_gates;

namespace {

/// The addresses stand for the gates' pool and for another one.
const int pool = 0;
const int other_pool = 0;
constexpr numpool::GateKey key = 7;

}  // namespace

TEST("a gate opens for its owner and its key only, and not while it is shut") {
    OwnerGate<int> gate;
    int places[3];
    gate.place(places + 1);
    CHECK(!gate.enter_to_raise(key));
    CHECK(!gate.enter_to_lower(&pool));
    gate.open(&pool, key);
    CHECK(gate.enter_to_raise(key));
    gate.raise(gate.pointer());
    CHECK_EQUAL(gate.pointer(), places + 2);
    CHECK(gate.enter_to_lower(&pool));
    gate.lower(gate.pointer());
    CHECK_EQUAL(gate.pointer(), places + 1);
    CHECK(!gate.enter_to_raise(key + 1));
    CHECK(!gate.enter_to_lower(&other_pool));
    gate.shut();
    CHECK(!gate.enter_to_raise(key));
    CHECK(!gate.enter_to_raise(0));
    CHECK(!gate.enter_to_lower(&pool));
    CHECK_EQUAL(gate.pointer(), places + 1);
    CHECK_EQUAL(gate.lowered(), 1);
    gate.wait_outside();
}

namespace {

/// Whether `wait_outside` waits until the owner has left.
template <class Enter, class Leave>
bool is_waited_for(OwnerGate<int>& gate, Enter enter, Leave leave) {
    bool entered = enter();
    std::atomic<bool> outside = false;
    std::thread waiter{[&] {
        gate.wait_outside();
        outside = true;
    }};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    const bool too_early = outside;
    leave();
    waiter.join();
    return entered && !too_early;
}

}  // namespace

TEST("other threads wait until an owner has left, in each of the four ways to leave") {
    OwnerGate<int> gate;
    int places[3];
    gate.place(places + 1);
    gate.open(&pool, key);
    const auto to_lower = [&] { return gate.enter_to_lower(&pool); };
    const auto to_raise = [&] { return gate.enter_to_raise(key); };
    CHECK(is_waited_for(gate, to_lower, [&] { gate.lower(gate.pointer()); }));
    CHECK(is_waited_for(gate, to_raise, [&] { gate.raise(gate.pointer()); }));
    CHECK(is_waited_for(gate, to_lower, [&] { gate.leave_unlowered(); }));
    CHECK(is_waited_for(gate, to_raise, [&] { gate.leave_unraised(); }));
    CHECK_EQUAL(gate.pointer(), places + 1);
    CHECK_EQUAL(gate.lowered(), 1);
}

TEST("an owner that moves the pointer under a lock is outside") {
    OwnerGate<int> gate;
    int places[8];
    gate.place(places + 4);
    gate.wait_outside();
    gate.step_down(places + 4);
    gate.wait_outside();
    gate.step_up(places + 3);
    gate.step_up(places + 4);
    gate.wait_outside();
    CHECK_EQUAL(gate.pointer(), places + 5);
    gate.place(places + 1);
    gate.wait_outside();
    CHECK_EQUAL(gate.lowered(), 1);
}

TEST("a gate inherits the steps down of another, except one that is only counted") {
    OwnerGate<int> gate;
    int places[8];
    gate.place(places + 7);
    gate.open(&pool, key);
    for (int i = 0; i < 3; ++i) {
        CHECK(gate.enter_to_lower(&pool));
        gate.lower(gate.pointer());
    }
    const auto inherited = [&] {
        OwnerGate<int> heir;
        heir.place(places + 2);
        heir.inherit(gate);
        heir.wait_outside();
        return heir.lowered();
    };
    CHECK_EQUAL(inherited(), 3);
    CHECK(gate.enter_to_lower(&pool));
    CHECK_EQUAL(inherited(), 3);
    gate.leave_unlowered();
    CHECK(gate.enter_to_raise(key));
    CHECK_EQUAL(inherited(), 3);
    gate.leave_unraised();
}

TEST("a gate that was never opened opens for key 0 only, and has no pointer") {
    OwnerGate<int> gate;
    CHECK(!gate.enter_to_lower(&pool));
    CHECK(!gate.enter_to_raise(key));
    CHECK(gate.enter_to_raise(0));
    CHECK(gate.pointer() == nullptr);
    gate.leave_unraised();
    gate.wait_outside();
    gate.shut();
    CHECK(!gate.enter_to_raise(0));
}

TEST("an owner and another thread that shuts the gate are never inside together") {
    OwnerGate<int> gate;
    static int room[1 << 8];
    gate.place(room);
    gate.open(&pool, key);
    // Ordinary variables that the gate protects. The thread sanitizer checks that, too.
    long value = 0;
    long copy = 0;
    long entered = 0;
    bool astray = false;
    std::atomic<bool> done = false;
    std::thread owner{[&] {
        int* expected = room;
        int direction = 1;
        while (!done.load(std::memory_order_relaxed)) {
            // It turns round at both ends, and sometimes in the middle.
            if (expected == room) direction = 1;
            if (expected == room + 255 || (expected == room + 128 && entered % 3 == 0)) {
                direction = -1;
            }
            const bool up = direction > 0;
            if (!(up ? gate.enter_to_raise(key) : gate.enter_to_lower(&pool))) {
                // Try the other direction, too: that counts and is refused, or finds the gate open.
                if (!(up ? gate.enter_to_lower(&pool) : gate.enter_to_raise(key))) continue;
                up ? gate.leave_unlowered() : gate.leave_unraised();
                continue;
            }
            astray = astray || gate.pointer() != expected;
            ++value;
            ++copy;
            ++entered;
            up ? gate.raise(expected) : gate.lower(expected);
            expected += direction;
        }
    }};
    bool torn = false;
    for (int i = 0; i < 20000; ++i) {
        shut_gates([&](auto visit) { visit(gate); });
        torn = torn || value != copy;
        ++value;
        ++copy;
        gate.open(&pool, key);
    }
    done = true;
    owner.join();
    CHECK(!torn);
    CHECK(!astray);
    CHECK_EQUAL(value, copy);
    CHECK_EQUAL(value, entered + 20000);
}

TEST("a thread with a real-time priority that waits at a gate lets the owner leave") {
    OwnerGate<int> gate;
    int places[3];
    gate.place(places + 1);
    gate.open(&pool, key);
    check_wait_in_real_time([&] { gate.enter_to_lower(&pool); },
                            [&] { gate.lower(gate.pointer()); },
                            [&] { shut_gates([&](auto visit) { visit(gate); }); });
    CHECK_EQUAL(gate.pointer(), places);
}
