#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pages/source/source_handle.hpp"
#include "pools/arena/arena.hpp"
#include "threads/arena/ticket_office.hpp"
#include "threads/lifecycle/brief_mutex.hpp"
#include "threads/lifecycle/byte_source.hpp"
#include "threads/lifecycle/fork.hpp"
#include "threads/lifecycle/pool.hpp"
#include "threads/lifecycle/pool_listing.hpp"

namespace numpool::threads {

struct SharedArenaOptions {
    std::size_t chunk_size = std::size_t{64} << 10;
    std::string name;
};

/// An arena behind a lock, in a family of arenas: whoever ends one asks its children first.
///
/// As a source of bytes it hands out blocks in use; to Python it hands out blocks with tickets.
class SharedArena : public Pool, public ByteSource, public TicketOffice, private ForkGuarded {
  public:
    using Idle = pools::Arena::Idle;
    using Used = pools::Arena::Used;

    /// A place to rewind to, and the children that were there.
    struct Mark {
        pools::Arena::Mark place;
        std::size_t children = 0;
    };
    /// A block in use, and what is in it where somebody knows.
    struct Named {
        Used block;
        std::string what;
    };
    /// What keeps an arena from ending: how many blocks, and the first few.
    struct Usage {
        std::size_t blocks = 0;
        std::vector<Named> first;
    };
    static constexpr std::size_t named_in_errors = 4;

    /// The new arena's first handle. Throws BadArgument; Closed where the parent is.
    static PoolHandle<SharedArena> create(const SharedArenaOptions& options = {},
                                          pages::SourceHandle source = pages::os_pages(),
                                          PoolHandle<SharedArena> parent = {});

    /// The parent knows its child from here on: for whoever constructs one, as the last step.
    void join_family();

    /// An idle block. Throws Exhausted, Closed.
    Idle acquire(std::size_t bytes);
    /// The same; an empty one where memory is refused. Throws Closed.
    Idle try_acquire_idle(std::size_t bytes);

    Mark mark();
    Mark beginning() const noexcept;
    /// Throws BadArgument where the mark is of a state that the arena has left.
    void require_known(const Mark& mark) const;
    /// Adds to the usage what is in use since the mark. It looks at every block.
    void add_usage(const Mark& mark, Usage& usage) const;
    /// How often something is in use since the mark.
    std::size_t uses_since(const Mark& mark) const noexcept;
    /// The children that were made since the mark and have not ended, the newest first.
    std::vector<PoolHandle<SharedArena>> children_since(const Mark& mark) const;

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
    bool leaves_to_others(std::size_t) const noexcept final { return closed(); }

    bool is_current(std::uint64_t ticket) const noexcept final;
    bool begin_use(std::byte* block, std::uint64_t ticket) noexcept final;
    std::size_t uses_of(const std::byte* block, std::uint64_t ticket) const noexcept final;
    void drop(std::byte* block, std::uint64_t ticket) noexcept final;
    const char* ending() const noexcept final { return "its arena was reset, rewound or closed"; }

    void add_handle() noexcept final;
    void drop_handle() noexcept final;
    const std::string& name() const noexcept final { return name_; }
    std::string title() const final;
    bool owns(const std::byte* address) const noexcept final;
    bool add_handle_if_owns(const std::byte* address) noexcept;
    PoolFigures figures() const final;
    std::size_t trim() final;
    void check() const final;
    /// No more requests; the memory goes with the last use.
    void close() noexcept final;
    bool closed() const noexcept final;

    std::size_t chunk_size() const noexcept { return chunk_size_; }
    const pages::SourceHandle& source() const noexcept { return source_; }

    /// "3 blocks are still in use by arrays or views: (10, 10) float64 of 800 bytes, …", or by its
    /// address where nobody knows.
    static std::string text_of(const Usage& usage);

  protected:
    SharedArena(const SharedArenaOptions& options, pages::SourceHandle source,
                PoolHandle<SharedArena> parent);
    ~SharedArena() override;

  private:
    using Lock = std::unique_lock<BriefMutex>;

    struct Child {
        std::size_t number;
        SharedArena* arena;
    };

    void lock_for_fork() noexcept final { mutex_.lock(); }
    void unlock_in_parent() noexcept final { mutex_.unlock(); }
    void unlock_in_child() noexcept final { mutex_.unlock(); }

    void require_open() const;
    std::string refusal(std::size_t bytes) const;
    std::size_t uses() const noexcept;
    std::byte* counted(std::byte* block, std::size_t bytes) noexcept;
    void note_request(std::size_t bytes) noexcept {
        ++requests_;
        asked_ += bytes;
    }
    void end_memory() noexcept;
    bool is_reachable() const noexcept { return handles_ != 0 || tickets_ != 0 || uses() != 0; }
    void settle(Lock& lock) noexcept;
    void bury() noexcept;

    pages::SourceHandle source_;
    const PoolHandle<SharedArena> parent_;

    mutable BriefMutex mutex_;
    /// Gone once the arena is closed and nothing is in use.
    std::optional<pools::Arena> arena_;
    std::size_t handles_ = 0;
    /// Those of ended blocks included.
    std::size_t tickets_ = 0;
    bool closed_ = false;
    /// Somebody is about to find out whether it can be deleted.
    bool buried_ = false;

    std::size_t requests_ = 0;
    std::size_t asked_ = 0;
    std::size_t failures_ = 0;
    /// Of the arena that has ended.
    std::size_t growths_ = 0;
    std::size_t peak_ = 0;
    std::size_t peak_mapped_ = 0;

    /// The family's mutex guards these two.
    std::vector<Child> children_;
    std::size_t last_child_ = 0;

    const std::size_t chunk_size_;
    const std::string name_;
    const PoolListing listing_{*this};
};

}  // namespace numpool::threads
