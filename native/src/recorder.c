// The call path of plain operators in C: what torchish's Python does for each call, for the common
// case and nothing else.
//
// Nothing is defined here. The classes are torchish's own (their `__slots__` tell where the fields
// lie), and so are the rules: `call` is `_ops/call/calling.py` with the forms of `forms.py`,
// `record` is `Trace.record` of `_core/trace.py`, `link` is `input_edges` and `link` of
// `_autograd/apply.py` with `reverse_history` of `_autograd/nodes.py`. Whatever is out of the
// ordinary is left to those before anything has changed; they are what a reader should read, and
// what runs where this library is not installed.
//
// Invariants: every function here keeps the interpreter's lock from its first change to its last,
// so that other threads and forks see all of a call or nothing; objects that Python's collector
// tracks are made before the first change, since making one may run finalizers.
#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE_MODULE 1
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <structmember.h>

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030D0000
#define HAS_INNER_FRAMES 1
#include "internal/pycore_frame.h"
#endif

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))
#define VERSION 1  // torchish asks for it: `_basics/recorder.py`
enum answer { FAILED = -1, DECLINED = 0, DONE = 1 };

// --- what torchish hands over (use_traces, use_tensors) --------------------------------------------------------

static struct {
    // classes, and where their slots lie
    PyTypeObject *value, *trace, *kernel, *aval, *keeping, *saved_tensor, *tensor_base, *storage;
    Py_ssize_t v_array, v_aval, v_device, v_trace, v_slot;
    Py_ssize_t t_bytes, t_busy, t_device, t_entries, t_ext_index, t_externals, t_floats, t_ints;
    Py_ssize_t t_complexes, t_outs, t_sites;
    Py_ssize_t k_out_avals, k_out_bytes, k_keepings, k_saves_output;
    Py_ssize_t a_ndim, a_strides;
    Py_ssize_t m_value, m_aval;  // of a storage
    Py_ssize_t p_flows, p_gradients, p_kind, p_kept, p_holds, p_wanted;
    Py_ssize_t s_aval, s_counter, s_layout, s_producer, s_storage, s_version, s_writes;
    // objects
    PyObject *state, *settings, *process, *own_files, *sequence, *cpu, *miss, *missing;
    // functions of the general way
    PyObject *slow_record, *slow_link, *general_call, *input_edges, *static_value;
    PyObject *leaf_node;
    // first number of each kind's slots
    Py_ssize_t floats, ints, complexes;
    Py_ssize_t dual;
} T;

#define NAMES(X)                                                                                   \
    X(_accumulator) X(_aval) X(_base) X(_edge) X(_grad_fn) X(_inference) X(_layout) X(_out_nr)     \
    X(_own_version) X(_requires_grad) X(_storage) X(_value) X(anomaly) X(counter) X(cut) X(edges)         \
    X(flow) X(forms) X(forward) X(grad_enabled) X(holds_tensors) X(host) X(inference) X(is_dual)   \
    X(keeping) X(kernel) X(max_bytes) X(max_nodes) X(out_avals) X(packed) X(saved) X(saved_hooks)            \
    X(sequence) X(strides) X(tensor_class) X(tensors) X(traces) X(version) X(writes)
#define DECLARE(name) PyObject *name;
static struct { NAMES(DECLARE) PyObject *dict; } N;

static PyObject *make(PyTypeObject *type) { return type->tp_alloc(type, 0); }

static void give(PyObject *object, Py_ssize_t offset, PyObject *value) {
    SLOT(object, offset) = Py_NewRef(value);
}

// A field that is set on the object or stands on its class; a new reference.
static PyObject *field(PyObject *object, PyObject *name) { return PyObject_GetAttr(object, name); }

// Whether a field is something other than None: -1 with an error.
static int is_set(PyObject *object, PyObject *name) {
    PyObject *found = PyObject_GetAttr(object, name);
    if (!found) return -1;
    Py_DECREF(found);
    return found != Py_None;
}

static int is_true(PyObject *object, PyObject *name) {
    PyObject *found = PyObject_GetAttr(object, name);
    if (!found) return -1;
    int answer = PyObject_IsTrue(found);
    Py_DECREF(found);
    return answer;
}

// --- recording -----------------------------------------------------------------------------------

static bool is_number(PyObject *x) {
    PyTypeObject *type = Py_TYPE(x);
    return type == &PyFloat_Type || type == &PyLong_Type || type == &PyBool_Type ||
           type == &PyComplex_Type;
}

// The device that the operands are on, borrowed: that of the first value, but a 0-dim value of the
// CPU joins any device.
static PyObject *home_of(PyObject *const *operands, Py_ssize_t n) {
    PyObject *home = NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *v = operands[i];
        if (Py_TYPE(v) != T.value) continue;
        home = SLOT(v, T.v_device);
        if (home != T.cpu || PyLong_AsLong(SLOT(SLOT(v, T.v_aval), T.a_ndim)) != 0) break;
    }
    return home;
}

static int is_own_file(PyObject *file) {
    PyObject *known = PyDict_GetItemWithError(T.own_files, file);
    if (known) return known == Py_True;
    if (PyErr_Occurred()) return -1;
    known = PyObject_GetItem(T.own_files, file);  // works it out
    if (!known) return -1;
    int answer = known == Py_True;
    Py_DECREF(known);
    return answer;
}

// (code, index of the instruction). Loops come back to the same ones: the last of each kind are kept,
// which spares the collector most of these tuples.
static PyObject *place_in(PyCodeObject *code, int at) {
    enum { KEPT = 512 };
    static PyObject *kept[KEPT];
    PyObject **known = &kept[((size_t)code / 32 + (size_t)at / 2) % KEPT];
    if (*known && PyTuple_GET_ITEM(*known, 0) == (PyObject *)code &&
        PyLong_AsLong(PyTuple_GET_ITEM(*known, 1)) == at)
        return Py_NewRef(*known);
    PyObject *made = Py_BuildValue("(Oi)", code, at);
    if (made) Py_XSETREF(*known, Py_NewRef(made));
    return made;
}

// Where the user is: the place in the innermost frame outside torchish.
static PyObject *site(void) {
#ifdef HAS_INNER_FRAMES
    _PyInterpreterFrame *frame = PyThreadState_Get()->cframe->current_frame, *last = NULL;
    for (; frame; frame = frame->previous) {
        if (_PyFrame_IsIncomplete(frame)) continue;
        last = frame;
        int own = is_own_file(frame->f_code->co_filename);
        if (own < 0) return NULL;
        if (!own) break;
    }
    if (!last) {
        PyErr_SetString(PyExc_RuntimeError, "an operator is called without any frame of Python");
        return NULL;
    }
    int at = _PyInterpreterFrame_LASTI(last) * (int)sizeof(_Py_CODEUNIT);
    return place_in(last->f_code, at);
#else
    PyFrameObject *frame = PyEval_GetFrame();
    if (!frame) {
        PyErr_SetString(PyExc_RuntimeError, "an operator is called without any frame of Python");
        return NULL;
    }
    Py_INCREF(frame);
    for (;;) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        int own = is_own_file(code->co_filename);
        PyFrameObject *back = own == 1 ? PyFrame_GetBack(frame) : NULL;
        if (!back) {
            PyObject *made =
                own < 0 ? NULL : place_in(code, PyFrame_GetLasti(frame));
            Py_DECREF(code);
            Py_DECREF(frame);
            return made;
        }
        Py_DECREF(code);
        Py_DECREF(frame);
        frame = back;
    }
#endif
}

// Whether every operand can be recorded in `trace` as it is.
static bool all_simple(PyObject *trace, PyObject *const *operands, Py_ssize_t n) {
    PyObject *home = SLOT(trace, T.t_device);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *v = operands[i];
        if (Py_TYPE(v) == T.value) {
            if (SLOT(v, T.v_trace) == trace) continue;
            if (SLOT(v, T.v_array) == Py_None || SLOT(v, T.v_device) != home) return false;
        } else if (!is_number(v)) {
            return false;
        }
    }
    return true;
}

static int add_slot(PyObject *entries, Py_ssize_t slot) {
    PyObject *number = PyLong_FromSsize_t(slot);
    if (!number) return -1;
    int failed = PyList_Append(entries, number);
    Py_DECREF(number);
    return failed;
}

static int add_number(PyObject *trace, PyObject *entries, PyObject *v) {
    PyTypeObject *type = Py_TYPE(v);
    PyObject *list = SLOT(trace, T.t_complexes);
    Py_ssize_t first = T.complexes;
    if (type == &PyFloat_Type) {
        list = SLOT(trace, T.t_floats);
        first = T.floats;
    } else if (type != &PyComplex_Type) {
        list = SLOT(trace, T.t_ints);
        first = T.ints;
    }
    if (add_slot(entries, first + PyList_GET_SIZE(list))) return -1;
    return PyList_Append(list, v);
}

static int add_external(PyObject *trace, PyObject *entries, PyObject *v) {
    PyObject *index = SLOT(trace, T.t_ext_index), *externals = SLOT(trace, T.t_externals);
    PyObject *key = PyLong_FromVoidPtr(v);
    if (!key) return -1;
    int failed = -1;
    PyObject *slot = PyDict_GetItemWithError(index, key);
    if (slot) {
        failed = PyList_Append(entries, slot);
    } else if (!PyErr_Occurred()) {
        slot = PyLong_FromSsize_t(-1 - PyList_GET_SIZE(externals));
        if (slot) {
            failed = PyDict_SetItem(index, key, slot) || PyList_Append(externals, v) ||
                     PyList_Append(entries, slot);
            Py_DECREF(slot);
        }
    }
    Py_DECREF(key);
    return failed ? -1 : 0;
}

static int add_operands(PyObject *trace, PyObject *entries, PyObject *const *operands,
                        Py_ssize_t n) {
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *v = operands[i];
        int failed;
        if (Py_TYPE(v) != T.value) failed = add_number(trace, entries, v);
        else if (SLOT(v, T.v_trace) == trace) failed = PyList_Append(entries, SLOT(v, T.v_slot));
        else failed = add_external(trace, entries, v);
        if (failed) return -1;
    }
    return 0;
}

// A value that waits in `trace` for its array, and the weak reference that the trace keeps.
static PyObject *pending(PyObject *trace, PyObject *aval, PyObject *slot, PyObject **reference) {
    PyObject *value = make(T.value);
    if (!value) return NULL;
    give(value, T.v_array, Py_None);
    give(value, T.v_aval, aval);
    give(value, T.v_device, SLOT(trace, T.t_device));
    give(value, T.v_trace, trace);
    give(value, T.v_slot, slot);
    *reference = PyWeakref_NewRef(value, NULL);
    if (!*reference) Py_CLEAR(value);
    else PyObject_GC_UnTrack(*reference);  // without a callback it is part of no cycle
    return value;
}

#define MOST_OUTPUTS 8

// Append a node to this thread's trace; its values go to `made`, as new references.
static enum answer record_into(PyObject *state, PyObject *kernel, PyObject *const *operands,
                               Py_ssize_t n, PyObject **made, Py_ssize_t *count) {
    PyObject *home = home_of(operands, n);
    if (!home) return DECLINED;
    PyObject *traces = PyDict_GetItemWithError(state, N.traces);
    PyObject *trace = traces ? PyDict_GetItemWithError(traces, home) : NULL;
    if (!trace) return PyErr_Occurred() ? FAILED : DECLINED;
    if (Py_TYPE(trace) != T.trace || SLOT(trace, T.t_busy) != Py_False) return DECLINED;
    PyObject *avals = SLOT(kernel, T.k_out_avals);
    Py_ssize_t outputs = PyTuple_GET_SIZE(avals);
    if (outputs > MOST_OUTPUTS || !all_simple(trace, operands, n)) return DECLINED;

    PyObject *most_nodes = field(T.settings, N.max_nodes);
    PyObject *most_bytes = field(T.settings, N.max_bytes);
    Py_ssize_t nodes = most_nodes ? PyLong_AsSsize_t(most_nodes) : -1;
    Py_ssize_t limit = most_bytes ? PyLong_AsSsize_t(most_bytes) : -1;
    Py_XDECREF(most_nodes);
    Py_XDECREF(most_bytes);
    Py_ssize_t own = PyLong_AsSsize_t(SLOT(kernel, T.k_out_bytes));
    Py_ssize_t bytes = PyLong_AsSsize_t(SLOT(trace, T.t_bytes));
    if (PyErr_Occurred()) return FAILED;
    PyObject *sites = SLOT(trace, T.t_sites);
    if (PyList_GET_SIZE(sites) >= nodes || own > limit - bytes) return DECLINED;

    // What the collector tracks first; then the lists grow, which runs nobody's code.
    PyObject *references[MOST_OUTPUTS] = {NULL};
    PyObject *place = site(), *outs = SLOT(trace, T.t_outs), *total = NULL;
    if (!place) return FAILED;
    bool failed = false;
    Py_ssize_t first = PyList_GET_SIZE(outs), k = 0;
    for (; k < outputs && !failed; k++) {
        PyObject *slot = PyLong_FromSsize_t(first + k);
        made[k] = slot ? pending(trace, PyTuple_GET_ITEM(avals, k), slot, &references[k]) : NULL;
        Py_XDECREF(slot);
        failed = !made[k];
    }
    if (!failed) total = PyLong_FromSsize_t(bytes + own);
    // Making them may have run a finalizer that recorded something: the slots would be others'.
    bool is_stale = SLOT(trace, T.t_outs) != outs || PyList_GET_SIZE(outs) != first;
    PyObject *entries = SLOT(trace, T.t_entries);
    sites = SLOT(trace, T.t_sites);
    failed = failed || !total;
    if (!failed && !is_stale) {
        Py_ssize_t mark = PyList_GET_SIZE(entries);
        failed = PyList_Append(entries, kernel) || add_operands(trace, entries, operands, n) ||
                 PyList_Append(sites, place);
        for (Py_ssize_t j = 0; j < outputs && !failed; j++)
            failed = PyList_Append(outs, references[j]) != 0;
        if (failed) {  // out of memory: the trace is as it was
            PyErr_Clear();
            PyList_SetSlice(entries, mark, PyList_GET_SIZE(entries), NULL);
            PyList_SetSlice(outs, first, PyList_GET_SIZE(outs), NULL);
            PyErr_NoMemory();
        } else {
            PyObject *old = SLOT(trace, T.t_bytes);
            SLOT(trace, T.t_bytes) = Py_NewRef(total);
            Py_DECREF(old);
        }
    }
    Py_DECREF(place);
    Py_XDECREF(total);
    for (Py_ssize_t j = 0; j < k; j++) {
        Py_XDECREF(references[j]);
        if (failed || is_stale) Py_CLEAR(made[j]);
    }
    if (failed) return FAILED;
    *count = outputs;
    return is_stale ? DECLINED : DONE;
}

static PyObject *record(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given < 2) {
        PyErr_SetString(PyExc_TypeError, "record() takes a kernel and operands");
        return NULL;
    }
    PyObject *operands = args[1];
    if ((PyList_CheckExact(operands) || PyTuple_CheckExact(operands)) &&
        PyObject_TypeCheck(args[0], T.kernel)) {
        PyObject *made[MOST_OUTPUTS];
        Py_ssize_t count;
        PyObject *state = field(T.state, N.dict);
        if (!state) return NULL;
        Py_INCREF(operands);
        enum answer answer = record_into(state, args[0], PySequence_Fast_ITEMS(operands),
                                         PySequence_Fast_GET_SIZE(operands), made, &count);
        Py_DECREF(operands);
        Py_DECREF(state);
        if (answer == FAILED) return NULL;
        if (answer == DONE) {
            PyObject *list = PyList_New(count);
            for (Py_ssize_t i = 0; i < count; i++) {
                if (list) PyList_SET_ITEM(list, i, made[i]);
                else Py_DECREF(made[i]);
            }
            return list;
        }
    }
    return PyObject_Vectorcall(T.slow_record, args, given, NULL);
}

// --- history -------------------------------------------------------------------------------------

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
static enum answer link_fast(PyObject *state, PyObject *kernel, PyObject *const *operands,
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

static PyObject *as_tuple(PyObject *const *items, Py_ssize_t n) {
    PyObject *made = PyTuple_New(n);
    for (Py_ssize_t i = 0; made && i < n; i++) PyTuple_SET_ITEM(made, i, Py_NewRef(items[i]));
    return made;
}

// `input_edges` and `link`, as Python does it.
static int link_slowly(PyObject *kernel, PyObject *const *operands, PyObject *const *values,
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

// --- the way back --------------------------------------------------------------------------------

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

// differentiate(node, grads): `OpNode.apply` without a graph of its own; None where that is to run.
static PyObject *differentiate(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    PyObject *made[MOST_OUTPUTS], *answer = NULL;
    PyObject *node = args[0], *grads = given == 2 ? args[1] : NULL;
    if (!grads || !PyList_CheckExact(grads)) Py_RETURN_NONE;
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

// --- forms ---------------------------------------------------------------------------------------

#define MOST_PARAMETERS 24
enum layouts { ANY_LAYOUT = 0, ROW_MAJOR = 1, NO_VIEW = 2 };

typedef struct {
    char kind;        // t(ensor), o(perand), n(umber), ? (tensor or None), s(tatic), - (not passed)
    bool is_boolean;  // a static argument that has to be a bool
    Py_ssize_t place; // among the positional arguments, or -1
    PyObject *name;   // of a keyword
} Argument;

typedef struct {
    PyObject_HEAD
    PyObject *kernels;
    int layouts;
    Py_ssize_t n;
    Argument arguments[MOST_PARAMETERS];
} Form;

// What one call of a form collects. `operands`: borrowed. `values`: owned.
typedef struct {
    PyObject *key;
    PyObject *operands[MOST_PARAMETERS], *values[MOST_PARAMETERS];
    PyObject *storages[MOST_PARAMETERS];  // of tensors that are no views; owned
    Py_ssize_t n;
    bool may_have_history;
} Bound;

// Whether a tensor lies as the form's operator needs it: -1 with an error.
static int lies_well(int layouts, PyObject *aval, PyObject *layout, PyObject *storage) {
    if (layouts == ANY_LAYOUT) return 1;
    if (layout == Py_None) {
        int strided = is_set(storage, N.strides);
        return strided < 0 ? -1 : !strided;
    }
    if (layouts == NO_VIEW) return 0;
    return PyObject_RichCompareBool(PyTuple_GET_ITEM(layout, 0), SLOT(aval, T.a_strides), Py_EQ);
}

// The value of a tensor: its storage's own, or the view's, which is read then.
static PyObject *value_of(PyObject *x, PyObject *storage) {
    if (storage) {
        int shared = is_set(storage, N.host);
        if (shared < 0) return NULL;
        if (!shared) return Py_XNewRef(SLOT(storage, T.m_value));
    }
    return PyObject_CallMethodNoArgs(x, N._value);
}

// Whether a tensor may have a history.
static int may_need_grad(PyObject *x) {
    int answer = is_true(x, N._requires_grad);
    if (answer == 0) answer = is_set(x, N._grad_fn);
    if (answer != 0) return answer;
    PyObject *base = field(x, N._base);
    if (!base) return -1;
    if (base != Py_None) {
        answer = is_true(base, N._requires_grad);
        if (answer == 0) answer = is_set(base, N._grad_fn);
    }
    Py_DECREF(base);
    return answer;
}

static void release(Bound *bound) {
    Py_CLEAR(bound->key);
    for (Py_ssize_t i = 0; i < bound->n; i++) {
        Py_CLEAR(bound->values[i]);
        Py_CLEAR(bound->storages[i]);
    }
}

static enum answer bind_tensor(Form *form, Py_ssize_t i, PyObject *x, Bound *bound) {
    if (!PyObject_TypeCheck(x, T.tensor_base)) return DECLINED;
    PyObject *aval = field(x, N._aval);
    if (!aval) return FAILED;
    PyTuple_SET_ITEM(bound->key, i, aval);
    PyObject *layout = field(x, N._layout), *storage = layout ? field(x, N._storage) : NULL;
    int well = storage ? lies_well(form->layouts, aval, layout, storage) : -1;
    Py_XDECREF(layout);
    if (well > 0 && layout == Py_None) bound->storages[bound->n] = storage;
    else Py_XDECREF(storage);
    if (well <= 0) return well < 0 ? FAILED : DECLINED;
    bound->operands[bound->n++] = x;  // its value is read once all arguments have been looked at
    return DONE;
}

static enum answer bind_number(Py_ssize_t i, PyObject *x, Bound *bound) {
    if (!is_number(x)) return DECLINED;
    PyTuple_SET_ITEM(bound->key, i, Py_NewRef((PyObject *)Py_TYPE(x)));
    bound->operands[bound->n++] = x;
    return DONE;
}

static enum answer bind_static(Argument *a, Py_ssize_t i, PyObject *x, Bound *bound) {
    PyTypeObject *type = Py_TYPE(x);
    PyObject *found;
    if (type == &PyLong_Type || type == &PyUnicode_Type || type == &PyBool_Type || x == Py_None)
        found = Py_NewRef(x);
    else if (!(found = PyObject_CallOneArg(T.static_value, x)))
        return FAILED;
    PyTuple_SET_ITEM(bound->key, i, found);
    return a->is_boolean && !PyBool_Check(found) ? DECLINED : DONE;
}

static enum answer bind(Form *form, PyObject *const *args, PyObject *kwargs, Bound *bound) {
    if (!(bound->key = PyTuple_New(form->n))) return FAILED;
    for (Py_ssize_t i = 0; i < form->n; i++) {
        Argument *a = &form->arguments[i];
        if (a->kind == '-') {
            PyTuple_SET_ITEM(bound->key, i, Py_NewRef(T.missing));
            continue;
        }
        PyObject *x = a->place >= 0 ? args[a->place] : PyDict_GetItemWithError(kwargs, a->name);
        if (!x) return PyErr_Occurred() ? FAILED : DECLINED;
        enum answer answer;
        if (a->kind == 's') {
            answer = bind_static(a, i, x, bound);
        } else if (a->kind == 'n' || (a->kind == 'o' && is_number(x))) {
            answer = bind_number(i, x, bound);
        } else if (a->kind == '?' && x == Py_None) {
            PyTuple_SET_ITEM(bound->key, i, Py_NewRef(x));
            answer = DONE;
        } else {
            answer = bind_tensor(form, i, x, bound);
        }
        if (answer != DONE) return answer;
    }
    return DONE;
}

// The values of all operands; a view's is recorded here.
static int read_operands(Bound *bound) {
    for (Py_ssize_t i = 0; i < bound->n; i++) {
        PyObject *x = bound->operands[i];
        if (is_number(x)) {
            bound->values[i] = Py_NewRef(x);
            continue;
        }
        if (!(bound->values[i] = value_of(x, bound->storages[i]))) return -1;
        if (!bound->may_have_history) {
            int may = may_need_grad(x);
            if (may < 0) return -1;
            bound->may_have_history = may;
        }
    }
    return 0;
}

// A fresh tensor of the user's class on a storage of its own.
static PyObject *tensor_from(PyObject *state, PyObject *value) {
    PyObject *class = field(T.process, N.tensor_class);
    if (!class) return NULL;
    PyObject *tensor = make((PyTypeObject *)class), *storage = make(T.storage);
    Py_DECREF(class);
    PyObject *aval = SLOT(value, T.v_aval);
    PyObject *inference = PyDict_GetItemWithError(state, N.inference);
    if (storage) {
        give(storage, T.m_value, value);
        give(storage, T.m_aval, aval);
    }
    if (!tensor || !storage || !inference || PyObject_SetAttr(tensor, N._aval, aval) ||
        PyObject_SetAttr(tensor, N._storage, storage) ||
        (inference == Py_True && PyObject_SetAttr(tensor, N._inference, Py_True)))
        Py_CLEAR(tensor);
    Py_XDECREF(storage);
    return tensor;
}

// Record the kernel of a bound call: a new tensor, NULL with an error, or MISS.
static PyObject *apply(PyObject *state, PyObject *kernel, Bound *bound) {
    PyObject *value = NULL;
    Py_ssize_t count;
    if (read_operands(bound)) return NULL;
    enum answer answer = record_into(state, kernel, bound->values, bound->n, &value, &count);
    if (answer == FAILED) return NULL;
    if (answer == DECLINED) {
        PyObject *values = as_tuple(bound->values, bound->n);
        PyObject *list =
            values ? PyObject_CallFunctionObjArgs(T.slow_record, kernel, values, NULL) : NULL;
        Py_XDECREF(values);
        if (!list) return NULL;
        value = Py_XNewRef(PyList_GetItem(list, 0));
        Py_DECREF(list);
        if (!value) return NULL;
    }
    PyObject *tensor = tensor_from(state, value);
    Py_DECREF(value);
    if (!tensor || !bound->may_have_history) return tensor;
    PyObject *enabled = PyDict_GetItemWithError(state, N.grad_enabled);
    PyObject *forward = PyDict_GetItemWithError(state, N.forward);
    if (!enabled || !forward) return Py_DECREF(tensor), NULL;
    if (enabled != Py_True && forward == Py_None) return tensor;
    answer = link_fast(state, kernel, bound->operands, bound->values, bound->n, tensor);
    if (answer == DECLINED &&
        !link_slowly(kernel, bound->operands, bound->values, bound->n, tensor))
        answer = DONE;
    if (answer != DONE) Py_CLEAR(tensor);
    return tensor;
}

static PyObject *form_run(Form *form, PyObject *const *args, PyObject *kwargs) {
    Bound bound = {.key = NULL, .n = 0, .may_have_history = false};
    for (Py_ssize_t i = 0; i < form->n; i++) bound.values[i] = bound.storages[i] = NULL;
    PyObject *made = NULL, *kernel = NULL, *state = NULL;
    enum answer answer = bind(form, args, kwargs, &bound);
    if (answer == DONE) {
        kernel = PyDict_GetItemWithError(form->kernels, bound.key);
        if (!kernel) answer = PyErr_Occurred() ? FAILED : DECLINED;
        else if (PyTuple_GET_SIZE(SLOT(kernel, T.k_out_avals)) != 1) answer = DECLINED;
    }
    if (answer == DONE && (state = field(T.state, N.dict))) {
        Py_INCREF(kernel);
        made = apply(state, kernel, &bound);
        Py_DECREF(kernel);
        Py_DECREF(state);
    }
    release(&bound);
    return answer == DECLINED ? Py_NewRef(T.miss) : made;
}

static PyObject *form_call(PyObject *self, PyObject *args, PyObject *kwargs) {
    return form_run((Form *)self, &PyTuple_GET_ITEM(args, 0), kwargs);
}

static int form_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Form *)self)->kernels);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int form_clear(PyObject *self) {
    Form *form = (Form *)self;
    Py_CLEAR(form->kernels);
    for (Py_ssize_t i = 0; i < form->n; i++) Py_CLEAR(form->arguments[i].name);
    return 0;
}

static void form_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    form_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

// Form(kernels, arguments, layouts): arguments are (kind, is_boolean, place, name) in the order of
// the operator's parameters.
static PyObject *form_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *kernels, *arguments;
    int layouts;
    if (!PyArg_ParseTuple(args, "O!O!i", &PyDict_Type, &kernels, &PyTuple_Type, &arguments,
                          &layouts))
        return NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(arguments);
    if (n > MOST_PARAMETERS) {
        PyErr_SetString(PyExc_ValueError, "too many parameters for a form");
        return NULL;
    }
    Form *form = (Form *)make(type);
    if (!form) return NULL;
    form->kernels = Py_NewRef(kernels);
    form->layouts = layouts;
    for (Py_ssize_t i = 0; i < n; i++) {
        Argument *a = &form->arguments[i];
        const char *kind;
        int is_boolean;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(arguments, i), "spnO", &kind, &is_boolean, &a->place,
                              &a->name)) {
            a->name = NULL;
            Py_DECREF(form);
            return NULL;
        }
        a->kind = kind[0];
        a->is_boolean = is_boolean;
        Py_INCREF(a->name);
        form->n = i + 1;
    }
    return (PyObject *)form;
}

static PyType_Slot form_slots[] = {
    {Py_tp_new, form_new},           {Py_tp_call, form_call},   {Py_tp_dealloc, form_dealloc},
    {Py_tp_traverse, form_traverse}, {Py_tp_clear, form_clear}, {0, NULL},
};
static PyType_Spec form_spec = {
    .name = "torchish_cpu._recorder.Form",
    .basicsize = sizeof(Form),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = form_slots,
};
static PyTypeObject *form_type;

// call(operator, args, kwargs): by the form of such calls, or else in the general way.
static PyObject *call(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given == 3 && PyTuple_CheckExact(args[1]) && PyDict_CheckExact(args[2])) {
        Py_ssize_t positional = PyTuple_GET_SIZE(args[1]);
        if (PyDict_GET_SIZE(args[2]) == 0) {
            PyObject *forms = field(args[0], N.forms), *shape = PyLong_FromSsize_t(positional);
            PyObject *form = forms && shape ? PyDict_GetItemWithError(forms, shape) : NULL;
            Py_XDECREF(shape);
            PyObject *made = NULL;
            if (form && Py_TYPE(form) == form_type) {
                Py_INCREF(form);
                made = form_run((Form *)form, &PyTuple_GET_ITEM(args[1], 0), args[2]);
                Py_DECREF(form);
                if (!made || made != T.miss) return Py_XDECREF(forms), made;
                Py_DECREF(made);
            }
            Py_XDECREF(forms);
            if (PyErr_Occurred()) return NULL;
        }
    }
    return PyObject_Vectorcall(T.general_call, args, given, NULL);
}

// --- setting up ----------------------------------------------------------------------------------

static int find_slot(PyObject *class, const char *name, Py_ssize_t *offset) {
    PyObject *found = PyObject_GetAttrString(class, name);
    if (!found) return -1;
    int failed = 0;
    if (Py_IS_TYPE(found, &PyMemberDescr_Type) &&
        ((PyMemberDescrObject *)found)->d_member->type == T_OBJECT_EX) {
        *offset = ((PyMemberDescrObject *)found)->d_member->offset;
    } else {
        PyErr_Format(PyExc_TypeError, "%R has no slot %s", class, name);
        failed = -1;
    }
    Py_DECREF(found);
    return failed;
}

static PyObject *entry(PyObject *space, const char *name) {  // kept for good
    PyObject *found = PyDict_GetItemString(space, name);
    if (!found) PyErr_Format(PyExc_KeyError, "%s", name);
    return Py_XNewRef(found);
}

typedef struct { PyTypeObject *class; const char *name; Py_ssize_t *offset; } Slot;

static int find_slots(const Slot *wanted, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (find_slot((PyObject *)wanted[i].class, wanted[i].name, wanted[i].offset)) return -1;
    return 0;
}

typedef struct { const char *name; PyTypeObject **class; } Class;
typedef struct { const char *name; PyObject **object; } Object;
typedef struct { const char *name; Py_ssize_t *number; } Number;
#define COUNT(list) (sizeof(list) / sizeof *(list))

static int take_classes(PyObject *space, const Class *wanted, size_t n) {
    for (size_t i = 0; i < n; i++) {
        PyObject *class = entry(space, wanted[i].name);
        if (!class) return -1;
        if (!PyType_Check(class)) {
            PyErr_Format(PyExc_TypeError, "%s is no class", wanted[i].name);
            return -1;
        }
        *wanted[i].class = (PyTypeObject *)class;
    }
    return 0;
}

static int take_objects(PyObject *space, const Object *wanted, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(*wanted[i].object = entry(space, wanted[i].name))) return -1;
    return 0;
}

static int take_numbers(PyObject *space, const Number *wanted, size_t n) {
    for (size_t i = 0; i < n; i++) {
        PyObject *number = entry(space, wanted[i].name);
        if (!number) return -1;
        *wanted[i].number = PyLong_AsSsize_t(number);
        if (PyErr_Occurred()) return -1;
    }
    return 0;
}

static PyObject *use_traces(PyObject *module, PyObject *space) {
    const Class classes[] = {
        {"Value", &T.value}, {"Trace", &T.trace}, {"Kernel", &T.kernel}, {"Aval", &T.aval},
    };
    const Object objects[] = {
        {"state", &T.state}, {"settings", &T.settings}, {"own_files", &T.own_files},
        {"cpu", &T.cpu}, {"record", &T.slow_record},
    };
    const Number numbers[] = {
        {"FLOATS", &T.floats}, {"INTS", &T.ints}, {"COMPLEXES", &T.complexes},
    };
    if (take_classes(space, classes, COUNT(classes)) ||
        take_objects(space, objects, COUNT(objects)) ||
        take_numbers(space, numbers, COUNT(numbers)))
        return NULL;
    const Slot slots[] = {
        {T.value, "array", &T.v_array}, {T.value, "aval", &T.v_aval},
        {T.value, "device", &T.v_device}, {T.value, "trace", &T.v_trace},
        {T.value, "slot", &T.v_slot},
        {T.trace, "bytes", &T.t_bytes}, {T.trace, "busy", &T.t_busy},
        {T.trace, "device", &T.t_device}, {T.trace, "entries", &T.t_entries},
        {T.trace, "ext_index", &T.t_ext_index}, {T.trace, "externals", &T.t_externals},
        {T.trace, "floats", &T.t_floats}, {T.trace, "ints", &T.t_ints},
        {T.trace, "complexes", &T.t_complexes}, {T.trace, "outs", &T.t_outs},
        {T.trace, "sites", &T.t_sites},
        {T.kernel, "out_avals", &T.k_out_avals}, {T.kernel, "out_bytes", &T.k_out_bytes},
        {T.kernel, "keepings", &T.k_keepings}, {T.kernel, "saves_output", &T.k_saves_output},
        {T.aval, "ndim", &T.a_ndim}, {T.aval, "strides", &T.a_strides},
    };
    if (find_slots(slots, COUNT(slots))) return NULL;
    Py_RETURN_NONE;
}

static PyObject *use_tensors(PyObject *module, PyObject *space) {
    const Class classes[] = {
        {"Keeping", &T.keeping}, {"SavedTensor", &T.saved_tensor},
        {"TensorBase", &T.tensor_base}, {"Storage", &T.storage},
    };
    const Object objects[] = {
        {"process", &T.process}, {"sequence", &T.sequence}, {"MISS", &T.miss},
        {"MISSING", &T.missing}, {"link", &T.slow_link}, {"call", &T.general_call},
        {"input_edges", &T.input_edges}, {"static", &T.static_value},
        {"leaf_node", &T.leaf_node},
    };
    const Number numbers[] = {{"DUAL", &T.dual}};
    if (take_classes(space, classes, COUNT(classes)) ||
        take_objects(space, objects, COUNT(objects)) ||
        take_numbers(space, numbers, COUNT(numbers)))
        return NULL;
    const Slot slots[] = {
        {T.storage, "_value", &T.m_value}, {T.storage, "aval", &T.m_aval},
        {T.keeping, "flows", &T.p_flows}, {T.keeping, "kind", &T.p_kind},
        {T.keeping, "gradients", &T.p_gradients}, {T.keeping, "wanted", &T.p_wanted},
        {T.keeping, "kept", &T.p_kept}, {T.keeping, "holds_tensors", &T.p_holds},
        {T.saved_tensor, "aval", &T.s_aval}, {T.saved_tensor, "counter", &T.s_counter},
        {T.saved_tensor, "layout", &T.s_layout}, {T.saved_tensor, "producer", &T.s_producer},
        {T.saved_tensor, "storage", &T.s_storage}, {T.saved_tensor, "version", &T.s_version},
        {T.saved_tensor, "writes", &T.s_writes},
    };
    if (find_slots(slots, COUNT(slots))) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"use_traces", use_traces, METH_O,
     "use_traces(space): torchish's classes, objects and functions that `record` takes."},
    {"use_tensors", use_tensors, METH_O, "use_tensors(space): those that forms and `call` take."},
    {"record", (PyCFunction)(void (*)(void))record, METH_FASTCALL,
     "record(kernel, operands): `torchish._core.trace.record`."},
    {"differentiate", (PyCFunction)(void (*)(void))differentiate, METH_FASTCALL,
     "differentiate(node, grads): what `OpNode.apply` gives; None where it is to do that itself."},
    {"call", (PyCFunction)(void (*)(void))call, METH_FASTCALL,
     "call(operator, args, kwargs): `torchish._ops.call.calling.call`."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, .m_name = "torchish_cpu._recorder",
    .m_doc = "The call path of plain operators in C.", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__recorder(void) {
#define INTERN(name) if (!(N.name = PyUnicode_InternFromString(#name))) return NULL;
    NAMES(INTERN)
    if (!(N.dict = PyUnicode_InternFromString("__dict__"))) return NULL;
    PyObject *module = PyModule_Create(&module_def);
    if (!module) return NULL;
    form_type = (PyTypeObject *)PyType_FromSpec(&form_spec);
    if (!form_type || PyModule_AddIntConstant(module, "VERSION", VERSION) ||
        PyModule_AddIntConstant(module, "MOST_PARAMETERS", MOST_PARAMETERS) || PyModule_AddObjectRef(module, "Form", (PyObject *)form_type)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
