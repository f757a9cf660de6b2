#include "processes/tables/ticket_table.hpp"

#include <algorithm>

#include "base/clock.hpp"

namespace numpool::processes {

std::uint64_t TicketTable::machine_milliseconds() noexcept {
    return coarse_milliseconds();
}

std::uint32_t TicketTable::covered() const noexcept {
    return std::min(region_.header().covered_tickets.load(std::memory_order_acquire), most_tickets);
}

bool TicketTable::cover_more(std::uint32_t covered) noexcept {
    constexpr std::uint32_t step = 4096 / sizeof(Ticket);
    if (covered >= most_tickets || !region_.reserve_tickets(covered, covered + step)) return false;
    region_.header().covered_tickets.compare_exchange_strong(covered, covered + step);
    return true;
}

std::optional<Sent> TicketTable::make(BlockId block) noexcept {
    for (;;) {
        const std::uint32_t covered = this->covered();
        for (std::uint32_t tried = 0; tried < covered; ++tried) {
            // Low places first, so that looking through all that are used stays short.
            const std::uint32_t index = tried == 0 ? std::min(next_, covered - 1) : tried - 1;
            const TicketWord before = at(index).word.load();
            if (before.kind() != TicketWord::Kind::free) continue;
            const TicketWord made{TicketWord::Kind::making, self_.slot, before.serial(), block};
            if (!at(index).word.move(before, made)) continue;
            next_ = index;
            return Sent{index, made.serial(), block};
        }
        if (!cover_more(covered)) return {};
    }
}

void TicketTable::send(const Sent& sent) noexcept {
    Ticket& ticket = at(sent.index);
    ticket.made.store(machine_milliseconds(), std::memory_order_relaxed);
    ticket.word.store({TicketWord::Kind::ready, self_.slot, sent.serial, sent.block});
}

bool TicketTable::valid(const Sent& sent) const noexcept {
    if (sent.index >= covered()) return false;
    const TicketWord word = at(sent.index).word.load();
    return (word.kind() == TicketWord::Kind::ready || word.kind() == TicketWord::Kind::orphan) &&
           word.serial() == sent.serial && word.block() == sent.block;
}

bool TicketTable::take(const Sent& sent) noexcept {
    // Its sender may end meanwhile, and it becomes an orphan: then once more.
    while (valid(sent)) {
        const TicketWord word = at(sent.index).word.load();
        if (word.serial() == sent.serial && at(sent.index).word.move(word, word.as_free())) {
            next_ = std::min(next_, sent.index);
            return true;
        }
    }
    return false;
}

bool TicketTable::lead_to(BlockId block) const noexcept {
    for (std::uint32_t i = 0; i < covered(); ++i) {
        const TicketWord word = at(i).word.load();
        if (word.kind() != TicketWord::Kind::free && word.block() == block) return true;
    }
    return false;
}

std::size_t TicketTable::count() const noexcept {
    std::size_t count = 0;
    for (std::uint32_t i = 0; i < covered(); ++i) {
        if (at(i).word.load().kind() != TicketWord::Kind::free) ++count;
    }
    return count;
}

}  // namespace numpool::processes
