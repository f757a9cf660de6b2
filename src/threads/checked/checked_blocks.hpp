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
#include "threads/checked/guards.hpp"
#include "threads/lifecycle/block_layer.hpp"
#include "threads/lifecycle/fork_guarded.hpp"
#include "threads/lifecycle/pool.hpp"

namespace numpool::threads {

struct CheckedBlocksOptions {
    /// What acquired blocks hold. This decides how a write after a release is found.
    enum class Contents {
        filled,  ///< `acquired_byte`; released blocks hold `released_byte`
        zeroed,  ///< zeroes, which the pool below writes; released blocks hold `released_byte`
        kept,    ///< what the last user left; a checksum finds a write after the release
    };

    /// Blocks start at multiples of this power of two.
    std::size_t align = 64;
    /// Blocks also start at multiples of their own size, rounded up to a power of two.
    bool natural = false;
    Contents contents = Contents::filled;
    /// The pool's blocks are this many times as large as they would be without checks.
    std::size_t scale = 1;
    /// The most blocks that the pool below can have. The quarantine never holds the last one.
    std::size_t most_blocks = ~std::size_t{0};
    /// Abort the process when something is found, instead of reporting it.
    bool aborts = false;
    /// One block of so many is guarded; 0 if none is.
    std::size_t guard_every = 0;
    /// Guarded blocks start at multiples of this power of two, or of the largest one that divides
    /// their size.
    std::size_t guard_align = 1;
};

/// A layer that finds memory bugs of a pool's users: a write before or past a block, a write after
/// its release, a second release, and the release of an address that is no block.
///
/// Each block lies between two fences: runs of a known byte, which a release checks. A released
/// block is filled with another byte, and waits in a quarantine before the pool gets it back. The
/// quarantine is a queue of at most `most_quarantined` bytes. If the pool refuses a request, the
/// quarantine is emptied, and the request is tried again.
///
/// A guarded block lies outside the pool's block, which stays unused meanwhile. An access that
/// leaves it, or comes after its release, is a fault: see FaultReports. Blocks whose contents are
/// kept are not guarded.
///
/// One lock guards the records. It is never held while the pool below or a hook is called.
class CheckedBlocks final : public BlockLayer, private ForkGuarded {
  public:
    /// The bytes of the fence after a block, and the least number of those before it.
    static constexpr std::size_t fence = 64;
    static constexpr std::size_t most_quarantined = std::size_t{64} << 20;
    static constexpr std::byte fence_byte{0xFD};
    static constexpr std::byte acquired_byte{0xCD};
    static constexpr std::byte released_byte{0xDD};

    /// The bytes of a pool's block before its user's block.
    static std::size_t bytes_before(const CheckedBlocksOptions& options,
                                    std::size_t bytes) noexcept;

    /// `below` is the source that `pool` serves blocks from: usually the pool itself.
    CheckedBlocks(Pool& pool, ByteSource& below, const CheckedBlocksOptions& options);
    ~CheckedBlocks() override;

    std::byte* try_acquire(std::size_t bytes) noexcept override { return take(bytes, false); }
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept override { return take(bytes, true); }
    /// Also true for an address that it reports: no other allocator may free this address.
    bool try_release(void* block, std::size_t bytes) noexcept override;
    /// Always moves the block.
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept override;
    std::size_t usable_size(const void* block) const noexcept override;
    bool leaves_to_others(std::size_t bytes) const noexcept override {
        return below_.leaves_to_others(bytes);
    }
    std::string refusal(std::size_t bytes) const override { return below_.refusal(bytes); }

    /// Both throw Exhausted and Closed.
    std::byte* acquire(std::size_t bytes);
    std::byte* reallocate(std::byte* block, std::size_t bytes);
    /// Makes a user's block inside a block of the pool. Throws std::bad_alloc; the caller then
    /// still owns the pool's block.
    std::byte* wrap(std::byte* block, std::size_t bytes);

    void release(std::byte* block, std::size_t bytes = 0) noexcept override;
    void release_unused(std::byte* block) noexcept override;
    Pool& pool() const noexcept { return pool_; }
    Pool* pool_of_blocks() noexcept override { return &pool_; }

    void retire() noexcept override;
    void report_stray(const void* address) noexcept override;
    bool contains(const std::byte* address) const noexcept override;
    /// The warning about a pool that has retired while blocks were live. Empty if there is none, or
    /// if it was taken before.
    std::string take_leak_text();
    /// Gives all quarantined blocks back to the pool. False if there was none.
    bool empty_quarantine() noexcept;

    /// The damage of live and quarantined blocks that was not reported before. Aborts instead if
    /// `aborts` is set.
    std::vector<std::string> damage();
    /// Throws Misused with the texts of `damage`, if there are any.
    void check();
    /// All live blocks, the oldest first.
    std::vector<LiveBlock> live() const;
    /// The pool's figures as its users see them: without quarantined blocks, and without fences.
    PoolFigures figures() const;
    std::size_t quarantined() const noexcept;

  private:
    using Clock = std::chrono::steady_clock;

    /// How the pool below gets a block back: by `try_release`, `release` or `release_unused`.
    enum class Way { as_bytes, as_block, unused };

    struct Record {
        /// The pool's block.
        std::byte* whole = nullptr;
        std::size_t whole_bytes = 0;
        /// The user's block inside it.
        std::byte* start = nullptr;
        std::size_t bytes = 0;
        Way way = Way::as_bytes;
        bool quarantined = false;
        Clock::time_point since;
        SourceLine acquired = nullptr;
        SourceLine released = nullptr;
        /// The checksum of the contents at the release, if contents are kept.
        std::uint64_t sum = 0;
        /// The bytes of its fences.
        std::size_t fence_before = fence;
        std::size_t fence_past = fence;
        /// Null if it lies in the pool's block.
        GuardedBlock* guarded = nullptr;

        std::byte* end() const noexcept { return start + bytes; }
        /// Whether the address is in the block, or in what surrounds it.
        bool is_around(const std::byte* address) const noexcept;
    };

    using Texts = std::vector<std::string>;

    static std::uint64_t sum_of(const std::byte* start, std::size_t bytes) noexcept;

    std::byte* take(std::size_t bytes, bool zeroed) noexcept;
    std::byte* add(std::byte* whole, std::size_t bytes, Way way, bool zeroed);
    bool take_back(void* address, std::optional<Way> way) noexcept;
    GuardedBlock* guard_if_due(std::size_t bytes, SourceLine acquired);
    void place(Record& record) const noexcept;
    bool end_use(Record& record) noexcept;
    bool quarantine_is_empty() const noexcept {
        return quarantine_.empty() && guarded_quarantine_.empty();
    }
    bool quarantine_is_full() const noexcept;
    Record leave_quarantine(Texts& found);
    Record leave_quarantine(std::deque<const std::byte*>& queue, Texts& found);
    void release_below(const std::vector<Record>& records) noexcept;

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
    /// Live and quarantined blocks, by the address of the user's block.
    std::map<const std::byte*, Record> records_;
    /// The oldest release is first.
    std::deque<const std::byte*> quarantine_;
    std::deque<const std::byte*> guarded_quarantine_;
    std::size_t quarantined_bytes_ = 0;
    bool retired_ = false;
    bool leaks_reported_ = false;
    std::optional<Guards> guards_;
};

}  // namespace numpool::threads
