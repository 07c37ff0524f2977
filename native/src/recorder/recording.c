// Appending a node to a trace: `Trace.record` of `_core/trace.py`.
#include "recorder.h"

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

// Once so many inputs are known, whoever runs programs ahead looks whether this one can.
static int let_look(PyObject *trace) {
    Py_ssize_t known = PyList_GET_SIZE(SLOT(trace, T.t_externals));
    if (known < PyLong_AsSsize_t(SLOT(trace, T.t_watch))) return 0;
    PyObject *ahead = Py_NewRef(SLOT(trace, T.t_ahead));
    PyObject *done = PyObject_CallMethodNoArgs(ahead, N.look);
    Py_DECREF(ahead);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

// Append a node to `trace`; its values go to `made`, as new references. `made` and `references` have
// room for `room` of them.
static enum answer record_at(PyObject *trace, PyObject *kernel, PyObject *const *operands,
                             Py_ssize_t n, PyObject **made, PyObject **references, Py_ssize_t room,
                             Py_ssize_t *count) {
    if (Py_TYPE(trace) != T.trace || SLOT(trace, T.t_busy) != Py_False) return DECLINED;
    if (let_look(trace)) return FAILED;
    PyObject *avals = SLOT(kernel, T.k_out_avals);
    Py_ssize_t outputs = PyTuple_GET_SIZE(avals);
    if (outputs > room || !all_simple(trace, operands, n)) return DECLINED;

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
    // That may have run a finalizer that recorded something, or let another thread begin to run
    // what is pending here: the slots would be others'.
    bool is_stale = SLOT(trace, T.t_busy) != Py_False || SLOT(trace, T.t_outs) != outs ||
                    PyList_GET_SIZE(outs) != first;
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

// The same, in this thread's trace for the operands.
static enum answer record_with_room(PyObject *state, PyObject *kernel, PyObject *const *operands,
                                    Py_ssize_t n, PyObject **made, PyObject **references,
                                    Py_ssize_t room, Py_ssize_t *count) {
    PyObject *home = home_of(operands, n);
    if (!home) return DECLINED;
    PyObject *traces = PyDict_GetItemWithError(state, N.traces);
    PyObject *trace = traces ? PyDict_GetItemWithError(traces, home) : NULL;
    if (!trace) return PyErr_Occurred() ? FAILED : DECLINED;
    Py_INCREF(trace);
    enum answer answer = record_at(trace, kernel, operands, n, made, references, room, count);
    Py_DECREF(trace);
    return answer;
}

enum answer record_into(PyObject *state, PyObject *kernel, PyObject *const *operands,
                               Py_ssize_t n, PyObject **made, Py_ssize_t *count) {
    PyObject *references[MOST_OUTPUTS];
    return record_with_room(state, kernel, operands, n, made, references, MOST_OUTPUTS, count);
}

static PyObject *as_list(PyObject **made, Py_ssize_t count) {
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (list) PyList_SET_ITEM(list, i, made[i]);
        else Py_DECREF(made[i]);
    }
    return list;
}

// The values of a kernel as a list; None where Python is to record it.
PyObject *record_all(PyObject *kernel, PyObject *const *operands, Py_ssize_t n) {
    PyObject *few[2 * MOST_OUTPUTS], **made = few;
    Py_ssize_t room = PyTuple_GET_SIZE(SLOT(kernel, T.k_out_avals)), count;
    if (room > MOST_OUTPUTS && !(made = PyMem_New(PyObject *, 2 * room))) return PyErr_NoMemory();
    PyObject *state = field(T.state, N.dict), *found = NULL;
    if (state) {
        enum answer answer =
            record_with_room(state, kernel, operands, n, made, made + room, room, &count);
        if (answer == DONE) found = as_list(made, count);
        if (answer == DECLINED) found = Py_NewRef(Py_None);
        Py_DECREF(state);
    }
    if (made != few) PyMem_Free(made);
    return found;
}

PyObject *record(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given < 2) {
        PyErr_SetString(PyExc_TypeError, "record() takes a kernel and operands");
        return NULL;
    }
    PyObject *operands = args[1];
    if ((PyList_CheckExact(operands) || PyTuple_CheckExact(operands)) &&
        PyObject_TypeCheck(args[0], T.kernel)) {
        Py_INCREF(operands);
        PyObject *found = record_all(args[0], PySequence_Fast_ITEMS(operands),
                                     PySequence_Fast_GET_SIZE(operands));
        Py_DECREF(operands);
        if (found != Py_None) return found;
        Py_DECREF(found);
    }
    return PyObject_Vectorcall(T.slow_record, args, given, NULL);
}

// A kernel without operands, as a list; None where Python is to record it.
PyObject *record_in(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given != 2 || !PyObject_TypeCheck(args[1], T.kernel)) {
        PyErr_SetString(PyExc_TypeError, "record_in() takes a trace and a kernel");
        return NULL;
    }
    PyObject *made[MOST_OUTPUTS], *references[MOST_OUTPUTS];
    Py_ssize_t count;
    enum answer answer = record_at(args[0], args[1], NULL, 0, made, references, MOST_OUTPUTS, &count);
    if (answer == DONE) return as_list(made, count);
    return answer == DECLINED ? Py_NewRef(Py_None) : NULL;
}
