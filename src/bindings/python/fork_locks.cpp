/// Without a GIL, pybind11 guards its records of types and objects with locks of its own. If
/// another thread makes or drops a pool during a fork, they would stay locked in the child for
/// ever.

#include "bindings/python/topics.hpp"

#ifdef Py_GIL_DISABLED

#include <pthread.h>

namespace numpool::bindings {
namespace {

/// CPython stops all threads for a fork at points where none of them changes what a lock guards.
/// But a stopped thread may already own a lock that was handed to it, so waiting for the lock
/// before the fork could take for ever. No other thread exists in the child: the locks are made
/// anew.
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
