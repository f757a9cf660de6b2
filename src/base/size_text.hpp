#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace numpool {

/// Reads "4096", "64KiB", "1.5 GiB", "2GB" or "50%": a number, then a unit, in either case of
/// letters. `whole` says what a percentage is of; it is asked only when there is one.
/// Throws BadArgument that names the text and what is allowed.
std::size_t size_from_text(std::string_view text, const std::function<std::size_t()>& whole);

/// "1.5 GiB": the size to three digits, in the largest binary unit that it fills.
std::string size_to_text(std::size_t bytes);

}  // namespace numpool
