#include "bindings/pools/frames.hpp"

#if PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030c0000
#include <internal/pycore_frame.h>
#endif

namespace numpool::bindings {
namespace {

using Values = std::vector<py::object>;

// Not `f_locals`: before 3.13 that is a dict which the frame keeps, and all that is in it with it.
#if PY_VERSION_HEX >= 0x030c0000

void add_locals(PyFrameObject* frame, Values& values) {
    const auto code =
        py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
    for (auto* const names_of : {PyCode_GetVarnames, PyCode_GetCellvars, PyCode_GetFreevars}) {
        const auto names =
            py::reinterpret_steal<py::tuple>(names_of(reinterpret_cast<PyCodeObject*>(code.ptr())));
        if (!names) PyErr_Clear();
        for (std::size_t i = 0; names && i < names.size(); ++i) {
            PyObject* const name = PyTuple_GET_ITEM(names.ptr(), static_cast<Py_ssize_t>(i));
            auto value = py::reinterpret_steal<py::object>(PyFrame_GetVar(frame, name));
            if (value) {
                values.push_back(std::move(value));
            } else {
                PyErr_Clear();  // It has no value now.
            }
        }
    }
}

#elif PY_VERSION_HEX >= 0x030b0000

/// The one version that has no other way.
void add_locals(PyFrameObject* frame, Values& values) {
    const _PyInterpreterFrame& running = *frame->f_frame;
    for (int i = 0; i < running.f_code->co_nlocalsplus; ++i) {
        PyObject* value = running.localsplus[i];
        if (value != nullptr && PyCell_Check(value)) value = PyCell_GET(value);
        if (value != nullptr) values.push_back(py::reinterpret_borrow<py::object>(value));
    }
}

#else

void add_locals(PyFrameObject* frame, Values& values) {
    const visitproc add = [](PyObject* value, void* to) -> int {
        try {
            static_cast<Values*>(to)->push_back(py::reinterpret_borrow<py::object>(value));
            return 0;
        } catch (const std::bad_alloc&) {
            return 1;
        }
    };
    PyFrame_Type.tp_traverse(reinterpret_cast<PyObject*>(frame), add, &values);
}

#endif

void add_locals_of_thread(PyThreadState* thread, const std::function<bool()>& goes_on,
                          Values& values) {
    const auto steal = [](PyFrameObject* frame) {
        return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(frame));
    };
    py::object frame = steal(PyThreadState_GetFrame(thread));
    while (frame && goes_on()) {
        auto* const running = reinterpret_cast<PyFrameObject*>(frame.ptr());
        add_locals(running, values);
        frame = steal(PyFrame_GetBack(running));
    }
}

}  // namespace

std::vector<py::object> locals_of_running_frames(const std::function<bool()>& goes_on) {
    Values values;
    PyThreadState* const own = PyThreadState_Get();
    add_locals_of_thread(own, goes_on, values);
#ifndef Py_GIL_DISABLED
    PyThreadState* thread = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(own));
    for (; thread != nullptr && goes_on(); thread = PyThreadState_Next(thread)) {
        if (thread != own) add_locals_of_thread(thread, goes_on, values);
    }
#endif
    return values;
}

}  // namespace numpool::bindings
