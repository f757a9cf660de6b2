#pragma once

#include <cstddef>
#include <cstdint>

namespace numpool::threads {

/// An owner of blocks that may end while they are held, unless they are in use. A holder has a
/// ticket, and calls `begin_use` before each use.
///
/// The office lives until its last ticket is dropped. Any thread may call.
class TicketOffice {
  public:
    TicketOffice() = default;
    TicketOffice(const TicketOffice&) = delete;
    TicketOffice& operator=(const TicketOffice&) = delete;

    /// Whether the block of this ticket is still there. It may end right after the answer.
    virtual bool is_current(std::uint64_t ticket) const noexcept = 0;

    /// From now on the block is in use, and does not end before `BlockOwner::release`. False where
    /// the block has ended.
    virtual bool begin_use(std::byte* block, std::uint64_t ticket) noexcept = 0;

    /// How many uses the block has; 0 where it has ended.
    virtual std::size_t uses_of(const std::byte* block, std::uint64_t ticket) const noexcept = 0;

    /// Ends the ticket, and the block unless it is in use. Afterwards the office may be gone.
    virtual void drop(std::byte* block, std::uint64_t ticket) noexcept = 0;

    /// Why a block has ended.
    virtual const char* ending() const noexcept = 0;

  protected:
    ~TicketOffice() = default;
};

}  // namespace numpool::threads
