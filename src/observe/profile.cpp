#include "observe/profile.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <new>

#include "observe/sampler.hpp"

namespace numpool::observe {
namespace {

using Lock = std::lock_guard<threads::BriefMutex>;

std::uint64_t now() noexcept {
    const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(since_start).count());
}

double seconds_between(std::uint64_t from, std::uint64_t to) noexcept {
    return to < from ? 0 : static_cast<double>(to - from) * 1e-9;
}

}  // namespace

Profile& Profile::instance() {
    static auto* const only = new Profile;
    return *only;
}

Profile::Profile() {
    guard(Rank::inner);
}

void Profile::begin(std::size_t mean, std::uint64_t seed, const Surroundings& surroundings) {
    StackTable stacks;
    std::vector<Site> sites(stacks.size());
    const Lock lock{mutex_};
    surroundings_ = surroundings;
    ++run_;
    began_ = now();
    figures_ = {.mean = mean};
    recent_peak_ = 0;
    changes_ = peak_change_ = 0;
    std::swap(stacks_, stacks);
    std::swap(sites_, sites);
    samples_.clear();
    live_samples_.store(0, std::memory_order_relaxed);
    Sampler::begin(mean, seed);
    runs_.store(true, std::memory_order_relaxed);
}

void Profile::end() noexcept {
    const Lock lock{mutex_};
    if (!runs()) return;
    ended_ = now();
    runs_.store(false, std::memory_order_relaxed);
}

double Profile::weight_of(std::size_t bytes) const noexcept {
    return Sampler::weight(bytes, figures_.mean);
}

/// The stack is looked at without the lock, since that may wait for another thread's Python code.
void Profile::note(const void* block, std::size_t bytes) noexcept {
    if (!runs()) return;
    std::array<Frame, most_frames> room;
    const std::size_t depth = surroundings_.stack(room);
    const std::span<const Frame> frames{room.data(), depth};
    Sample sample{.bytes = bytes, .since = now()};
    const auto add_if_known = [&](std::optional<StackTable::Number> stack) {
        if (!runs()) return true;
        if (!stack) return false;
        sample.stack = *stack;
        sample.run = run_;
        add(block, sample);
        return true;
    };
    try {
        {
            const Lock lock{mutex_};
            if (add_if_known(stacks_.find(frames))) return;
        }
        const std::optional<std::uint32_t> shown = surroundings_.keep(frames);
        const Lock lock{mutex_};
        std::optional<StackTable::Number> stack = stacks_.find(frames);
        if (!stack && !shown) stack = StackTable::other;
        if (!stack && runs()) {
            // A site more than there are stacks is replaced by the next one.
            sites_.resize(stacks_.size());
            sites_.push_back({.shown_frame = *shown});
            stack = stacks_.add(frames);
        }
        add_if_known(stack);
    } catch (const std::bad_alloc&) {
        const Lock lock{mutex_};
        ++figures_.lost;
    }
}

void Profile::add(const void* block, const Sample& sample) {
    const double weight = weight_of(sample.bytes);
    const double bytes = weight * static_cast<double>(sample.bytes);
    const auto before = samples_.put(block, sample);
    live_samples_.store(samples_.size(), std::memory_order_relaxed);
    // Its end was missed: a thread was releasing it while the profile began.
    if (before && before->run == run_) {
        const double earlier = weight_of(before->bytes);
        change(sites_[before->stack], -earlier * static_cast<double>(before->bytes), -earlier);
    }
    Site& site = sites_[sample.stack];
    site.total_bytes += bytes;
    site.total_blocks += weight;
    figures_.total_bytes += bytes;
    figures_.total_blocks += weight;
    ++figures_.samples;
    change(site, bytes, weight);
}

void Profile::change(Site& site, double bytes, double blocks) noexcept {
    if (site.changed <= peak_change_) site.peak_bytes = site.live_bytes;
    site.changed = ++changes_;
    site.live_bytes += bytes;
    site.live_blocks += blocks;
    figures_.live_bytes += bytes;
    recent_peak_ = std::max(recent_peak_, figures_.live_bytes);
    if (figures_.live_bytes > figures_.peak_bytes) {
        figures_.peak_bytes = figures_.live_bytes;
        peak_change_ = changes_;
    }
}

std::optional<Sample> Profile::take(const void* block) noexcept {
    if (live_samples_.load(std::memory_order_relaxed) == 0) return std::nullopt;
    const Lock lock{mutex_};
    if (!runs()) return std::nullopt;
    const auto sample = samples_.take(block);
    if (sample) live_samples_.store(samples_.size(), std::memory_order_relaxed);
    return sample;
}

void Profile::note_end(const Sample& sample) noexcept {
    const std::uint64_t ended = now();
    const Frame here = surroundings_.place();
    const Lock lock{mutex_};
    if (!runs() || sample.run != run_) return;
    const double weight = weight_of(sample.bytes);
    Site& site = sites_[sample.stack];
    site.ended_blocks += weight;
    site.seconds += weight * seconds_between(sample.since, ended);
    change(site, -weight * static_cast<double>(sample.bytes), -weight);
    try {
        count_ending(site, sample, here);
    } catch (const std::bad_alloc&) {
        ++figures_.lost;
    }
}

/// Counts only ends in the function that had requested the block.
void Profile::count_ending(Site& site, const Sample& sample, const Frame& here) {
    const std::span<const Frame> frames = stacks_.frames_of(sample.stack);
    if (site.shown_frame >= frames.size() || frames[site.shown_frame].code != here.code) return;
    const auto is_here = [&](const Ending& one) { return one.instruction == here.instruction; };
    auto ending = std::ranges::find_if(site.endings, is_here);
    if (ending == site.endings.end()) {
        if (site.endings.size() == most_endings) return;
        ending = site.endings.insert(ending, {.instruction = here.instruction});
    }
    const double weight = weight_of(sample.bytes);
    ending->bytes += weight * static_cast<double>(sample.bytes);
    ending->blocks += weight;
}

void Profile::put_back(const void* block, const Sample& sample) noexcept try {
    const Lock lock{mutex_};
    if (!runs() || sample.run != run_) return;
    samples_.put(block, sample);
    live_samples_.store(samples_.size(), std::memory_order_relaxed);
} catch (const std::bad_alloc&) {  // There is room: it was taken from there.
}

ProfileFigures Profile::figures_locked() const noexcept {
    ProfileFigures figures = figures_;
    figures.seconds = seconds_between(began_, runs() ? now() : ended_);
    return figures;
}

ProfileFigures Profile::figures() const noexcept {
    const Lock lock{mutex_};
    return figures_locked();
}

ProfileSnapshot Profile::snapshot() const {
    const Lock lock{mutex_};
    ProfileSnapshot all{
        .figures = figures_locked(), .sites = sites_, .stacks = stacks_, .live = {}};
    for (Site& site : all.sites) {
        if (site.changed <= peak_change_) site.peak_bytes = site.live_bytes;
    }
    const std::uint64_t until = runs() ? now() : ended_;
    samples_.for_each([&](const AddressTable<Sample>::Entry& entry) {
        all.live.push_back({entry.address, entry.value.bytes,
                            seconds_between(entry.value.since, until), entry.value.stack});
    });
    return all;
}

ProfileMark Profile::mark() noexcept {
    const Lock lock{mutex_};
    const ProfileMark mark{.figures = figures_locked(), .recent_peak = recent_peak_};
    recent_peak_ = figures_.live_bytes;
    return mark;
}

}  // namespace numpool::observe
