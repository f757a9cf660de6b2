#pragma once

#include <cstdint>
#include <optional>

#include "processes/region/shared_region.hpp"

namespace numpool::processes {

/// What one process tells another to send it a block. It can be received once.
struct Sent {
    std::uint32_t index = 0;
    std::uint32_t serial = 0;
    BlockId block = 0;
};

/// The messages of a region that are on their way.
class MessageTable {
  public:
    MessageTable(SharedRegion& region, const Member& self) noexcept
        : region_{region}, self_{self} {}

    /// A message that cannot be received yet. None where the machine has no memory, or
    /// `most_messages` are on their way.
    std::optional<Sent> make(BlockId block) noexcept;
    /// From now on the message can be received.
    void send(const Sent& sent) noexcept;
    /// Ends the message. False where it was received before, or never sent.
    bool receive(const Sent& sent) noexcept;
    /// Whether the message can be received now.
    bool valid(const Sent& sent) const noexcept;

    /// Whether any message leads to the block.
    bool lead_to(BlockId block) const noexcept;

    /// For an ended process: ends the messages that it had not sent, and makes the others orphans.
    /// Calls `on_end(block)` for each message that ended.
    template <class OnEnd>
    void disown(unsigned slot, OnEnd on_end) noexcept {
        for (std::uint32_t i = 0; i < covered(); ++i) {
            const MessageWord word = at(i).word.load();
            if (word.kind() == MessageWord::Kind::free || word.slot() != slot) continue;
            if (word.kind() == MessageWord::Kind::ready) {
                at(i).word.compare_exchange(word, word.as(MessageWord::Kind::orphan));
            } else if (word.kind() == MessageWord::Kind::making &&
                       at(i).word.compare_exchange(word, word.as_free())) {
                on_end(word.block());
            }
        }
    }

    /// Ends orphans that are older than so many milliseconds, and calls `on_end(block)` for each.
    template <class OnEnd>
    void expire(std::uint64_t milliseconds, OnEnd on_end) noexcept {
        const std::uint64_t now = machine_milliseconds();
        for (std::uint32_t i = 0; i < covered(); ++i) {
            const MessageWord word = at(i).word.load();
            if (word.kind() != MessageWord::Kind::orphan) continue;
            const std::uint64_t made = at(i).made.load(std::memory_order_relaxed);
            if (now - made >= milliseconds && at(i).word.compare_exchange(word, word.as_free())) {
                on_end(word.block());
            }
        }
    }

    /// How many are on their way.
    std::size_t count() const noexcept;

  private:
    Message& at(std::uint32_t index) const noexcept { return region_.messages()[index]; }
    std::uint32_t covered() const noexcept;
    bool cover_more(std::uint32_t covered) noexcept;
    /// The time, by a clock that all processes of the machine share.
    static std::uint64_t machine_milliseconds() noexcept;

    SharedRegion& region_;
    const Member& self_;
    std::uint32_t next_ = 0;
};

}  // namespace numpool::processes
