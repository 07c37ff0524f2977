// Views that were made before: `view_of` of `_autograd/tensor_base.py` once it has worked out the layout
// (`_ops/views/remembered.py` keeps it), and the reading of a view's content, `TensorState._value`.
#include "recorder.h"

// Whether a view's arguments are whole numbers and tuples of them: such arguments that are equal mean
// the same.
static bool are_ints(PyObject *given) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given); i++) {
        PyObject *x = PyTuple_GET_ITEM(given, i);
        if (!PyLong_CheckExact(x) && !(PyTuple_Check(x) && are_ints(x))) return false;
    }
    return true;
}

// How `x` lies: the base's aval, its own and its layout, and `given` where there is one.
static PyObject *key_of(PyObject *x, PyObject *storage, PyObject *given) {
    PyObject *aval = field(x, N._aval), *layout = field(x, N._layout);
    PyObject *base = SLOT(storage, T.m_aval), *key = NULL;
    if (aval && layout)
        key = given ? PyTuple_Pack(4, base, aval, layout, given) : PyTuple_Pack(3, base, aval, layout);
    Py_XDECREF(aval);
    Py_XDECREF(layout);
    return key;
}

// Where the version of `x` is counted.
PyObject *counter_of(PyObject *x, PyObject *storage) {
    PyObject *counter = field(x, N._own_version);
    if (!counter || counter != Py_None) return counter;
    Py_DECREF(counter);
    counter = field(storage, N.counter);
    if (!counter || counter != Py_None) return counter;
    Py_DECREF(counter);
    return Py_NewRef(storage);
}

// What all views that one call makes of `x` have in common; owned.
typedef struct {
    PyObject *storage, *base, *version, *own_version, *creation, *inference;
} Source;

static void forget(Source *s) {
    Py_XDECREF(s->storage);
    Py_XDECREF(s->base);
    Py_XDECREF(s->version);
    Py_XDECREF(s->own_version);
    Py_XDECREF(s->creation);
    Py_XDECREF(s->inference);
}

static int look_at(PyObject *x, Source *s) {
    s->storage = field(x, N._storage);
    s->base = field(x, N._base);
    s->own_version = field(x, N._own_version);
    s->creation = field(x, N._creation);
    s->inference = field(x, N._inference);
    PyObject *counter = s->storage ? counter_of(x, s->storage) : NULL;
    s->version = counter ? field(counter, N.version) : NULL;
    Py_XDECREF(counter);
    if (s->base == Py_None) {
        Py_DECREF(s->base);
        s->base = Py_NewRef(x);
    }
    return s->storage && s->base && s->own_version && s->creation && s->inference && s->version ? 0 : -1;
}

// A view without history. `part`: (aval, layout, number, creation or None, kernel or None, values).
static PyObject *bare_view(const Source *s, PyObject *part, bool grad_enabled) {
    PyObject *class = field(T.process, N.tensor_class);
    PyObject *made = class ? make((PyTypeObject *)class) : NULL;
    Py_XDECREF(class);
    if (!made) return NULL;
    PyObject *layout = PyTuple_GET_ITEM(part, 1), *number = PyTuple_GET_ITEM(part, 2);
    PyObject *creation = PyTuple_GET_ITEM(part, 3);
    if (creation == Py_None) creation = grad_enabled ? s->creation : T.no_grad;
    int failed = PyObject_SetAttr(made, N._aval, PyTuple_GET_ITEM(part, 0)) ||
                 PyObject_SetAttr(made, N._storage, s->storage) ||
                 (layout != Py_None && PyObject_SetAttr(made, N._layout, layout)) ||
                 (s->own_version != Py_None && PyObject_SetAttr(made, N._own_version, s->own_version)) ||
                 (s->inference == Py_True && PyObject_SetAttr(made, N._inference, Py_True)) ||
                 PyObject_SetAttr(made, N._base, s->base) ||
                 PyObject_SetAttr(made, N._attr_version, s->version) ||
                 PyObject_SetAttr(made, N._creation, creation) ||
                 (PyLong_AsLong(number) && PyObject_SetAttr(made, N._part, number));
    if (failed) Py_CLEAR(made);
    return made;
}

// Give a view its history; DECLINED where Python is to make it.
static enum answer link_view(PyObject *state, PyObject *x, PyObject *part, PyObject *made) {
    PyObject *kernel = PyTuple_GET_ITEM(part, 4), *values = PyTuple_GET_ITEM(part, 5);
    Py_ssize_t n = PyTuple_GET_SIZE(values);
    if (kernel == Py_None || n > MOST_PARAMETERS) return DECLINED;
    PyObject *operands[MOST_PARAMETERS], *given[MOST_PARAMETERS];
    for (Py_ssize_t i = 0; i < n; i++) operands[i] = given[i] = PyTuple_GET_ITEM(values, i);
    operands[0] = x;
    return link_fast(state, kernel, operands, given, n, made);
}

// Whether what is recorded now wants to be told of tensors that lose their history.
static int notes_cuts(PyObject *storage) {
    PyObject *value = SLOT(storage, T.m_value);
    PyObject *trace = value && Py_TYPE(value) == T.value ? SLOT(value, T.v_trace) : NULL;
    return trace && trace != Py_None ? is_set(trace, N.on_cut) : 0;
}

// The views of an entry: a tensor, or a tuple of them; NULL without an error where Python is to make them.
static PyObject *views(PyObject *state, PyObject *x, PyObject *entry, bool grad_enabled) {
    int may = grad_enabled ? may_need_grad(x) : 0;
    if (may < 0) return NULL;
    Source source = {NULL};
    PyObject *parts = PyTuple_GET_ITEM(entry, 1), *all = NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(parts);
    if (look_at(x, &source)) goto end;
    if (!grad_enabled) {
        int told = notes_cuts(source.storage);
        if (told) goto end;
    }
    all = PyTuple_New(n);
    for (Py_ssize_t i = 0; all && i < n; i++) {
        PyObject *part = PyTuple_GET_ITEM(parts, i);
        PyObject *made = bare_view(&source, part, grad_enabled);
        if (made && may && link_view(state, x, part, made) != DONE) Py_CLEAR(made);
        if (made) PyTuple_SET_ITEM(all, i, made);
        else Py_CLEAR(all);
    }
    if (all && PyTuple_GET_ITEM(entry, 0) == Py_True) Py_SETREF(all, Py_NewRef(PyTuple_GET_ITEM(all, 0)));
end:
    forget(&source);
    return all;
}

// view(layouts, x, given): what a call with these arguments gave before, of `x`; None where it is new.
PyObject *view(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given != 3 || !PyDict_Check(args[0]) || !PyTuple_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "view() takes layouts, a tensor and a tuple");
        return NULL;
    }
    PyObject *x = args[1], *made = NULL;
    if (!PyObject_TypeCheck(x, T.tensor_base) || !are_ints(args[2])) Py_RETURN_NONE;
    PyObject *storage = field(x, N._storage), *key = storage ? key_of(x, storage, args[2]) : NULL;
    PyObject *entry = key ? Py_XNewRef(PyDict_GetItemWithError(args[0], key)) : NULL;
    int strided = storage ? is_set(storage, N.strides) : -1;
    Py_XDECREF(storage);
    Py_XDECREF(key);
    if (!entry) return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    PyObject *state = field(T.state, N.dict);
    PyObject *enabled = state ? PyDict_GetItemWithError(state, N.grad_enabled) : NULL;
    PyObject *forward = state ? PyDict_GetItemWithError(state, N.forward) : NULL;
    if (strided == 0 && enabled && forward == Py_None) made = views(state, x, entry, enabled == Py_True);
    Py_XDECREF(state);
    Py_DECREF(entry);
    if (made || PyErr_Occurred()) return made;
    Py_RETURN_NONE;
}

// The kernel and the starts that read `x` out of its storage, borrowed; NULL where they are not known.
static PyObject *step_of(PyObject *x, PyObject *storage) {
    PyObject *key = key_of(x, storage, NULL);
    PyObject *step = key ? PyDict_GetItemWithError(T.reads, key) : NULL;
    Py_XDECREF(key);
    return step;
}

// Record the read of a view and keep it with the view.
static PyObject *record_read(PyObject *state, PyObject *x, PyObject *storage, PyObject *writes) {
    PyObject *step = step_of(x, storage);
    if (!step) return NULL;
    PyObject *starts = PyTuple_GET_ITEM(step, 1), *values[MOST_PARAMETERS], *made = NULL;
    Py_ssize_t n = 1 + PyTuple_GET_SIZE(starts), count;
    if (n > MOST_PARAMETERS) return NULL;
    Py_INCREF(step);
    PyObject *base = values[0] = Py_NewRef(SLOT(storage, T.m_value));
    for (Py_ssize_t i = 1; i < n; i++) values[i] = PyTuple_GET_ITEM(starts, i - 1);
    enum answer answer = record_into(state, PyTuple_GET_ITEM(step, 0), values, n, &made, &count);
    Py_DECREF(base);
    Py_DECREF(step);
    if (answer != DONE) return NULL;
    if (PyObject_SetAttr(x, N._memo, made) || PyObject_SetAttr(x, N._memo_at, writes)) Py_CLEAR(made);
    return made;
}

// The content of a view; a new reference.
PyObject *value_of_view(PyObject *state, PyObject *x) {
    PyObject *storage = field(x, N._storage), *value = NULL;
    if (!storage) return NULL;
    int shared = is_set(storage, N.host), strided = shared == 0 ? is_set(storage, N.strides) : 1;
    if (shared == 0 && strided == 0) {
        PyObject *memo = field(x, N._memo), *at = field(x, N._memo_at), *writes = field(storage, N.writes);
        int fresh = memo && at && writes ? PyObject_RichCompareBool(at, writes, Py_EQ) : -1;
        if (fresh > 0 && memo != Py_None) value = Py_NewRef(memo);
        else if (fresh >= 0) value = record_read(state, x, storage, writes);
        Py_XDECREF(memo);
        Py_XDECREF(at);
        Py_XDECREF(writes);
    }
    Py_DECREF(storage);
    if (value || PyErr_Occurred()) return value;
    return PyObject_CallMethodNoArgs(x, N._value);
}
