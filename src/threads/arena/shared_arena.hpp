#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pools/arena/arena.hpp"
#include "threads/arena/arena_usage.hpp"
#include "threads/arena/ticket_office.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/pool_lifecycle.hpp"

namespace numpool::threads {

struct SharedArenaOptions {
    std::size_t chunk_size = std::size_t{64} << 10;
    std::string name;
};

/// An arena behind a lock, in a family of arenas: an arena's children end before it.
///
/// As a source of bytes it hands out blocks in use; to Python it hands out blocks with tickets.
class SharedArena : public PoolLifecycle, public ByteSource, public TicketOffice {
  public:
    using Idle = pools::Arena::Idle;
    using Used = pools::Arena::Used;
    using Usage = ArenaUsage;
    using Named = ArenaUsage::Named;

    /// A place to rewind to, and the number of children made before it.
    struct Mark {
        pools::Arena::Mark place;
        std::size_t children = 0;
    };

    /// The new arena's first handle. Throws BadArgument; Closed where the parent is.
    static PoolHandle<SharedArena> create(const SharedArenaOptions& options = {},
                                          pages::SourceHandle source = pages::os_pages(),
                                          PoolHandle<SharedArena> parent = {});

    /// Makes this arena a child of its parent: the last step of its construction.
    void join_family();

    /// An idle block. Throws Exhausted, Closed.
    Idle acquire(std::size_t bytes);
    /// Like `acquire`, but an empty block where memory is refused.
    Idle try_acquire_idle(std::size_t bytes);

    Mark mark();
    Mark beginning() const noexcept;
    /// Throws BadArgument where the mark is of a state that the arena has left.
    void require_known(const Mark& mark) const;
    /// Adds the blocks in use since the mark to `usage`. Looks at every block.
    void add_usage(const Mark& mark, Usage& usage) const;
    /// The number of uses since the mark.
    std::size_t uses_since(const Mark& mark) const noexcept;
    /// The children that were made since the mark and have not ended, the newest first.
    std::vector<PoolHandle<SharedArena>> children_since(const Mark& mark) const;
    /// `add_usage` and `uses_since`, with all descendants that began since the mark.
    void add_usage_of_family(const Mark& mark, Usage& usage) const;
    std::size_t uses_of_family_since(const Mark& mark) const;

    /// Ends every block since the mark, but none of a child. False, and nothing has changed, where
    /// one is in use. Throws as `require_known`.
    bool try_rewind(const Mark& mark);
    /// Ends every block and forgets every mark.
    bool try_reset();
    /// Ends every block, and takes no more requests.
    bool try_close() noexcept;

    void release(std::byte* block, std::size_t bytes = 0) noexcept final;

    std::byte* try_acquire(std::size_t bytes) noexcept final;
    std::byte* try_acquire_zeroed(std::size_t bytes) noexcept final;
    bool try_release(void* block, std::size_t bytes) noexcept final;
    std::byte* try_reallocate(void* block, std::size_t bytes) noexcept final;
    std::size_t usable_size(const void* block) const noexcept final;
    std::string refusal(std::size_t bytes) const final;
    bool leaves_to_others(std::size_t) const noexcept final { return closed(); }

    bool is_current(std::uint64_t ticket) const noexcept final;
    bool begin_use(std::byte* block, std::uint64_t ticket) noexcept final;
    std::size_t uses_of(const std::byte* block, std::uint64_t ticket) const noexcept final;
    void drop(std::byte* block, std::uint64_t ticket) noexcept final;
    const char* ending() const noexcept final { return "its arena was reset, rewound or closed"; }

    PoolFigures figures() const final;
    std::size_t trim() final;
    void reset_peak() noexcept final;
    void check() const final;

    std::size_t chunk_size() const noexcept { return chunk_size_; }
    const pages::SourceHandle& source() const noexcept { return source_; }

  protected:
    SharedArena(const SharedArenaOptions& options, pages::SourceHandle source,
                PoolHandle<SharedArena> parent);
    ~SharedArena() override;

  private:
    struct Child {
        std::size_t number;
        SharedArena* arena;
    };

    bool contains(const std::byte* address) const noexcept final;
    bool has_live_blocks() const noexcept final { return uses() != 0; }
    void end_memory() noexcept final;
    bool is_held() const noexcept final { return tickets_ != 0 || uses() != 0; }

    /// Sets the text for the contents of a block in use. A derived class may know them.
    virtual void name(Named&) const {}
    template <class Visit>
    void for_each_of_family(const Mark& since, Visit visit) const;
    std::string refusal_text(std::size_t bytes) const;
    std::size_t uses() const noexcept;
    /// In debug builds small arenas check themselves after each operation.
    void check_each_time() const noexcept;
    std::byte* counted(std::byte* block, std::size_t bytes) noexcept;
    void note_request(std::size_t bytes) noexcept {
        ++requests_;
        asked_ += bytes;
    }

    /// Where the chunks come from: the system, Pages, or another pool (PoolPages).
    pages::SourceHandle source_;
    const PoolHandle<SharedArena> parent_;

    /// Empty once the arena is closed and nothing is in use.
    std::optional<pools::Arena> arena_;
    /// Tickets that were not dropped, those of ended blocks included.
    std::size_t tickets_ = 0;

    std::size_t requests_ = 0;
    std::size_t asked_ = 0;
    std::size_t failures_ = 0;
    /// Of `arena_`, once that is empty.
    std::size_t growths_ = 0;
    std::size_t peak_ = 0;
    std::size_t peak_mapped_ = 0;

    /// The families' mutex guards these two.
    std::vector<Child> children_;
    std::size_t last_child_ = 0;

    const std::size_t chunk_size_;
};

}  // namespace numpool::threads
