"""The registry: the one place where an operator is described.

An operator is a pure function on JAX arrays under `@op`; its signature says what torch does with
each argument (see `Tensor`, `Operand`, `Scalar` …), the decorator's keywords say the rest.
Everything else is derived here and never written again: the function, the method, the in-place
form, `out=`, promotion, recording and history. A composite (`@composite`) is plain Python over
tensors; its in-place form and `out=` are derived as well (call/composites.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from .call.binding import MISSING, Binder, Parameter
from .call.calling import make_function, make_inplace, make_method
from .call.composites import Out, in_place, plain, with_flag, with_out
from .call.mapping import each_position
from .call.operator import Operator, StrideRule

Tensor = Annotated[Any, "tensor"]
OptTensor = Annotated[Any, "tensor or None"]
Tensors = Annotated[Any, "sequence of tensors"]
Operand = Annotated[Any, "tensor or number"]
Scalar = Annotated[Any, "number"]
Dtype = Annotated[Any, "dtype or None"]

PLACES = ("torch", "method", "nn.functional", "linalg", "fft", "special", "internal")
_tables: dict[str, dict[str, Any]] = {place: {} for place in PLACES}
operators: dict[str, Operator] = {}


class Namespace:
    """Access to the public functions of one place: `ops.add`, `nnf.relu`.

    Late-bound until all are registered and guarded (`settle`), attributes like others then.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def __getattr__(self, name: str) -> Any:
        try:
            return _tables[self._place][name]
        except KeyError:
            raise AttributeError(f"no operator {name!r} is registered in {self._place}") from None

    def __dir__(self) -> list[str]:
        return sorted(_tables[self._place])


ops, nnf, linalg = Namespace("torch"), Namespace("nn.functional"), Namespace("linalg")
fft, special, internal = Namespace("fft"), Namespace("special"), Namespace("internal")
methods = Namespace("method")
_namespaces = (ops, nnf, linalg, fft, special, internal, methods)


def settle() -> None:
    """What the tables contain now is final: functions are found without a look at them."""
    for space in _namespaces:
        space.__dict__.update(_tables[space._place])


def table(place: str) -> dict[str, Any]:
    """All public names of one place (read by `_tensor`, torchish/__init__ and generators)."""
    return _tables[place]


def register(place: str, name: str, value: Any) -> None:
    """Give `value` a public name; a name given twice raises."""
    if place not in _tables:
        raise ValueError(f"unknown place {place!r} for {name}")
    if name in _tables[place]:
        raise ValueError(f"{place}.{name} is registered twice")
    _tables[place][name] = value


def op(
    promote: str = "none",
    *,
    into: tuple[str, ...] = ("torch", "method"),
    inplace: bool | tuple[str, ...] = False,
    out: bool | None = None,
    saves: str = "inputs",
    returns: str | None = None,
    name: str | None = None,
    aliases: tuple[str, ...] = (),
    grad_name: str | Callable[..., str] | None = None,
    inplace_grad_name: str | None = None,
    differentiable: bool | tuple[bool, ...] = True,
    method_varargs: bool = False,
    check: Callable[..., None] | None = None,
    check_samples: Callable[..., None] | None = None,
    guard: Callable[..., None] | None = None,
    overloads: Callable[..., Any] | None = None,
    elementwise: bool | None = None,
    layout: StrideRule | None = None,
    out_dtype: str | None = None,
    overlap: str | None = None,
    expanded: str = "refuse",
    mapped: bool = False,
) -> Callable[[Callable[..., Any]], Any]:
    """Register a pure function on arrays as an operator; returns its public function.

    promote: "arith", "float", "none" or "bool_int64" (see operator.py).
    saves: "output" where torch's backward saves the result rather than inputs.
    check, guard: raise by shapes and static values once, by values at every call (operator.py);
        check_samples: as torch words it for all samples of `vmap`.
    grad_name: torch's name of the grad node, or a function of what `check` receives;
        inplace_grad_name: that of the in-place form where torch has another.
    differentiable: whether results carry gradients, or which of several.
    inplace: whether there is an in-place form, or the places of one. By default it is a method, a
        function of nn.functional, and one of torch where one tensor is all that it needs.
    overloads: function(args, kwargs) -> new (args, kwargs) or None, tried when binding fails.
    out: whether there is an `out=` form; by default, outside nn.functional only.
    layout: strides of the results where torch's are not row-major (see operator.py).
    out_dtype: a rule of `check_out_dtype` where the default does not hold (see operator.py).
    overlap, expanded: writes to elements that share memory (see `apply.write_inplace`).
    mapped: the body treats each position of its tensor lists alike (see mapping.py).
    """

    def wrap(body: Callable[..., Any]) -> Any:
        public = name or body.__name__
        described = parameters(body)
        made = Operator(
            public, each_position(body, described) if mapped else body,
            Binder(public, described, overloads), promote, saves=saves,
            returns=returns, grad_name=grad_name, inplace_grad_name=inplace_grad_name,
            differentiable=differentiable, check=check, check_samples=check_samples, guard=guard,
            elementwise=promote in ("arith", "float") if elementwise is None else elementwise,
            layout=layout, out_dtype=out_dtype, overlap=overlap, expanded=expanded,
        )  # fmt: skip
        for place in into:
            key = f"{place}.{public}" if place != "method" or len(into) == 1 else None
            if key:
                operators[key] = made
        function = make_function(made, out="nn.functional" not in into if out is None else out)
        for label in (public, *aliases):
            for place in into:
                if place == "method":
                    register(
                        place, label, make_method(made, label, method_varargs, out is not False)
                    )
                else:
                    register(place, label, function)
            # Each place has a function of its own: overriding tells them apart.
            for place in _written_in(made, inplace, into):
                written = make_inplace(made, f"{label}_", is_method=place == "method")
                register(place, f"{label}_", written)
        return function

    return wrap


def _written_in(
    made: Operator, inplace: bool | tuple[str, ...], into: tuple[str, ...]
) -> tuple[str, ...]:
    """The places where an operator has an in-place form."""
    if not isinstance(inplace, bool):
        return inplace
    places = {"method", "nn.functional"} | ({"torch"} if made.binder.is_unary else set())
    return tuple(place for place in into if inplace and place in places)


def composite(
    *,
    into: tuple[str, ...] = ("torch", "method"),
    name: str | None = None,
    aliases: tuple[str, ...] = (),
    out: bool | str | Out = False,
    inplace: tuple[str, ...] = (),
    flag: bool = False,
    before: Callable[..., None] | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Register plain Python over tensors, and its forms, under public names.

    out: the `out=` form; a rule of `check_out_dtype`, or more (`Out`), for results that are not
        those of a `last` operator.
    inplace: the places of the in-place form.
    flag: torch has an argument `inplace`.
    before: sees the arguments of the in-place form first.
    """

    def wrap(body: Callable[..., Any]) -> Any:
        label = name or body.__name__
        written = in_place(body, f"{label}_", before) if inplace or flag else None
        function: Any = body
        if flag:
            function = with_flag(body, written)  # type: ignore[arg-type]
        elif out:
            how = out if isinstance(out, Out) else Out(out) if isinstance(out, str) else Out()
            function = with_out(body, how)
        elif inplace:
            function = plain(body)
        for spelling in (label, *aliases):
            for place in into:
                register(place, spelling, function)
            for place in inplace:
                register(place, f"{spelling}_", written)
        return function

    return wrap


_KINDS = {
    "Tensor": "tensor", "OptTensor": "optional", "Tensors": "tensors", "Operand": "operand",
    "Scalar": "scalar",
}  # fmt: skip
_MARKERS = {
    id(Tensor): "tensor", id(OptTensor): "optional", id(Tensors): "tensors",
    id(Operand): "operand", id(Scalar): "scalar",
}  # fmt: skip


def parameters(body: Callable[..., Any]) -> list[Parameter]:
    """The parameters of an operator's body with their kinds.

    Read from the code object: `inspect.signature` of every operator would double the import time.
    """
    function = inspect.unwrap(body)
    code, notes = function.__code__, function.__annotations__
    split = code.co_argcount
    names = code.co_varnames[: split + code.co_kwonlyargcount]
    positional = function.__defaults__ or ()
    defaults = dict(zip(names[split - len(positional) : split], positional, strict=True))
    defaults.update(function.__kwdefaults__ or {})
    found = []
    for position, name in enumerate(names):
        note = notes.get(name)
        kind = _KINDS.get(note.strip()) if isinstance(note, str) else _MARKERS.get(id(note))
        found.append(
            Parameter(name, kind or "static", defaults.get(name, MISSING), position >= split)
        )
    return found


def wrap_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front.

    Raises: torch's IndexError when it is out of range (0-dim tensors count as one dim).
    """
    span = max(ndim, 1)
    if not -span <= dim < span:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], "
            f"but got {dim})"
        )
    return dim % span


def wrap_dims(dims: Any, ndim: int) -> tuple[int, ...]:
    """Several dims counted from the front; None and () mean all of them.

    Raises: torch's IndexError, and RuntimeError for a dim that appears twice.
    """
    if dims is None or (isinstance(dims, tuple | list) and not dims):
        return tuple(range(ndim))
    if isinstance(dims, int):
        dims = (dims,)
    found: list[int] = []
    for d in dims:
        wrapped = wrap_dim(d, ndim)
        if wrapped in found:
            raise RuntimeError(f"dim {wrapped} appears multiple times in the list of dims")
        found.append(wrapped)
    return tuple(found) if ndim else ()
