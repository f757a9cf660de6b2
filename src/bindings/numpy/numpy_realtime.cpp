/// What numpool/_realtime.py is made of: a rehearsal, and the block of a real-time loop.

#include <array>
#include <memory>
#include <string>

#include "bindings/numpy/realtime_loop.hpp"
#include "bindings/python/classes.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/python_pool.hpp"
#include "bindings/python/sizes.hpp"
#include "threads/realtime/rehearsal.hpp"

namespace numpool::bindings {
namespace {

using threads::Rehearsal;

/// The content of a `rehearse` block.
class RehearsalContent final : public BlockContent {
  public:
    RehearsalContent() : RehearsalContent{AllocatorHere{}} {}

    void begin() noexcept override {}
    void end() noexcept override {
        rehearsal_->end();
        handler_ = {};
    }

    py::list sizes() const {
        py::list list;
        for (const Rehearsal::Size& one : rehearsal_->sizes())
            list.append(py::make_tuple(one.bytes, one.most, one.live, one.requests));
        return list;
    }
    std::uint64_t unrecorded() const noexcept { return rehearsal_->unrecorded(); }

  private:
    explicit RehearsalContent(const AllocatorHere& before)
        : rehearsal_{std::make_shared<Rehearsal>(before.table)} {
        handler_ = allocator_capsule(rehearsal_->table(), rehearsal_, before.capsule);
    }

    std::shared_ptr<Rehearsal> rehearsal_;
};

std::unique_ptr<RealtimeLoop> make_loop(const py::dict& sizes, bool locked, bool raises,
                                        const py::object& warm_up) {
    RealtimeOptions options;
    options.locked = locked;
    options.raises = raises;
    options.warm_up = to_count(warm_up, "warm_up");
    for (const auto& [bytes, blocks] : sizes)
        options.sizes.push_back({to_size(bytes, "a size"), to_count(blocks, "a count")});
    return std::make_unique<RealtimeLoop>(std::move(options));
}

RealtimeLoop& loop_in(PyObject* self) {
    return py::handle{self}.cast<RealtimeLoop&>();
}

PyObject* enter_step(PyObject* self, PyObject*) {
    return guarded<PyObject*>(nullptr, [self] {
        loop_in(self).begin_step();
        return Py_NewRef(Py_None);
    });
}

PyObject* exit_step(PyObject* self, PyObject* const* exception, Py_ssize_t count) {
    return guarded<PyObject*>(nullptr, [&] {
        RealtimeLoop& loop = loop_in(self);
        const std::string why = loop.end_step();
        const bool raising = count > 1 && exception[1] != Py_None;
        if (raising) {
            if (const std::string refused = loop.take_refusal(); !refused.empty())
                in_realtime_module("name_miss")(py::handle{exception[1]}, refused);
        } else if (!why.empty()) {
            const py::object error = in_realtime_module("RealtimeError");
            PyErr_SetString(error.ptr(), ("realtime: " + why).c_str());
            throw py::error_already_set{};
        }
        return Py_NewRef(Py_None);
    });
}

/// `_Block`, and the contents of `rehearse` and of `realtime`. They are made at the first call, so
/// that other programs do not pay for them.
py::tuple realtime_classes() {
    const py::object block = make_block_class();
    py::class_<RehearsalContent, BlockContent> rehearsal{py::handle{}, "_Rehearsal", py::is_final(),
                                                         own_layout()};
    rehearsal.def(py::init<>())
        .def("sizes", &RehearsalContent::sizes)
        .def("unrecorded", &RehearsalContent::unrecorded);

    py::class_<RealtimeLoop, BlockContent> loop{py::handle{}, "_RealtimeLoop", py::is_final(),
                                                own_layout()};
    loop.def(py::init(&make_loop), py::arg("sizes"), py::arg("locked"), py::arg("raises"),
             py::arg("warm_up"))
        .def("figures", &RealtimeLoop::figures);
    static std::array methods{
        PyMethodDef{"__enter__", &enter_step, METH_NOARGS,
                    "__enter__($self, /)\n--\n\nBegin a step."},
        PyMethodDef{"__exit__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&exit_step)),
                    METH_FASTCALL, "__exit__($self, /, *exc_info)\n--\n\nEnd the step."},
    };
    add_methods(loop, methods);
    return py::make_tuple(block, rehearsal, loop);
}

}  // namespace

void register_realtime(py::module_& module) {
    module.def("_realtime_classes", &realtime_classes, "_realtime_classes()\n--\n\n");
}

}  // namespace numpool::bindings
