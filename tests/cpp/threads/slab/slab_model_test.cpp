#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "base/error.hpp"
#include "pages/source/fake_pages.hpp"
#include "testing.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
using namespace numpool::threads;

namespace {

#ifdef NUMPOOL_CHECKS
constexpr int steps = 200000;
#else
constexpr int steps = 3000000;
#endif

/// Random blocks of a pool. Each is filled with a pattern of its own, which is verified when the
/// block is reallocated or released.
class Exerciser {
  public:
    Exerciser(SharedSlabPool& pool, unsigned seed, std::size_t most_bytes)
        : pool_{pool}, random_{seed}, most_bytes_{most_bytes} {}

    void step() {
        const unsigned choice = random_() % 16;
        if (choice < 7) {
            acquire();
        } else if (choice < 14) {
            release();
        } else if (choice == 14) {
            reallocate();
        } else if (random_() % 500 == 0) {
            pool_.trim();
        }
    }

    void release_all() {
        std::shuffle(live_.begin(), live_.end(), random_);
        while (!live_.empty()) release();
    }
    std::size_t live_blocks() const { return live_.size(); }
    std::size_t live_bytes() const { return bytes_; }

  private:
    struct Block {
        std::byte* start;
        std::size_t bytes;
        std::byte pattern;
    };

    /// Mostly a small size, now and then any size.
    std::size_t any_size() {
        const unsigned kind = random_() % 256;
        if (kind < 200) return random_() % 1025;
        if (kind < 250) return random_() % 16385;
        return random_() % most_bytes_;
    }

    /// Large blocks are filled at both ends.
    static void fill(const Block& block) {
        const std::size_t end = std::min<std::size_t>(block.bytes, 5000);
        std::memset(block.start, static_cast<int>(block.pattern), end);
        std::memset(block.start + block.bytes - end, static_cast<int>(block.pattern), end);
    }
    static void verify(const Block& block, std::size_t bytes) {
        const std::size_t end = std::min<std::size_t>(bytes, 5000);
        for (std::size_t i = 0; i < end; ++i) CHECK(block.start[i] == block.pattern);
        if (bytes != block.bytes) return;
        for (std::size_t i = bytes - end; i < bytes; ++i) CHECK(block.start[i] == block.pattern);
    }

    void acquire() {
        const std::size_t bytes = any_size();
        const bool zeroed = random_() % 4 == 0;
        auto* const start = zeroed ? pool_.try_acquire_zeroed(bytes) : pool_.try_acquire(bytes);
        if (start == nullptr) {
            release();
            return;
        }
        if (zeroed) {
            for (std::size_t i = 0; i < std::min<std::size_t>(bytes, 5000); ++i) {
                CHECK(start[i] == std::byte{0});
                CHECK(start[bytes - 1 - i] == std::byte{0});
            }
        }
        live_.push_back({start, bytes, static_cast<std::byte>(random_())});
        bytes_ += bytes;
        fill(live_.back());
    }

    std::size_t any_block() {
        const std::size_t at = random_() % live_.size();
        std::swap(live_[at], live_.back());
        return live_.size() - 1;
    }

    void release() {
        if (live_.empty()) return;
        const Block block = live_[any_block()];
        live_.pop_back();
        verify(block, block.bytes);
        CHECK(pool_.usable_size(block.start) >= block.bytes);
        CHECK(pool_.try_release(block.start, random_() % 8 == 0 ? random_() : block.bytes));
        bytes_ -= block.bytes;
    }

    void reallocate() {
        if (live_.empty()) return;
        Block& block = live_[any_block()];
        const std::size_t bytes = any_size();
        auto* const moved = pool_.try_reallocate(block.start, bytes);
        if (moved == nullptr) {
            verify(block, block.bytes);
            return;
        }
        const std::size_t kept = std::min(bytes, block.bytes);
        verify({moved, kept, block.pattern}, std::min<std::size_t>(kept, 5000));
        bytes_ += bytes - block.bytes;
        block = {moved, bytes, block.pattern};
        fill(block);
    }

    SharedSlabPool& pool_;
    std::mt19937 random_;
    std::size_t most_bytes_;
    std::vector<Block> live_;
    std::size_t bytes_ = 0;
};

void exercise(SharedSlabPool& pool, unsigned seed, int count, std::size_t most_bytes) {
    Exerciser exerciser{pool, seed, most_bytes};
    for (int i = 0; i < count; ++i) {
        exerciser.step();
        if (i % (count / 50) != 0) continue;
        pool.check();
        CHECK_EQUAL(pool.class_figures().total.blocks, exerciser.live_blocks());
        CHECK(pool.class_figures().total.in_use >= exerciser.live_bytes());
    }
    exerciser.release_all();
    pool.check();
    CHECK_EQUAL(pool.class_figures().total.blocks, 0U);
    CHECK_EQUAL(pool.class_figures().total.in_use, 0U);
    pool.trim();
    pool.check();
    CHECK_EQUAL(pool.class_figures().total.committed, 0U);
}

}  // namespace

TEST("millions of random operations keep every byte of every block") {
    const auto pool = SharedSlabPool::create();
    exercise(*pool, 1, steps, 300000);
}

TEST("random operations within a hard limit, where many are refused, keep every byte") {
    SharedSlabPoolOptions options;
    options.spans.limit = 12 << 20;
    const auto pool = SharedSlabPool::create(options);
    exercise(*pool, 2, steps / 3, 4000000);
    CHECK(pool->class_figures().failures > 0);
}

TEST("random operations with chosen classes and pages that decay at once keep every byte") {
    SharedSlabPoolOptions options;
    options.classes = {24, 100, 900, 3000, 9000};
    options.spans.decay_milliseconds = 0;
    const auto pool = SharedSlabPool::create(options);
    exercise(*pool, 3, steps / 10, 2000000);
}

TEST("no system call that fails loses memory or stops the pool") {
    for (std::size_t n = 0; n < 150; n += n < 40 ? 1 : 7) {
        for (const std::size_t times : {std::size_t{1}, std::size_t{3}, pages::FakePages::never}) {
            pages::FakePages pages{pages::range_pages()};
            const auto pool = SharedSlabPool::create({}, pages, pages);
            pages.fail_after(n, times);
            Exerciser exerciser{*pool, static_cast<unsigned>(n), 3000000};
            for (int i = 0; i < 1500; ++i) exerciser.step();
            pool->check();
            pages.stop_failing();
            for (int i = 0; i < 500; ++i) exerciser.step();
            pool->check();
            exerciser.release_all();
            pool->trim();
            pool->check();
            CHECK_EQUAL(pool->class_figures().total.blocks, 0U);
        }
    }
}
