#pragma once

#include <cstdint>
#include <optional>

#include "processes/region/shared_region.hpp"

namespace numpool::processes {

/// What a message carries: it leads to a block until it is received, once.
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

    /// A message that its maker still holds back; nothing where the machine has no memory, or
    /// `most_messages` are on their way.
    std::optional<Sent> make(BlockId block) noexcept;
    /// Lets it go: from now on it may be received.
    void send(const Sent& sent) noexcept;
    /// Takes it; false where it was taken before, or never was.
    bool take(const Sent& sent) noexcept;
    /// Whether it can be taken now.
    bool valid(const Sent& sent) const noexcept;

    /// Whether any message leads to the block.
    bool lead_to(BlockId block) const noexcept;

    /// Ends what a dead process had not sent, and marks what it had: `settle(block)` is called for
    /// each that ended.
    template <class Settle>
    void disown(unsigned slot, Settle settle) noexcept {
        for (std::uint32_t i = 0; i < covered(); ++i) {
            const MessageWord word = at(i).word.load();
            if (word.kind() == MessageWord::Kind::free || word.slot() != slot) continue;
            if (word.kind() == MessageWord::Kind::ready) {
                at(i).word.move(word, word.as(MessageWord::Kind::orphan));
            } else if (word.kind() == MessageWord::Kind::making &&
                       at(i).word.move(word, word.as_free())) {
                settle(word.block());
            }
        }
    }

    /// Ends the messages of dead senders that are older than so many milliseconds.
    template <class Settle>
    void expire(std::uint64_t milliseconds, Settle settle) noexcept {
        const std::uint64_t now = machine_milliseconds();
        for (std::uint32_t i = 0; i < covered(); ++i) {
            const MessageWord word = at(i).word.load();
            if (word.kind() != MessageWord::Kind::orphan) continue;
            const std::uint64_t made = at(i).made.load(std::memory_order_relaxed);
            if (now - made >= milliseconds && at(i).word.move(word, word.as_free())) {
                settle(word.block());
            }
        }
    }

    /// How many are on their way.
    std::size_t count() const noexcept;

  private:
    Message& at(std::uint32_t index) const noexcept { return region_.messages()[index]; }
    std::uint32_t covered() const noexcept;
    bool cover_more(std::uint32_t covered) noexcept;
    /// Of a clock that all processes of the machine share.
    static std::uint64_t machine_milliseconds() noexcept;

    SharedRegion& region_;
    const Member& self_;
    std::uint32_t next_ = 0;
};

}  // namespace numpool::processes
