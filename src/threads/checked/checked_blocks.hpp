#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "threads/checked/checked_pools.hpp"
#include "threads/lifecycle/block_layer.hpp"
#include "threads/lifecycle/fork_guarded.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

struct CheckedBlocksOptions {
    /// What blocks hold when they are handed out, and so how a write after release is noticed.
    enum class Contents {
        filled,  ///< a fill byte, and another one once they are released
        zeroed,  ///< zeroes, which the pool below sees to
        kept,    ///< what their last user left
    };

    /// Blocks start at multiples of this power of two.
    std::size_t align = 64;
    /// ... and at multiples of their own size, rounded up to a power of two.
    bool natural = false;
    Contents contents = Contents::filled;
    /// How many times as large as without the checks the pool's blocks are, all alike.
    std::size_t scale = 1;
    /// How many blocks the pool below has at most. The last one is never kept from its users.
    std::size_t most_blocks = ~std::size_t{0};
    /// End the process where something is found, instead of reporting it.
    bool aborts = false;
};

/// A layer that finds what users of a pool's blocks do wrong: writes before or past a block, writes
/// after its release, a second release, a release of what is no block.
///
/// Each block lies between two fences, runs of a known byte that are looked at when it is released.
/// Released blocks rest, filled with another byte, before the pool gets them back: in the order of
/// their release, and as long as they have less than `most_resting` bytes together. Where the pool
/// refuses a request, it gets all of them back and is asked again.
///
/// One lock guards the records. Neither the pool below nor the program's surroundings are called
/// with it.
class CheckedBlocks final : public BlockLayer, private ForkGuarded {
  public:
    /// The bytes in a fence, after a block and, at least, before it.
    static constexpr std::size_t fence = 64;
    static constexpr std::size_t most_resting = std::size_t{64} << 20;
    static constexpr std::byte fence_byte{0xFD};
    static constexpr std::byte acquired_byte{0xCD};
    static constexpr std::byte released_byte{0xDD};

    /// What a pool's block has besides its user's bytes.
    static std::size_t room_before(const CheckedBlocksOptions& options, std::size_t bytes) noexcept;

    /// For a pool that is itself the source below.
    CheckedBlocks(Pool& pool, ByteSource& below, const CheckedBlocksOptions& options);
    ~CheckedBlocks() override;

    std::byte* try_acquire(std::size_t bytes) noexcept override { return take(bytes, false); }
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept override { return take(bytes, true); }
    /// True also for what is reported: then nobody else may free it.
    bool try_release(void* block, std::size_t bytes) noexcept override;
    /// Always moves.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept override;
    std::size_t usable_size(const void* block) const noexcept override;
    bool leaves_to_others(std::size_t bytes) const noexcept override {
        return below_.leaves_to_others(bytes);
    }
    std::string refusal(std::size_t bytes) const override { return below_.refusal(bytes); }

    /// They throw Exhausted and Closed.
    std::byte* acquire(std::size_t bytes);
    std::byte* reallocate(std::byte* block, std::size_t bytes);
    /// The user's block in one that the pool below has handed out. Throws std::bad_alloc; then the
    /// pool's block is still the caller's.
    std::byte* enter(std::byte* block, std::size_t bytes);

    void release(std::byte* block, std::size_t bytes = 0) noexcept override;
    void release_unused(std::byte* block) noexcept override;
    Pool& pool() const noexcept { return pool_; }
    Pool* pool_of_blocks() noexcept override { return &pool_; }

    void retire() noexcept override;
    void report_stray(const void* address) noexcept override;
    /// What to say of a pool that has retired with blocks out, once; else an empty text.
    std::string take_left();
    /// Gives all resting blocks back to the pool. False where there was none.
    bool give_back() noexcept;

    /// What is wrong now with live and resting blocks. It is reported once. Aborts where the
    /// options say so.
    std::vector<std::string> damage();
    /// The same; throws Misused.
    void check();
    /// From the oldest to the youngest.
    std::vector<LiveBlock> live() const;
    /// The pool's figures as its users see them: without blocks that rest, and without fences.
    PoolFigures figures() const;
    std::size_t resting() const noexcept;

  private:
    using Clock = std::chrono::steady_clock;

    /// How the pool below gets a block back.
    enum class Way { as_bytes, as_block, unused };

    struct Record {
        std::byte* whole = nullptr;
        std::byte* start = nullptr;
        std::size_t bytes = 0;
        /// The size of the pool's block.
        std::size_t room = 0;
        Way way = Way::as_bytes;
        bool resting = false;
        Clock::time_point since;
        SourceLine acquired = nullptr;
        SourceLine released = nullptr;
        /// Of the contents at the release, where those are kept.
        std::uint64_t sum = 0;

        std::byte* end() const noexcept { return start + bytes; }
    };

    using Texts = std::vector<std::string>;

    static std::uint64_t sum_of(const std::byte* start, std::size_t bytes) noexcept;

    std::byte* take(std::size_t bytes, bool zeroed) noexcept;
    std::byte* add(std::byte* whole, std::size_t bytes, Way way, bool zeroed);
    bool end(void* address, std::optional<Way> way) noexcept;
    void rest(Record& record) noexcept;
    bool is_to_leave() const noexcept;
    Record leave(Texts& found);
    void pass_down(const std::vector<Record>& records) noexcept;

    void check_fences(Record& record, Texts& found) const;
    void check_contents(Record& record, Texts& found) const;
    std::string text_of(const Record& record, const std::string& what) const;
    std::string text_of_stray(const std::byte* address, SourceLine here) const;
    void report(const Texts& found) const noexcept;

    void lock_for_fork() noexcept override { mutex_.lock(); }
    void unlock_in_parent() noexcept override { mutex_.unlock(); }
    void unlock_in_child() noexcept override { mutex_.unlock(); }

    Pool& pool_;
    ByteSource& below_;
    const CheckedBlocksOptions options_;

    mutable std::mutex mutex_;
    /// Live and resting, by their users' address.
    std::map<const std::byte*, Record> records_;
    /// The one that rests longest is the first.
    std::deque<const std::byte*> resting_;
    std::size_t resting_bytes_ = 0;
    bool retired_ = false;
    bool told_ = false;
};

}  // namespace numpool::threads
