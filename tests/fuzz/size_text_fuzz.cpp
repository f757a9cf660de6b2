// Texts of sizes: each is a size or an error.
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"
#include "fuzzing.hpp"

using namespace numpool;

void fuzz::use(Input& input) {
    std::string text;
    while (input.more()) text += static_cast<char>(input.byte());
    std::size_t size = 0;
    try {
        size = size_from_text(text, [] { return std::size_t{1} << 34; });
    } catch (const BadArgument& error) {
        // A message has one line, however the text looks.
        REQUIRE(std::string_view{error.what()}.find('\n') == std::string_view::npos);
        REQUIRE(std::string_view{error.what()}.size() < 1000);
        return;
    }
    REQUIRE(size <= max_size);
    if (size < 1024) return;
    const std::size_t again = size_from_text(size_to_text(size), [] { return std::size_t{0}; });
    const std::size_t difference = again > size ? again - size : size - again;
    REQUIRE(difference <= size / 100);
}
