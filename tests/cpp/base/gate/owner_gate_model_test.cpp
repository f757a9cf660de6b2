#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/gate/reordering.hpp"
#include "testing.hpp"

// A model checker of the gate's protocol. An owner's steps run in parallel to a thread that shuts
// the gate, in every order in which a processor with weakly ordered memory may execute the loads
// and stores. src/base/gate/README.md proves the protocol. The tests show that the proof needs each
// memory order: without it, the protocol has a run that breaks the promise.

using namespace reordering;

namespace {

enum Place : std::uint8_t { lowered, raised, pointer, lower_lock, raise_lock, value, copy };

/// Which orders are left out of the protocol; none by default.
struct Weakened {
    bool no_heavy_barrier = false;
    bool counts_in_any_order = false;
    bool pointer_in_any_order = false;
    bool look_in_any_order = false;
    bool waiting_in_any_order = false;
    bool opening_in_any_order = false;
    bool pointer_before_counts = false;
};

Order strong_unless(bool weak, Order order) {
    return weak ? Order::relaxed : order;
}

enum class Step { down, up, look };

struct Owner {
    Program program;
    /// The events that load a lock; 1 is open.
    std::vector<std::size_t> looks;
};

/// Counts a step, loads the lock, changes what the gate protects, and moves the pointer; or finds
/// the gate shut and uncounts the step. `Step::look` enters and leaves without a move.
Owner owner_of(const std::vector<Step>& steps, const Weakened& weak) {
    Owner owner;
    Program& program = owner.program;
    const Order counting = strong_unless(weak.counts_in_any_order, Order::release);
    struct Before {
        std::size_t look;
        Step step;
    };
    std::vector<Before> before;
    for (const Step step : steps) {
        const bool up = step == Step::up;
        const auto steps_before = [before](const Loaded& loaded, Step wanted) {
            int taken = 0;
            for (const Before& one : before) taken += one.step == wanted ? loaded[one.look] : 0;
            return taken;
        };
        const auto count_before = [steps_before, up](const Loaded& loaded) {
            return steps_before(loaded, up ? Step::up : Step::down);
        };
        std::uint32_t earlier = 0;
        for (const Before& one : before) earlier |= 1U << one.look;
        const Place count = up ? raised : lowered;
        program.push_back({Event::Kind::store, count, counting, earlier, earlier,
                           [=](const Loaded& loaded) { return count_before(loaded) + 1; }});
        const std::size_t look = program.size();
        const std::uint32_t looked = 1U << look;
        program.push_back({Event::Kind::load, up ? raise_lock : lower_lock,
                           strong_unless(weak.look_in_any_order, Order::acquire)});
        const auto open = [look](const Loaded& loaded) { return loaded[look] == 1; };
        for (const Place place : {value, copy}) {
            const std::size_t at = program.size();
            program.push_back({Event::Kind::load, place, Order::relaxed, 0, looked, {}, open});
            program.push_back({Event::Kind::store, place, Order::relaxed, 1U << at, looked,
                               [at](const Loaded& loaded) { return loaded[at] + 1; }, open});
        }
        if (step != Step::look) {
            program.push_back({Event::Kind::store, pointer,
                               strong_unless(weak.pointer_in_any_order, Order::release), earlier,
                               looked,
                               [=](const Loaded& loaded) {
                                   return steps_before(loaded, Step::up) -
                                          steps_before(loaded, Step::down) + (up ? 1 : -1);
                               },
                               open});
        }
        const auto shut = [=](const Loaded& loaded) { return step == Step::look || !open(loaded); };
        program.push_back(
            {Event::Kind::store, count, counting, earlier, looked, count_before, shut});
        before.push_back({look, step});
        owner.looks.push_back(look);
    }
    return owner;
}

/// Shuts both locks, runs the heavy barrier, waits until the counts and the pointer agree, changes
/// what the gate protects, and opens both.
Program shutting_program(const Weakened& weak) {
    Program program;
    const auto zero = [](const Loaded&) { return 0; };
    const auto one = [](const Loaded&) { return 1; };
    const Order waiting = strong_unless(weak.waiting_in_any_order, Order::acquire);
    const Order opening = strong_unless(weak.opening_in_any_order, Order::release);
    for (const Place lock : {lower_lock, raise_lock})
        program.push_back({Event::Kind::store, lock, Order::relaxed, 0, 0, zero});
    if (!weak.no_heavy_barrier) program.push_back({Event::Kind::heavy_barrier});
    std::array<std::size_t, places> at{};
    std::vector<Place> read{lowered, raised, pointer};
    if (weak.pointer_before_counts) read = {pointer, lowered, raised};
    std::uint32_t looked = 0;
    for (const Place place : read) {
        at[place] = program.size();
        looked |= 1U << program.size();
        program.push_back({Event::Kind::load, place, waiting});
    }
    program.back().awaited = [at](const Loaded& loaded) {
        return loaded[at[pointer]] == loaded[at[raised]] - loaded[at[lowered]];
    };
    for (const Place place : {value, copy}) {
        const std::size_t load = program.size();
        program.push_back({Event::Kind::load, place});
        program.push_back({Event::Kind::store, place, Order::relaxed, 1U << load, looked,
                           [load](const Loaded& loaded) { return loaded[load] + 1; }});
    }
    for (const Place lock : {lower_lock, raise_lock})
        program.push_back({Event::Kind::store, lock, opening, 0, looked, one});
    return program;
}

/// Whether no change of `value` and `copy` is lost in any run of any two steps of the owner.
bool holds(const Weakened& weak = {}) {
    Memory start{};
    start[lower_lock] = start[raise_lock] = 1;
    for (const Step first : {Step::down, Step::up, Step::look}) {
        for (const Step second : {Step::down, Step::up, Step::look}) {
            const Owner owner = owner_of({first, second}, weak);
            const auto promise = [&owner](const Memory& memory, const Loaded& loaded) {
                int changes = 1;
                for (const std::size_t look : owner.looks) changes += loaded[look];
                return memory[value] == changes && memory[copy] == changes;
            };
            Runs runs{owner.program, shutting_program(weak), promise};
            if (!runs.all_keep_promise(start)) return false;
        }
    }
    return true;
}

}  // namespace

TEST("the owner and a thread that shuts the gate are never inside together, in any order") {
    CHECK(holds());
}

TEST("without the heavy barrier the owner's load overtakes its count, and both are inside") {
    CHECK(!holds({.no_heavy_barrier = true}));
}

TEST("each memory order of the gate is needed") {
    CHECK(!holds({.counts_in_any_order = true}));
    CHECK(!holds({.pointer_in_any_order = true}));
    CHECK(!holds({.look_in_any_order = true}));
    CHECK(!holds({.waiting_in_any_order = true}));
    CHECK(!holds({.opening_in_any_order = true}));
}

TEST("the waiting thread may read the pointer before the counts") {
    CHECK(holds({.pointer_before_counts = true}));
}
