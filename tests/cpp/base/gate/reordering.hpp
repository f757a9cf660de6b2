#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

/// A model of weakly ordered memory. It is small, so all runs of two short programs can be tried.
namespace reordering {

constexpr std::size_t places = 8;
using Memory = std::array<int, places>;

/// The values that a thread has loaded, by the events' numbers. The last place is unused.
using Loaded = std::array<int, 32>;

enum class Order : std::uint8_t { relaxed, acquire, release };

/// A load, a store or a heavy barrier. An event with a guard happens only if the guard is true. A
/// load may happen before that is known, as processors speculate; a store may not.
struct Event {
    enum class Kind : std::uint8_t { load, store, heavy_barrier } kind;
    std::size_t place = 0;
    Order order = Order::relaxed;
    /// The loads that the stored value, and the guard, depend on: one bit for each.
    std::uint32_t needs_for_value = 0;
    std::uint32_t needs_for_guard = 0;
    std::function<int(const Loaded&)> stored{};
    std::function<bool(const Loaded&)> guard{};
    /// The thread waits until this is true. Runs in which it stays false are left out.
    std::function<bool(const Loaded&)> awaited{};

    bool happens(const Loaded& loaded) const { return !guard || guard(loaded); }
};
using Program = std::vector<Event>;

/// All runs of two threads' programs, in every order in which a processor may execute them. The
/// heavy barriers of the second thread stop the first one.
class Runs {
  public:
    /// Checks the memory at the end of a run against the values that the first thread loaded.
    using Promise = std::function<bool(const Memory&, const Loaded&)>;

    Runs(Program first, Program second, Promise promise)
        : programs_{std::move(first), std::move(second)}, promise_{std::move(promise)} {}

    /// Whether there is a run that ends, and all such runs keep the promise.
    bool all_keep_promise(const Memory& start) {
        visit({start, {}, {}});
        return kept_ && ended_ > 0;
    }

  private:
    struct State {
        Memory memory{};
        std::array<std::uint32_t, 2> done{};
        std::array<Loaded, 2> loaded{};
    };

    void visit(const State& state) {
        if (!kept_ || !seen_.insert(key_of(state)).second) return;
        bool ended = true;
        for (std::size_t thread = 0; thread < 2; ++thread) {
            const Program& program = programs_[thread];
            for (std::size_t i = 0; i < program.size(); ++i) {
                if ((state.done[thread] >> i & 1) != 0) continue;
                ended = false;
                State next = state;
                if (execute(next, thread, i)) visit(next);
            }
        }
        if (!ended) return;
        ++ended_;
        kept_ = promise_(state.memory, state.loaded[0]);
    }

    /// False if the event cannot happen now, or its thread would wait for ever.
    bool execute(State& state, std::size_t thread, std::size_t index) const {
        const Program& program = programs_[thread];
        const Event& event = program[index];
        const std::uint32_t done = state.done[thread];
        Loaded& loaded = state.loaded[thread];
        const bool guard_known = (done & event.needs_for_guard) == event.needs_for_guard;
        const bool stores = event.kind == Event::Kind::store;
        if (stores && !guard_known) return false;
        const bool happens = !guard_known || event.happens(loaded);
        if (happens && !may_overtake(program, done, index)) return false;
        if (happens && stores) {
            if ((done & event.needs_for_value) != event.needs_for_value) return false;
            state.memory[event.place] = event.stored(loaded);
        } else if (happens && event.kind == Event::Kind::load) {
            if (!load(state, thread, index)) return false;
        } else if (event.kind == Event::Kind::heavy_barrier) {
            // The other thread stops between two events: all before have happened, none after.
            if ((state.done[0] & (state.done[0] + 1)) != 0) return false;
        }
        state.done[thread] |= 1U << index;
        return !awaits_in_vain(program, state.done[thread], loaded);
    }

    /// Whether an event may overtake the earlier events of its thread that have not happened yet.
    static bool may_overtake(const Program& program, std::uint32_t done, std::size_t index) {
        const Event& event = program[index];
        for (std::size_t i = 0; i < index; ++i) {
            if ((done >> i & 1) != 0) continue;
            const Event& earlier = program[i];
            const bool forwards = earlier.kind == Event::Kind::store &&
                                  event.kind == Event::Kind::load && earlier.place == event.place;
            const bool ordered =
                earlier.kind == Event::Kind::heavy_barrier ||
                event.kind == Event::Kind::heavy_barrier ||
                (earlier.kind == Event::Kind::load && earlier.order == Order::acquire) ||
                (event.kind == Event::Kind::store && event.order == Order::release) ||
                (earlier.place == event.place && !forwards);
            if (ordered) return false;
        }
        return true;
    }

    /// A load gets the value that its own thread is about to store there, if there is one.
    bool load(State& state, std::size_t thread, std::size_t index) const {
        const Program& program = programs_[thread];
        const std::uint32_t done = state.done[thread];
        Loaded& loaded = state.loaded[thread];
        loaded[index] = state.memory[program[index].place];
        for (std::size_t i = 0; i < index; ++i) {
            const Event& store = program[i];
            if ((done >> i & 1) != 0 || store.kind != Event::Kind::store ||
                store.place != program[index].place) {
                continue;
            }
            const std::uint32_t needed = store.needs_for_value | store.needs_for_guard;
            if ((done & needed) != needed) return false;
            if (store.happens(loaded)) loaded[index] = store.stored(loaded);
        }
        return true;
    }

    static bool awaits_in_vain(const Program& program, std::uint32_t done, const Loaded& loaded) {
        for (std::size_t i = 0; i < program.size(); ++i) {
            if (!program[i].awaited) continue;
            const std::uint32_t needed = 7U << (i - 2);
            return (done & needed) == needed && !program[i].awaited(loaded);
        }
        return false;
    }

    std::string key_of(const State& state) const {
        std::string key;
        for (const int number : state.memory) key += static_cast<char>(number);
        for (std::size_t thread = 0; thread < 2; ++thread) {
            for (int shift = 0; shift < 32; shift += 8)
                key += static_cast<char>(state.done[thread] >> shift);
            for (std::size_t i = 0; i < programs_[thread].size(); ++i)
                key += static_cast<char>(state.loaded[thread][i]);
        }
        return key;
    }

    std::array<Program, 2> programs_;
    Promise promise_;
    std::unordered_set<std::string> seen_;
    bool kept_ = true;
    std::size_t ended_ = 0;
};

}  // namespace reordering
