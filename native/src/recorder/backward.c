// One node on the way back: `OpNode.apply` of `_autograd/nodes.py`, where no graph is made.
#include "recorder.h"

// Whether what a node noted of its tensors lets it use the values that it saved as they are.
static int is_untouched(PyObject *node, PyObject *keeping, PyObject *edges) {
    PyObject *noted = field(node, N.tensors);
    if (!noted) return -1;
    int answer = PyList_CheckExact(noted) || PyTuple_CheckExact(noted);
    Py_ssize_t n = answer ? PySequence_Fast_GET_SIZE(noted) : 0;
    for (Py_ssize_t i = 0; i < n && answer == 1; i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(noted, i);
        PyObject *place = PyTuple_GET_ITEM(pair, 0), *note = PyTuple_GET_ITEM(pair, 1);
        PyObject *counter = SLOT(note, T.s_counter), *storage = SLOT(note, T.s_storage);
        if (counter == storage) {  // the storage may have got a counter of its own since
            int moved = is_set(storage, N.counter);
            if (moved) answer = moved < 0 ? -1 : 0;
        }
        PyObject *version = field(counter, N.version), *writes = field(storage, N.writes);
        int shared = version && writes ? is_set(storage, N.host) : -1;
        if (shared) answer = shared < 0 ? -1 : 0;
        if (answer == 1)
            answer = PyObject_RichCompareBool(version, SLOT(note, T.s_version), Py_EQ);
        if (answer == 1) answer = PyObject_RichCompareBool(writes, SLOT(note, T.s_writes), Py_EQ);
        Py_XDECREF(version);
        Py_XDECREF(writes);
        if (answer != 1 || place == Py_None) continue;
        Py_ssize_t input = PyLong_AsSsize_t(
            PyTuple_GET_ITEM(SLOT(keeping, T.p_kept), PyLong_AsSsize_t(place)));
        PyObject *edge = PyList_GET_ITEM(edges, input);
        if (edge == Py_None) continue;
        PyObject *cut = field(PyTuple_GET_ITEM(edge, 0), N.cut);
        Py_ssize_t cuts = cut ? PyObject_Size(cut) : -1;
        Py_XDECREF(cut);
        if (cuts) answer = cuts < 0 ? -1 : 0;
    }
    Py_DECREF(noted);
    return answer;
}

// What a node's gradient kernel takes: saved values, then cotangents. Owned by the caller.
static PyObject *gradient_operands(PyObject *saved, PyObject *places, PyObject *grads) {
    Py_ssize_t n = PyList_GET_SIZE(places), m = PyList_GET_SIZE(grads), k = 0;
    PyObject *made = PyTuple_New(n + m);
    for (Py_ssize_t i = 0; made && i < n; i++) {
        PyObject *value = PyList_GET_ITEM(saved, PyLong_AsSsize_t(PyList_GET_ITEM(places, i)));
        PyTuple_SET_ITEM(made, k++, Py_NewRef(value));
    }
    for (Py_ssize_t i = 0; made && i < m; i++) {
        PyObject *grad = PyList_GET_ITEM(grads, i);
        if (grad != Py_None) PyTuple_SET_ITEM(made, k++, Py_NewRef(PyTuple_GET_ITEM(grad, 0)));
    }
    if (made && k < n + m && _PyTuple_Resize(&made, k)) return NULL;
    return made;
}

static PyObject *given_of(PyObject *grads) {
    Py_ssize_t n = PyList_GET_SIZE(grads), k = 0;
    PyObject *made = PyTuple_New(n);
    for (Py_ssize_t i = 0; made && i < n; i++)
        if (PyList_GET_ITEM(grads, i) != Py_None)
            PyTuple_SET_ITEM(made, k++, PyLong_FromSsize_t(i));
    if (made && k < n && _PyTuple_Resize(&made, k)) return NULL;
    return made;
}

// For each edge None, or the gradient that goes there: (value, None).
static PyObject *sent(PyObject *wanted, PyObject *const *values, Py_ssize_t edges) {
    PyObject *made = PyList_New(edges);
    for (Py_ssize_t i = 0; made && i < edges; i++) PyList_SET_ITEM(made, i, Py_NewRef(Py_None));
    for (Py_ssize_t i = 0; made && i < PyTuple_GET_SIZE(wanted); i++) {
        PyObject *pair = PyTuple_Pack(2, values[i], Py_None);
        if (!pair) Py_CLEAR(made);
        else PyList_SetItem(made, PyLong_AsSsize_t(PyTuple_GET_ITEM(wanted, i)), pair);
    }
    return made;
}

// `OpNode.apply` without a graph of its own, on a list of gradients; None where that is to run.
PyObject *differentiated(PyObject *node, PyObject *grads) {
    PyObject *made[MOST_OUTPUTS], *answer = NULL;
    PyObject *saved = field(node, N.saved), *packed = field(node, N.packed);
    PyObject *keeping = field(node, N.keeping), *edges = field(node, N.edges);
    PyObject *kinds = NULL, *operands = NULL, *state = NULL;
    if (!saved || !packed || !keeping || !edges) goto done;
    answer = Py_None;
    if (!PyList_CheckExact(saved) || packed != Py_None || Py_TYPE(keeping) != T.keeping ||
        !PyList_CheckExact(edges) || PyTuple_GET_SIZE(SLOT(keeping, T.p_wanted)) == 0)
        goto done;
    int untouched = is_untouched(node, keeping, edges);
    if (untouched < 0) answer = NULL;
    if (untouched <= 0) goto done;
    answer = NULL;
    if (!(kinds = given_of(grads))) goto done;
    PyObject *gradient = PyDict_GetItemWithError(SLOT(keeping, T.p_gradients), kinds);
    if (!gradient) {
        if (!PyErr_Occurred()) answer = Py_None;
        goto done;
    }
    PyObject *kernel = PyTuple_GET_ITEM(gradient, 0), *places = PyTuple_GET_ITEM(gradient, 1);
    if (!(operands = gradient_operands(saved, places, grads)) || !(state = field(T.state, N.dict)))
        goto done;
    Py_ssize_t count;
    enum answer recorded = record_into(state, kernel, &PyTuple_GET_ITEM(operands, 0),
                                       PyTuple_GET_SIZE(operands), made, &count);
    if (recorded == FAILED) goto done;
    if (recorded == DECLINED) {
        answer = Py_None;
        goto done;
    }
    PyObject *wanted = SLOT(keeping, T.p_wanted);
    if (count == PyTuple_GET_SIZE(wanted)) answer = sent(wanted, made, PyList_GET_SIZE(edges));
    else PyErr_SetString(PyExc_RuntimeError, "a gradient has another number of results");
    for (Py_ssize_t i = 0; i < count; i++) Py_DECREF(made[i]);
done:
    Py_XDECREF(saved);
    Py_XDECREF(packed);
    Py_XDECREF(keeping);
    Py_XDECREF(edges);
    Py_XDECREF(kinds);
    Py_XDECREF(operands);
    Py_XDECREF(state);
    return answer == Py_None ? Py_NewRef(answer) : answer;
}

PyObject *differentiate(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given != 2 || !PyList_CheckExact(args[1])) Py_RETURN_NONE;
    return differentiated(args[0], args[1]);
}
