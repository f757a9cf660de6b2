#include "bindings/numpy/numpy_handler.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "bindings/numpy/numpy_functions.hpp"

namespace numpool::bindings {
namespace {

using threads::ByteSource;
using threads::Pool;

constexpr const char* capsule_name = "mem_handler";

ByteSource& bytes_of(Pool& pool) {
    auto* const source = dynamic_cast<ByteSource*>(&pool);
    if (source == nullptr) {
        throw py::type_error{pool.title() +
                             " can't serve NumPy: it hands out no memory of the size asked for"};
    }
    return *source;
}

/// An array's data is nobody's: freeing it anyhow would damage whoever owns it.
[[noreturn]] void stop_at_stray_block(const char* pool, const void* block) {
    std::fprintf(stderr,
                 "numpool: %s: NumPy gave back %p, which is no live block of this pool or of its "
                 "fallback\n",
                 pool, block);
    std::abort();
}

/// What a capsule of ours points to.
struct Capsuled {
    PyDataMem_Handler handler;
    NumpyHandler pools;

    Capsuled(Pool& pool, const Fallback& fallback)
        : handler{"numpool", 1, {}}, pools{pool, fallback} {
        handler.allocator = numpy_functions(&pools);
    }

    static Capsuled* in(PyObject* capsule) noexcept {
        return static_cast<Capsuled*>(PyCapsule_GetPointer(capsule, capsule_name));
    }
};

void end_capsule(PyObject* capsule) {
    delete Capsuled::in(capsule);
}

}  // namespace

NumpyHandler::NumpyHandler(Pool& pool, const Fallback& fallback)
    : pool_{&pool},
      fallback_{fallback.pool.get() == &pool ? Fallback{} : fallback},
      source_{&bytes_of(pool)} {
    if (fallback_.pool.get() != nullptr) fallback_source_ = &bytes_of(*fallback_.pool);
}

bool NumpyHandler::is_of(const Pool& pool, const Fallback& fallback) const noexcept {
    const Pool* const other = fallback.pool.get() == &pool ? nullptr : fallback.pool.get();
    return pool_.get() == &pool && fallback_.pool.get() == other &&
           (other == nullptr || fallback_.named == fallback.named);
}

ByteSource* NumpyHandler::source_of(const void* block) const noexcept {
    if (source_->usable_size(block) != 0) return source_;
    if (fallback_source_ != nullptr && fallback_source_->usable_size(block) != 0)
        return fallback_source_;
    return nullptr;
}

Pool* NumpyHandler::owner(const void* address) const noexcept {
    const auto* const byte = static_cast<const std::byte*>(address);
    if (pool_->owns(byte)) return pool_.get();
    return fallback_source_ != nullptr && fallback_.pool->owns(byte) ? fallback_.pool.get()
                                                                     : nullptr;
}

void* NumpyHandler::acquire_elsewhere(std::size_t bytes, bool zeroed) const noexcept {
    if (fallback_source_ == nullptr || (!fallback_.named && !source_->leaves_to_others(bytes)))
        return passed_on(nullptr);
    return passed_on(zeroed ? fallback_source_->try_acquire_zeroed(bytes)
                            : fallback_source_->try_acquire(bytes));
}

void* NumpyHandler::acquire_here(std::size_t bytes) const noexcept {
    void* const block = source_->try_acquire(bytes);
    return block != nullptr ? block : acquire_elsewhere(bytes, false);
}

void NumpyHandler::release_elsewhere(void* block, std::size_t bytes) const noexcept {
    if (fallback_source_ != nullptr && fallback_source_->try_release(block, bytes)) return;
    stop_at_stray_block(pool_->title().c_str(), block);
}

void* NumpyHandler::reallocate_elsewhere(void* block, std::size_t bytes) const noexcept {
    ByteSource* const owner = source_of(block);
    if (owner == nullptr) return nullptr;
    if (owner == source_)
        return move_contents(*owner, block, acquire_elsewhere(bytes, false), bytes);
    return passed_on(owner->try_reallocate(block, bytes));
}

void* move_contents(ByteSource& from, void* block, void* to, std::size_t bytes) noexcept {
    if (to == nullptr) return nullptr;
    std::memcpy(to, block, std::min(bytes, from.usable_size(block)));
    from.try_release(block, 0);
    return to;
}

py::object NumpyHandler::capsule(Pool& pool, const Fallback& fallback) {
    auto handler = std::make_unique<Capsuled>(pool, fallback);
    const auto capsule = py::reinterpret_steal<py::object>(
        PyCapsule_New(&handler->handler, capsule_name, end_capsule));
    if (!capsule) throw py::error_already_set{};
    static_cast<void>(handler.release());
    return capsule;
}

NumpyHandler* NumpyHandler::in(PyObject* capsule) noexcept {
    if (PyCapsule_GetDestructor(capsule) != end_capsule) {
        PyErr_Clear();
        return nullptr;
    }
    return &Capsuled::in(capsule)->pools;
}

}  // namespace numpool::bindings
