#include "bindings/numpy/realtime_loop.hpp"

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "bindings/python/python_line.hpp"
#include "pages/source/prepared_pages.hpp"

namespace numpool::bindings {
namespace {

using threads::StepLog;
using threads::WarmBlocks;

std::shared_ptr<WarmBlocks> warm_blocks(RealtimeOptions& options,
                                        const threads::AllocatorTable& before) {
    const pages::Preparation preparation{.populated = true, .locked = options.locked};
    return std::make_shared<WarmBlocks>(
        std::move(options.sizes),
        pages::SourceHandle{std::make_shared<pages::PreparedPages>(pages::os_pages(), preparation)},
        before);
}

std::string in_step(std::uint64_t step) {
    return step == RealtimeLoop::no_step ? "" : " in step " + std::to_string(step);
}

std::string at_line(threads::SourceLine line) {
    return line == nullptr ? "" : std::string{" at "} + line;
}

py::list places_from(const std::vector<RealtimeLoop::Place>& places) {
    py::list list;
    for (const RealtimeLoop::Place& one : places) {
        const py::object line = one.line == nullptr ? py::object{py::none{}} : py::str{one.line};
        const py::object step = one.first_step == RealtimeLoop::no_step ? py::object{py::none{}}
                                                                        : py::int_{one.first_step};
        list.append(py::make_tuple(line, one.bytes, one.count, step));
    }
    return list;
}

py::list times_from(const StepLog& log) {
    py::list list;
    for (const StepLog::Bucket& one : log.times())
        list.append(py::make_tuple(one.nanoseconds, one.steps));
    return list;
}

py::list sizes_from(const std::vector<WarmBlocks::Figures>& sizes) {
    py::list list;
    for (const WarmBlocks::Figures& one : sizes) {
        list.append(py::make_tuple(one.bytes, one.blocks, one.in_use, one.most_in_use, one.requests,
                                   one.smaller));
    }
    return list;
}

/// Python's garbage collector is off while there are such loops in the process.
class Deferral {
  public:
    static void begin() noexcept {
        const std::lock_guard lock{mutex};
        const bool was_on = PyGC_Disable() != 0;
        if (loops++ == 0) was_on_before = was_on;
    }
    static void end() noexcept {
        const std::lock_guard lock{mutex};
        if (--loops == 0 && was_on_before) PyGC_Enable();
    }

  private:
    static inline threads::BriefMutex mutex;
    static inline std::size_t loops = 0;
    static inline bool was_on_before = false;
};

}  // namespace

RealtimeLoop::RealtimeLoop(RealtimeOptions options) : RealtimeLoop{std::move(options), {}} {}

RealtimeLoop::RealtimeLoop(RealtimeOptions options, const AllocatorHere& before)
    : raises_{options.raises},
      waits_for_warm_up_{options.warm_up != 0},
      blocks_{warm_blocks(options, before.table)},
      nbytes_{blocks_->bytes()},
      thread_{threads::this_thread()},
      log_{options.warm_up} {
    handler_ = allocator_capsule(blocks_->table(), blocks_, before.capsule);
    places_.reserve(most_places);
}

void RealtimeLoop::begin() noexcept {
    Deferral::begin();
    began_ = true;
    blocks_->begin(*this);
    faults_before_ = pages::faults_of_thread();
}

void RealtimeLoop::end() noexcept {
    if (!began_) return;
    began_ = false;
    faults_ = pages::faults_of_thread() - faults_before_;
    blocks_->end();
    log_.drop();
    try {
        sizes_ = blocks_->figures();
    } catch (const std::bad_alloc&) {  // Then the report lacks them.
    }
    blocks_.reset();
    handler_ = {};
    Deferral::end();
}

void RealtimeLoop::begin_step() {
    if (!began_) throw std::runtime_error{"realtime: a step begins only inside the with block"};
    if (threads::this_thread() != thread_)
        throw std::runtime_error{"realtime: only the thread that began the block marks its steps"};
    if (log_.in_step()) {
        throw std::runtime_error{
            "realtime: a step begins inside another one; end that step first, also where it "
            "awaits or yields"};
    }
    has_steps_ = true;
    log_.begin();
}

std::string RealtimeLoop::end_step() {
    if (!log_.in_step()) return {};
    const pages::PageFaults faults = log_.end();
    if (faults.all() == 0) return {};
    const threads::SourceLine line = python_line();
    note(line, 0, faults.all());
    if (!raises_) return {};
    return std::to_string(faults.all()) + (faults.all() == 1 ? " page fault" : " page faults") +
           in_step(log_.steps() - 1) + at_line(line) +
           ": the first steps of a loop often have some, so give warm_up=...; later ones come from "
           "memory that Python or a library takes from the system";
}

std::string RealtimeLoop::take_refusal() noexcept {
    return std::exchange(refusal_, {});
}

/// Without any step the block as a whole is watched.
bool RealtimeLoop::is_watched() const noexcept {
    return has_steps_ ? log_.counts() : !waits_for_warm_up_;
}

bool RealtimeLoop::missed(std::size_t bytes) noexcept {
    if (!is_watched()) {
        ++unwatched_misses_;
        return true;
    }
    ++misses_;
    missed_bytes_ += bytes;
    const threads::SourceLine line = python_line();
    note(line, bytes, 1);
    if (!raises_) return true;
    try {
        refusal_ = "realtime: " + blocks_->refusal(bytes) +
                   in_step(log_.in_step() ? log_.steps() : no_step) + at_line(line) +
                   ". Rehearse a cycle that makes this array, or give more blocks";
    } catch (const std::bad_alloc&) {  // No memory for a text.
    }
    return false;
}

void RealtimeLoop::note(threads::SourceLine line, std::size_t bytes, std::uint64_t count) noexcept {
    // A step that has ended was counted.
    const std::uint64_t ended = bytes == 0 ? 1 : 0;
    const std::uint64_t step = ended != 0 || log_.in_step() ? log_.steps() - ended : no_step;
    const auto known = std::find_if(places_.begin(), places_.end(), [&](const Place& one) {
        return one.line == line && one.bytes == bytes;
    });
    if (known != places_.end()) {
        known->count += count;
    } else if (places_.size() < most_places) {
        places_.push_back({line, bytes, count, step});
    }
}

py::dict RealtimeLoop::figures() const {
    using namespace py::literals;
    const pages::PageFaults all = began_ ? pages::faults_of_thread() - faults_before_ : faults_;
    return py::dict{"steps"_a = log_.steps(),
                    "faulty_steps"_a = log_.faulty_steps(),
                    "minor_faults"_a = log_.faults().minor,
                    "major_faults"_a = log_.faults().major,
                    "block_faults"_a = all.all(),
                    "misses"_a = misses_,
                    "missed_bytes"_a = missed_bytes_,
                    "unwatched_misses"_a = unwatched_misses_,
                    "nbytes"_a = nbytes_,
                    "longest"_a = log_.longest(),
                    "times"_a = times_from(log_),
                    "places"_a = places_from(places_),
                    "sizes"_a = sizes_from(blocks_ ? blocks_->figures() : sizes_)};
}

}  // namespace numpool::bindings
