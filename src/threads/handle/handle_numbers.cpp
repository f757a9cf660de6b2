#include "threads/handle/handle_numbers.hpp"

#include <mutex>
#include <random>
#include <string>

#include "base/error.hpp"

namespace numpool::threads {

using pools::Handle;
using pools::handle_numbers;
using pools::handle_versions;

HandleNumbers& HandleNumbers::instance() {
    static auto* const numbers = new HandleNumbers;
    return *numbers;
}

Handle HandleNumbers::acquire() {
    const std::lock_guard lock{mutex_};
    if (!returned_.empty()) {
        const Handle first = returned_.back();
        returned_.pop_back();
        return first;
    }
    if (used_ == handle_numbers - 1) {
        throw Exhausted{"all " + std::to_string(used_) +
                        " table numbers of handles are in use, one for each size of each "
                        "HandlePool: close and drop some pools"};
    }
    // Room for its release, which must not fail.
    returned_.reserve(static_cast<std::size_t>(used_) + 1);
    const Handle somewhere = 1 + (Handle{std::random_device{}()} << 15) % (handle_versions / 4);
    return ++used_ * handle_versions + somewhere;
}

void HandleNumbers::release(Handle beyond) noexcept {
    // A number with less than half of its versions left is not used again.
    if ((beyond - 1) % handle_versions > handle_versions / 2) return;
    const std::lock_guard lock{mutex_};
    returned_.push_back(beyond);
}

}  // namespace numpool::threads
