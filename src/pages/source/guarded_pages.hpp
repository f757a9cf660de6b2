#pragma once

#include <cstddef>

#include "pages/source/page_source.hpp"

namespace numpool::pages {

/// At least `bytes` of whole pages that read as zero, between two guards: pages that nobody can
/// access. The extent does not have the guards. It is empty if that is refused.
Extent map_guarded(std::size_t bytes) noexcept;

/// Gives the pages of a guarded extent back to the system and keeps their addresses, which then
/// nobody can access. Returns false, and changes nothing, if that is refused.
bool shut_guarded(Extent extent) noexcept;

/// Unmaps a guarded extent and its guards.
void unmap_guarded(Extent extent) noexcept;

/// Whether the address is in the extent or in one of its guards.
bool is_in_guarded(Extent extent, const void* address) noexcept;

}  // namespace numpool::pages
