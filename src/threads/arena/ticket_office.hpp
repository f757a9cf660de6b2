#pragma once

#include <cstddef>
#include <cstdint>

namespace numpool::threads {

/// An owner whose blocks may end while somebody holds them, as long as nobody uses them. A holder
/// has a ticket, and asks before each use.
///
/// The office stays until its last ticket was dropped. Any thread may call.
class TicketOffice {
  public:
    TicketOffice() = default;
    TicketOffice(const TicketOffice&) = delete;
    TicketOffice& operator=(const TicketOffice&) = delete;

    /// Whether the block of this ticket is still there. It may end right after the answer.
    virtual bool is_current(std::uint64_t ticket) const noexcept = 0;

    /// From now on the block is in use, and does not end before `BlockOwner::release`. False where
    /// it is not there any more.
    virtual bool begin_use(std::byte* block, std::uint64_t ticket) noexcept = 0;

    /// How many uses the block has; 0 where it is not there any more.
    virtual std::size_t uses_of(const std::byte* block, std::uint64_t ticket) const noexcept = 0;

    /// The ticket's end; the block's, too, unless it is in use. Afterwards the office may be gone.
    virtual void drop(std::byte* block, std::uint64_t ticket) noexcept = 0;

    /// Why a block is not there any more.
    virtual const char* ending() const noexcept = 0;

  protected:
    ~TicketOffice() = default;
};

}  // namespace numpool::threads
