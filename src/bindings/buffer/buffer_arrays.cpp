/// Arrays on buffers.

#include <algorithm>

#include "bindings/buffer/buffer.hpp"
#include "bindings/python/errors.hpp"
#include "bindings/python/numpy_api.hpp"

namespace numpool::bindings {
namespace {

/// The requested dtype, or bytes for None; a new reference. Null with a Python error.
PyArray_Descr* dtype_from(PyObject* dtype) {
    if (dtype == Py_None) return PyArray_DescrFromType(NPY_UINT8);
    PyArray_Descr* result = nullptr;
    if (PyArray_DescrConverter(dtype, &result) == NPY_FAIL) return nullptr;
    // Such items are pointers, which NumPy would follow. The block holds arbitrary bytes.
    if (PyDataType_FLAGCHK(result, NPY_ITEM_REFCOUNT)) {
        PyErr_Format(
            PyExc_TypeError,
            "an array on a buffer cannot have dtype %S, whose items are references: use one that "
            "holds its bytes itself",
            result);
        Py_DECREF(result);
        return nullptr;
    }
    if (PyDataType_ELSIZE(result) == 0) {
        PyErr_Format(PyExc_ValueError, "dtype %S has no size: give the length, as in 'S8'", result);
        Py_DECREF(result);
        return nullptr;
    }
    return result;
}

/// Whether an array of these dimensions fits into so many bytes. Their product may overflow, so
/// this divides.
bool fits(const PyArray_Dims& dims, npy_intp item, Py_ssize_t bytes) {
    npy_intp left = bytes / item;
    bool empty = false;
    for (int i = 0; i < dims.len; ++i) {
        if (dims.ptr[i] == 0) empty = true;
    }
    if (empty) return true;
    if (left == 0) return false;
    for (int i = 0; i < dims.len; ++i) {
        if (dims.ptr[i] > left) return false;
        left /= dims.ptr[i];
    }
    return true;
}

bool shape_from(PyObject* shape, PyArray_Descr* dtype, Py_ssize_t bytes, PyArray_Dims* dims) {
    const npy_intp item = PyDataType_ELSIZE(dtype);
    if (shape == Py_None) {
        if (bytes % item != 0) {
            PyErr_Format(PyExc_ValueError,
                         "a buffer of %zd byte%s holds no whole number of %S items of %zd bytes: "
                         "give a shape",
                         bytes, bytes == 1 ? "" : "s", dtype, static_cast<Py_ssize_t>(item));
            return false;
        }
        const npy_intp count = bytes / item;
        dims->ptr = static_cast<npy_intp*>(PyDimMem_NEW(1));
        if (dims->ptr == nullptr) {
            PyErr_NoMemory();
            return false;
        }
        dims->ptr[0] = count;
        dims->len = 1;
        return true;
    }
    if (PyArray_IntpConverter(shape, dims) == NPY_FAIL) return false;
    if (std::any_of(dims->ptr, dims->ptr + dims->len, [](npy_intp one) { return one < 0; })) {
        PyErr_Format(
            PyExc_ValueError,
            "shape %R has a negative dimension: give the numbers of items, or no shape for "
            "as many as the buffer holds",
            shape);
        return false;
    }
    if (fits(*dims, item, bytes)) return true;
    PyErr_Format(PyExc_ValueError,
                 "an array of shape %R and dtype %S does not fit into a buffer of %zd byte%s",
                 shape, dtype, bytes, bytes == 1 ? "" : "s");
    return false;
}

}  // namespace

PyObject* array_on(Lease* lease, PyObject* dtype, PyObject* shape) {
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        if (!import_numpy()) return nullptr;
        PyArray_Descr* const descr = dtype_from(dtype);
        if (descr == nullptr) return nullptr;
        PyArray_Dims dims{nullptr, 0};
        PyObject* array = nullptr;
        if (shape_from(shape, descr, lease->holding.bytes, &dims)) {
            Py_INCREF(descr);  // The call takes one.
            array = PyArray_NewFromDescr(&PyArray_Type, descr, dims.len, dims.ptr, nullptr,
                                         lease->holding.block, NPY_ARRAY_CARRAY, nullptr);
        }
        Py_DECREF(descr);
        PyDimMem_FREE(dims.ptr);
        if (array == nullptr) return nullptr;
        Py_INCREF(&lease->ob_base);  // The call takes it, even if it fails.
        if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(array), &lease->ob_base) != 0) {
            Py_DECREF(array);
            return nullptr;
        }
        // A pool may align its blocks to less than the dtype asks for.
        PyArray_UpdateFlags(reinterpret_cast<PyArrayObject*>(array), NPY_ARRAY_ALIGNED);
        return array;
    });
}

}  // namespace numpool::bindings
