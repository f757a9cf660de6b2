#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "pages/source/fake_pages.hpp"
#include "pools/arena/arena.hpp"
#include "testing.hpp"

using namespace numpool;
using pools::Arena;

namespace {

#ifdef NUMPOOL_CHECKS
constexpr int steps = 60000;
#else
constexpr int steps = 1000000;
#endif

/// A model of an arena: its live blocks in their order, and its marks. Every block is filled with a
/// pattern, which is verified at each access.
class Exerciser {
  public:
    Exerciser(Arena& arena, const pages::FakePages& pages, unsigned seed)
        : arena_{arena}, pages_{pages}, random_{seed} {}

    void step() {
        const auto choice = random_() % 1000;
        if (choice < 450) {
            acquire();
        } else if (choice < 860) {
            release(random_() % 2 == 0 ? newest() : any());
        } else if (choice < 920) {
            reallocate();
        } else if (choice < 940) {
            use_idle();
        } else if (choice < 960) {
            if (marks_.size() < 20) marks_.push_back({arena_.mark(), made_});
        } else if (choice < 985) {
            rewind();
        } else if (choice < 995) {
            arena_.trim();
        } else if (choice == 999) {
            reset();
        }
    }

    void verify_all() {
        for (const Block& block : live_) verify(block);
        CHECK_EQUAL(arena_.tally().blocks, live_.size());
        std::size_t uses = 0;
        std::size_t bytes = 0;
        for (const Block& block : live_) {
            if (block.used) ++uses;
            bytes += block.bytes;
        }
        CHECK_EQUAL(arena_.tally().uses, uses);
        CHECK_EQUAL(arena_.tally().requested, bytes);
        arena_.check();
    }

    void reset() {
        release_used_since(0);
        const std::vector<Block> idle = live_;
        arena_.reset();
        live_.clear();
        marks_.clear();
        for (const Block& block : idle) CHECK(!arena_.is_current(block.ticket));
    }

  private:
    struct Block {
        std::byte* start;
        std::size_t bytes;
        std::uint64_t ticket;
        bool used;
        std::size_t number;
        std::byte pattern;
    };
    struct Marked {
        Arena::Mark mark;
        std::size_t number;
    };

    std::size_t any_size() {
        const auto kind = random_() % 64;
        if (kind < 50) return random_() % 500;
        if (kind < 62) return random_() % 5000;
        return random_() % 100000;
    }
    static void fill(const Block& block) {
        std::memset(block.start, static_cast<int>(block.pattern), block.bytes);
    }
    void verify(const Block& block) {
        for (std::size_t i = 0; i < block.bytes; i += i < 64 ? 1 : 61)
            CHECK(block.start[i] == block.pattern);
        if (block.bytes != 0) CHECK(block.start[block.bytes - 1] == block.pattern);
        CHECK_EQUAL(arena_.size_of(block.start), block.bytes);
        CHECK_EQUAL(arena_.is_current(block.ticket), !block.used);
    }
    std::size_t newest() { return live_.size() - 1; }
    std::size_t any() { return live_.empty() ? 0 : random_() % live_.size(); }

    void acquire() {
        Block block{
            nullptr, any_size(), 0, random_() % 3 != 0, ++made_, static_cast<std::byte>(random_())};
        if (block.used) {
            const bool zeroed = random_() % 4 == 0;
            block.start = zeroed ? arena_.acquire_zeroed(block.bytes) : arena_.acquire(block.bytes);
            for (std::size_t i = 0; zeroed && block.start != nullptr && i < block.bytes; ++i)
                CHECK(block.start[i] == std::byte{0});
        } else {
            const Arena::Idle idle = arena_.acquire_idle(block.bytes);
            block.start = idle.start;
            block.ticket = idle.ticket;
        }
        if (block.start == nullptr) return;
        fill(block);
        live_.push_back(block);
    }

    void release(std::size_t at) {
        if (live_.empty()) return;
        const Block block = live_[at];
        verify(block);
        live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(at));
        if (block.used) {
            arena_.end_use(block.start);
        } else {
            arena_.drop(block.start, block.ticket);
        }
    }

    void reallocate() {
        if (live_.empty()) return;
        const std::size_t at = any();
        Block block = live_[at];
        if (!block.used) return;
        const std::size_t bytes = any_size();
        const std::size_t grows = pages_.grows;
        std::byte* const moved = arena_.reallocate(block.start, bytes);
        if (moved == nullptr) return verify(block);
        for (std::size_t i = 0; i < std::min(bytes, block.bytes); ++i)
            CHECK(moved[i] == block.pattern);
        // A copy becomes the newest block. A large block that grew without a copy keeps its age.
        const bool copied = moved != block.start && pages_.grows == grows;
        if (copied) {
            live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(at));
            block.number = ++made_;
            live_.push_back(block);
        }
        Block& now = copied ? live_.back() : live_[at];
        now.start = moved;
        now.bytes = bytes;
        fill(now);
    }

    void use_idle() {
        if (live_.empty()) return;
        Block& block = live_[any()];
        if (block.used) return;
        CHECK(arena_.begin_use(block.start, block.ticket));
        CHECK_EQUAL(arena_.uses_of(block.start, block.ticket), 1U);
        if (random_() % 2 == 0) {
            arena_.end_use(block.start);
            return;
        }
        arena_.drop(block.start, block.ticket);
        block.used = true;
        block.ticket = 0;
    }

    void release_used_since(std::size_t number) {
        for (std::size_t i = live_.size(); i-- > 0;) {
            if (live_[i].used && live_[i].number > number) release(i);
        }
    }

    void rewind() {
        if (marks_.empty()) return;
        const std::size_t at = random_() % marks_.size();
        const Marked marked = marks_[at];
        CHECK(arena_.knows(marked.mark));
        release_used_since(marked.number);
        CHECK_EQUAL(arena_.uses_since(marked.mark), 0U);
        const std::vector<Marked> later{marks_.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                                        marks_.end()};
        marks_.resize(at + 1);
        arena_.rewind(marked.mark);
        CHECK(arena_.knows(marked.mark));
        std::erase_if(live_, [&](const Block& block) { return block.number > marked.number; });
        for (const Marked& one : later)
            CHECK(!arena_.knows(one.mark) || one.mark.id == marked.mark.id);
    }

    Arena& arena_;
    const pages::FakePages& pages_;
    std::mt19937 random_;
    std::vector<Block> live_;
    std::vector<Marked> marks_;
    std::size_t made_ = 0;
};

}  // namespace

TEST("through random requests, marks, rewinds and resets every live block keeps its bytes") {
    for (unsigned seed = 0; seed < 4; ++seed) {
        pages::FakePages pages;
        {
            Arena arena{std::size_t{4096} << (seed * 2), pages};
            Exerciser exerciser{arena, pages, seed};
            for (int i = 0; i < steps; ++i) {
                exerciser.step();
                if (i % (steps / 200) == 0) exerciser.verify_all();
            }
            exerciser.reset();
            arena.trim();
            CHECK_EQUAL(pages.mapped, 0U);
        }
    }
}

TEST("each system call may fail, and the arena works on with correct records") {
    for (std::size_t n = 0; n < 120; ++n) {
        for (const std::size_t times : {std::size_t{1}, std::size_t{4}, pages::FakePages::never}) {
            pages::FakePages pages;
            Arena arena{8192, pages};
            pages.fail_after(n, times);
            Exerciser exerciser{arena, pages, static_cast<unsigned>(n)};
            for (int i = 0; i < 400; ++i) exerciser.step();
            exerciser.verify_all();
            pages.stop_failing();
            for (int i = 0; i < 200; ++i) exerciser.step();
            exerciser.verify_all();
        }
    }
}
