#include "threads/checked/checked_pools.hpp"

#include <cstdio>
#include <utility>

#include "threads/checked/checked_blocks.hpp"

namespace numpool::threads {

CheckedPools& CheckedPools::instance() {
    static auto* const all = new CheckedPools;
    return *all;
}

CheckedPools::CheckedPools() {
    guard(Rank::listings);
}

void CheckedPools::set_hooks(const Hooks& hooks) noexcept {
    const std::lock_guard lock{mutex_};
    hooks_ = hooks;
}

SourceLine CheckedPools::line() const noexcept {
    return hooks_.line == nullptr ? nullptr : hooks_.line();
}

SourceLine CheckedPools::keep(std::string_view line) noexcept try {
    const std::lock_guard lock{mutex_};
    auto found = lines_.find(line);
    if (found == lines_.end()) found = lines_.emplace(line).first;
    return found->c_str();
} catch (const std::bad_alloc&) {
    return nullptr;
}

void CheckedPools::report(std::string text) noexcept {
    try {
        const std::lock_guard lock{mutex_};
        if (hooks_.reported != nullptr) {
            reports_.push_back(std::move(text));
            text.clear();
        }
    } catch (const std::bad_alloc&) {  // The report is written at once.
    }
    if (!text.empty()) {
        std::fprintf(stderr, "numpool: %s\n", text.c_str());
    } else {
        hooks_.reported();
    }
}

std::string CheckedPools::take_report() noexcept {
    const std::lock_guard lock{mutex_};
    if (reports_.empty()) return {};
    std::string text = std::move(reports_.front());
    reports_.pop_front();
    return text;
}

void CheckedPools::add(CheckedBlocks& blocks) {
    const std::lock_guard lock{mutex_};
    pools_.push_back(&blocks);
}

void CheckedPools::remove(CheckedBlocks& blocks) noexcept {
    const std::lock_guard lock{mutex_};
    pools_.remove(&blocks);
}

std::vector<std::string> CheckedPools::damage() {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> all;
    for (CheckedBlocks* const blocks : pools_) {
        for (std::string& text : blocks->damage()) all.push_back(std::move(text));
    }
    return all;
}

std::vector<std::string> CheckedPools::take_leak_texts() {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> all;
    for (CheckedBlocks* const blocks : pools_) {
        std::string text = blocks->take_leak_text();
        if (!text.empty()) all.push_back(std::move(text));
    }
    return all;
}

std::vector<std::pair<std::string, std::vector<LiveBlock>>> CheckedPools::live() {
    const std::lock_guard lock{mutex_};
    std::vector<std::pair<std::string, std::vector<LiveBlock>>> all;
    for (const CheckedBlocks* const blocks : pools_)
        all.emplace_back(blocks->pool().title(), blocks->live());
    return all;
}

}  // namespace numpool::threads
