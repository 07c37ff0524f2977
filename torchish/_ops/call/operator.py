"""Operators and how one is specialised to a Kernel: promotion, casts, checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..._autograd.capture import sizes_around
from ..._autograd.casting import converted
from ..._autograd.tensor_base import TensorBase
from ..._basics import dtypes
from ..._basics.dtypes import dtype, from_np
from ..._basics.forking import tracing
from ..._basics.state import process, state
from ..._core import store
from ..._core.kernels import Kernel, renamed
from ..._core.values import Aval
from .binding import MISSING, Binder, Parameter, plain
from .return_types import return_type

_SCALARS = (float, int, bool, complex)
# (avals of the results, operands, key of the call) -> strides of each result, None for row-major.
StrideRule = Callable[[Sequence[Aval], Sequence[Any], Sequence[Any]], list[Any] | None]


class Operator:
    """A named pure function and the record of what torch does with its arguments.

    promote is one of
    - "arith": operands are cast to torch's result type;
    - "float": the same, and integers become the default float dtype;
    - "bool_int64": the (first) operand is cast to int64 if it is bool or integer, or to `dtype=`;
    - "none": dtypes are left alone.

    out_dtype is a rule of `calling.check_out_dtype`: what an `out=` of another dtype leads to. By
    default operators that promote cast into it and the others want the very dtype.

    check(**described) raises by shapes, dtypes and static values, once for each combination;
    check_samples(sizes, *avals) raises torch's text where `check` did within `vmap`: torch's
    call is one on all samples, `sizes` are what stands before each operand's own shape then.
    guard(**arguments) looks at the values of tensors and numbers, at every call.

    overlap and expanded say what in-place forms do with a target whose elements share memory: see
    `apply.write_inplace`.
    """

    def __init__(
        self,
        name: str,
        body: Callable[..., Any],
        binder: Binder,
        promote: str,
        *,
        saves: str = "inputs",
        returns: str | None = None,
        grad_name: str | Callable[..., str] | None = None,
        inplace_grad_name: str | None = None,
        differentiable: bool | tuple[bool, ...] = True,
        check: Callable[..., None] | None = None,
        check_samples: Callable[..., None] | None = None,
        guard: Callable[..., None] | None = None,
        elementwise: bool = False,
        layout: StrideRule | None = None,
        out_dtype: str | None = None,
        overlap: str | None = None,
        expanded: str = "refuse",
    ) -> None:
        self.name = name
        self.body = body
        self.binder = binder
        self.promote = promote
        self.saves_output = saves == "output"
        self.result = return_type(name, returns) if returns else None
        self.grad_name = grad_name or _camel(name) + "Backward0"
        self.inplace_grad_name = inplace_grad_name
        self.differentiable = differentiable
        self.check = check
        self.check_samples = check_samples
        self.guard = guard
        self.elementwise = elementwise
        self.layout = layout
        self.overlap = overlap or ("again" if elementwise else "merge")
        self.expanded = expanded
        self.out_dtype = out_dtype or (
            "cast" if promote != "none" else "found" if elementwise else "exact"
        )
        self.kernels: dict[tuple[Any, ...], Kernel] = {}
        # Functions for the ways it is called (forms.py).
        self.forms: dict[Any, Callable[..., Any]] = {}
        self.takes_tensors = any(p.kind in ("tensor", "operand") for p in binder.params)
        _all.append(self)

    def __repr__(self) -> str:
        return f"<operator {self.name}>"

    def specialise(self, key: tuple[Any, ...]) -> Kernel:
        """The kernel for one combination of avals, number types and static values.

        Threads that ask at once get one object: programs are told apart by it.
        """
        with tracing:
            return self.kernels.get(key) or self._made(key)

    def _made(self, key: tuple[Any, ...]) -> Kernel:
        params = self.binder.params
        if self.takes_tensors and not _avals(params, key):
            raise TypeError(_no_tensor(self.name, params, key))
        if self.check is not None:
            self.check(**_described(params, key))
        compute = self._compute_dtype(params, key)
        if self.elementwise:
            broadcast_check([a.shape for a in _avals(params, key)])
        in_avals, wrapped = _inputs(params, key)
        fn = _adapt(self, params, key, compute)
        kernel = Kernel(
            self.name, fn, in_avals, grad_name=self._history_name(params, key),
            saves_output=self.saves_output, differentiable=self.differentiable, wrapped=wrapped,
            identity=store.identity(self.body.__module__, self.body.__qualname__, self.name, key),
        )  # fmt: skip
        kernel.origin = (self, key)
        self.kernels[key] = kernel
        return kernel

    def fitting(self, key: tuple[Any, ...]) -> Kernel:
        """The kernel of a key, without a look at values. Raises for shapes that do not fit."""
        return self.kernels.get(key) or self.specialise(key)

    def kernel_for(self, operands: Sequence[Any], key: tuple[Any, ...]) -> Kernel:
        """The kernel of one call; errors of shapes come before those of values."""
        try:
            kernel = self.fitting(key)
        except RuntimeError:
            if state.capture is not None:
                self._refuse_samples(operands)
            raise
        if self.guard is not None:
            self.guard(**_arguments(self.binder.params, operands, key))
        return kernel

    def _refuse_samples(self, operands: Sequence[Any]) -> None:
        """Raise as torch, which calls a refused operator on all samples of `vmap`, words it."""
        tensors = [x for x in operands if isinstance(x, TensorBase)]
        sizes = [sizes_around(x) for x in tensors]
        if not any(sizes):
            return
        if self.check_samples is not None:
            self.check_samples(sizes, *(x._aval for x in tensors))
        elif self.elementwise:
            broadcast_samples(sizes, [x._aval.shape for x in tensors])

    def written_kernel(self, operands: Sequence[Any], key: tuple[Any, ...]) -> Kernel:
        """The kernel of one in-place call; torch has other grad nodes for some of these."""
        kernel = self.kernel_for(operands, key)
        name = self.inplace_grad_name
        return kernel if name is None else renamed(kernel, name)

    def _history_name(self, params: Sequence[Parameter], key: tuple[Any, ...]) -> str:
        """torch's name of the grad node; some operators have one a call form."""
        if isinstance(self.grad_name, str):
            return self.grad_name
        return self.grad_name(**_described(params, key))

    def _compute_dtype(self, params: Sequence[Parameter], key: tuple[Any, ...]) -> dtype | None:
        """The dtype operands are cast to ("none": only numbers are, to the first float's)."""
        avals = _avals(params, key)
        if self.promote == "none":
            for a in avals:
                if a.dtype.category >= dtypes.FLOAT:
                    return a.dtype
            return avals[0].dtype if avals else None
        if self.promote == "bool_int64":
            asked = next((k for p, k in zip(params, key, strict=True) if p.name == "dtype"), None)
            if isinstance(asked, dtype):
                return asked
            have = avals[0].dtype
            return dtypes.int64 if have.category < dtypes.FLOAT else have
        result = operand_type(params, key)
        if self.promote == "float" and result.category < dtypes.FLOAT:
            return process.default_dtype
        return result


def _arguments(
    params: Sequence[Parameter], operands: Sequence[Any], key: Sequence[Any]
) -> dict[str, Any]:
    """A bound call as the guard sees it."""
    stream = iter(operands)
    found: dict[str, Any] = {}
    for p, k in zip(params, key, strict=True):
        if k is MISSING:
            found[p.name] = p.default
        elif p.kind == "static" or k is None:
            found[p.name] = plain(k)
        elif p.kind == "tensors":
            found[p.name] = [next(stream) for _ in k]
        else:
            found[p.name] = next(stream)
    return found


_all: list[Operator] = []


def forget_kernels() -> None:
    """Drop all specialisations (the default dtype, which they may depend on, has changed)."""
    for operator in _all:
        operator.kernels.clear()


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _no_tensor(name: str, params: Sequence[Parameter], key: Sequence[Any]) -> str:
    """The text of the error for a call in which no argument is a tensor."""
    given = [k.__name__ for p, k in zip(params, key, strict=True) if k in _SCALARS]
    return (
        f"{name}() received an invalid combination of arguments - got ({', '.join(given)}), but "
        "expected one of them to be a Tensor"
    )


def _avals(params: Sequence[Parameter], key: Sequence[Any]) -> list[Aval]:
    found: list[Aval] = []
    for p, k in zip(params, key, strict=True):
        if p.kind == "tensors" and k is not MISSING:
            found.extend(k)
        elif type(k) is Aval and p.kind != "scalar":
            found.append(k)
    return found


def operand_type(params: Sequence[Parameter], key: Sequence[Any]) -> dtype:
    """torch's result type of a call's operands."""
    dims: list[dtype] = []
    zeros: list[dtype] = []
    wrapped: list[dtype] = []
    for p, k in zip(params, key, strict=True):
        if p.kind in ("static", "scalar") or k is MISSING or k is None:
            continue
        for item in k if p.kind == "tensors" else (k,):
            if type(item) is Aval:
                (dims if item.ndim else zeros).append(item.dtype)
            else:
                wrapped.append(number_type(item))
    return dtypes.result_type(dims, zeros, wrapped)


def number_type(kind: type) -> dtype:
    """The dtype of a Python number in promotion."""
    if kind is float:
        return process.default_dtype
    if kind is int:
        return dtypes.int64
    if kind is bool:
        return dtypes.bool_
    return process.default_dtype.to_complex()


def _described(params: Sequence[Parameter], key: Sequence[Any]) -> dict[str, Any]:
    """What a `check` function sees: avals, number types, static values and defaults."""
    seen = {}
    for p, k in zip(params, key, strict=True):
        if k is MISSING:
            seen[p.name] = p.default
        elif p.kind == "static":
            seen[p.name] = plain(k)
        else:
            seen[p.name] = k
    return seen


def _inputs(params: Sequence[Parameter], key: Sequence[Any]) -> tuple[list[Any], frozenset[int]]:
    avals: list[Any] = []
    wrapped = set()
    for p, k in zip(params, key, strict=True):
        if p.kind == "static" or k is MISSING or k is None:
            continue
        if p.kind == "tensors":
            avals.extend(k)
            continue
        if p.kind == "operand" and k in _SCALARS:
            wrapped.add(len(avals))
        avals.append(k)
    return avals, frozenset(wrapped)


def _adapt(
    operator: Operator, params: Sequence[Parameter], key: Sequence[Any], compute: dtype | None
) -> Callable[..., tuple[Any, ...]]:
    """The kernel's function: casts what arrives, calls the body, returns a tuple."""
    body = operator.body
    cast_operands = operator.promote != "none"
    recipe: list[tuple[str, bool, str, Any]] = []  # name, keyword only, kind, what
    for p, k in zip(params, key, strict=True):
        if k is MISSING:
            continue
        if p.kind == "static" or k is None:
            recipe.append((p.name, p.keyword_only, "given", plain(k)))
        elif p.kind == "tensors":
            recipe.append((p.name, p.keyword_only, "many", len(k)))
        else:
            casts = cast_operands if type(k) is Aval and p.kind != "scalar" else True
            recipe.append((p.name, p.keyword_only, "cast" if casts else "one", None))
    target = None if compute is None else compute.np

    def fn(*arrays: Any) -> tuple[Any, ...]:
        stream = iter(arrays)
        kwargs: dict[str, Any] = {}
        for name, _, kind, what in recipe:
            if kind == "given":
                kwargs[name] = what
            elif kind == "many":
                items = [next(stream) for _ in range(what)]
                kwargs[name] = [cast(x, target) for x in items] if cast_operands else items
            else:
                x = next(stream)
                kwargs[name] = cast(x, target) if kind == "cast" else x
        outs = body(**kwargs)
        return tuple(outs) if isinstance(outs, tuple | list) else (outs,)

    return fn


def cast(x: Any, target: Any) -> Any:
    """An array in numpy's dtype `target` (None: as it is), converted as torch does."""
    return x if target is None or x.dtype == target else converted(x, from_np(target))


def broadcast_check(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The broadcast shape.

    Raises: torch's RuntimeError that names the two sizes and the dimension.
    """
    result: list[int] = []
    for shape in shapes:
        ndim = max(len(result), len(shape))
        a = [1] * (ndim - len(result)) + result
        b = [1] * (ndim - len(shape)) + list(shape)
        for d in range(ndim - 1, -1, -1):
            if a[d] != b[d] and a[d] != 1 and b[d] != 1:
                raise RuntimeError(
                    f"The size of tensor a ({a[d]}) must match the size of tensor b ({b[d]}) at "
                    f"non-singleton dimension {d}"
                )
        result = [y if x == 1 else x for x, y in zip(a, b, strict=True)]
    return tuple(result)


def broadcast_samples(sizes: Sequence[Sequence[int]], shapes: Sequence[Sequence[int]]) -> None:
    """`broadcast_check` of all samples, whose sizes stand before what is aligned of a shape."""
    ndim = max(map(len, shapes))
    broadcast_check([
        (*around, *(1,) * (ndim - len(shape)), *shape) if around else shape
        for around, shape in zip(sizes, shapes, strict=True)
    ])  # fmt: skip


__all__ = [
    "Operator",
    "StrideRule",
    "broadcast_check",
    "broadcast_samples",
    "cast",
    "forget_kernels",
    "operand_type",
]
