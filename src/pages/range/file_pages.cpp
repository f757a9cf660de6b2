#include "pages/range/file_pages.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"

namespace numpool::pages {
namespace {

constexpr int usable = PROT_READ | PROT_WRITE;
constexpr int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;

}  // namespace

FilePages::FilePages(const std::string& folder, bool forced)
    : file_{folder, forced}, range_{address_range().extent()}, owner_{getpid()} {}

bool FilePages::is_owner() const noexcept {
    return !inherited_ && getpid() == owner_;
}

/// Replaces a mapping in a single step, so that no other code can map the addresses.
bool FilePages::remap(Extent extent, int flags, int descriptor) const noexcept {
    const auto offset = descriptor < 0 ? 0 : static_cast<off_t>(offset_of(extent.start));
    return mmap(extent.start, extent.bytes, usable, flags | MAP_FIXED, descriptor, offset) !=
           MAP_FAILED;
}

/// Keeps the reason of a refusal. Returns whether there was none.
bool FilePages::note(int code) noexcept {
    if (code != 0) refused_.store(code, std::memory_order_relaxed);
    return code == 0;
}

Extent FilePages::map(std::size_t bytes, std::size_t align) noexcept {
    const Extent extent = map_uncommitted(bytes, align);
    if (!extent || commit(extent)) return extent;
    unmap(extent);
    return {};
}

Extent FilePages::map_uncommitted(std::size_t bytes, std::size_t align) noexcept {
    if (!is_owner() || bytes == 0 || bytes > max_size || align > max_size) return {};
    const Extent extent = address_range().allocate(bytes, align);
    if (!extent) return {};
    try {
        const std::lock_guard lock{mutex_};
        extents_.push_back(extent);
        if (remap(extent, MAP_SHARED, file_.descriptor())) return extent;
        extents_.pop_back();
        note(errno);
    } catch (const std::bad_alloc&) {
        note(ENOMEM);
    }
    address_range().release(extent);
    return {};
}

void FilePages::unmap(Extent extent) noexcept {
    if (is_owner()) file_.punch(offset_of(extent.start), extent.bytes);
    {
        const std::lock_guard lock{mutex_};
        std::erase_if(extents_, [&](const Extent& one) { return one.start == extent.start; });
        if (mmap(extent.start, extent.bytes, PROT_NONE, anonymous, -1, 0) == MAP_FAILED) {
            // The addresses are lost. There are plenty.
            page_map.set(extent, 0, nullptr);
            return;
        }
    }
    address_range().release(extent);
}

bool FilePages::purge(Extent extent) noexcept {
    if (!is_owner()) return remap(extent, anonymous, -1);
    return file_.zero(offset_of(extent.start), extent.bytes) == 0;
}

bool FilePages::commit(Extent extent) noexcept {
    if (!is_owner()) return false;
    const std::size_t offset = offset_of(extent.start);
    if (note(file_.reserve(offset, extent.bytes))) return true;
    file_.punch(offset, extent.bytes);
    return false;
}

bool FilePages::decommit(Extent extent) noexcept {
    if (!is_owner()) return remap(extent, anonymous, -1);
    return file_.punch(offset_of(extent.start), extent.bytes) == 0;
}

void FilePages::become_private() noexcept {
    inherited_ = true;
    for (const Extent& extent : extents_) {
        if (remap(extent, MAP_PRIVATE | MAP_NORESERVE, file_.descriptor())) continue;
        // Better that a write here ends the child than that it changes its parent's arrays.
        mprotect(extent.start, extent.bytes, PROT_READ);
    }
}

[[gnu::cold]] std::string FilePages::refusal() const {
    if (!is_owner()) return "the file belongs to the process that this one was forked from";
    const std::string in_folder = " in '" + file_.folder() + "'";
    switch (const int code = refused_.load(std::memory_order_relaxed)) {
        case 0:
            return {};
        case ENOSPC:
            return "the disk has only " + size_to_text(file_.bytes_left()) + " left" + in_folder +
                   ": make room there, or name another folder";
        case EDQUOT:
            return "a quota allows no larger file" + in_folder +
                   ": raise it, or name another folder";
        case EFBIG: {
            rlimit limit{};
            getrlimit(RLIMIT_FSIZE, &limit);
            return "this process may write no file larger than " + size_to_text(limit.rlim_cur) +
                   " (RLIMIT_FSIZE): raise that";
        }
        default:
            return "the file" + in_folder +
                   " takes no more: " + std::generic_category().message(code);
    }
}

}  // namespace numpool::pages
