#include "bindings/pools/any_size.hpp"

namespace numpool::bindings {

PyObject* to_buffer(Holding holding) {
    Buffer* const buffer = new_buffer(holding);
    if (buffer != nullptr) return &buffer->ob_base;
    holding.let_go();
    throw py::error_already_set{};
}

}  // namespace numpool::bindings
