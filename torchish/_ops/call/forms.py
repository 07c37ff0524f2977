"""Call forms: a function generated for each way an operator is called, for the common case.

A form is made for the number of positional arguments and the names of the keywords of a call. It
binds them without loops, and records the operator at once where its result is row-major (so every
tensor is, for elementwise operators) and the kernel exists. In every other case it returns MISS,
and the general path of `calling.py` decides; so nothing is decided here that is not decided there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._autograd.apply import input_edges, link
from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import dtype
from ..._basics.recorder import recorder
from ..._basics.state import process, state
from ..._core import trace as tracing
from ..._core.storage import Storage
from .binding import MISSING, NUMBERS, Parameter, static

MISS = object()
# The user's frame seen from `Trace.record`: `record`, the form, `call` and the public function lie
# between them at least.
DEPTH = 5


def _no_form(*args: Any, **kwargs: Any) -> Any:
    return MISS


_PLAIN_TYPES = frozenset((int, str, bool, type(None), dtype))


def form_of(operator: Any, given: int, kwargs: Mapping[str, Any]) -> Callable[..., Any]:
    """The form of calls like this one, made when the first comes."""
    shape: Any = (given, *kwargs) if kwargs else given
    form: Any = operator.forms.get(shape)
    if form is None:
        form = operator.forms[shape] = make_form(operator, given, tuple(kwargs))
    return form  # type: ignore[no-any-return]


def make_form(operator: Any, given: int, keywords: tuple[str, ...]) -> Callable[..., Any]:
    """The form of calls with `given` positional arguments and these keywords."""
    params: Sequence[Parameter] = operator.binder.params
    names = {p.name for p in params}
    positional = operator.binder.positional
    if given > len(positional) or operator.result is not None or operator.guard is not None:
        return _no_form
    first = {p.name for p in positional[:given]}
    if any(k not in names or k in first for k in keywords):
        return _no_form
    if operator.layout is not None and not hasattr(operator.layout, "follows"):
        return _no_form
    passed = first | set(keywords)
    if any(p.name not in passed and p.default is MISSING for p in params):
        return _no_form
    kinds = [p.kind for p in params if p.name in passed]
    if not {"tensor", "operand", "tensors"} & set(kinds):
        return _no_form
    first_names = [p.name for p in positional[:given]]
    if recorder is not None and len(params) <= recorder.MOST_PARAMETERS:
        layouts = recorder.ANY_LAYOUT
        if operator.layout is not None:
            one = operator.layout.follows == "one"
            layouts = recorder.ONE_NO_VIEW if one else recorder.NO_VIEW
        elif operator.elementwise:
            layouts = recorder.ROW_MAJOR
        arguments = _arguments(params, passed, first_names)
        return recorder.Form(operator.kernels, arguments, layouts)  # type: ignore[no-any-return]
    if "tensors" in kinds:
        return _no_form
    tensor = _TENSOR
    if operator.layout is not None:
        tensor += _PLAIN
    elif operator.elementwise:  # the layout of its result follows its operands'
        tensor += _ROW_MAJOR
    source = _source(params, passed, first_names, keywords, tensor)
    space: dict[str, Any] = {
        "operator": operator, "kernels": operator.kernels, "MISS": MISS, "MISSING": MISSING,
        "TensorBase": TensorBase, "NUMBERS": frozenset(NUMBERS), "static": static,
        "PLAIN": _PLAIN_TYPES, "record": tracing.record, "state": state, "process": process,
        "DEPTH": DEPTH, "Storage": Storage, "input_edges": input_edges, "link": link,
        "new": object.__new__,
    }  # fmt: skip
    exec(compile(source, f"{__file__}:{operator.name}", "exec"), space)
    return space["form"]  # type: ignore[no-any-return]


_KINDS = {
    "tensor": "t", "tensors": "T", "operand": "o", "scalar": "n", "optional": "?", "static": "s",
}  # fmt: skip


def _arguments(params: Sequence[Parameter], passed: set[str], first: list[str]) -> tuple[Any, ...]:
    """What the recorder's form is told of each parameter: kind, whether a bool, place, name."""
    return tuple(
        (
            _KINDS[p.kind] if p.name in passed else "-",
            p.kind == "static" and p.default.__class__ is bool,
            first.index(p.name) if p.name in first else -1,
            p.name,
        )
        for p in params
    )


# Source for a tensor argument: its key entry, and where its result's layout depends on its own,
# that it is row-major (or, for operators with a rule of their own, no view at all).
_TENSOR = "    k{i} = {a}._aval\n"
_ROW_MAJOR = """\
    if {a}._layout is None:
        if {a}._storage.strides is not None: return MISS
    elif {a}._layout[0] != k{i}.strides: return MISS
"""
_PLAIN = "    if {a}._layout is not None or {a}._storage.strides is not None: return MISS\n"


def _argument(p: Parameter, a: str, i: int, tensor: str) -> str:
    """Source that sets the key entry `k` of one argument."""
    tensor = tensor.format(a=a, i=i)
    if p.kind == "tensor":
        return f"    if not isinstance({a}, TensorBase): return MISS\n{tensor}"
    if p.kind == "operand":
        inner = "".join(f"    {line}\n" for line in tensor.splitlines())
        return (
            f"    k{i} = type({a})\n    if k{i} not in NUMBERS:\n"
            f"        if not isinstance({a}, TensorBase): return MISS\n{inner}"
        )
    if p.kind == "scalar":
        return f"    k{i} = type({a})\n    if k{i} not in NUMBERS: return MISS\n"
    if p.kind == "optional":
        inner = "".join(f"    {line}\n" for line in tensor.splitlines())
        return (
            f"    if {a} is None: k{i} = None\n"
            f"    elif isinstance({a}, TensorBase):\n{inner}    else: return MISS\n"
        )
    wanted = " or type(k) is not bool" if p.default.__class__ is bool else ""
    return f"    k{i} = {a}\n    if type(k{i}) not in PLAIN: k{i} = static(k{i})\n" + (
        f"    if type(k{i}) is not bool: return MISS\n" if wanted else ""
    )


# Source of the value of a tensor argument: the storage's own, or the view's, which is read then.
_VALUE = (
    "{a}._storage._value if {a}._layout is None and {a}._storage.host is None else {a}._value()"
)
# Source that tells whether a tensor may have a history.
_WANTS = (
    "{a}._requires_grad or {a}._grad_fn is not None or "
    "({a}._base is not None and ({a}._base._requires_grad or {a}._base._grad_fn is not None))"
)
_GIVEN = {
    "tensor": "{x}", "operand": "{a} if k{i} in NUMBERS else {x}", "scalar": "{a}",
    "optional": "None if {a} is None else {x}",
}  # fmt: skip
_WANTED = {
    "tensor": "({x})", "operand": "(k{i} not in NUMBERS and ({x}))",
    "optional": "({a} is not None and ({x}))",
}  # fmt: skip


def _source(
    params: Sequence[Parameter], passed: set[str], first: list[str], keywords: tuple[str, ...],
    tensor: str,
) -> str:  # fmt: skip
    lines, key, values, operands, wanted, optional = "", [], [], [], [], False
    for i, p in enumerate(params):
        if p.name not in passed:
            key.append("MISSING")
            continue
        a = f"a_{p.name}"
        lines += _argument(p, a, i, tensor)
        key.append(f"k{i}")
        if p.kind != "static":
            values.append(_GIVEN[p.kind].format(a=a, i=i, x=_VALUE.format(a=a)))
            operands.append(a)
            optional = optional or p.kind == "optional"
        if p.kind in _WANTED:
            wanted.append(_WANTED[p.kind].format(a=a, i=i, x=_WANTS.format(a=a)))
    head = ", ".join(f"a_{n}" for n in first)
    named = "".join(f"    a_{k} = given[{k!r}]\n" for k in keywords)
    values_text = f"({', '.join(values)},)"
    operands_text = f"({', '.join(operands)},)"
    if optional:
        values_text = f"[v for v in {values_text} if v is not None]"
        operands_text = f"[x for x in {operands_text} if x is not None]"
    return f"""\
def form({head}{", " if head else ""}{"**given" if keywords else ""}):
{named}{lines}    kernel = kernels.get(({", ".join(key)},))
    if kernel is None or kernel.n_out != 1: return MISS
    values = {values_text}
    value = record(kernel, values, DEPTH)[0]
    made = new(process.tensor_class)
    made._aval = value.aval
    made._storage = Storage(value)
    if state.inference: made._inference = True
    if (state.grad_enabled or state.forward is not None) and ({" or ".join(wanted)}):
        operands = {operands_text}
        edges = input_edges(operands)
        if edges is not None: link(kernel, operands, values, edges, (made,))
    return made
"""
