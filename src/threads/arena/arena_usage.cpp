#include "threads/arena/arena_usage.hpp"

#include <array>
#include <cstdio>

#include "base/size_text.hpp"

namespace numpool::threads {
namespace {

std::string by_address(const pools::Arena::Used& block) {
    std::array<char, 32> address{};
    std::snprintf(address.data(), address.size(), "%p", static_cast<const void*>(block.start));
    return (block.has_ticket ? "Buffer of " : "") + count_to_text(block.bytes, "byte") + " at " +
           address.data();
}

}  // namespace

[[gnu::cold]] std::string ArenaUsage::text() const {
    std::string text = count_to_text(blocks, "block") + (blocks == 1 ? " is" : " are") +
                       " still in use by arrays or views";
    const char* separator = ": ";
    for (const Named& one : first) {
        text += separator + (one.what.empty() ? by_address(one.block) : one.what);
        separator = ", ";
    }
    if (blocks > first.size()) text += " and " + std::to_string(blocks - first.size()) + " more";
    return text;
}

}  // namespace numpool::threads
