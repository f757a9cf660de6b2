// The same extension with pybind11: classes own the pool and the block.

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>

#include <numpool/c_api.h>

namespace py = pybind11;

namespace {

const NumpoolApi* numpool;

struct Drop {
    void operator()(NumpoolPool* pool) const { numpool->drop(pool); }
};
using Pool = std::unique_ptr<NumpoolPool, Drop>;

struct Release {
    NumpoolPool* pool;
    std::size_t bytes;
    void operator()(double* block) const { numpool->release(pool, block, bytes); }
};
using Block = std::unique_ptr<double[], Release>;

Block computed(const Pool& pool, std::size_t count) {
    const py::gil_scoped_release without_gil;
    const std::size_t bytes = count * sizeof(double);
    Block block{static_cast<double*>(numpool->acquire(pool.get(), bytes)), {pool.get(), bytes}};
    for (std::size_t i = 0; block && i < count; ++i) block[i] = static_cast<double>(i * i);
    return block;
}

py::object squares(Py_ssize_t count, const py::object& given) {
    if (count < 0 || count > PY_SSIZE_T_MAX / Py_ssize_t{sizeof(double)})
        throw py::value_error{"no pool has room for " + std::to_string(count) + " numbers"};
    const Pool pool{numpool->pool_from(given.ptr())};
    if (!pool) throw py::error_already_set{};
    Block block = computed(pool, static_cast<std::size_t>(count));
    const std::size_t bytes = block.get_deleter().bytes;
    PyObject* const array =
        block ? numpool->array(pool.get(), block.get(), bytes, py::str{"float64"}.ptr(), 1, &count)
              : numpool->set_refusal(pool.get(), bytes);
    if (array == nullptr) throw py::error_already_set{};
    static_cast<void>(block.release());  // The array owns it now.
    return py::reinterpret_steal<py::object>(array);
}

}  // namespace

PYBIND11_MODULE(squares, module) {
    numpool = numpool_import();
    if (numpool == nullptr) throw py::error_already_set{};
    module.def("squares", &squares, py::arg("count"), py::arg("pool") = py::none{});
}
