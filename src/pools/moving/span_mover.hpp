#pragma once

#include "pools/span/span_moving.hpp"

namespace numpool::pools {

/// A value for `SpanBankOptions::moving`: makes a SpanMover, which moves pages by remapping. Null
/// in a build without page moving.
#ifdef NUMPOOL_WITHOUT_MOVING
inline constexpr bool has_moving = false;
inline constexpr MakeSpanMoving move_pages = nullptr;
#else
inline constexpr bool has_moving = true;
std::unique_ptr<SpanMoving> move_pages(pages::PageSource& source, FreeSpans& free, bool huge_pages);
#endif

}  // namespace numpool::pools
