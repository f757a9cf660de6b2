#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace numpool::observe {

/// Chooses the requests that a profile samples: one at a random distance, of which the bytes
/// requested by a thread in between are the measure. The distances have an exponential
/// distribution, so no pattern of the program's requests can be missed.
///
/// A request as large as the mean distance is always chosen: then large blocks are counted exactly.
/// So a thread looks again after the mean at the latest.
class Sampler {
  public:
    /// From now on every thread draws its distances anew. Equal seeds give the threads equal
    /// distances, in the order in which they first ask.
    static void begin(std::size_t mean, std::uint64_t seed) noexcept;

    /// Whether to sample this request.
    static bool takes(std::size_t bytes) noexcept {
        Thread& thread = thread_;
        if (bytes < thread.left && thread.run == run_.load(std::memory_order_relaxed)) [[likely]] {
            thread.left -= bytes;
            return false;
        }
        return takes_slow(bytes);
    }

    /// How many requests of this size a sampled one stands for.
    static double weight(std::size_t bytes, std::size_t mean) noexcept;

  private:
    /// Zero at a thread's start, and trivial to destroy: threads request blocks while they end.
    struct Thread {
        /// The bytes to the next look.
        std::size_t left;
        /// Which `begin` the distance was drawn after.
        std::uint32_t run;
        /// Whether a sample is due at the next look.
        bool due;
        std::uint64_t random;
    };

    static bool takes_slow(std::size_t bytes) noexcept;
    static void draw(Thread& thread, std::size_t mean) noexcept;

    // See `magazines_at_hand` for the TLS model.
    static thread_local constinit Thread thread_
        __attribute__((tls_model("initial-exec"), visibility("hidden")));
    static std::atomic<std::uint32_t> run_;
    static std::atomic<std::size_t> mean_;
    static std::atomic<std::uint64_t> seed_;
};

}  // namespace numpool::observe
