/// Without a GIL, pybind11 has locks of its own, for its records of types and objects. A fork while
/// another thread made or dropped a pool left them locked in the child for ever.

#include "bindings/python/topics.hpp"

#ifdef Py_GIL_DISABLED

#include <pthread.h>

namespace numpool::bindings {
namespace {

/// CPython stops all threads for a fork, where they are at rest: none of them is changing what a
/// lock guards. But one may wait for a lock that was handed to it already, so that waiting for it
/// before the fork would be for ever. In the child nobody waits: the locks are made anew.
void free_locks_in_child() {
    auto& internals = py::detail::get_internals();
    for (std::size_t i = 0; i <= internals.instance_shards_mask; ++i)
        new (&internals.instance_shards[i].mutex) py::detail::pymutex;
    new (&internals.mutex) py::detail::pymutex;
    new (&internals.exception_translator_mutex) py::detail::pymutex;
}

}  // namespace

void free_bindings_locks_after_fork() {
    static const int handler = pthread_atfork(nullptr, nullptr, free_locks_in_child);
    static_cast<void>(handler);
}

}  // namespace numpool::bindings

#else

namespace numpool::bindings {

void free_bindings_locks_after_fork() {}

}  // namespace numpool::bindings

#endif
