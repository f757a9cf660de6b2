#include "threads/arena/shared_arena.hpp"
#include "threads/stress.hpp"

using namespace numpool;
using namespace numpool::threads;
using stress::Filled;

namespace {

/// A block of the arena or of a child, with or without a ticket. It is in use, or idle with a
/// ticket.
struct Piece {
    SharedArena* arena;
    Filled block;
    std::uint64_t ticket = 0;
    bool has_ticket = false;
    bool in_use = true;
};

struct Users {
    Users() : handle{SharedArena::create()}, pool{handle.get()} {}

    void step(std::mt19937& random) {
        auto piece = random() % 2 == 0 ? plain(*pool, random) : ticketed(*pool, random);
        piece = exchange.swap(random, std::move(piece));
        if (piece) end(*piece, random() % 2 == 0);
        switch (random() % 256) {
            case 0:
                return rewind(random);
            case 1:
                return raise_child(random);
            case 2:
                return end_children();
            case 3:
                return reset();
        }
    }
    static std::size_t bytes(std::mt19937& random) {
        return random() % (random() % 20 == 0 ? 50000 : 500);
    }
    static std::unique_ptr<Piece> plain(SharedArena& arena, std::mt19937& random) {
        const std::size_t size = bytes(random);
        std::byte* const block = arena.try_acquire(size);
        if (block == nullptr) return {};
        return std::make_unique<Piece>(
            Piece{&arena, {block, size, static_cast<unsigned char>(random())}});
    }
    static std::unique_ptr<Piece> ticketed(SharedArena& arena, std::mt19937& random) {
        const std::size_t size = bytes(random);
        const SharedArena::Idle idle = arena.acquire(size);
        if (!arena.begin_use(idle.start, idle.ticket)) {  // Another thread has reset it.
            arena.drop(idle.start, idle.ticket);
            return {};
        }
        Piece piece{
            &arena, {idle.start, size, static_cast<unsigned char>(random())}, idle.ticket, true};
        piece.in_use = random() % 2 == 0;
        if (!piece.in_use) arena.release(idle.start);
        return std::make_unique<Piece>(piece);
    }
    /// A block in use is unchanged. An idle block is unchanged, or its ticket says that it ended.
    static void end(const Piece& piece, bool ticket_first) {
        SharedArena& arena = *piece.arena;
        const Filled& block = piece.block;
        if (piece.has_ticket && piece.in_use) {
            CHECK(arena.is_current(piece.ticket));
            CHECK_EQUAL(arena.uses_of(block.start, piece.ticket), 1U);
        }
        const bool there = piece.in_use || arena.begin_use(block.start, piece.ticket);
        if (piece.has_ticket && ticket_first) arena.drop(block.start, piece.ticket);
        if (there) {
            block.verify();
            arena.release(block.start, block.bytes);
        }
        if (piece.has_ticket && !ticket_first) arena.drop(block.start, piece.ticket);
    }

    void rewind(std::mt19937& random) {
        const SharedArena::Mark mark = pool->mark();
        for (int i = 0; i < 3; ++i) {
            if (const auto piece = plain(*pool, random)) end(*piece, false);
        }
        SharedArena::Usage usage;
        pool->add_usage(mark, usage);
        CHECK(usage.first.size() <= usage.blocks);
        try {
            rewound += pool->try_rewind(mark) ? 1 : 0;
        } catch (const BadArgument&) {  // Another thread has reset it.
        }
    }
    void raise_child(std::mt19937& random) {
        const auto child = SharedArena::create({}, pages::os_pages(), handle);
        for (int i = 0; i < 4; ++i) {
            auto piece = random() % 2 == 0 ? plain(*child, random) : ticketed(*child, random);
            piece = exchange.swap(random, std::move(piece));
            if (piece) end(*piece, false);
        }
    }
    void end_children() const {
        for (const auto& child : pool->children_since({})) {
            if (!child->try_close()) child->trim();
            child->check();
        }
    }
    void reset() {
        release_all();
        was_reset += pool->try_reset() ? 1 : 0;
    }
    void release_all() {
        exchange.drain([&](const Piece& piece) { end(piece, false); });
    }

    PoolHandle<SharedArena> handle;
    SharedArena* pool;
    stress::Exchange<Piece> exchange;
    std::atomic<int> rewound = 0;
    std::atomic<int> was_reset = 0;
};

}  // namespace

TEST("threads use each other's blocks while others mark, rewind, reset and make children") {
    Users users;
    stress::use_amid_upkeep(users, stress::steps(200000));
    CHECK(users.rewound != 0);
    CHECK(users.was_reset != 0);
    CHECK(users.pool->children_since({}).empty());
    CHECK(users.pool->try_close());
}

TEST("an arena may be closed while threads use it") {
    stress::close_amid_use<Users>(stress::steps(400));
}

TEST("an arena whose last handle goes while threads release ends exactly once") {
    stress::drop_amid_release<Users>(stress::steps(1000));
}

TEST("a child forked while threads use an arena and make children can use it") {
    Users users;
    stress::Crew crew;
    stress::fork_amid_use(users, crew, [&] {
        std::mt19937 random{7};
        for (int i = 0; i < 10; ++i) {
            if (const auto piece = users.ticketed(*users.pool, random)) users.end(*piece, false);
        }
        users.raise_child(random);
        users.end_children();
    });
}
