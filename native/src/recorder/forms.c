// Forms of calls (`_ops/call/forms.py`) and the call itself (`_ops/call/calling.py`).
#include "recorder.h"

static PyTypeObject *form_type;

typedef struct {
    char kind;        // t(ensor), T (several), o(perand), n(umber), ? (tensor or None), s(tatic), - (not passed)
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

// What one call of a form collects; all owned: a list of tensors may change while views are read.
typedef struct {
    PyObject *key;
    PyObject *operands[MOST_OPERANDS], *values[MOST_OPERANDS];
    PyObject *storages[MOST_OPERANDS];  // of tensors that are no views
    Py_ssize_t n;
    bool may_have_history;
    bool has_plain;  // a tensor that is no view
} Bound;

// Whether elements lie row by row; where a dimension has one element, or another none, strides do not
// matter. -1 with an error.
static int is_row_major(PyObject *shape, PyObject *strides) {
    Py_ssize_t expected = 1, misplaced = 0;
    for (Py_ssize_t d = PyTuple_GET_SIZE(shape) - 1; d >= 0; d--) {
        Py_ssize_t n = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, d));
        Py_ssize_t step = PyLong_AsSsize_t(PyTuple_GET_ITEM(strides, d));
        if (n == 0) return 1;
        if (n == 1) continue;
        if (step != expected) misplaced = 1;
        expected *= n;
    }
    return PyErr_Occurred() ? -1 : !misplaced;
}

// Whether a tensor lies as the form's operator needs it: -1 with an error.
static int lies_well(int layouts, PyObject *aval, PyObject *layout, PyObject *storage) {
    if (layouts == ANY_LAYOUT || layouts == ONE_NO_VIEW) return 1;
    if (layout == Py_None) {
        int strided = is_set(storage, N.strides);
        return strided < 0 ? -1 : !strided;
    }
    return layouts == NO_VIEW ? 0 : is_row_major(SLOT(aval, T.a_shape), PyTuple_GET_ITEM(layout, 0));
}

// The value of a tensor: its storage's own, or the view's, which is read then.
static PyObject *value_of(PyObject *state, PyObject *x, PyObject *storage) {
    if (!storage) return value_of_view(state, x);
    int shared = is_set(storage, N.host);
    if (shared < 0) return NULL;
    if (!shared) return Py_XNewRef(SLOT(storage, T.m_value));
    return PyObject_CallMethodNoArgs(x, N._value);
}

// Whether a tensor may have a history.
int may_need_grad(PyObject *x) {
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
        Py_CLEAR(bound->operands[i]);
        Py_CLEAR(bound->values[i]);
        Py_CLEAR(bound->storages[i]);
    }
}

// Its value is read once all arguments have been looked at.
static enum answer add_operand(Bound *bound, PyObject *x, PyObject *storage) {
    if (bound->n == MOST_OPERANDS) return DECLINED;
    bound->operands[bound->n] = Py_NewRef(x);
    bound->values[bound->n] = NULL;
    bound->storages[bound->n++] = Py_XNewRef(storage);
    return DONE;
}

// A tensor as an operand, and its aval at `i` of `key`.
static enum answer bind_tensor(Form *form, PyObject *key, Py_ssize_t i, PyObject *x, Bound *bound) {
    if (!PyObject_TypeCheck(x, T.tensor_base)) return DECLINED;
    PyObject *aval = field(x, N._aval);
    if (!aval) return FAILED;
    PyTuple_SET_ITEM(key, i, aval);
    PyObject *layout = field(x, N._layout), *storage = layout ? field(x, N._storage) : NULL;
    enum answer answer = FAILED;
    int well = storage ? lies_well(form->layouts, aval, layout, storage) : -1;
    int strided = well > 0 && layout == Py_None ? is_set(storage, N.strides) : 1;
    if (well >= 0 && strided >= 0) {
        bound->has_plain = bound->has_plain || !strided;
        answer = well ? add_operand(bound, x, layout == Py_None ? storage : NULL) : DECLINED;
    }
    Py_XDECREF(layout);
    Py_XDECREF(storage);
    return answer;
}

// A list of tensors: the tuple of their avals at `i` of the key.
static enum answer bind_tensors(Form *form, Py_ssize_t i, PyObject *x, Bound *bound) {
    if (!PyList_CheckExact(x) && !PyTuple_CheckExact(x)) return DECLINED;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(x);
    PyObject *avals = PyTuple_New(n);
    if (!avals) return FAILED;
    PyTuple_SET_ITEM(bound->key, i, avals);
    enum answer answer = DONE;
    for (Py_ssize_t k = 0; k < n && answer == DONE; k++)
        answer = bind_tensor(form, avals, k, PySequence_Fast_GET_ITEM(x, k), bound);
    return answer;
}

static enum answer bind_number(Py_ssize_t i, PyObject *x, Bound *bound) {
    if (!is_number(x)) return DECLINED;
    PyTuple_SET_ITEM(bound->key, i, Py_NewRef((PyObject *)Py_TYPE(x)));
    return add_operand(bound, x, NULL);
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
        } else if ((a->kind == 'n' && x != Py_None) || (a->kind == 'o' && is_number(x))) {
            answer = bind_number(i, x, bound);
        } else if ((a->kind == '?' || a->kind == 'n') && x == Py_None) {
            PyTuple_SET_ITEM(bound->key, i, Py_NewRef(x));
            answer = DONE;
        } else if (a->kind == 'T') {
            answer = bind_tensors(form, i, x, bound);
        } else {
            answer = bind_tensor(form, bound->key, i, x, bound);
        }
        if (answer != DONE) return answer;
    }
    return form->layouts == ONE_NO_VIEW && !bound->has_plain ? DECLINED : DONE;
}

// The values of all operands; a view's is recorded here.
static int read_operands(PyObject *state, Bound *bound) {
    for (Py_ssize_t i = 0; i < bound->n; i++) {
        PyObject *x = bound->operands[i];
        if (is_number(x)) {
            bound->values[i] = Py_NewRef(x);
            continue;
        }
        if (!(bound->values[i] = value_of(state, x, bound->storages[i]))) return -1;
        if (!bound->may_have_history) {
            int may = may_need_grad(x);
            if (may < 0) return -1;
            bound->may_have_history = may;
        }
    }
    return 0;
}

static PyObject *storage_of(PyObject *value) {
    if (T.dated) return PyObject_CallOneArg((PyObject *)T.storage, value);
    PyObject *storage = make(T.storage);
    if (!storage) return NULL;
    give(storage, T.m_value, value);
    give(storage, T.m_aval, SLOT(value, T.v_aval));
    return storage;
}

// A fresh tensor of the user's class on a storage of its own.
PyObject *tensor_from(PyObject *state, PyObject *value) {
    PyObject *class = field(T.process, N.tensor_class);
    if (!class) return NULL;
    PyObject *tensor = make((PyTypeObject *)class), *storage = storage_of(value);
    Py_DECREF(class);
    PyObject *aval = SLOT(value, T.v_aval);
    PyObject *inference = PyDict_GetItemWithError(state, N.inference);
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
    if (read_operands(state, bound)) return NULL;
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

// A bound call begins empty; its arrays are filled as operands come.
static void begin(Bound *bound) {
    bound->key = NULL;
    bound->n = 0;
    bound->may_have_history = bound->has_plain = false;
}

static PyObject *form_run(Form *form, PyObject *const *args, PyObject *kwargs) {
    Bound bound;
    begin(&bound);
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

// values(form, args, kwargs): what an operator gives, as bare values; None where Python is to record it.
PyObject *values(PyObject *module, PyObject *const *args, Py_ssize_t given) {
    if (given != 3 || Py_TYPE(args[0]) != form_type || !PyTuple_Check(args[1]) || !PyDict_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "values() takes a form, a tuple and a dict");
        return NULL;
    }
    Form *form = (Form *)args[0];
    Bound bound;
    begin(&bound);
    PyObject *state = field(T.state, N.dict), *made = NULL;
    if (!state) return NULL;
    enum answer answer = bind(form, &PyTuple_GET_ITEM(args[1], 0), args[2], &bound);
    PyObject *kernel = answer == DONE ? PyDict_GetItemWithError(form->kernels, bound.key) : NULL;
    if (kernel) {
        Py_INCREF(kernel);
        if (read_operands(state, &bound) == 0) made = record_all(kernel, bound.values, bound.n);
        Py_DECREF(kernel);
    }
    Py_DECREF(state);
    release(&bound);
    if (made || PyErr_Occurred()) return made;
    Py_RETURN_NONE;
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
PyTypeObject *make_form_type(void) {
    form_type = (PyTypeObject *)PyType_FromSpec(&form_spec);
    return form_type;
}

// call(operator, args, kwargs): by the form of such calls, or else in the general way.
PyObject *call(PyObject *module, PyObject *const *args, Py_ssize_t given) {
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
