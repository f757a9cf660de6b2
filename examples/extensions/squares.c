// An extension in C. squares(count, pool=None) computes in a block of a pool, without the GIL, and
// returns an ndarray that owns the block.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <numpool/c_api.h>

static const NumpoolApi* numpool;

static double* computed(NumpoolPool* pool, Py_ssize_t count) {
    double* const block = numpool->acquire(pool, (size_t)count * sizeof(double));
    for (Py_ssize_t i = 0; block != NULL && i < count; ++i) block[i] = (double)i * (double)i;
    return block;
}

static PyObject* to_array(NumpoolPool* pool, double* block, Py_ssize_t count) {
    const size_t bytes = (size_t)count * sizeof(double);
    if (block == NULL) return numpool->set_refusal(pool, bytes);
    PyObject* const dtype = PyUnicode_FromString("float64");
    PyObject* const array =
        dtype == NULL ? NULL : numpool->array(pool, block, bytes, dtype, 1, &count);
    Py_XDECREF(dtype);
    if (array == NULL) numpool->release(pool, block, bytes);
    return array;
}

static PyObject* squares(PyObject* module, PyObject* arguments) {
    Py_ssize_t count;
    PyObject* given = NULL;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "n|O", &count, &given)) return NULL;
    if (count < 0 || count > PY_SSIZE_T_MAX / (Py_ssize_t)sizeof(double))
        return PyErr_Format(PyExc_ValueError, "no pool has room for %zd numbers", count);
    NumpoolPool* const pool = numpool->pool_from(given);
    if (pool == NULL) return NULL;

    double* block;
    Py_BEGIN_ALLOW_THREADS block = computed(pool, count);
    Py_END_ALLOW_THREADS

        PyObject* const array = to_array(pool, block, count);
    numpool->drop(pool);
    return array;
}

static PyMethodDef methods[] = {
    {"squares", squares, METH_VARARGS, "squares(count, pool=None): 0, 1, 4, ... in a pool."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "squares", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_squares(void) {
    numpool = numpool_import();
    return numpool == NULL ? NULL : PyModule_Create(&module);
}
