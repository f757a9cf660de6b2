/// Buffers on memory of other Python objects: unpickling makes them.

#include "bindings/buffer/buffer.hpp"
#include "bindings/python/topics.hpp"

namespace numpool::bindings {
namespace {

/// Another object's bytes, exported as long as a buffer uses them. Buffers release their blocks
/// with the GIL, so the export may end there.
class BorrowedBytes final : public threads::BlockOwner {
  public:
    explicit BorrowedBytes(PyObject* exporter) {
        if (PyObject_GetBuffer(exporter, &view_, PyBUF_SIMPLE | PyBUF_WRITABLE) != 0) {
            throw py::error_already_set{};
        }
    }

    void release(std::byte*, std::size_t = 0) noexcept override {
        PyBuffer_Release(&view_);
        delete this;
    }

    Holding holding() { return {this, static_cast<std::byte*>(view_.buf), view_.len}; }

  private:
    ~BorrowedBytes() override = default;

    Py_buffer view_{};
};

bool is_read_only(const py::object& exporter) {
    Py_buffer view{};
    if (PyObject_GetBuffer(exporter.ptr(), &view, PyBUF_SIMPLE) != 0) throw py::error_already_set{};
    const bool read_only = view.readonly != 0;
    PyBuffer_Release(&view);
    return read_only;
}

py::object buffer_on(const py::object& data) {
    const auto bytes = is_read_only(data)
                           ? py::reinterpret_steal<py::object>(PyByteArray_FromObject(data.ptr()))
                           : data;
    if (!bytes) throw py::error_already_set{};
    const Holding holding = (new BorrowedBytes{bytes.ptr()})->holding();
    Buffer* const buffer = new_buffer(holding);
    if (buffer == nullptr) {
        holding.owner->release(holding.block);
        throw py::error_already_set{};
    }
    return py::reinterpret_steal<py::object>(&buffer->ob_base);
}

}  // namespace

void register_borrowed_buffer(py::module_& module) {
    module.def("_buffer_on", &buffer_on, py::arg("data"), py::pos_only(),
               "_buffer_on(data, /)\n--\n\n"
               "A Buffer on the bytes of another object, copied if they are read-only.");
}

}  // namespace numpool::bindings
