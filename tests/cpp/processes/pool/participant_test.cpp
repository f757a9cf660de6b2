#include "processes/pool/participant.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "testing.hpp"

using namespace numpool;
using namespace numpool::processes;

namespace {

constexpr std::uint32_t granules = 1024;  // 64 MiB

/// A child process that runs `body` with its own part of the pool, then ends.
template <class Body>
pid_t start_child(Participant& part, Body body) {
    part.prepare_fork();
    const pid_t child = fork();
    if (child == 0) {
        part.after_fork_in_child();
        int status = 1;
        try {
            status = body() ? 0 : 1;
        } catch (...) {
        }
        _exit(status);
    }
    part.after_fork_in_parent();
    return child;
}

bool ended_well(pid_t child) {
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::size_t live_blocks(const Participant& part) {
    return part.figures().blocks;
}

}  // namespace

TEST("blocks of any size are apart, writable, and come back") {
    SharedRegion region{granules, false};
    Participant part{region};
    std::vector<Participant::Acquired> live;
    for (const std::size_t bytes :
         {1UL, 256UL, 257UL, 4096UL, 32768UL, 32769UL, 65537UL, 5UL << 20}) {
        for (int i = 0; i < 3; ++i) {
            const Participant::Acquired got = part.try_acquire(bytes);
            CHECK(got.start != nullptr);
            CHECK(part.granules().block_bytes(got.block) >= bytes);
            std::memset(got.start, static_cast<int>(live.size()), bytes);
            live.push_back(got);
        }
    }
    part.check();
    CHECK_EQUAL(live_blocks(part), live.size());
    for (std::size_t i = 0; i < live.size(); ++i)
        CHECK_EQUAL(static_cast<std::size_t>(live[i].start[0]), i);
    for (const Participant::Acquired& one : live) part.drop(one.block);
    CHECK_EQUAL(live_blocks(part), 0U);
    part.trim();
    part.check();
    // Only records remain, and no page of data.
    CHECK(part.figures().committed < 512 * 1024);
}

TEST("a full pool refuses, and serves again after a block came back") {
    SharedRegion region{granules, false};
    Participant part{region};
    const Participant::Acquired half = part.try_acquire(region.bytes() / 2);
    const Participant::Acquired other = part.try_acquire(region.bytes() / 2);
    CHECK(half.start != nullptr && other.start != nullptr);
    CHECK(part.try_acquire(1).start == nullptr);
    CHECK_EQUAL(part.failures(), 1U);
    part.drop(half.block);
    const Participant::Acquired small = part.try_acquire(1);
    CHECK(small.start != nullptr);
    CHECK(part.try_acquire(region.bytes() / 2).start == nullptr);
    part.drop(small.block);
    part.drop(other.block);
    const Participant::Acquired all = part.try_acquire(region.bytes());
    CHECK(all.start != nullptr);
    part.check();
}

TEST("memory that was never used reads as zero") {
    SharedRegion region{granules, false};
    Participant part{region};
    const Participant::Acquired got = part.try_acquire(1 << 20);
    CHECK(got.zeroed);
    for (std::size_t i = 0; i < 1 << 20; i += 512) CHECK(got.start[i] == std::byte{0});
    part.drop(got.block);
    CHECK(!part.try_acquire(1 << 20).zeroed);
}

TEST("a message leads to the block once") {
    SharedRegion region{granules, false};
    Participant sender{region};
    SharedRegion same{region.fd()};
    Participant receiver{same};
    const Participant::Acquired got = sender.try_acquire(1 << 20);
    got.start[7] = std::byte{42};
    const auto sent = sender.send(got.block);
    CHECK(sent.has_value());
    sender.drop(got.block);
    CHECK_EQUAL(live_blocks(sender), 1U);
    CHECK(receiver.receive(*sent));
    CHECK(!receiver.receive(*sent));
    CHECK(!sender.receive(*sent));
    CHECK(receiver.granules().address(got.block)[7] == std::byte{42});
    receiver.drop(got.block);
    CHECK_EQUAL(live_blocks(sender), 0U);
    CHECK(!receiver.receive(Sent{99, 1, got.block}));
    CHECK(!receiver.receive(Sent{sent->index, sent->serial + 1, ~BlockId{0} >> 30}));
    sender.check();
}

TEST("a span goes back to its maker, which uses it again") {
    SharedRegion region{granules, false};
    Participant sender{region};
    Participant receiver{region};
    for (int i = 0; i < 20; ++i) {
        const Participant::Acquired got = sender.try_acquire(5 << 20);
        CHECK_EQUAL(got.zeroed, i == 0);
        const auto sent = sender.send(got.block);
        sender.drop(got.block);
        CHECK(receiver.receive(*sent));
        receiver.drop(got.block);
        CHECK_EQUAL(live_blocks(sender), 0U);
        CHECK(sender.figures().cached >= 5 << 20);
        sender.check();
    }
    // At most a quarter of the pool comes back.
    std::vector<Sent> all;
    for (int i = 0; i < 12; ++i) {
        const Participant::Acquired got = sender.try_acquire(5 << 20);
        all.push_back(*sender.send(got.block));
        sender.drop(got.block);
    }
    for (const Sent& one : all) {
        CHECK(receiver.receive(one));
        receiver.drop(one.block);
    }
    CHECK_EQUAL(live_blocks(sender), 0U);
    CHECK(sender.figures().cached <= 2 * (region.bytes() / 4));
    CHECK(sender.try_acquire(region.bytes()).start != nullptr);
    sender.check();
}

TEST("a span of a maker that has ended stays with its last user") {
    SharedRegion region{granules, false};
    Participant receiver{region};
    Sent sent;
    {
        Participant sender{region};
        const Participant::Acquired got = sender.try_acquire(1 << 20);
        sent = *sender.send(got.block);
        sender.drop(got.block);
    }
    CHECK(receiver.receive(sent));
    receiver.drop(sent.block);
    CHECK_EQUAL(live_blocks(receiver), 0U);
    CHECK_EQUAL(receiver.try_acquire(1 << 20).block, sent.block);
}

TEST("a process without a slot receives copies, and their blocks come back") {
    SharedRegion region{granules, false};
    Participant part{region};
    std::vector<std::unique_ptr<Participant>> others;
    for (unsigned i = 1; i < most_processes; ++i)
        others.push_back(std::make_unique<Participant>(region));
    CHECK_THROWS(Exhausted, "45 processes use this pool already", Participant{region});
    Participant outside{region, true};
    CHECK(outside.outside());
    CHECK(outside.try_acquire(1).start == nullptr);
    const Participant::Acquired got = part.try_acquire(1 << 20);
    std::memset(got.start, 8, 1 << 20);
    const Sent sent = *part.send(got.block);
    part.drop(got.block);
    std::vector<std::byte> copy(1 << 20);
    CHECK(!outside.receive(sent));
    CHECK(!outside.receive_copy(sent, copy.data(), (1 << 20) + 1));
    CHECK(outside.receive_copy(sent, copy.data(), copy.size()));
    CHECK(copy.front() == std::byte{8} && copy.back() == std::byte{8});
    CHECK(!outside.receive_copy(sent, copy.data(), copy.size()));
    part.reap(60'000);
    CHECK_EQUAL(live_blocks(part), 0U);
    part.check();
}

TEST("a block that was received twice is held until both uses end") {
    SharedRegion region{granules, false};
    Participant part{region};
    const Participant::Acquired got = part.try_acquire(4096);
    const auto first = part.send(got.block);
    const auto second = part.send(got.block);
    CHECK(part.receive(*first));
    CHECK(part.receive(*second));
    part.drop(got.block);
    part.drop(got.block);
    CHECK(part.holds(got.block));
    part.drop(got.block);
    CHECK(!part.holds(got.block));
    CHECK_EQUAL(live_blocks(part), 0U);
}

TEST("a forked child holds the blocks that its parent held before the fork") {
    SharedRegion region{granules, false};
    Participant part{region};
    const Participant::Acquired got = part.try_acquire(1 << 20);
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = start_child(part, [&] {
        char byte = 0;
        return read(ready[0], &byte, 1) == 1 && part.holds(got.block) &&
               got.start[0] == std::byte{9} && live_blocks(part) == 1;
    });
    part.drop(got.block);
    CHECK_EQUAL(live_blocks(part), 1U);
    // No other process gets it meanwhile.
    const Participant::Acquired next = part.try_acquire(1 << 20);
    CHECK(next.block != got.block);
    got.start[0] = std::byte{9};
    part.drop(next.block);
    CHECK(write(ready[1], "x", 1) == 1);
    CHECK(ended_well(child));
    part.reap(0);
    CHECK_EQUAL(live_blocks(part), 0U);
}

TEST("a killed process's blocks come back with the next request that needs memory") {
    SharedRegion region{granules, false};
    Participant part{region};
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = start_child(part, [&] {
        part.try_acquire(region.bytes() * 3 / 4);
        if (write(ready[1], "x", 1) != 1) return false;
        pause();
        return true;
    });
    char byte = 0;
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(part.try_acquire(region.bytes() / 2).start == nullptr);
    kill(child, SIGKILL);
    CHECK(waitpid(child, nullptr, 0) == child);
    CHECK(part.try_acquire(region.bytes() / 2).start != nullptr);
    part.check();
}

TEST("a message of a killed sender can still be received, and expires after its time") {
    SharedRegion region{granules, false};
    Participant part{region};
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = start_child(part, [&] {
        Sent sent[2];
        for (Sent& one : sent) one = *part.send(part.try_acquire(1 << 20).block);
        return write(ready[1], sent, sizeof sent) == sizeof sent;
    });
    CHECK(ended_well(child));
    Sent sent[2];
    CHECK(read(ready[0], sent, sizeof sent) == sizeof sent);
    part.reap(60'000);
    CHECK_EQUAL(live_blocks(part), 2U);
    CHECK(part.receive(sent[0]));
    part.drop(sent[0].block);
    part.reap(0);
    CHECK_EQUAL(live_blocks(part), 0U);
    CHECK(!part.receive(sent[1]));
}

TEST("a pool that wipes hands out zeroes, also after a killed process") {
    SharedRegion region{granules, true};
    Participant part{region};
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = start_child(part, [&] {
        for (const std::size_t bytes : {256UL, 4096UL, 1UL << 20}) {
            std::memset(part.try_acquire(bytes).start, 0xff, bytes);
        }
        return true;
    });
    CHECK(ended_well(child));
    part.reap(0);
    for (const std::size_t bytes : {256UL, 4096UL, 1UL << 20}) {
        for (int i = 0; i < 16; ++i) {
            const Participant::Acquired got = part.try_acquire(bytes);
            for (std::size_t at = 0; at < bytes; ++at) CHECK(got.start[at] == std::byte{0});
        }
    }
}

TEST("a forked child without a free slot keeps its blocks and gets no more") {
    SharedRegion region{granules, false};
    Participant part{region};
    const Participant::Acquired got = part.try_acquire(4096);
    int go[2];
    CHECK(pipe(go) == 0);
    std::vector<pid_t> children;
    for (unsigned i = 0; i < most_processes + 2; ++i) {
        const bool last = i >= most_processes - 1;
        children.push_back(start_child(part, [&] {
            char byte = 0;
            return read(go[0], &byte, 1) == 1 && part.outside() == last &&
                   (part.try_acquire(1).start == nullptr) == last && got.start[0] == std::byte{5};
        }));
    }
    got.start[0] = std::byte{5};
    part.drop(got.block);
    const std::vector<char> bytes(children.size());
    CHECK(write(go[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    for (const pid_t child : children) CHECK(ended_well(child));
    part.reap(0);
    part.check();
}

TEST("processes that are killed at random moments lose no block and stop no other process") {
    SharedRegion region{granules, false};
    Participant part{region};
    const Participant::Acquired kept = part.try_acquire(100'000);
    std::memset(kept.start, 7, 100'000);
    std::mt19937 random{1};
    std::uint64_t longest = 0;
    int messages[2];
    CHECK(pipe2(messages, O_NONBLOCK) == 0);
    constexpr int kills = 400;
    for (int round = 0; round < kills / 2; ++round) {
        pid_t children[2];
        for (pid_t& child : children) {
            const auto seed = static_cast<unsigned>(random());
            child = start_child(part, [&, seed] {
                std::mt19937 own{seed};
                std::vector<BlockId> live;
                for (;;) {
                    const unsigned what = own() % 8;
                    if (what < 4) {
                        const std::size_t bytes = std::size_t{1} << own() % 21;
                        const Participant::Acquired got = part.try_acquire(bytes);
                        if (got.start == nullptr) continue;
                        got.start[0] = std::byte{1};
                        got.start[bytes - 1] = std::byte{1};
                        live.push_back(got.block);
                    } else if (what < 6 && !live.empty()) {
                        part.drop(live.back());
                        live.pop_back();
                    } else if (what == 6 && !live.empty()) {
                        const auto sent = part.send(live.front());
                        if (sent && write(messages[1], &*sent, sizeof *sent) != sizeof *sent)
                            part.receive(*sent);
                    } else if (what == 7 && own() % 2 == 0) {
                        Sent sent;
                        if (read(messages[0], &sent, sizeof sent) == sizeof sent &&
                            part.receive(sent)) {
                            live.push_back(sent.block);
                        }
                    } else if (own() % 64 == 0) {
                        part.trim();
                    }
                    if (live.size() > 24) {
                        for (const BlockId block : live) part.drop(block);
                        live.clear();
                    }
                }
                return true;
            });
        }
        usleep(static_cast<useconds_t>(random() % 4000));
        for (const pid_t child : children) {
            kill(child, SIGKILL);
            CHECK(waitpid(child, nullptr, 0) == child);
        }
        const std::uint64_t before = coarse_milliseconds();
        part.reap(0);
        longest = std::max(longest, coarse_milliseconds() - before);
        part.check();
        const RegionFigures figures = part.figures();
        CHECK_EQUAL(figures.blocks, 1U);
        CHECK_EQUAL(figures.in_transit, 0U);
        CHECK_EQUAL(figures.processes.size(), 1U);
        CHECK(kept.start[99'999] == std::byte{7});
    }
    part.trim();
    // The one block, and the records of all slabs and messages that there ever were.
    CHECK(part.figures().committed < (3U << 20));
}
