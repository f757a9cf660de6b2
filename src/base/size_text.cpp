#include "base/size_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.hpp"
#include "base/size.hpp"

namespace numpool {
namespace {

struct Unit {
    std::string_view name;
    double bytes;
};

constexpr std::array units{
    Unit{"", 1},         Unit{"b", 1},        Unit{"kib", 0x1p10}, Unit{"mib", 0x1p20},
    Unit{"gib", 0x1p30}, Unit{"tib", 0x1p40}, Unit{"kb", 1e3},     Unit{"mb", 1e6},
    Unit{"gb", 1e9},     Unit{"tb", 1e12},
};

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

std::string trimmed_lower(std::string_view text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    std::string result;
    for (const char c : text)
        result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

/// The text for an error message, shortened and without control characters.
std::string shown(std::string_view text) {
    // Do not cut a UTF-8 character in two.
    std::size_t end = std::min<std::size_t>(text.size(), 100);
    while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
        --end;
    std::string result{text.substr(0, end)};
    for (char& c : result) {
        if (std::iscntrl(static_cast<unsigned char>(c))) c = '?';
    }
    return text.size() > end ? result + "..." : result;
}

/// "4K" means 4096 bytes to some users and 4000 to others. The advice names both spellings; it is
/// empty for other units.
std::string unit_advice(std::string_view text, std::string_view unit) {
    if (unit.size() != 1 || std::string_view{"kmgt"}.find(unit) == std::string_view::npos)
        return {};
    const std::string number = trimmed_lower(text).substr(0, trimmed_lower(text).find(unit));
    const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0])));
    const char thousands = letter == 'K' ? 'k' : letter;
    // In steps, because GCC 12 warns of an overflow if this is one sum.
    std::string advice{"'"};
    advice += shown(text) + "' may mean two sizes: write '";
    advice += number + letter + "iB' (powers of 1024) or '";
    advice += number + thousands + "B' (powers of 1000)";
    return advice;
}

[[noreturn]] void refuse(std::string_view text) {
    throw BadArgument{"'" + shown(text) +
                      "' is not a size: write a number of bytes with or without a unit (B, KiB, "
                      "MiB, GiB, TiB, kB, MB, GB, TB), like '64KiB', or a percentage of the memory "
                      "this process may use, like '50%'"};
}

}  // namespace

std::size_t size_from_text(std::string_view text, const std::function<std::size_t()>& whole) {
    const std::string clean = trimmed_lower(text);
    const char* const end = clean.data() + clean.size();
    double number = 0;
    const auto [rest, failure] =
        std::from_chars(clean.data(), end, number, std::chars_format::fixed);
    if (failure != std::errc{} || !std::isfinite(number) || std::signbit(number)) refuse(text);

    std::string_view name{rest, static_cast<std::size_t>(end - rest)};
    while (!name.empty() && is_space(name.front())) name.remove_prefix(1);
    double bytes = -1;
    if (name == "%") {
        if (number > 100) {
            throw BadArgument{"'" + shown(text) +
                              "' is more than 100 % of the memory this process may use"};
        }
        bytes = number / 100 * static_cast<double>(whole());
    }
    for (const Unit& unit : units) {
        if (name == unit.name) bytes = number * unit.bytes;
    }
    if ((name.empty() || name == "b") && bytes != std::floor(bytes)) {
        throw BadArgument{"'" + shown(text) +
                          "' is no whole number of bytes: write one, or a unit "
                          "like '" +
                          shown({clean.data(), rest}) + "KiB'"};
    }
    if (bytes < 0) {
        const std::string advice = unit_advice(text, name);
        if (!advice.empty()) throw BadArgument{advice};
        refuse(text);
    }
    if (bytes > static_cast<double>(max_size)) {
        throw BadArgument{"'" + shown(text) + "' is more than an address space holds (128 TiB)"};
    }
    return static_cast<std::size_t>(bytes);
}

std::string size_to_text(std::size_t bytes) {
    if (bytes == 1) return "1 byte";
    static constexpr std::array names{"bytes", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < names.size(); ++unit) value /= 1024;
    std::array<char, 32> text{};
    const char* const format = unit == 0 || value >= 999.5 ? "%.0f %s" : "%.3g %s";
    std::snprintf(text.data(), text.size(), format, value, names[unit]);
    return text.data();
}

[[gnu::cold]] std::string count_to_text(std::size_t count, std::string_view one) {
    return std::to_string(count) + " " + std::string{one} + (count == 1 ? "" : "s");
}

}  // namespace numpool
