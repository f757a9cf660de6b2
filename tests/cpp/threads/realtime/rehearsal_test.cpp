#include "threads/realtime/rehearsal.hpp"

#include <cstdlib>
#include <thread>

#include "testing.hpp"

namespace {

using namespace numpool::threads;

bool refuses = false;

AllocatorTable plain() noexcept {
    return {
        nullptr,
        [](void*, std::size_t bytes) -> void* { return refuses ? nullptr : std::malloc(bytes); },
        [](void*, std::size_t count, std::size_t size) -> void* {
            return std::calloc(count, size);
        },
        [](void*, void* block, std::size_t bytes) -> void* {
            return refuses ? nullptr : std::realloc(block, bytes);
        },
        [](void*, void* block, std::size_t) { std::free(block); }};
}

TEST("a rehearsal records how many blocks of a size live at once") {
    Rehearsal rehearsal{plain()};
    const AllocatorTable table = rehearsal.table();
    for (int cycle = 0; cycle < 3; ++cycle) {
        void* const a = table.malloc(table.context, 1000);
        void* const b = table.calloc(table.context, 10, 100);
        void* const c = table.malloc(table.context, 9);
        table.free(table.context, a, 1000);
        table.free(table.context, b, 0);
        void* const d = table.malloc(table.context, 999);
        table.free(table.context, d, 1);
        table.free(table.context, c, 9);
    }
    const auto sizes = rehearsal.sizes();
    CHECK_EQUAL(sizes.size(), 2U);
    CHECK_EQUAL(sizes[0].bytes, 9U);
    CHECK_EQUAL(sizes[0].most, 1U);
    CHECK_EQUAL(sizes[1].bytes, 1000U);
    CHECK_EQUAL(sizes[1].most, 2U);
    CHECK_EQUAL(sizes[1].live, 0U);
    CHECK_EQUAL(sizes[1].requests, 9U);
}

TEST("a block that grows counts beside its successor") {
    Rehearsal rehearsal{plain()};
    const AllocatorTable table = rehearsal.table();
    void* block = table.malloc(table.context, 60);
    block = table.realloc(table.context, block, 50);
    block = table.realloc(table.context, block, 500);
    const auto sizes = rehearsal.sizes();
    CHECK_EQUAL(sizes[0].most, 2U);
    CHECK_EQUAL(sizes[0].live, 0U);
    CHECK_EQUAL(sizes[1].live, 1U);
    refuses = true;
    CHECK(table.realloc(table.context, block, 9000) == nullptr);
    CHECK(table.malloc(table.context, 10) == nullptr);
    refuses = false;
    CHECK_EQUAL(rehearsal.sizes()[1].live, 1U);
    table.free(table.context, block, 500);
    CHECK_EQUAL(rehearsal.sizes()[1].live, 0U);
}

TEST("other threads, and requests after the end, are not recorded") {
    Rehearsal rehearsal{plain()};
    const AllocatorTable table = rehearsal.table();
    void* block = nullptr;
    std::thread{[&] { block = table.malloc(table.context, 100); }}.join();
    table.free(table.context, block, 100);
    rehearsal.end();
    table.free(table.context, table.malloc(table.context, 100), 100);
    table.free(table.context, nullptr, 100);
    CHECK_EQUAL(rehearsal.sizes().size(), 0U);
    CHECK_EQUAL(rehearsal.unrecorded(), 0U);
}

}  // namespace
