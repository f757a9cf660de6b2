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

void CheckedPools::set_surroundings(const Surroundings& surroundings) noexcept {
    const std::lock_guard lock{mutex_};
    surroundings_ = surroundings;
}

SourceLine CheckedPools::line() const noexcept {
    return surroundings_.line == nullptr ? nullptr : surroundings_.line();
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
        if (surroundings_.reported != nullptr) {
            reports_.push_back(std::move(text));
            text.clear();
        }
    } catch (const std::bad_alloc&) {  // Then it is written at once.
    }
    if (!text.empty()) {
        std::fprintf(stderr, "numpool: %s\n", text.c_str());
    } else {
        surroundings_.reported();
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

std::vector<std::string> CheckedPools::take_left() {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> all;
    for (CheckedBlocks* const blocks : pools_) {
        std::string text = blocks->take_left();
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
