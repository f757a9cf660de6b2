#pragma once

#include "pools/span/span_moving.hpp"

namespace numpool::pools {

/// A bank's pages move by remapping them, for SpanBankOptions. Null in a build without it.
#ifdef NUMPOOL_WITHOUT_MOVING
inline constexpr bool has_moving = false;
inline constexpr MakeSpanMoving move_pages = nullptr;
#else
inline constexpr bool has_moving = true;
std::unique_ptr<SpanMoving> move_pages(pages::PageSource& source, FreeSpans& free, bool huge_pages);
#endif

}  // namespace numpool::pools
