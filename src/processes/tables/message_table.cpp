#include "processes/tables/message_table.hpp"

#include <algorithm>

#include "base/clock.hpp"

namespace numpool::processes {

std::uint64_t MessageTable::machine_milliseconds() noexcept {
    return coarse_milliseconds();
}

std::uint32_t MessageTable::covered() const noexcept {
    return std::min(region_.header().covered_messages.load(std::memory_order_acquire),
                    most_messages);
}

bool MessageTable::cover_more(std::uint32_t covered) noexcept {
    constexpr std::uint32_t step = 4096 / sizeof(Message);
    if (covered >= most_messages || !region_.commit_messages(covered, covered + step)) return false;
    region_.header().covered_messages.compare_exchange_strong(covered, covered + step);
    return true;
}

std::optional<Sent> MessageTable::make(BlockId block) noexcept {
    for (;;) {
        const std::uint32_t covered = this->covered();
        for (std::uint32_t tried = 0; tried < covered; ++tried) {
            // Low indexes first, so that a look through all messages stays short.
            const std::uint32_t index = tried == 0 ? std::min(next_, covered - 1) : tried - 1;
            const MessageWord before = at(index).word.load();
            if (before.kind() != MessageWord::Kind::free) continue;
            const MessageWord made{MessageWord::Kind::making, self_.slot, before.serial(), block};
            if (!at(index).word.compare_exchange(before, made)) continue;
            next_ = index;
            return Sent{index, made.serial(), block};
        }
        if (!cover_more(covered)) return {};
    }
}

void MessageTable::send(const Sent& sent) noexcept {
    Message& message = at(sent.index);
    message.made.store(machine_milliseconds(), std::memory_order_relaxed);
    message.word.store({MessageWord::Kind::ready, self_.slot, sent.serial, sent.block});
}

bool MessageTable::valid(const Sent& sent) const noexcept {
    if (sent.index >= covered()) return false;
    const MessageWord word = at(sent.index).word.load();
    return (word.kind() == MessageWord::Kind::ready || word.kind() == MessageWord::Kind::orphan) &&
           word.serial() == sent.serial && word.block() == sent.block;
}

bool MessageTable::receive(const Sent& sent) noexcept {
    // If the sender ends meanwhile, the message becomes an orphan: then try once more.
    while (valid(sent)) {
        const MessageWord word = at(sent.index).word.load();
        if (word.serial() == sent.serial &&
            at(sent.index).word.compare_exchange(word, word.as_free())) {
            next_ = std::min(next_, sent.index);
            return true;
        }
    }
    return false;
}

bool MessageTable::lead_to(BlockId block) const noexcept {
    for (std::uint32_t i = 0; i < covered(); ++i) {
        const MessageWord word = at(i).word.load();
        if (word.kind() != MessageWord::Kind::free && word.block() == block) return true;
    }
    return false;
}

std::size_t MessageTable::count() const noexcept {
    std::size_t count = 0;
    for (std::uint32_t i = 0; i < covered(); ++i) {
        if (at(i).word.load().kind() != MessageWord::Kind::free) ++count;
    }
    return count;
}

}  // namespace numpool::processes
