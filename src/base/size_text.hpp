#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace numpool {

/// Parses "4096", "64KiB", "1.5 GiB", "2GB" or "50%": a number, then a unit in upper or lower case.
/// A percentage is of `whole()`, which is called only for a percentage. Throws BadArgument with the
/// text and what is allowed.
std::size_t size_from_text(std::string_view text, const std::function<std::size_t()>& whole);

/// Like "1.5 GiB": three digits and the largest binary unit of which there is at least one.
std::string size_to_text(std::size_t bytes);

/// "1 block", and "3 blocks".
std::string count_to_text(std::size_t count, std::string_view one);

}  // namespace numpool
