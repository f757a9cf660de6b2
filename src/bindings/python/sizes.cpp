#include "bindings/python/sizes.hpp"

#include <string>

#include "base/error.hpp"
#include "base/size.hpp"
#include "base/size_text.hpp"
#include "pages/system/memory_limit.hpp"

namespace numpool::bindings {
namespace {

std::string type_name(const py::handle& value) {
    return Py_TYPE(value.ptr())->tp_name;
}

std::size_t to_unsigned(const py::handle& value, const char* name) {
    const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!number) throw py::error_already_set{};
    const std::size_t result = PyLong_AsSize_t(number.ptr());
    if (result != static_cast<std::size_t>(-1) || !PyErr_Occurred()) return result;
    PyErr_Clear();
    // Python refuses to write out numbers of very many digits.
    const auto digits = py::reinterpret_steal<py::object>(PyObject_Str(number.ptr()));
    if (!digits) PyErr_Clear();
    const std::string text = digits ? to_text(digits) : "a number of thousands of digits";
    if (text.starts_with('-'))
        throw BadArgument{std::string{name} + " is " + text + ": it cannot be negative"};
    throw BadArgument{std::string{name} + " is " + text +
                      ": more than an address space holds (128 TiB)"};
}

}  // namespace

std::string to_text(const py::handle& value) {
    Py_ssize_t bytes = 0;
    const char* const text = PyUnicode_AsUTF8AndSize(value.ptr(), &bytes);
    if (text == nullptr) throw py::error_already_set{};
    return {text, static_cast<std::size_t>(bytes)};
}

std::size_t to_count(const py::handle& value, const char* name) {
    if (!PyIndex_Check(value.ptr())) {
        throw py::type_error{std::string{name} + " must be an int, not " + type_name(value)};
    }
    return to_unsigned(value, name);
}

std::size_t to_size(const py::handle& value, const char* name) {
    if (py::isinstance<py::str>(value)) {
        try {
            return size_from_text(to_text(value), pages::memory_limit);
        } catch (const BadArgument& error) {
            throw BadArgument{std::string{name} + ": " + error.what()};
        }
    }
    if (!PyIndex_Check(value.ptr())) {
        throw py::type_error{std::string{name} + " must be an int or a text like '64KiB', not " +
                             type_name(value)};
    }
    return to_unsigned(value, name);
}

void register_sizes(py::module_& module) {
    module.def(
        "parse_size", [](const py::object& size) { return py::int_{to_size(size, "size")}; },
        py::arg("size"), py::pos_only(),
        "parse_size(size, /)\n--\n\n"
        "The number of bytes that an int or a text like '64KiB', '1.5 GiB' or '50%' stands for; a "
        "percentage is of the memory that this process may use.");
    module.def(
        "format_size", [](const py::object& size) { return size_to_text(to_count(size, "size")); },
        py::arg("size"), py::pos_only(),
        "format_size(size, /)\n--\n\n"
        "A number of bytes as a short text like '1.5 GiB'.");
    module.def(
        "memory_limit", [] { return py::int_{pages::memory_limit()}; },
        "memory_limit()\n--\n\n"
        "The bytes of memory this process may use: the least of the machine's, its cgroups' and "
        "its resource limits.");
}

}  // namespace numpool::bindings
