// The module, and what torchish hands it.
#include "recorder.h"

struct Torchish T;
struct Names N;


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

// All that a function takes of `space`; it ends with an error where something is missing.
#define TAKE(space, classes, objects, numbers)              \
    do {                                                    \
        if (take_classes(space, classes, COUNT(classes)) || \
            take_objects(space, objects, COUNT(objects)) || \
            take_numbers(space, numbers, COUNT(numbers)))   \
            return NULL;                                    \
    } while (0)

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
    TAKE(space, classes, objects, numbers);
    const Slot slots[] = {
        {T.value, "array", &T.v_array}, {T.value, "aval", &T.v_aval},
        {T.value, "device", &T.v_device}, {T.value, "trace", &T.v_trace},
        {T.value, "slot", &T.v_slot},
        {T.trace, "bytes", &T.t_bytes}, {T.trace, "busy", &T.t_busy},
        {T.trace, "device", &T.t_device}, {T.trace, "entries", &T.t_entries},
        {T.trace, "ext_index", &T.t_ext_index}, {T.trace, "externals", &T.t_externals},
        {T.trace, "floats", &T.t_floats}, {T.trace, "ints", &T.t_ints},
        {T.trace, "complexes", &T.t_complexes}, {T.trace, "outs", &T.t_outs},
        {T.trace, "sites", &T.t_sites}, {T.trace, "watch", &T.t_watch},
        {T.trace, "ahead", &T.t_ahead},
        {T.kernel, "out_avals", &T.k_out_avals}, {T.kernel, "out_bytes", &T.k_out_bytes},
        {T.kernel, "keepings", &T.k_keepings}, {T.kernel, "saves_output", &T.k_saves_output},
        {T.aval, "ndim", &T.a_ndim}, {T.aval, "shape", &T.a_shape}, {T.aval, "strides", &T.a_strides},
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
        {"leaf_node", &T.leaf_node}, {"reads", &T.reads}, {"NO_GRAD", &T.no_grad},
    };
    const Number numbers[] = {{"DUAL", &T.dual}};
    TAKE(space, classes, objects, numbers);
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

static PyObject *use_backward(PyObject *module, PyObject *space) {
    const Class classes[] = {{"OpNode", &T.op_node}, {"AccumulateGrad", &T.accumulate_grad}};
    const Object objects[] = {
        {"fitted", &T.fitted}, {"add_vars", &T.add_vars}, {"heappush", &T.heappush},
        {"heappop", &T.heappop},
    };
    const Number numbers[] = {};
    TAKE(space, classes, objects, numbers);
    Py_RETURN_NONE;
}

static PyObject *date_storages(PyObject *module, PyObject *ignored) {
    T.dated = true;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"use_traces", use_traces, METH_O,
     "use_traces(space): torchish's classes, objects and functions that `record` takes."},
    {"use_tensors", use_tensors, METH_O, "use_tensors(space): those that forms and `call` take."},
    {"record", (PyCFunction)(void (*)(void))record, METH_FASTCALL,
     "record(kernel, operands): `torchish._core.trace.record`."},
    {"record_in", (PyCFunction)(void (*)(void))record_in, METH_FASTCALL,
     "record_in(trace, kernel): the values of a kernel without operands, or None: `record_on`."},
    {"date_storages", date_storages, METH_NOARGS,
     "date_storages(): from now on storages are made by their class, which notes the moment."},
    {"differentiate", (PyCFunction)(void (*)(void))differentiate, METH_FASTCALL,
     "differentiate(node, grads): what `OpNode.apply` gives; None where it is to do that itself."},
    {"use_backward", use_backward, METH_O, "use_backward(space): those that `walk` takes."},
    {"walk", (PyCFunction)(void (*)(void))walk, METH_FASTCALL,
     "walk(ready, buffers, waiting, counter, keeps): runs nodes up to one that Python is to run."},
    {"count", (PyCFunction)(void (*)(void))count, METH_FASTCALL,
     "count(stack, seen, stops): how many edges lead to each node below those of `stack`."},
    {"call", (PyCFunction)(void (*)(void))call, METH_FASTCALL,
     "call(operator, args, kwargs): `torchish._ops.call.calling.call`."},
    {"view", (PyCFunction)(void (*)(void))view, METH_FASTCALL,
     "view(layouts, x, given): views of `x` that a call with these arguments gave before, or None."},
    {"values", (PyCFunction)(void (*)(void))values, METH_FASTCALL,
     "values(form, args, kwargs): the bare values of an operator, or None: `_tensor/bare.py`."},
    {"assign", (PyCFunction)(void (*)(void))assign, METH_FASTCALL,
     "assign(targets, values): `torchish._tensor.bare.assign` of two lists."},
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
    PyTypeObject *form_type = make_form_type();
    if (!form_type || PyModule_AddIntConstant(module, "VERSION", VERSION) ||
        PyModule_AddIntConstant(module, "MOST_PARAMETERS", MOST_PARAMETERS) ||
        PyModule_AddIntConstant(module, "ANY_LAYOUT", ANY_LAYOUT) ||
        PyModule_AddIntConstant(module, "ROW_MAJOR", ROW_MAJOR) ||
        PyModule_AddIntConstant(module, "NO_VIEW", NO_VIEW) ||
        PyModule_AddIntConstant(module, "ONE_NO_VIEW", ONE_NO_VIEW) ||
        PyModule_AddObjectRef(module, "Form", (PyObject *)form_type)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
