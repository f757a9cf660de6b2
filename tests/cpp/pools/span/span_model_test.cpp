#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "pages/source/fake_pages.hpp"
#include "pools/moving/span_mover.hpp"
#include "pools/span/span_pool.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::pools;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

#ifdef NUMPOOL_CHECKS
constexpr int steps = 3000;
#else
constexpr int steps = 20000;
#endif

/// Random blocks of a bank. Every page of a block begins with a unique number, which is verified
/// when the block is reallocated or released.
class Exerciser {
  public:
    Exerciser(const SpanBankOptions& options, unsigned seed, std::size_t most_bytes)
        : random_{seed}, most_bytes_{most_bytes}, bank_{options, owner_, pages} {}
    ~Exerciser() {
        release_all();
        pages::page_map.unregister_pool(owner_);
    }

    void step() {
        const unsigned choice = static_cast<unsigned>(random_() % 100);
        if (choice < 45) {
            acquire(choice < 12);
        } else if (choice < 85) {
            release();
        } else if (choice < 98) {
            reallocate();
        } else if (random_() % 10 == 0) {
            bank_.trim();
        }
    }

    void release_all() {
        while (!live_.empty()) release();
    }

    void check() const {
        bank_.check();
        std::size_t live = 0;
        for (const Block& block : live_) {
            CHECK_EQUAL(pool_.requested(block.start), block.bytes);
            live += block.bytes;
        }
        CHECK(bank_.figures().live >= live);
        CHECK(bank_.figures().committed <= bank_.figures().mapped);
    }

    SpanBank& bank() { return bank_; }

    pages::FakePages pages{pages::range_pages()};
    std::size_t refused = 0;

  private:
    struct Block {
        std::byte* start;
        std::size_t bytes;
        std::uint64_t number;
    };

    /// Each doubling of the size is equally likely.
    std::size_t any_size() {
        const double doublings = std::log2(static_cast<double>(most_bytes_)) - 12;
        const double exponent = std::uniform_real_distribution<double>{12, 12 + doublings}(random_);
        return static_cast<std::size_t>(std::exp2(exponent));
    }

    void acquire(bool zeroed) {
        const std::size_t bytes = any_size();
        if (live_bytes_ + bytes > 8 * most_bytes_) return;
        std::byte* const start = pool_.acquire(bytes, zeroed);
        if (start == nullptr) {
            ++refused;
            return;
        }
        CHECK_EQUAL(reinterpret_cast<std::uintptr_t>(start) % 64, 0U);
        for (std::size_t i = 0; zeroed && i + 8 <= bytes; i += 1016) {
            CHECK_EQUAL(value_at(start + i), 0U);
        }
        live_.push_back({start, bytes, ++numbers_ << 20});
        live_bytes_ += bytes;
        write(live_.back(), 0);
    }

    void release() {
        if (live_.empty()) return;
        Block& block = live_[random_() % live_.size()];
        verify(block.start, block.bytes, block.number);
        CHECK(!pool_.release(block.start + 64));
        CHECK(pool_.release(block.start));
        CHECK(!pool_.release(block.start));
        live_bytes_ -= block.bytes;
        block = live_.back();
        live_.pop_back();
    }

    void reallocate() {
        if (live_.empty()) return;
        Block& block = live_[random_() % live_.size()];
        const std::size_t bytes = any_size();
        if (live_bytes_ + bytes > 8 * most_bytes_) return;
        std::byte* const start = pool_.reallocate(block.start, bytes);
        if (start == nullptr) {
            ++refused;
            verify(block.start, block.bytes, block.number);
            return;
        }
        verify(start, std::min(bytes, block.bytes), block.number);
        live_bytes_ += bytes - block.bytes;
        const std::size_t old = block.bytes;
        block = {start, bytes, block.number};
        if (bytes > old) write(block, old);
    }

    static std::uint64_t value_at(const std::byte* address) {
        std::uint64_t value;
        std::memcpy(&value, address, sizeof value);
        return value;
    }
    static void write(const Block& block, std::size_t from) {
        for (std::size_t i = from / 4096 * 4096; i + 8 <= block.bytes; i += 4096) {
            const std::uint64_t value = block.number + i / 4096;
            std::memcpy(block.start + i, &value, sizeof value);
        }
    }
    static void verify(const std::byte* start, std::size_t bytes, std::uint64_t number) {
        for (std::size_t i = 0; i + 8 <= bytes; i += 4096) {
            CHECK_EQUAL(value_at(start + i), number + i / 4096);
        }
    }

    std::mt19937_64 random_;
    std::size_t most_bytes_;
    pages::Tag owner_ = pages::page_map.register_pool();
    SpanBank bank_;
    SpanPool pool_{bank_};
    std::vector<Block> live_;
    std::size_t live_bytes_ = 0;
    std::uint64_t numbers_ = 0;
};

void exercise(const SpanBankOptions& options, unsigned seed, std::size_t most_bytes, int count) {
    Exerciser exerciser{options, seed, most_bytes};
    for (int i = 0; i < count; ++i) {
        exerciser.step();
        if (i % 50 == 0) exerciser.check();
    }
    if (options.moving != nullptr && exerciser.pages.moves == 0) {
        std::printf("       this kernel does not move pages\n");
    }
    exerciser.release_all();
    exerciser.check();
    exerciser.bank().trim();
    exerciser.check();
    CHECK_EQUAL(exerciser.bank().figures().committed, 0U);
}

}  // namespace

TEST("blocks keep their contents through random requests") {
    for (const unsigned seed : {1U, 2U, 3U}) exercise({}, seed, 32 * mebibyte, steps);
    exercise({}, 4, 96 * mebibyte, steps / 8);
}

TEST("blocks keep their contents without huge pages, without moving, and without a cache") {
    SpanBankOptions options{.moving = move_pages};
    options.huge_pages = false;
    exercise(options, 4, 32 * mebibyte, steps);
    options.moving = nullptr;
    exercise(options, 5, 32 * mebibyte, steps);
    options.cached_limit = 0;
    exercise(options, 6, 8 * mebibyte, steps / 4);
}

TEST("blocks keep their contents at a limit, which holds") {
    SpanBankOptions options{.moving = move_pages};
    options.limit = 48 * mebibyte;
    Exerciser exerciser{options, 7, 16 * mebibyte};
    for (int i = 0; i < steps; ++i) {
        exerciser.step();
        CHECK(exerciser.bank().figures().live <= options.limit);
        CHECK(exerciser.bank().figures().committed <= options.limit);
        if (i % 50 == 0) exerciser.check();
    }
    CHECK(exerciser.refused > 0U);
}

TEST("blocks keep their contents while any system call may fail, once or for ever") {
    for (unsigned seed = 10; seed < 40; ++seed) {
        Exerciser exerciser{{}, seed, 16 * mebibyte};
        for (int i = 0; i < steps / 30; ++i) {
            if (i % 10 == 0) exerciser.pages.fail_after(seed % 7, seed % 5 + 1);
            exerciser.step();
            if (i % 10 == 5) exerciser.pages.stop_failing();
            if (i % 20 == 0) exerciser.check();
        }
        exerciser.check();
        exerciser.pages.fail_after(0);
        for (int i = 0; i < 50; ++i) exerciser.step();
        exerciser.check();
    }
}

TEST("blocks keep their contents while another thread has its own bank") {
    const auto run = [](unsigned seed, bool* passed) {
        try {
            exercise({}, seed, 8 * mebibyte, steps / 4);
            *passed = true;
        } catch (const testing::Failure&) {
        }
    };
    bool one = false;
    bool other = false;
    std::thread first{run, 100U, &one};
    std::thread second{run, 101U, &other};
    first.join();
    second.join();
    CHECK(one && other);
}

TEST("blocks keep their contents where moves lose addresses") {
    for (unsigned seed = 50; seed < 70; ++seed) {
        Exerciser exerciser{{}, seed, 16 * mebibyte};
        exerciser.pages.lose_moves = true;
        for (int i = 0; i < steps / 20; ++i) {
            if (i == 100) exerciser.pages.fail_after(seed % 11, 3);
            exerciser.step();
            if (i % 20 == 0) exerciser.check();
        }
    }
}
