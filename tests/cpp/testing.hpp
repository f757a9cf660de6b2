#pragma once

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

/// The test framework: TEST("a sentence") { CHECK(…); CHECK_THROWS(Type, "part of its text", …); }
/// A failed check ends its test. It is small, so that the tests need no installed framework.
namespace testing {

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Registers a test. TEST calls it before main runs.
bool add(const char* file, const char* sentence, void (*body)());

[[noreturn]] void fail(const char* file, int line, const std::string& what);

template <class Exception>
void expect_throw(const char* file, int line, std::string_view part, std::string_view code,
                  const std::function<void()>& body) {
    try {
        body();
    } catch (const Exception& error) {
        if (std::string_view{error.what()}.find(part) != std::string_view::npos) return;
        fail(file, line,
             std::string{code} + " said '" + error.what() + "', without '" + std::string{part} +
                 "'");
    }
    fail(file, line, std::string{code} + " did not throw");
}

template <class A, class B>
void expect_equal(const char* file, int line, std::string_view code, const A& a, const B& b) {
    if (a == b) return;
    std::ostringstream text;
    text << code << ": " << a << " is not " << b;
    fail(file, line, text.str());
}

}  // namespace testing

#define TEST(sentence) TESTING_TEST(sentence, __LINE__)
#define TESTING_TEST(sentence, line) TESTING_TEST_AT(sentence, line)
#define TESTING_TEST_AT(sentence, line)                         \
    static void test_at_##line();                               \
    [[maybe_unused]] static const bool test_at_##line##_added = \
        testing::add(__FILE__, sentence, test_at_##line);       \
    static void test_at_##line()

#define CHECK(condition) \
    ((condition) ? void() : testing::fail(__FILE__, __LINE__, "not true: " #condition))
#define CHECK_EQUAL(a, b) testing::expect_equal(__FILE__, __LINE__, #a " == " #b, a, b)
#define CHECK_THROWS(type, part, ...)                                   \
    testing::expect_throw<type>(__FILE__, __LINE__, part, #__VA_ARGS__, \
                                [&] { (void)(__VA_ARGS__); })
