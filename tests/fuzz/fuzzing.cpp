#include "fuzzing.hpp"

#include <exception>

// A pool asks for a table as large as its options say, and has an error for a refusal.
extern "C" const char* __asan_default_options() {
    return "allocator_may_return_null=1";
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    std::atexit([] { std::fprintf(stderr, "%zu operations\n", fuzz::Input::operations); });
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input{data, size};
    try {
        fuzz::use(input);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "unexpected exception: %s\n", error.what());
        std::abort();
    }
    return 0;
}
