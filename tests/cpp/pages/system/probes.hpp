#pragma once

#include <sys/mman.h>

#include <cstdio>

#include "pages/range/range_pages.hpp"
#include "pages/source/os_pages.hpp"

/// What this system really does: an emulator of a process, such as qemu, takes calls and ignores
/// a part of them.
namespace numpool::pages {

/// Whether the system takes any advice, and follows none: then no page is populated before it is
/// touched, and none is huge. Says so.
inline bool advice_is_ignored() {
    constexpr int no_advice = 12345;
    const Extent page = os_pages().map(page_size(), 1);
    const bool ignored = madvise(page.start, page.bytes, no_advice) == 0;
    os_pages().unmap(page);
    if (ignored) std::printf("       skipped: this system takes any advice, and follows none\n");
    return ignored;
}

/// Whether pages can move to other addresses.
inline bool pages_move() {
    RangePages pages;
    const Extent from = pages.map(granule, granule);
    const Extent to = pages.map(granule, granule);
    const bool moved = pages.move(from, to.start) == Moved::done;
    pages.unmap(from);
    pages.unmap(to);
    return moved;
}

}  // namespace numpool::pages
