/// The slowest of ten million pairs of acquire and release. Each pair is timed alone, so the time
/// of the clock itself, which the first row shows, is in every figure.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "measure.hpp"
#include "threads/fixed/shared_fixed_pool.hpp"
#include "threads/realtime/warm_blocks.hpp"
#include "threads/slab/shared_slab_pool.hpp"

using namespace numpool;
namespace {

constexpr std::size_t block_size = 4096;

std::uint32_t nanoseconds_since(std::chrono::steady_clock::time_point start) {
    const auto took = std::chrono::steady_clock::now() - start;
    const auto count = std::chrono::nanoseconds{took}.count();
    return static_cast<std::uint32_t>(std::clamp<long long>(count, 0, 0xFFFF'FFFF));
}

template <class Pair>
void measure(const char* name, std::vector<std::uint32_t>& took, Pair pair) {
    for (int i = 0; i < 100'000; ++i) pair();
    for (std::uint32_t& one : took) {
        const auto start = std::chrono::steady_clock::now();
        pair();
        one = nanoseconds_since(start);
    }
    const auto at = [&](double share) {
        const auto place = std::min(
            took.size() - 1, static_cast<std::size_t>(share * static_cast<double>(took.size())));
        std::nth_element(took.begin(), took.begin() + static_cast<std::ptrdiff_t>(place),
                         took.end());
        return std::to_string(took[place]);
    };
    const auto above = std::count_if(took.begin(), took.end(), [](auto one) { return one > 1000; });
    std::printf("| %s | %s | %s | %s | %s | %s | %ld |\n", name, at(0.5).c_str(), at(0.99).c_str(),
                at(0.9999).c_str(), at(0.99999).c_str(), at(1).c_str(), static_cast<long>(above));
}

class NoMiss final : public threads::MissListener {
    bool missed(std::size_t) noexcept override { std::abort(); }
};

threads::AllocatorTable nothing_before() {
    return {nullptr, nullptr, nullptr, nullptr, nullptr};
}

}  // namespace

int main(int count, char** arguments) {
    const std::size_t pairs = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 10'000'000;
    std::vector<std::uint32_t> took(std::max<std::size_t>(pairs, 1));
    threads::SharedFixedPoolOptions options;
    options.block_size = block_size;
    options.blocks = options.max_blocks = 1024;
    const auto fixed = threads::SharedFixedPool::create(options);
    const auto slabs = threads::SharedSlabPool::create();
    threads::WarmBlocks warm{{{block_size, 16}, {65536, 4}}, pages::os_pages(), nothing_before()};
    NoMiss no_miss;
    warm.begin(no_miss);
    const threads::AllocatorTable table = warm.table();
    std::printf("%zu pairs of acquire and release of %zu bytes in C++, ns with the clock\n\n",
                took.size(), block_size);
    std::puts("| C++ | p50 | p99 | p99.99 | p99.999 | worst | above 1 µs |");
    std::puts("| --- | --- | --- | --- | --- | --- | --- |");
    measure("the clock alone", took, [] {});
    measure("FixedPool", took, [&] {
        std::byte* const block = fixed->try_acquire().start;
        benchmark::use(block);
        fixed->release(block);
    });
    measure("SlabPool", took, [&] {
        std::byte* const block = slabs->try_acquire(block_size);
        benchmark::use(block);
        slabs->try_release(block, block_size);
    });
    measure("warm blocks of realtime", took, [&] {
        void* const block = table.malloc(table.context, block_size);
        benchmark::use(block);
        table.free(table.context, block, block_size);
    });
    measure("malloc and free", took, [] {
        void* const block = std::malloc(block_size);
        benchmark::use(block);
        std::free(block);
    });
    return 0;
}
