#include "bindings/python/python_line.hpp"

#include <atomic>
#include <string>
#include <string_view>

#include "bindings/python/no_collection.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {
namespace {

/// A str attribute of a code object: no Python code runs. Empty where it is missing.
std::string text_of(PyObject* code, const char* name) {
    const auto value = py::reinterpret_steal<py::object>(PyObject_GetAttrString(code, name));
    const char* const text = value ? PyUnicode_AsUTF8(value.ptr()) : nullptr;
    if (text != nullptr) return text;
    PyErr_Clear();
    return {};
}

bool is_in_package(std::string_view file, std::string_view package) noexcept {
    const auto place = file.rfind(package);
    return place != std::string_view::npos;
}

threads::SourceLine line_of(PyFrameObject* innermost) {
    std::string first;
    Py_XINCREF(innermost);
    auto frame = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(innermost));
    while (frame) {
        auto* const here = reinterpret_cast<PyFrameObject*>(frame.ptr());
        const auto code =
            py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetCode(here)));
        const std::string file = text_of(code.ptr(), "co_filename");
        const bool of_a_library = is_of_a_library(file);
        if (!of_a_library || first.empty()) {
            const std::string line = file + ":" + std::to_string(PyFrame_GetLineNumber(here)) +
                                     " in " + text_of(code.ptr(), "co_name");
            if (!of_a_library) return threads::CheckedPools::instance().keep(line);
            first = line;
        }
        frame =
            py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetBack(here)));
    }
    return first.empty() ? nullptr : threads::CheckedPools::instance().keep(first);
}

}  // namespace

bool is_attached() noexcept {
    if (Py_IsInitialized() == 0) return false;
    PyThreadState* const running = py::detail::get_thread_state_unchecked();
    return running != nullptr && running == PyGILState_GetThisThreadState();
}

bool is_of_a_library(std::string_view file) noexcept {
    return is_in_package(file, "/site-packages/numpy/") ||
           is_in_package(file, "/dist-packages/numpy/") || is_in_package(file, "/numpool/_") ||
           is_in_package(file, "<__array_function__ internals>");
}

threads::SourceLine python_line() noexcept try {
    if (!is_attached()) return nullptr;
    const py::error_scope passing;
    const NoCollection no_collection;
    const threads::SourceLine line = line_of(PyEval_GetFrame());
    PyErr_Clear();
    return line;
} catch (...) {  // No memory for a text.
    return nullptr;
}

}  // namespace numpool::bindings
