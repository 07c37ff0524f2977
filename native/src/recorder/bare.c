// Writing bare values into tensors: `assign` of `_tensor/bare.py`.
#include "recorder.h"

static int add_one(PyObject *object, PyObject *name) {
    PyObject *old = field(object, name);
    if (!old) return -1;
    PyObject *one = PyLong_FromLong(1), *next = one ? PyNumber_Add(old, one) : NULL;
    int failed = next ? PyObject_SetAttr(object, name, next) : -1;
    Py_DECREF(old);
    Py_XDECREF(one);
    Py_XDECREF(next);
    return failed;
}

// Whether writing to a tensor is no more than to replace its storage's value: -1 with an error.
static int is_replaced(PyObject *target, PyObject *storage) {
    int view = is_set(target, N._layout);
    int shared = view == 0 ? is_set(storage, N.host) : view;
    return shared == 0 ? is_set(storage, N.placement) == 0 : shared < 0 ? -1 : 0;
}

static int write_value(PyObject *target, PyObject *value) {
    if (!PyObject_TypeCheck(target, T.tensor_base) || Py_TYPE(value) != T.value) {
        PyErr_SetString(PyExc_TypeError, "assign() takes tensors and values");
        return -1;
    }
    PyObject *storage = field(target, N._storage);
    if (!storage) return -1;
    PyObject *counter = NULL;
    int plain = is_replaced(target, storage), failed = plain < 0;
    if (plain == 1) {
        failed = add_one(storage, N.writes);
        if (!failed) Py_SETREF(SLOT(storage, T.m_value), Py_NewRef(value));
    } else if (plain == 0) {
        PyObject *done = PyObject_CallMethodOneArg(target, N._write, value);
        failed = !done;
        Py_XDECREF(done);
    }
    if (!failed) failed = (counter = counter_of(target, storage)) ? add_one(counter, N.version) : -1;
    Py_XDECREF(counter);
    Py_DECREF(storage);
    return failed;
}

PyObject *assign(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given != 2 || !PyList_CheckExact(args[0]) || !PyList_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "assign() takes two lists");
        return NULL;
    }
    if (PyList_GET_SIZE(args[0]) != PyList_GET_SIZE(args[1])) {
        PyErr_SetString(PyExc_ValueError, "assign() takes as many values as targets");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[0]) && i < PyList_GET_SIZE(args[1]); i++) {
        PyObject *target = Py_NewRef(PyList_GET_ITEM(args[0], i));
        PyObject *value = Py_NewRef(PyList_GET_ITEM(args[1], i));
        int failed = write_value(target, value);
        Py_DECREF(target);
        Py_DECREF(value);
        if (failed) return NULL;
    }
    Py_RETURN_NONE;
}
