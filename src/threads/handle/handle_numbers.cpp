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

Handle HandleNumbers::take() {
    const std::lock_guard lock{mutex_};
    if (!returned_.empty()) {
        const Handle first = returned_.back();
        returned_.pop_back();
        return first;
    }
    if (used_ == handle_numbers - 1) {
        throw Exhausted{"all " + std::to_string(used_) +
                        " numbers that tell handles apart are in use, one for each size of each "
                        "HandlePool: let some pools go"};
    }
    // Room for it to come back.
    returned_.reserve(static_cast<std::size_t>(used_) + 1);
    const Handle somewhere = 1 + (Handle{std::random_device{}()} << 15) % (handle_versions / 4);
    return ++used_ * handle_versions + somewhere;
}

void HandleNumbers::give_back(Handle beyond) noexcept {
    // Half of its versions are enough for as long as anyone will wait.
    if ((beyond - 1) % handle_versions > handle_versions / 2) return;
    const std::lock_guard lock{mutex_};
    returned_.push_back(beyond);
}

}  // namespace numpool::threads
