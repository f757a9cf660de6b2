#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bindings/numpy/allocator_capsule.hpp"
#include "bindings/numpy/context_block.hpp"
#include "threads/checked/checked_pools.hpp"
#include "threads/realtime/step_log.hpp"
#include "threads/realtime/warm_blocks.hpp"

namespace numpool::bindings {

struct RealtimeOptions {
    std::vector<threads::WarmSize> sizes;
    bool locked = true;
    /// Refuse requests that no warm block serves, and raise after a step with page faults.
    bool raises = false;
    std::uint64_t warm_up = 0;
};

/// The block of a `realtime`: its warm blocks, its steps, and what was missed. All but the warm
/// blocks is for the thread that made it.
class RealtimeLoop final : public BlockContent, public threads::MissListener {
  public:
    /// A place in the program where something was missed.
    struct Place {
        threads::SourceLine line = nullptr;
        /// Of the requests; 0 for page faults.
        std::size_t bytes = 0;
        std::uint64_t count = 0;
        /// `no_step` where it was in none.
        std::uint64_t first_step = 0;
    };
    static constexpr std::uint64_t no_step = ~std::uint64_t{0};
    /// The report names no more places than these. The figures include all.
    static constexpr std::size_t most_places = 64;

    explicit RealtimeLoop(RealtimeOptions options);
    ~RealtimeLoop() override { end(); }

    void begin() noexcept override;
    /// Afterwards only arrays hold the warm blocks.
    void end() noexcept override;

    /// They throw a Python RuntimeError where they are called out of order, or in another thread.
    void begin_step();
    /// Returns why it must raise; an empty text where it need not.
    std::string end_step();
    std::string take_refusal() noexcept override;

    bool missed(std::size_t bytes) noexcept override;

    py::dict figures() const;

  private:
    RealtimeLoop(RealtimeOptions options, const AllocatorHere& before);

    bool is_watched() const noexcept;
    void note(threads::SourceLine line, std::size_t bytes, std::uint64_t count) noexcept;

    const bool raises_;
    const bool waits_for_warm_up_;
    /// Null once the block has ended.
    std::shared_ptr<threads::WarmBlocks> blocks_;
    const std::size_t nbytes_;
    /// Of the warm blocks, when the block ended.
    std::vector<threads::WarmBlocks::Figures> sizes_;
    const void* thread_;
    bool began_ = false;
    bool has_steps_ = false;
    threads::StepLog log_;
    pages::PageFaults faults_before_;
    pages::PageFaults faults_;
    std::uint64_t misses_ = 0;
    std::uint64_t missed_bytes_ = 0;
    /// Missed in no step, or in a step of the warm-up.
    std::uint64_t unwatched_misses_ = 0;
    std::vector<Place> places_;
    std::string refusal_;
};

}  // namespace numpool::bindings
