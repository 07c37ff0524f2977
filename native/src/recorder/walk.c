// The way back: `Pass` of `_autograd/backward.py` for nodes without hooks, where no graph is made.
#include "recorder.h"

typedef struct {
    PyObject *ready, *buffers, *waiting, *counter;
    bool keeps;  // what nodes have saved
} Pass;

static PyObject *call_two(PyObject *function, PyObject *a, PyObject *b) {
    PyObject *both[] = {a, b};
    return PyObject_Vectorcall(function, both, 2, NULL);
}

static int push(Pass *pass, PyObject *node) {
    PyObject *sequence = field(node, N.sequence);
    PyObject *order = sequence ? PyNumber_Negative(sequence) : NULL;
    PyObject *number = order ? PyIter_Next(pass->counter) : NULL;
    PyObject *place = number ? PyTuple_Pack(3, order, number, node) : NULL;
    PyObject *done = place ? call_two(T.heappush, pass->ready, place) : NULL;
    Py_XDECREF(sequence);
    Py_XDECREF(order);
    Py_XDECREF(number);
    Py_XDECREF(place);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

// The gradients that have arrived at a node, one an output; borrowed.
static PyObject *buffer_of(Pass *pass, PyObject *node) {
    PyObject *buffer = PyDict_GetItemWithError(pass->buffers, node);
    if (buffer || PyErr_Occurred()) return buffer;
    PyObject *avals = field(node, N.out_avals);
    Py_ssize_t n = avals ? PyObject_Size(avals) : -1;
    Py_XDECREF(avals);
    if (n < 0 || !(buffer = PyList_New(n))) return NULL;
    for (Py_ssize_t i = 0; i < n; i++) PyList_SET_ITEM(buffer, i, Py_NewRef(Py_None));
    int failed = PyDict_SetItem(pass->buffers, node, buffer);
    Py_DECREF(buffer);
    return failed ? NULL : buffer;
}

static int deliver(Pass *pass, PyObject *node, Py_ssize_t output, PyObject *var) {
    PyObject *buffer = buffer_of(pass, node), *have = NULL;
    if (!buffer) return -1;
    Py_INCREF(buffer);
    if (!(have = PyList_GetItem(buffer, output))) return Py_DECREF(buffer), -1;
    PyObject *now;
    if (have == Py_None) {
        now = Py_NewRef(var);
    } else {
        Py_INCREF(have);
        now = call_two(T.add_vars, have, var);
        Py_DECREF(have);
    }
    int failed = now ? PyList_SetItem(buffer, output, now) : -1;
    Py_DECREF(buffer);
    return failed;
}

// Deliver what a node gives along one of its edges, in the dtype of what it belongs to.
static int give_gradient(Pass *pass, PyObject *node, Py_ssize_t k, PyObject *edge, PyObject *out) {
    PyObject *below = PyTuple_GET_ITEM(edge, 0);
    Py_ssize_t output = PyLong_AsSsize_t(PyTuple_GET_ITEM(edge, 1));
    PyObject *avals = field(below, N.out_avals);
    PyObject *wanted = avals ? PySequence_GetItem(avals, output) : NULL, *fitting = NULL;
    Py_XDECREF(avals);
    if (!wanted) return -1;
    if (SLOT(PyTuple_GET_ITEM(out, 0), T.v_aval) == wanted) {
        fitting = Py_NewRef(out);
    } else {
        PyObject *number = PyLong_FromSsize_t(k);
        if (number) fitting = PyObject_CallFunctionObjArgs(T.fitted, out, wanted, node, number, NULL);
        Py_XDECREF(number);
    }
    Py_DECREF(wanted);
    int failed = fitting ? deliver(pass, below, output, fitting) : -1;
    Py_XDECREF(fitting);
    return failed;
}

// One edge fewer leads to a node that still waits; the last one makes it ready.
static int arrive(Pass *pass, PyObject *node) {
    PyObject *waits = PyDict_GetItemWithError(pass->waiting, node);
    if (!waits) {
        if (!PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, node);
        return -1;
    }
    PyObject *left = PyLong_FromSsize_t(PyLong_AsSsize_t(waits) - 1);
    int failed = left ? PyDict_SetItem(pass->waiting, node, left) : -1;
    bool is_last = left && PyLong_AsSsize_t(left) == 0;
    Py_XDECREF(left);
    if (failed || PyErr_Occurred()) return -1;
    return is_last ? push(pass, node) : 0;
}

// `outs`: a list of gradients or None for each edge, or NULL for none at all.
static int send(Pass *pass, PyObject *node, PyObject *outs) {
    PyObject *found = field(node, N.edges);
    PyObject *edges = found ? PySequence_Fast(found, "edges are a sequence") : NULL;
    Py_XDECREF(found);
    int failed = edges ? 0 : -1;
    Py_ssize_t given = outs ? PyList_GET_SIZE(outs) : 0;
    for (Py_ssize_t k = 0; !failed && k < PySequence_Fast_GET_SIZE(edges); k++) {
        PyObject *edge = PySequence_Fast_GET_ITEM(edges, k);
        if (edge == Py_None) continue;
        Py_INCREF(edge);
        if (k < given && PyList_GET_ITEM(outs, k) != Py_None)
            failed = give_gradient(pass, node, k, edge, PyList_GET_ITEM(outs, k));
        if (!failed) failed = arrive(pass, PyTuple_GET_ITEM(edge, 0));
        Py_DECREF(edge);
    }
    Py_XDECREF(edges);
    return failed;
}

static int has_hooks(PyObject *node) {
    PyObject *const names[] = {N.tensor_hooks, N.retained, N.pre_hooks, N.post_hooks};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int found = is_set(node, names[i]);
        if (found) return found;
    }
    return 0;
}

// Whether a leaf takes its first gradient as it comes: row-major, without hooks.
static int takes_first(PyObject *leaf) {
    int answer = is_true(leaf, N._requires_grad);
    PyObject *const unset[] = {N._grad, N._layout, N._post_accumulate_hooks};
    for (size_t i = 0; answer > 0 && i < sizeof unset / sizeof *unset; i++) {
        int found = is_set(leaf, unset[i]);
        answer = found < 0 ? -1 : !found;
    }
    if (answer <= 0) return answer;
    PyObject *storage = field(leaf, N._storage);
    int strided = storage ? is_set(storage, N.strides) : -1;
    Py_XDECREF(storage);
    return strided < 0 ? -1 : !strided;
}

// The first gradient of a leaf becomes its `grad`.
static enum answer accumulate(PyObject *node, PyObject *grads) {
    PyObject *leaf = field(node, N.variable), *state = NULL, *made = NULL;
    enum answer answer = FAILED;
    PyObject *grad = PyList_GET_ITEM(grads, 0);
    int takes = leaf && grad != Py_None ? takes_first(leaf) : leaf ? 0 : -1;
    if (takes == 0) answer = DECLINED;
    if (takes > 0 && (state = field(T.state, N.dict)) &&
        (made = tensor_from(state, PyTuple_GET_ITEM(grad, 0))) &&
        PyObject_SetAttr(leaf, N._grad, made) == 0)
        answer = DONE;
    Py_XDECREF(leaf);
    Py_XDECREF(state);
    Py_XDECREF(made);
    return answer;
}

// Free what a node has saved, if that are values.
static int release(PyObject *node) {
    int holds = is_true(node, N.holds_tensors);
    if (holds <= 0) return holds;
    PyObject *nothing = PyTuple_New(0);
    int failed = !nothing || PyObject_SetAttr(node, N.saved, Py_None) ||
                 PyObject_SetAttr(node, N.tensors, nothing);
    Py_XDECREF(nothing);
    return failed ? -1 : 0;
}

// Run a node that is ready, as `Pass._step` does; nothing has changed where it declines.
static enum answer step(Pass *pass, PyObject *node) {
    int hooked = has_hooks(node);
    if (hooked) return hooked < 0 ? FAILED : DECLINED;
    PyObject *grads = PyDict_GetItemWithError(pass->buffers, node), *outs = NULL;
    if (!grads) return PyErr_Occurred() ? FAILED : DECLINED;
    if (!PyList_CheckExact(grads) || PyList_GET_SIZE(grads) == 0) return DECLINED;
    Py_INCREF(grads);
    enum answer answer = DECLINED;
    if (Py_TYPE(node) == T.accumulate_grad) {
        answer = accumulate(node, grads);
    } else if (Py_TYPE(node)->tp_base == T.op_node) {
        outs = differentiated(node, grads);
        answer = !outs ? FAILED : outs == Py_None ? DECLINED : DONE;
    }
    if (answer == DONE && (PyDict_DelItem(pass->buffers, node) ||
                           (outs && !pass->keeps && release(node)) || send(pass, node, outs)))
        answer = FAILED;
    Py_XDECREF(outs);
    Py_DECREF(grads);
    return answer;
}

// walk(ready, buffers, waiting, counter, keeps): run what is ready, up to a node that Python is to
// run, which is given; None where nothing is left.
PyObject *walk(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given != 5 || !PyList_CheckExact(args[0]) || !PyDict_CheckExact(args[1]) ||
        !PyDict_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "walk() takes a list, two dicts, a counter and a bool");
        return NULL;
    }
    Pass pass = {args[0], args[1], args[2], args[3], args[4] == Py_True};
    while (PyList_GET_SIZE(pass.ready)) {
        PyObject *first = PyObject_CallOneArg(T.heappop, pass.ready);
        if (!first) return NULL;
        PyObject *node = Py_NewRef(PyTuple_GET_ITEM(first, 2));
        Py_DECREF(first);
        enum answer answer = step(&pass, node);
        if (answer == DECLINED) return node;
        Py_DECREF(node);
        if (answer == FAILED) return NULL;
    }
    Py_RETURN_NONE;
}

// Count the edges of one node; nodes below that are met for the first time are looked at next.
static int count_edges(PyObject *edges, PyObject *waiting, PyObject *stack, PyObject *seen,
                       PyObject *stops) {
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(edges); k++) {
        PyObject *edge = PySequence_Fast_GET_ITEM(edges, k);
        if (edge == Py_None) continue;
        PyObject *below = PyTuple_GET_ITEM(edge, 0);
        PyObject *before = PyDict_GetItemWithError(waiting, below);
        if (!before && PyErr_Occurred()) return -1;
        PyObject *now = PyLong_FromSsize_t(before ? PyLong_AsSsize_t(before) + 1 : 1);
        int failed = now ? PyDict_SetItem(waiting, below, now) : -1;
        Py_XDECREF(now);
        if (failed) return -1;
        int is_known = PySet_Contains(seen, below);
        if (is_known == 0) is_known = PySet_Contains(stops, below);
        if (is_known < 0) return -1;
        if (!is_known && (PySet_Add(seen, below) || PyList_Append(stack, below))) return -1;
    }
    return 0;
}

// count(stack, seen, stops): how many edges lead to each node below those of `stack`; all nodes
// that are met are added to `seen`.
PyObject *count(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given != 3 || !PyList_CheckExact(args[0]) || !PySet_Check(args[1]) ||
        !PyAnySet_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "count() takes a list and two sets");
        return NULL;
    }
    PyObject *stack = args[0], *waiting = PyDict_New();
    Py_ssize_t last;
    while (waiting && (last = PyList_GET_SIZE(stack) - 1) >= 0) {
        PyObject *node = Py_NewRef(PyList_GET_ITEM(stack, last));
        PyObject *found = field(node, N.edges), *edges = NULL;
        if (found && PyList_SetSlice(stack, last, last + 1, NULL) == 0)
            edges = PySequence_Fast(found, "edges are a sequence");
        if (!edges || count_edges(edges, waiting, stack, args[1], args[2])) Py_CLEAR(waiting);
        Py_XDECREF(edges);
        Py_XDECREF(found);
        Py_DECREF(node);
    }
    return waiting;
}
