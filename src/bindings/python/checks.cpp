#include "bindings/python/checks.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/python_line.hpp"
#include "bindings/python/sizes.hpp"

namespace numpool::bindings {
namespace {

using threads::CheckedPools;
using threads::LiveBlock;

constexpr const char* variable = "NUMPOOL_CHECKS";

/// A pending call: Python calls it in the main thread between two instructions. Raises all reports.
int raise_reports(void*) {
    std::string all;
    for (std::string one; !(one = CheckedPools::instance().take_report()).empty();)
        all += (all.empty() ? "" : "\n") + one;
    if (all.empty()) return 0;
    return guarded(-1, [&]() -> int { throw Misused{all}; });
}

/// If Python's queue of pending calls is full, the next report or the exit takes this one.
void reported() noexcept {
    Py_AddPendingCall(raise_reports, nullptr);
}

/// A pending call, too: warns of blocks that are still in use. Not earlier, because a function that
/// returns may drop the pool before the blocks.
int warn_of_leaks(void*) {
    return guarded(0, [] {
        for (const std::string& text : CheckedPools::instance().take_leak_texts()) {
            // If warnings are errors, no code can catch this one.
            if (PyErr_ResourceWarning(nullptr, 1, "%s", text.c_str()) != 0)
                PyErr_WriteUnraisable(nullptr);
        }
        return 0;
    });
}

void leaked() noexcept {
    Py_AddPendingCall(warn_of_leaks, nullptr);
}

/// All reports at exit: those not taken yet, and the damage that a check of all pools finds. Later
/// reports go to standard error at once, because no Python code runs any more.
py::list reports_at_exit() {
    CheckedPools::instance().set_hooks({.line = python_line});
    py::list all;
    for (std::string one; !(one = CheckedPools::instance().take_report()).empty();) all.append(one);
    for (const std::string& text : without_gil([] { return CheckedPools::instance().damage(); }))
        all.append(text);
    return all;
}

py::list to_list(const std::vector<LiveBlock>& blocks) {
    const py::object type = py::module_::import("numpool._checks").attr("LiveBlock");
    py::list list;
    for (const LiveBlock& one : blocks) {
        const py::object line =
            one.acquired == nullptr ? py::object{py::none{}} : py::object{py::str{one.acquired}};
        list.append(type(py::int_{one.bytes}, py::float_{one.age_seconds}, line,
                         py::int_{reinterpret_cast<std::uintptr_t>(one.start)}));
    }
    return list;
}

/// N of "guard:N", and the usual number for "guard"; nothing for any other word.
std::optional<std::size_t> to_guard_every(std::string_view word) {
    constexpr std::string_view name = "guard";
    constexpr std::size_t usual = 16;
    constexpr std::size_t most = 999'999'999;
    if (!word.starts_with(name)) return std::nullopt;
    if (word == name) return usual;
    std::size_t every = 0;
    const char* const last = word.data() + word.size();
    const auto [end, error] = std::from_chars(word.data() + name.size() + 1, last, every);
    const bool is_number = error == std::errc{} && end == last;
    if (word[name.size()] != ':' || !is_number || every == 0 || every > most) return std::nullopt;
    return every;
}

/// Nothing if the word is none for checks.
std::optional<CheckedBlocksOptions> options_of(std::string_view word) {
    CheckedBlocksOptions options;
    options.aborts = word == "abort";
    if (options.aborts || word == "raise") return options;
    if (const auto every = to_guard_every(word)) {
        options.guard_every = *every;
        return options;
    }
    return std::nullopt;
}

constexpr const char* words =
    "'raise' (raises CorruptionError), 'abort' (aborts the process), 'guard' or 'guard:N' (also "
    "guards one block in N)";

std::optional<CheckedBlocksOptions> checks_of_environment() {
    const char* const text = std::getenv(variable);
    const std::string_view word = text == nullptr ? "" : text;
    const auto is_one_of = [&](std::initializer_list<std::string_view> all) {
        return std::find(all.begin(), all.end(), word) != all.end();
    };
    if (is_one_of({"", "0", "off", "no", "false"})) return std::nullopt;
    if (is_one_of({"1", "on", "yes", "true"})) return CheckedBlocksOptions{};
    if (auto options = options_of(word)) return options;
    throw BadArgument{std::string{variable} + " is '" + std::string{word} +
                      "': it must be '1' or " + words + ", or '0' (no checks)"};
}

}  // namespace

std::optional<CheckedBlocksOptions> to_checks(const py::object& checks) {
    if (checks.is_none()) return checks_of_environment();
    if (checks.ptr() == Py_True) return CheckedBlocksOptions{};
    if (checks.ptr() == Py_False) return std::nullopt;
    if (PyUnicode_Check(checks.ptr()) != 0) {
        if (auto options = options_of(to_text(checks))) return options;
    }
    throw BadArgument{"checks is " + std::string{py::repr(checks)} + ": it must be True or " +
                      words + ", False (no checks), or None (uses NUMPOOL_CHECKS)"};
}

bool environment_names_checks() noexcept {
    return std::getenv(variable) != nullptr;
}

void prepare_checks() {
    static std::atomic<bool> prepared = false;
    if (prepared.exchange(true)) return;
    CheckedPools::instance().set_hooks(
        {.line = python_line, .reported = reported, .leaked = leaked});
    py::module_::import("numpool._checks").attr("check_at_exit")();
}

threads::PoolFigures figures_of(const threads::Pool& pool) {
    const CheckedBlocks* const checks = checks_of(pool);
    return checks == nullptr ? pool.figures() : checks->figures();
}

py::list live_blocks(const threads::Pool& pool) {
    const CheckedBlocks* const checks = checks_of(pool);
    if (checks == nullptr) {
        throw BadArgument{pool.title() +
                          " keeps no list of its blocks: make a SlabPool, FixedPool or BuddyPool "
                          "with checks=True, or set NUMPOOL_CHECKS=1"};
    }
    return to_list(checks->live());
}

void register_checks(py::module_& module) {
    module.def("_reports_at_exit", &reports_at_exit, "_reports_at_exit()\n--\n\n");
    module.def(
        "_all_live",
        [] {
            py::list all;
            for (const auto& [title, blocks] : CheckedPools::instance().live())
                all.append(py::make_tuple(title, to_list(blocks)));
            return all;
        },
        "_all_live()\n--\n\nThe live blocks of each checked pool.");
}

}  // namespace numpool::bindings
