// A region with marks: blocks in use, blocks kept by a ticket, rewinds and resets.
#include "live_blocks.hpp"
#include "pages/source/fake_pages.hpp"
#include "pools/arena/arena.hpp"

using namespace numpool;
using pools::Arena;

namespace {

struct Marked {
    Arena::Mark mark;
    /// How many live blocks are older.
    std::size_t blocks;
};

/// The model: live blocks in the order of their age. A block's note is its ticket, 0 while it is in
/// use.
class ArenaModel {
  public:
    ArenaModel(Arena& arena, const pages::FakePages& pages) : arena_{arena}, pages_{pages} {}

    void acquire(std::size_t bytes, bool zeroed) {
        std::byte* const block = zeroed ? arena_.acquire_zeroed(bytes) : arena_.acquire(bytes);
        if (block == nullptr) return;
        if (zeroed) fuzz::LiveBlocks::require_zero(block, bytes);
        live_.add(block, bytes);
    }

    void acquire_idle(std::size_t bytes) {
        const Arena::Idle idle = arena_.acquire_idle(bytes);
        if (idle.start != nullptr) live_.add(idle.start, bytes, idle.ticket);
    }

    void end(std::size_t index) {
        const auto block = remove(index);
        if (block.note == 0) {
            arena_.end_use(block.start);
        } else {
            arena_.drop(block.start, block.note);
        }
    }

    void reallocate(std::size_t index, std::size_t bytes) {
        const auto block = live_[index];
        if (block.note != 0) return use(index);
        const std::size_t grows = pages_.grows;
        std::byte* const moved = arena_.reallocate(block.start, bytes);
        if (moved == nullptr) return live_.verify(index);
        live_.replace(index, moved, bytes);
        // A copy is as new as the newest; a large block whose pages grew is as old as it was.
        if (moved != block.start && pages_.grows == grows) {
            for (Marked& marked : marks_) marked.blocks -= marked.blocks > index ? 1 : 0;
        } else {
            live_.put_last_at(index);
        }
    }

    void use(std::size_t index) {
        auto& block = live_[index];
        if (block.note == 0) return;
        REQUIRE(arena_.begin_use(block.start, block.note));
        REQUIRE(arena_.uses_of(block.start, block.note) == 1);
        arena_.drop(block.start, block.note);
        block.note = 0;
    }

    void mark() {
        if (marks_.size() < 16) marks_.push_back({arena_.mark(), live_.count()});
    }

    void rewind(std::size_t index) {
        const Marked marked = marks_[index];
        REQUIRE(arena_.knows(marked.mark));
        end_what_is_used(marked.blocks);
        REQUIRE(arena_.uses_since(marked.mark) == 0);
        arena_.rewind(marked.mark);
        forget(marked.blocks);
        marks_.resize(index + 1);
    }

    void reset() {
        end_what_is_used(0);
        arena_.reset();
        forget(0);
        marks_.clear();
    }

    void check() const {
        live_.verify_all();
        std::size_t uses = 0;
        for (const auto& block : live_) {
            if (block.note == 0) ++uses;
            REQUIRE(arena_.size_of(block.start) == block.bytes && arena_.owns(block.start));
            REQUIRE(block.note == 0 || arena_.is_current(block.note));
        }
        const Arena::Tally tally = arena_.tally();
        REQUIRE(tally.blocks == live_.count() && tally.uses == uses);
        REQUIRE(tally.requested == live_.bytes());
        arena_.check();
    }

    fuzz::LiveBlocks& live() { return live_; }
    std::size_t marks() const { return marks_.size(); }

  private:
    fuzz::LiveBlocks::Block remove(std::size_t index) {
        for (Marked& marked : marks_) marked.blocks -= marked.blocks > index ? 1 : 0;
        return live_.remove(index);
    }

    void end_what_is_used(std::size_t older) {
        for (std::size_t i = live_.count(); i-- > older;) {
            if (live_[i].note == 0) end(i);
        }
    }

    void forget(std::size_t older) {
        while (live_.count() > older) {
            const auto block = live_.forget(live_.count() - 1);
            REQUIRE(!arena_.is_current(block.note));
            REQUIRE(!arena_.begin_use(block.start, block.note));
        }
    }

    Arena& arena_;
    const pages::FakePages& pages_;
    fuzz::LiveBlocks live_;
    std::vector<Marked> marks_;
};

}  // namespace

void fuzz::use(Input& input) {
    pages::FakePages pages;
    {
        Arena arena{std::size_t{4096} << (input.byte() % 5), pages};
        ArenaModel model{arena, pages};
        LiveBlocks& live = model.live();
        while (input.more()) {
            const std::uint8_t choice = input.byte();
            if (choice < 80) {
                model.acquire(input.size(17), choice < 20);
            } else if (choice < 110) {
                model.acquire_idle(input.size(15));
            } else if (choice < 150 && !live.empty()) {
                model.end(live.any(input));
            } else if (choice < 180 && !live.empty()) {
                model.end(live.count() - 1);
            } else if (choice < 200 && !live.empty()) {
                model.reallocate(live.any(input), input.size(17));
            } else if (choice < 210 && !live.empty()) {
                model.use(live.any(input));
            } else if (choice < 220) {
                model.mark();
            } else if (choice < 230 && model.marks() != 0) {
                model.rewind(input.below(model.marks()));
            } else if (choice < 233) {
                model.reset();
            } else if (choice < 240) {
                pages.fail_after(input.below(4), input.byte());
            } else if (choice < 243) {
                pages.stop_failing();
            } else if (choice < 246) {
                arena.trim();
            } else {
                model.check();
            }
        }
        model.check();
        model.reset();
        arena.trim();
        REQUIRE(pages.mapped == 0);
    }
}
