// A result's history: `input_edges` and `link` of `_autograd/apply.py`, `reverse_history` of
// `_autograd/nodes.py`.
#include "recorder.h"

// What a weak reference refers to, a new reference; NULL, without an error, for what has died.
static PyObject *referent(PyObject *reference) {
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *found = NULL;
    PyWeakref_GetRef(reference, &found);
    return found;
#else
    PyObject *found = PyWeakref_GetObject(reference);
    return found == Py_None ? NULL : Py_NewRef(found);
#endif
}

// The accumulator of a leaf: one while anything refers to it.
static PyObject *accumulator_of(PyObject *leaf) {
    PyObject *reference = field(leaf, N._accumulator);
    if (!reference) return NULL;
    PyObject *node = NULL;
    if (PyWeakref_Check(reference)) node = referent(reference);
    Py_DECREF(reference);
    if (node || PyErr_Occurred()) return node;
    return PyObject_CallOneArg(T.leaf_node, leaf);
}

// Where a tensor's gradient goes: a new (node, number), or None.
static PyObject *edge_of(PyObject *x) {
    int viewed = is_set(x, N._base);
    if (viewed < 0) return NULL;
    if (viewed) return PyObject_CallMethodNoArgs(x, N._edge);
    PyObject *made = field(x, N._grad_fn);
    if (!made) return NULL;
    PyObject *number = NULL, *edge = NULL;
    if (made != Py_None) {
        number = field(x, N._out_nr);
    } else {
        Py_DECREF(made);
        int wanted = is_true(x, N._requires_grad);
        if (wanted < 0) return NULL;
        if (!wanted) return Py_NewRef(Py_None);
        made = accumulator_of(x);
        number = PyLong_FromLong(0);
    }
    if (made && number) edge = PyTuple_Pack(2, made, number);
    Py_XDECREF(made);
    Py_XDECREF(number);
    return edge;
}

// The edges of all operands and the pattern of their flows; `found` whether there is any.
static int edges_of(PyObject *const *operands, Py_ssize_t n, PyObject *edges, PyObject *pattern,
                    bool *found) {
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *x = operands[i];
        PyObject *edge, *flow;
        if (PyObject_TypeCheck(x, T.tensor_base)) {
            edge = edge_of(x);
        } else {
            edge = Py_NewRef(Py_None);
        }
        if (!edge) return -1;
        PyList_SET_ITEM(edges, i, edge);
        if (edge == Py_None) {
            flow = PyLong_FromLong(0);
        } else {
            *found = true;
            flow = field(PyTuple_GET_ITEM(edge, 0), N.flow);
        }
        if (!flow) return -1;
        PyTuple_SET_ITEM(pattern, i, flow);
    }
    return 0;
}

// A SavedTensor: memory at a version.
static PyObject *saved_tensor(PyObject *tensor) {
    PyObject *note = make(T.saved_tensor);
    if (!note) return NULL;
    PyObject *storage = field(tensor, N._storage), *counter = NULL, *made = NULL;
    if (!storage) goto failed;
    SLOT(note, T.s_storage) = storage;
    counter = field(tensor, N._own_version);
    if (counter == Py_None) {
        Py_DECREF(counter);
        counter = field(storage, N.counter);
        if (counter == Py_None) {
            Py_DECREF(counter);
            counter = Py_NewRef(storage);
        }
    }
    if (!counter) goto failed;
    SLOT(note, T.s_counter) = counter;
    if (!(SLOT(note, T.s_version) = field(counter, N.version))) goto failed;
    if (!(SLOT(note, T.s_writes) = field(storage, N.writes))) goto failed;
    if (!(SLOT(note, T.s_aval) = field(tensor, N._aval))) goto failed;
    if (!(SLOT(note, T.s_layout) = field(tensor, N._layout))) goto failed;
    made = field(tensor, N._grad_fn);
    if (!made) goto failed;
    int is_leaf = made == Py_None;
    if (!is_leaf && (is_leaf = is_true(made, N.is_dual)) < 0) goto failed;
    if (is_leaf) {
        SLOT(note, T.s_producer) = Py_NewRef(Py_None);
    } else {
        PyObject *number = field(tensor, N._out_nr);
        if (!number) goto failed;
        SLOT(note, T.s_producer) = PyTuple_Pack(2, (PyObject *)Py_TYPE(made), number);
        Py_DECREF(number);
        if (!SLOT(note, T.s_producer)) goto failed;
    }
    Py_DECREF(made);
    return note;
failed:
    Py_XDECREF(made);
    Py_DECREF(note);
    return NULL;
}

// (place in `saved` or None, the tensor as it was), appended to `noted`.
static int note(PyObject *noted, PyObject *place, PyObject *tensor) {
    PyObject *saved = saved_tensor(tensor);
    PyObject *pair = saved && place ? PyTuple_Pack(2, place, saved) : NULL;
    Py_XDECREF(saved);
    int failed = pair ? PyList_Append(noted, pair) : -1;
    Py_XDECREF(pair);
    return failed;
}

// What a node keeps: the values that its gradient takes, and notes on the tensors they are.
static int keep(PyObject *kernel, PyObject *keeping, PyObject *const *operands,
                PyObject *const *values, PyObject *result, PyObject *saved, PyObject *noted,
                bool *holds) {
    PyObject *kept = SLOT(keeping, T.p_kept);
    bool keeps_result = SLOT(kernel, T.k_saves_output) == Py_True;
    *holds = SLOT(keeping, T.p_holds) == Py_True;
    for (Py_ssize_t place = 0; place < PyTuple_GET_SIZE(kept); place++) {
        Py_ssize_t i = PyLong_AsSsize_t(PyTuple_GET_ITEM(kept, place));
        *holds = *holds || Py_TYPE(values[i]) == T.value;
        PyList_SET_ITEM(saved, place, Py_NewRef(values[i]));
        if (!keeps_result && PyObject_TypeCheck(operands[i], T.tensor_base)) {
            PyObject *number = PyLong_FromSsize_t(place);
            int failed = number ? note(noted, number, operands[i]) : -1;
            Py_XDECREF(number);
            if (failed) return -1;
        }
    }
    return keeps_result ? note(noted, Py_None, result) : 0;
}

// The edges of a node: those of the operands that have a gradient.
static PyObject *flowing(PyObject *keeping, PyObject *edges) {
    PyObject *flows = SLOT(keeping, T.p_flows);
    if (flows == Py_None) return Py_NewRef(edges);
    Py_ssize_t n = PyList_GET_SIZE(edges);
    PyObject *made = PyList_New(n);
    for (Py_ssize_t i = 0; made && i < n; i++) {
        bool goes = PyList_GET_ITEM(flows, i) == Py_True;
        PyList_SET_ITEM(made, i, Py_NewRef(goes ? PyList_GET_ITEM(edges, i) : Py_None));
    }
    return made;
}

static int set(PyObject *object, PyObject *name, PyObject *value) {
    return value ? PyObject_SetAttr(object, name, value) : -1;
}

// The node of one recorded kernel with a single output, which becomes `result`'s.
static int make_node(PyObject *kernel, PyObject *keeping, PyObject *edges,
                     PyObject *const *operands, PyObject *const *values, PyObject *result) {
    PyObject *saved = PyList_New(PyTuple_GET_SIZE(SLOT(keeping, T.p_kept)));
    PyObject *noted = PyList_New(0), *own = flowing(keeping, edges);
    PyObject *number = PyIter_Next(T.sequence);
    PyObject *node = make((PyTypeObject *)SLOT(keeping, T.p_kind));
    bool holds = false;
    // The result has its node before it is noted: errors name what made it.
    int failed = !saved || !noted || !own || !number || !node || set(result, N._grad_fn, node) ||
                 keep(kernel, keeping, operands, values, result, saved, noted, &holds) ||
                 set(node, N.edges, own) || set(node, N.out_avals, SLOT(kernel, T.k_out_avals)) ||
                 set(node, N.sequence, number) || set(node, N.kernel, kernel) ||
                 set(node, N.keeping, keeping) || set(node, N.saved, saved) ||
                 set(node, N.holds_tensors, holds ? Py_True : Py_False) ||
                 set(node, N.tensors, noted);
    Py_XDECREF(saved);
    Py_XDECREF(noted);
    Py_XDECREF(own);
    Py_XDECREF(number);
    Py_XDECREF(node);
    return failed ? -1 : 0;
}

// Whether this thread's modes leave history to the common way.
static int is_ordinary(PyObject *state) {
    PyObject *hooks = PyDict_GetItemWithError(state, N.saved_hooks);
    PyObject *anomaly = PyDict_GetItemWithError(state, N.anomaly);
    PyObject *forward = PyDict_GetItemWithError(state, N.forward);
    if (!hooks || !anomaly || !forward) return PyErr_Occurred() ? -1 : 0;
    return PyList_CheckExact(hooks) && PyList_GET_SIZE(hooks) == 0 && anomaly == Py_False &&
           forward == Py_None;
}

// Give `result` its history, where it has one.
enum answer link_fast(PyObject *state, PyObject *kernel, PyObject *const *operands,
                             PyObject *const *values, Py_ssize_t n, PyObject *result) {
    int ordinary = is_ordinary(state);
    if (ordinary <= 0) return ordinary < 0 ? FAILED : DECLINED;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!PyObject_TypeCheck(operands[i], T.tensor_base)) continue;
        int inference = is_true(operands[i], N._inference);
        if (inference) return inference < 0 ? FAILED : DECLINED;
    }
    PyObject *edges = PyList_New(n), *pattern = PyTuple_New(n);
    bool found = false;
    enum answer answer = FAILED;
    if (edges && pattern && edges_of(operands, n, edges, pattern, &found) == 0) {
        answer = DONE;
        for (Py_ssize_t i = 0; i < n; i++)
            if (PyLong_AsLong(PyTuple_GET_ITEM(pattern, i)) == T.dual) answer = DECLINED;
        if (found && answer == DONE) {
            PyObject *keeping =
                PyDict_GetItemWithError(SLOT(kernel, T.k_keepings), pattern);
            if (!keeping) {
                answer = PyErr_Occurred() ? FAILED : DECLINED;
            } else if (SLOT(keeping, T.p_kind) != Py_None) {
                Py_INCREF(keeping);
                if (make_node(kernel, keeping, edges, operands, values, result)) answer = FAILED;
                Py_DECREF(keeping);
            }
        }
    }
    Py_XDECREF(edges);
    Py_XDECREF(pattern);
    return answer;
}

PyObject *as_tuple(PyObject *const *items, Py_ssize_t n) {
    PyObject *made = PyTuple_New(n);
    for (Py_ssize_t i = 0; made && i < n; i++) PyTuple_SET_ITEM(made, i, Py_NewRef(items[i]));
    return made;
}

// `input_edges` and `link`, as Python does it.
int link_slowly(PyObject *kernel, PyObject *const *operands, PyObject *const *values,
                       Py_ssize_t n, PyObject *result) {
    PyObject *all = as_tuple(operands, n), *given = as_tuple(values, n), *done = NULL;
    PyObject *edges = all ? PyObject_CallOneArg(T.input_edges, all) : NULL;
    PyObject *made = PyTuple_Pack(1, result);
    if (edges == Py_None) done = Py_NewRef(Py_None);
    else if (edges && given && made)
        done = PyObject_CallFunctionObjArgs(T.slow_link, kernel, all, given, edges, made, NULL);
    Py_XDECREF(all);
    Py_XDECREF(given);
    Py_XDECREF(edges);
    Py_XDECREF(made);
    Py_XDECREF(done);
    return done ? 0 : -1;
}
