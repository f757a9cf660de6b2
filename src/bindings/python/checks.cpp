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
        "': it must be 'raise' or '1' (raises CorruptionError), 'abort' (aborts the process) "
        "or '0' (no checks)"};
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
                      ": it must be True or 'raise' (raises CorruptionError), 'abort' (aborts the "
                      "process), False (no checks), or None (uses NUMPOOL_CHECKS)"};
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
