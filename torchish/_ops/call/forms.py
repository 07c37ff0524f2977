"""Call forms: a function generated for each way an operator is called, for the common case.

A form is made for the number of positional arguments and the names of the keywords of a call. It
binds them without loops, and records the operator at once where every tensor is a whole row-major
storage and the kernel exists. In every other case it returns MISS, and the general path of
`calling.py` decides; so nothing is decided here that is not decided there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..._autograd.apply import input_edges, link
from ..._autograd.tensor_base import TensorBase
from ..._basics.dtypes import dtype
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


_PLAIN_STATIC = frozenset((int, str, bool, type(None), dtype))


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
    if operator.layout is not None and not operator.elementwise:
        return _no_form
    passed = first | set(keywords)
    if any(p.name not in passed and p.default is MISSING for p in params):
        return _no_form
    kinds = [p.kind for p in params if p.name in passed]
    if "tensors" in kinds or ("tensor" not in kinds and "operand" not in kinds):
        return _no_form
    source = _source(params, passed, [p.name for p in positional[:given]], keywords)
    space: dict[str, Any] = {
        "operator": operator, "kernels": operator.kernels, "MISS": MISS, "MISSING": MISSING,
        "TensorBase": TensorBase, "NUMBERS": frozenset(NUMBERS), "static": static,
        "PLAIN": _PLAIN_STATIC, "record": tracing.record, "state": state, "process": process,
        "DEPTH": DEPTH, "Storage": Storage, "input_edges": input_edges, "link": link,
        "new": object.__new__,
    }  # fmt: skip
    exec(compile(source, f"{__file__}:{operator.name}", "exec"), space)
    return space["form"]  # type: ignore[no-any-return]


# A tensor whose content is a value already: `v` is that value.
_TENSOR = """\
    s = {a}._storage
    if {a}._layout is not None or s.strides is not None or s.host is not None: return MISS
    v{i} = s._value; k{i} = {a}._aval
"""


def _argument(p: Parameter, a: str, i: int) -> str:
    """Source that sets key entry `k` and, for operands, value `v` of one argument."""
    tensor = _TENSOR.format(a=a, i=i)
    if p.kind == "tensor":
        return f"    if not isinstance({a}, TensorBase): return MISS\n{tensor}"
    if p.kind == "operand":
        inner = "".join(f"    {line}\n" for line in tensor.splitlines())
        return (
            f"    k{i} = type({a})\n    if k{i} in NUMBERS: v{i} = {a}\n"
            f"    elif isinstance({a}, TensorBase):\n{inner}    else: return MISS\n"
        )
    if p.kind == "scalar":
        return f"    k{i} = type({a}); v{i} = {a}\n    if k{i} not in NUMBERS: return MISS\n"
    if p.kind == "optional":
        inner = "".join(f"    {line}\n" for line in tensor.splitlines())
        return (
            f"    if {a} is None: k{i} = v{i} = None\n"
            f"    elif isinstance({a}, TensorBase):\n{inner}    else: return MISS\n"
        )
    wanted = " or type(k) is not bool" if p.default.__class__ is bool else ""
    return f"    k{i} = {a}\n    if type(k{i}) not in PLAIN: k{i} = static(k{i})\n" + (
        f"    if type(k{i}) is not bool: return MISS\n" if wanted else ""
    )


def _source(
    params: Sequence[Parameter], passed: set[str], first: list[str], keywords: tuple[str, ...]
) -> str:
    lines, key, values, operands, tensors, optional = "", [], [], [], [], False
    for i, p in enumerate(params):
        if p.name not in passed:
            key.append("MISSING")
            continue
        a = f"a_{p.name}"
        lines += _argument(p, a, i)
        key.append(f"k{i}")
        if p.kind != "static":
            values.append(f"v{i}")
            operands.append(a)
            optional = optional or p.kind == "optional"
        if p.kind in ("tensor", "operand", "optional"):
            tensors.append((a, i, p.kind))
    head = ", ".join(f"a_{n}" for n in first)
    named = "".join(f"    a_{k} = given[{k!r}]\n" for k in keywords)
    values_text = f"({', '.join(values)},)"
    operands_text = f"({', '.join(operands)},)"
    if optional:
        values_text = f"[v for v in {values_text} if v is not None]"
        operands_text = f"[x for x in {operands_text} if x is not None]"
    wants = []
    for a, i, kind in tensors:
        test = f"{a}._requires_grad or {a}._grad_fn is not None or {a}._base is not None"
        wants.append(test if kind == "tensor" else f"v{i} is not {a} and ({test})"
                     if kind == "operand" else f"{a} is not None and ({test})")  # fmt: skip
    wanted = " or ".join(f"({w})" for w in wants)
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
    if (state.grad_enabled or state.forward is not None) and ({wanted}):
        operands = {operands_text}
        edges = input_edges(operands)
        if edges is not None: link(kernel, operands, values, edges, (made,))
    return made
"""
