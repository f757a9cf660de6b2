#include "bindings/python/checks.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/python_line.hpp"

namespace numpool::bindings {
namespace {

using threads::CheckedPools;
using threads::LiveBlock;

constexpr const char* variable = "NUMPOOL_CHECKS";

/// Called by Python in the main thread, when it runs there next: raises what was found meanwhile.
int raise_reports(void*) {
    std::string all;
    for (std::string one; !(one = CheckedPools::instance().take_report()).empty();)
        all += (all.empty() ? "" : "\n") + one;
    if (all.empty()) return 0;
    return guarded(-1, [&]() -> int { throw Misused{all}; });
}

/// Where too many calls wait already, the next report, or the end of the process, takes this one.
void reported() noexcept {
    Py_AddPendingCall(raise_reports, nullptr);
}

/// Warns, when Python code runs next, of blocks that are out still: a function that returns drops
/// its variables one by one, and the pool may go before its blocks.
int warn_of_left(void*) {
    return guarded(0, [] {
        for (const std::string& text : CheckedPools::instance().take_left()) {
            // Where warnings are errors there is nobody to catch this one.
            if (PyErr_ResourceWarning(nullptr, 1, "%s", text.c_str()) != 0)
                PyErr_WriteUnraisable(nullptr);
        }
        return 0;
    });
}

void left() noexcept {
    Py_AddPendingCall(warn_of_left, nullptr);
}

/// What nobody has taken, and what is damaged now. From now on reports are written at once: Python
/// code runs no more.
py::list last_words() {
    CheckedPools::instance().set_surroundings({.line = python_line});
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

std::optional<CheckedBlocksOptions> to_checks(const std::string& word, const std::string& source) {
    const auto is_one_of = [&](std::initializer_list<std::string_view> words) {
        return std::find(words.begin(), words.end(), word) != words.end();
    };
    CheckedBlocksOptions options;
    if (is_one_of({"raise", "1", "on", "yes", "true"})) return options;
    options.aborts = true;
    if (word == "abort") return options;
    if (is_one_of({"", "0", "off", "no", "false"})) return std::nullopt;
    throw BadArgument{
        source + " is '" + word +
        "': it must be 'raise' or '1' (a CorruptionError), 'abort' (the process ends) "
        "or '0'"};
}

}  // namespace

std::optional<CheckedBlocksOptions> to_checks(const py::object& checks) {
    if (checks.is_none()) {
        const char* const text = std::getenv(variable);
        return to_checks(text == nullptr ? std::string{} : std::string{text}, variable);
    }
    if (PyBool_Check(checks.ptr())) return to_checks(checks.is(py::bool_{true}) ? "1" : "0", "");
    if (checks.equal(py::str{"raise"})) return to_checks("raise", "");
    if (checks.equal(py::str{"abort"})) return to_checks("abort", "");
    throw BadArgument{"checks is " + std::string{py::repr(checks)} +
                      ": it must be True or 'raise' (a CorruptionError), 'abort' (the process "
                      "ends), False, or None for what NUMPOOL_CHECKS says"};
}

bool environment_names_checks() noexcept {
    return std::getenv(variable) != nullptr;
}

void prepare_checks() {
    static std::atomic<bool> prepared = false;
    if (prepared.exchange(true)) return;
    CheckedPools::instance().set_surroundings(
        {.line = python_line, .reported = reported, .left = left});
    py::module_::import("numpool._checks").attr("watch_the_exit")();
}

threads::PoolFigures figures_of(const threads::Pool& pool) {
    const CheckedBlocks* const checks = checks_of(pool);
    return checks == nullptr ? pool.figures() : checks->figures();
}

py::list live_blocks(const threads::Pool& pool) {
    const CheckedBlocks* const checks = checks_of(pool);
    if (checks == nullptr) {
        throw BadArgument{pool.title() +
                          " keeps no list of its blocks: a SlabPool, FixedPool or BuddyPool does "
                          "that is made with checks=True or under NUMPOOL_CHECKS=1"};
    }
    return to_list(checks->live());
}

void register_checks(py::module_& module) {
    module.def("_last_words", &last_words, "_last_words()\n--\n\n");
    module.def(
        "_all_live",
        [] {
            py::list all;
            for (const auto& [title, blocks] : CheckedPools::instance().live())
                all.append(py::make_tuple(title, to_list(blocks)));
            return all;
        },
        "_all_live()\n--\n\nWhat is out of each checked pool.");
}

}  // namespace numpool::bindings
