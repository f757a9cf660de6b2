#include "bindings/numpy/allocator_capsule.hpp"

#include <utility>

namespace numpool::bindings {
namespace {

constexpr const char* capsule_name = "mem_handler";

/// What a capsule points to.
struct Capsuled {
    PyDataMem_Handler handler;
    std::shared_ptr<const void> owner;
    PyObject* before;
};

void end_capsule(PyObject* capsule) {
    auto* const ended = static_cast<Capsuled*>(PyCapsule_GetPointer(capsule, capsule_name));
    PyObject* const before = ended->before;
    delete ended;
    Py_DECREF(before);
}

}  // namespace

AllocatorHere::AllocatorHere() {
    require_numpy();
    capsule = py::reinterpret_steal<py::object>(PyDataMem_GetHandler());
    if (!capsule) throw py::error_already_set{};
    const auto* const handler =
        static_cast<const PyDataMem_Handler*>(PyCapsule_GetPointer(capsule.ptr(), capsule_name));
    if (handler == nullptr) throw py::error_already_set{};
    const PyDataMemAllocator& one = handler->allocator;
    table = {one.ctx, one.malloc, one.calloc, one.realloc, one.free};
}

py::object allocator_capsule(const threads::AllocatorTable& table,
                             std::shared_ptr<const void> owner, const py::object& before) {
    auto capsuled = std::unique_ptr<Capsuled>{new Capsuled{
        {"numpool", 1, {table.context, table.malloc, table.calloc, table.realloc, table.free}},
        std::move(owner),
        before.ptr()}};
    auto capsule =
        py::reinterpret_steal<py::object>(PyCapsule_New(capsuled.get(), capsule_name, end_capsule));
    if (!capsule) throw py::error_already_set{};
    before.inc_ref();
    static_cast<void>(capsuled.release());
    return capsule;
}

}  // namespace numpool::bindings
