// The call path of plain operators in C: what torchish's Python does for each call, for the common
// case and nothing else.
//
// Nothing is defined here. The classes are torchish's own (their `__slots__` tell where the fields
// lie), and so are the rules: `call` is `_ops/call/calling.py` with the forms of `forms.py`,
// `record` is `Trace.record` of `_core/trace.py`, `link` is `input_edges` and `link` of
// `_autograd/apply.py` with `reverse_history` of `_autograd/nodes.py`, `view` is `view_of` of
// `_autograd/tensor_base.py`, `walk` and `count` are `Pass`
// of `_autograd/backward.py`. Whatever is out of the
// ordinary is left to those before anything has changed; they are what a reader should read, and
// what runs where this library is not installed.
//
// Invariants: every function here keeps the interpreter's lock from its first change to its last,
// so that other threads and forks see all of a call or nothing; objects that Python's collector
// tracks are made before the first change, since making one may run finalizers.
#ifndef RECORDER_H
#define RECORDER_H
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
#define VERSION 5  // torchish asks for it: `_basics/recorder.py`
// What a function that has a common case did: nothing at all, where it declined.
enum answer { FAILED = -1, DECLINED = 0, DONE = 1 };
// How the operands of a form must lie, so that its result is row-major.
enum layouts { ANY_LAYOUT, ROW_MAJOR, NO_VIEW, ONE_NO_VIEW };
#define MOST_OUTPUTS 8  // as many as a call holds without memory of their own
#define MOST_PARAMETERS 24  // of an operator that has forms
#define MOST_OPERANDS 320  // of one call: those of lists are counted one by one

#pragma GCC visibility push(hidden)

// What torchish hands over when it is imported (module.c).
extern struct Torchish {
    // classes, and where their slots lie
    PyTypeObject *value, *trace, *kernel, *aval, *keeping, *saved_tensor, *tensor_base, *storage;
    PyTypeObject *op_node, *accumulate_grad;
    Py_ssize_t v_array, v_aval, v_device, v_trace, v_slot;
    Py_ssize_t t_bytes, t_busy, t_device, t_entries, t_ext_index, t_externals, t_floats, t_ints;
    Py_ssize_t t_complexes, t_outs, t_sites, t_watch, t_ahead;
    Py_ssize_t k_out_avals, k_out_bytes, k_keepings, k_saves_output;
    Py_ssize_t a_ndim, a_shape, a_strides;
    Py_ssize_t m_value, m_aval;  // of a storage
    Py_ssize_t p_flows, p_gradients, p_kind, p_kept, p_holds, p_wanted;
    Py_ssize_t s_aval, s_counter, s_layout, s_producer, s_storage, s_version, s_writes;
    // objects
    PyObject *state, *settings, *process, *own_files, *sequence, *cpu, *miss, *missing;
    // functions of the general way
    PyObject *slow_record, *slow_link, *general_call, *input_edges, *static_value;
    PyObject *reads, *no_grad;  // steps that read views, by layout; how a view without history is marked
    PyObject *leaf_node, *fitted, *add_vars, *heappush, *heappop;
    // first number of each kind's slots
    Py_ssize_t floats, ints, complexes;
    Py_ssize_t dual;
    bool dated;  // whether storages note when they were made
} T;

#define NAMES(X) \
    X(_accumulator) X(_attr_version) X(_aval) X(_base) X(_creation) X(_edge) X(_grad) X(_grad_fn) X(_inference) X(_layout) X(_memo) X(_memo_at) \
    X(_out_nr) X(_own_version) X(_part) X(_post_accumulate_hooks) X(_requires_grad) X(_storage) X(_value) X(_write) X(anomaly) X(counter) X(cut) X(edges) \
    X(flow) X(forms) X(forward) X(grad_enabled) X(holds_tensors) X(host) X(inference) X(is_dual) \
    X(keeping) X(kernel) X(look) X(max_bytes) X(max_nodes) X(on_cut) X(out_avals) X(packed) X(placement) X(post_hooks) X(pre_hooks) \
    X(retained) X(saved) X(saved_hooks) X(sequence) X(strides) X(tensor_class) X(tensor_hooks) \
    X(tensors) X(traces) X(variable) X(version) X(writes)
#define DECLARE(name) PyObject *name;
// Interned names of fields; `N.dict` is "__dict__".
extern struct Names { NAMES(DECLARE) PyObject *dict; } N;

static inline PyObject *make(PyTypeObject *type) { return type->tp_alloc(type, 0); }

static inline void give(PyObject *object, Py_ssize_t offset, PyObject *value) {
    SLOT(object, offset) = Py_NewRef(value);
}

// A field that is set on the object or stands on its class; a new reference.
static inline PyObject *field(PyObject *object, PyObject *name) { return PyObject_GetAttr(object, name); }

// Whether a field is something other than None: -1 with an error.
static inline int is_set(PyObject *object, PyObject *name) {
    PyObject *found = PyObject_GetAttr(object, name);
    if (!found) return -1;
    Py_DECREF(found);
    return found != Py_None;
}

static inline int is_true(PyObject *object, PyObject *name) {
    PyObject *found = PyObject_GetAttr(object, name);
    if (!found) return -1;
    int answer = PyObject_IsTrue(found);
    Py_DECREF(found);
    return answer;
}

static inline bool is_number(PyObject *x) {
    PyTypeObject *type = Py_TYPE(x);
    return type == &PyFloat_Type || type == &PyLong_Type || type == &PyBool_Type ||
           type == &PyComplex_Type;
}

// recording.c
extern enum answer record_into(PyObject *state, PyObject *kernel, PyObject *const *operands,
                               Py_ssize_t n, PyObject **made, Py_ssize_t *count);
extern PyObject *record(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern PyObject *record_in(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern PyObject *record_all(PyObject *kernel, PyObject *const *operands, Py_ssize_t n);
// bare.c
extern PyObject *assign(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern PyObject *counter_of(PyObject *x, PyObject *storage);
// history.c
extern enum answer link_fast(PyObject *state, PyObject *kernel, PyObject *const *operands,
                             PyObject *const *values, Py_ssize_t n, PyObject *result);
extern int link_slowly(PyObject *kernel, PyObject *const *operands, PyObject *const *values,
                       Py_ssize_t n, PyObject *result);
extern PyObject *as_tuple(PyObject *const *items, Py_ssize_t n);
// views.c
extern PyObject *view(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern PyObject *value_of_view(PyObject *state, PyObject *x);
// backward.c
extern PyObject *differentiated(PyObject *node, PyObject *grads);
extern PyObject *differentiate(PyObject *module, PyObject *const *args, Py_ssize_t given);
// walk.c
extern PyObject *walk(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern PyObject *count(PyObject *module, PyObject *const *args, Py_ssize_t given);
// forms.c
extern PyTypeObject *make_form_type(void);
extern int may_need_grad(PyObject *x);
extern PyObject *tensor_from(PyObject *state, PyObject *value);
extern PyObject *call(PyObject *module, PyObject *const *args, Py_ssize_t given);
extern PyObject *values(PyObject *module, PyObject *const *args, Py_ssize_t given);

#pragma GCC visibility pop
#endif
