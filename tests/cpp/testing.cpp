#include "testing.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

namespace testing {
namespace {

struct Test {
    std::string file;
    const char* sentence;
    void (*body)();
};

std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

bool passes(const Test& test) {
    std::string problem;
    try {
        test.body();
    } catch (const std::exception& error) {
        problem = error.what();
    } catch (...) {
        problem = "an exception was thrown that is no std::exception";
    }
    std::printf("%s %s: %s\n", problem.empty() ? "ok    " : "FAILED", test.file.c_str(),
                test.sentence);
    if (!problem.empty()) std::printf("       %s\n", problem.c_str());
    std::fflush(stdout);
    return problem.empty();
}

}  // namespace

bool add(const char* file, const char* sentence, void (*body)()) {
    const char* slash = std::strrchr(file, '/');
    std::string name = slash == nullptr ? file : slash + 1;
    name.resize(name.rfind(".cpp"));
    tests().push_back({name, sentence, body});
    return true;
}

void fail(const char* file, int line, const std::string& what) {
    throw Failure{std::string{file} + ":" + std::to_string(line) + ": " + what};
}

}  // namespace testing

/// Runs all tests, or those of the named files (like fixed_pool_test). It fails if no test runs.
int main(int count, char** arguments) {
    std::size_t run = 0;
    std::size_t failed = 0;
    for (const auto& test : testing::tests()) {
        bool wanted = count < 2;
        for (int i = 1; i < count; ++i) wanted = wanted || test.file == arguments[i];
        if (!wanted) continue;
        ++run;
        if (!testing::passes(test)) ++failed;
    }
    std::printf("%zu passed, %zu failed\n", run - failed, failed);
    return run == 0 || failed != 0 ? 1 : 0;
}
