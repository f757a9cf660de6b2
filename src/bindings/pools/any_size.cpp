#include "bindings/pools/any_size.hpp"

#include <string>

namespace numpool::bindings {

PyObject* to_buffer(Holding holding) {
    Buffer* const buffer = new_buffer(holding);
    if (buffer != nullptr) return &buffer->ob_base;
    holding.let_go();
    throw py::error_already_set{};
}

[[gnu::cold]] void refuse_arguments(Py_ssize_t count, PyObject* names) {
    if (names != nullptr) {
        const std::string name = to_text(PyTuple_GET_ITEM(names, 0));
        if (name == "timeout") {
            throw py::type_error{
                "acquire() takes no 'timeout', since this pool never waits: catch PoolExhausted, "
                "or use a FixedPool or a ReservePool, which wait"};
        }
        throw py::type_error{"acquire() takes no '" + name + "': call acquire(nbytes)"};
    }
    throw py::type_error{"acquire() takes one argument, nbytes, and got " + std::to_string(count)};
}

}  // namespace numpool::bindings
