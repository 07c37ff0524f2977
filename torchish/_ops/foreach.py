"""`torch._foreach_*`: one operator applied to each tensor of lists, as optimizers and clipping do.

Everything is recorded and runs as one program, so a call for a list costs what its parts cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._autograd.tensor_base import TensorBase
from .registry import linalg, methods, ops

_UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 "
    "neg reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
).split()
# Signatures as torch's errors show them: "T" stands for a tuple of tensors.
_NUMBER, _NUMBERS, _LIST = "Number scalar", "tuple of Scalars scalars", "T other"
_SCALED, _TENSOR = "*, Number alpha = 1", "Tensor other"
_BINARY: dict[str, tuple[str, ...]] = {
    "add": (_NUMBER, _NUMBERS, f"{_TENSOR}, {_SCALED}", f"{_LIST}, {_SCALED}"),
    "sub": (_NUMBER, _NUMBERS, f"{_LIST}, {_SCALED}"),
    "mul": (_NUMBERS, _TENSOR, _LIST, _NUMBER),
    "div": (_NUMBERS, _TENSOR, _LIST, _NUMBER),
    "maximum": (_NUMBER, _NUMBERS, _LIST),
    "minimum": (_NUMBER, _NUMBERS, _LIST),
    "clamp_max": (_NUMBER, _NUMBERS, _LIST),
    "clamp_min": (_NUMBER, _NUMBERS, _LIST),
    "pow": ("Number exponent", "tuple of Scalars exponent", "T exponent"),
}
_FUSED = (
    "T tensor1, T tensor2, tuple of Scalars scalars", "T tensor1, T tensor2, Tensor scalars",
    "T tensor1, T tensor2, Number value = 1",
)  # fmt: skip
_LERP = (
    "T tensors1, Number weight",
    "T tensors1, tuple of Scalars weight",
    "T tensors1, T weights",
)
# What takes a number where the operator for tensors does not.
_NUMBER_FORMS = {"maximum": "clamp_min", "minimum": "clamp_max"}
_TENSOR_FORMS = {"clamp_min": "maximum", "clamp_max": "minimum"}


class _Call:
    """The arguments of one call, and torch's errors for them."""

    def __init__(self, name: str, signatures: Sequence[str] = ()) -> None:
        self.name, self.signatures = "_foreach_" + name, signatures

    def refuse(self, args: Sequence[Any], kwargs: dict[str, Any]) -> TypeError:
        """The error for arguments that fit no signature."""
        shown = [type(x).__name__ for x in args]
        shown += [f"{k}={type(x).__name__}" for k, x in kwargs.items()]
        lines = [f" * (tuple of Tensors self, {s})" for s in self.signatures]
        text = "\n".join(lines).replace(" T ", " tuple of Tensors ")
        return TypeError(
            f"{self.name}() received an invalid combination of arguments - got "
            f"({', '.join(shown)}), but expected one of:\n{text}\n"
        )

    def one(self, args: Sequence[Any], kwargs: dict[str, Any], names: Sequence[str]) -> list[Any]:
        """The values of positional-or-keyword arguments `names`, all required."""
        found = list(args)
        missing = []
        for name in names[len(args) :]:
            if name in kwargs:
                found.append(kwargs[name])
            else:
                missing.append(f'"{name}"')
        if missing:
            plural = "s" if len(missing) == 1 else ""  # torch has it the wrong way round
            raise TypeError(
                f"{self.name}() missing {len(missing)} required positional argument{plural}: "
                + ", ".join(missing)
            )
        for k, (x, name) in enumerate(zip(found, names, strict=False)):
            if not isinstance(x, list | tuple):
                raise TypeError(
                    f"{self.name}(): argument '{name}' (position {k + 1}) must be tuple of "
                    f"Tensors, not {type(x).__name__}"
                )
        return found


def _tensors(x: Any, argument: int = 0) -> Sequence[Any]:
    """A list of tensors.

    Raises: torch's TypeError for another element.
    """
    for k, t in enumerate(x):
        if not isinstance(t, TensorBase):
            raise TypeError(
                f"expected Tensor as element {k} in argument {argument}, but got {type(t).__name__}"
            )
    return x  # type: ignore[no-any-return]


def _check_lengths(first: Sequence[Any], *others: Sequence[Any]) -> None:
    if not first:
        raise RuntimeError("Tensor list must have at least one tensor.")
    for other in others:
        if len(other) != len(first):
            raise RuntimeError(
                "Tensor lists must have the same number of tensors, got "
                f"{len(first)} and {len(other)}"
            )


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | complex) or (hasattr(x, "dtype") and not _is_tensor(x))


def _is_tensor(x: Any) -> bool:
    return isinstance(x, TensorBase)


def _each(first: Sequence[Any], x: Any, argument: int) -> Sequence[Any]:
    """What each tensor of `first` is combined with: tensors, numbers, or one number for all.

    Raises: RuntimeError for another count.
    """
    if _is_number(x):
        _check_lengths(first)
        return [x] * len(first)
    if any(_is_tensor(y) for y in x) or not x:
        _check_lengths(first, _tensors(x, argument))
        return x  # type: ignore[no-any-return]
    _check_lengths(first)
    if len(x) != len(first):
        raise RuntimeError("Tensor list must have same number of elements as scalar list.")
    return x  # type: ignore[no-any-return]


def _applied(name: str, x: Any, y: Any, **more: Any) -> Any:
    """One binary operator, out of place or (a name that ends with "_") in place."""
    core = name.rstrip("_")
    forms = _TENSOR_FORMS if _is_tensor(y) else _NUMBER_FORMS
    other = forms.get(core, core)
    if name.endswith("_"):
        if other in ("maximum", "minimum"):
            return x.copy_(getattr(ops, other)(x, y))
        return getattr(x, other + "_")(y, **more)
    return getattr(methods, other)(x, y, **more)


def _unary(name: str) -> Callable[..., Any]:
    call = _Call(name)

    def function(*args: Any, **kwargs: Any) -> Any:
        (tensors,) = call.one(args, kwargs, ("self",))
        _check_lengths(_tensors(tensors))
        found = [getattr(t, name)() for t in tensors]
        return tensors if name.endswith("_") else tuple(found)

    return function


def _binary(name: str) -> Callable[..., Any]:
    core = name.rstrip("_")
    call = _Call(name, _BINARY[core])
    label = "exponent" if core == "pow" else "other"

    def function(*args: Any, **kwargs: Any) -> Any:
        given = dict(kwargs)
        values = list(args)
        for names in (("self",), (label, "scalar", "scalars")):
            found = [given.pop(n) for n in names if n in given]
            values += found[: 2 - len(values)]
        alpha = given.pop("alpha", None)
        if len(values) != 2 or given:
            raise call.refuse(args, kwargs)
        first, second = values
        if name == "pow" and _is_number(first) and isinstance(second, list | tuple):
            _check_lengths(_tensors(second, 1))
            return tuple(ops.pow(first, t) for t in second)
        whole = _is_tensor(second) and core in ("add", "mul", "div")
        scales = core in ("add", "sub") and not _is_number(second)
        if _is_tensor(second) and not whole and not second._aval.ndim:
            second = second.item()  # torch's parser takes it for a number
        usable = _is_number(second) or isinstance(second, list | tuple) or whole
        if not isinstance(first, list | tuple) or not usable or (alpha is not None and not scales):
            raise call.refuse(args, kwargs)
        if not whole and not _is_number(second) and not all(map(_acceptable, second)):
            raise call.refuse(args, kwargs)
        tensors, more = _tensors(first), {} if alpha is None else {"alpha": alpha}
        if whole:
            _check_lengths(tensors)
            if second._aval.ndim:
                raise RuntimeError(
                    f"scalar tensor expected to be 0 dim but it has {second._aval.ndim} dimensions "
                    f"and {second._aval.numel} elements."
                )
            each: Sequence[Any] = [second] * len(tensors)
        else:
            each = _each(tensors, second, 1)
        made = [_applied(name, t, y, **more) for t, y in zip(tensors, each, strict=True)]
        return first if name.endswith("_") else tuple(made)

    return function


def _acceptable(x: Any) -> bool:
    return _is_tensor(x) or _is_number(x)


def _fused(name: str) -> Callable[..., Any]:
    """addcmul and addcdiv."""
    call = _Call(name, _FUSED)

    def function(*args: Any, **kwargs: Any) -> Any:
        given = dict(kwargs)
        values = list(args)
        for label in ("self", "tensor1", "tensor2")[len(values) :]:
            if label in given:
                values.append(given.pop(label))
        last = values.pop() if len(values) == 4 else given.pop("value", given.pop("scalars", 1))
        if len(values) != 3 or given or not all(isinstance(v, list | tuple) for v in values):
            raise call.refuse(args, kwargs)
        first, one, two = values
        _check_lengths(_tensors(first), _tensors(one, 1), _tensors(two, 2))
        if _is_tensor(last):
            if last._aval.ndim != 1:
                raise RuntimeError(
                    f"Expected packed scalar Tensor to be of dimension 1. Got {last._aval.ndim} "
                    "instead."
                )
            last = last.tolist()
            if len(last) != len(first):
                raise RuntimeError(
                    f"Expected length of scalars to match input of length {len(first)} but got "
                    f"{len(last)} instead."
                )
        numbers = _each(first, last, 3)
        rows = zip(first, one, two, numbers, strict=True)
        made = [getattr(t, name)(a, b, value=v) for t, a, b, v in rows]
        return first if name.endswith("_") else tuple(made)

    return function


def _lerp(name: str) -> Callable[..., Any]:
    call = _Call(name, _LERP)

    def function(*args: Any, **kwargs: Any) -> Any:
        given = dict(kwargs)
        values = list(args)
        for labels in (("self",), ("tensors1",), ("weight", "weights"))[len(values) :]:
            values += [given.pop(label) for label in labels if label in given][:1]
        if len(values) != 3 or given or not all(isinstance(v, list | tuple) for v in values[:2]):
            raise call.refuse(args, kwargs)
        first, ends, weight = values
        _check_lengths(_tensors(first), _tensors(ends, 1))
        rows = zip(first, ends, _each(first, weight, 2), strict=True)
        made = [getattr(t, name)(e, w) for t, e, w in rows]
        return first if name.endswith("_") else tuple(made)

    return function


def _norm(self: Any, ord: Any = 2, dtype: Any = None) -> Any:
    """The norm of each tensor."""
    _Call("norm").one((self,), {}, ("self",))
    _check_lengths(_tensors(self))
    return tuple(linalg.vector_norm(t, ord, dtype=dtype) for t in self)


def _powsum(self: Any, ord: Any = 2, dtype: Any = None) -> Any:
    """The sum of powers of the absolute values of each tensor."""
    _Call("powsum").one((self,), {}, ("self",))
    _check_lengths(_tensors(self))
    return tuple(t.abs().pow(ord).sum(dtype=dtype) for t in self)


def _max(*args: Any, **kwargs: Any) -> Any:
    """The maximum of each tensor."""
    (tensors,) = _Call("max").one(args, kwargs, ("self",))
    _check_lengths(_tensors(tensors))
    return tuple(t.max() for t in tensors)


def _clone(*args: Any, memory_format: Any = None, **kwargs: Any) -> Any:
    """A copy of each tensor."""
    (tensors,) = _Call("clone").one(args, kwargs, ("self",))
    _check_lengths(_tensors(tensors))
    more = {} if memory_format is None else {"memory_format": memory_format}
    return tuple(t.clone(**more) for t in tensors)


def _mm(*args: Any, **kwargs: Any) -> Any:
    """The product of each pair of matrices."""
    first, second = _Call("mm").one(args, kwargs, ("self", "mat2"))
    _check_lengths(_tensors(first), _tensors(second, 1))
    return tuple(ops.mm(a, b) for a, b in zip(first, second, strict=True))


def _copy_(*args: Any, **kwargs: Any) -> Any:
    """Copy each tensor of `src` into one of `self`."""
    blocking = args[2:3] or (kwargs.pop("non_blocking", False),)
    first, source = _Call("copy_").one(args[:2], kwargs, ("self", "src"))
    _check_lengths(_tensors(first), _tensors(source, 1))
    for a, b in zip(first, source, strict=True):
        a.copy_(b, *blocking)
    return first


def _made() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {
        "norm": _norm, "powsum": _powsum, "max": _max, "clone": _clone, "mm": _mm,
        "copy_": _copy_, "zero_": _unary("zero_"),
    }  # fmt: skip
    for names, make in (
        (_UNARY, _unary), (_BINARY, _binary), (("addcmul", "addcdiv"), _fused), (("lerp",), _lerp)
    ):  # fmt: skip
        for name in names:
            found[name], found[name + "_"] = make(name), make(name + "_")
    return found


for _name, _function in _made().items():
    _function.__name__ = _function.__qualname__ = "_foreach_" + _name
    _function.__module__ = __name__.partition(".")[0]
    globals()["_foreach_" + _name] = _function
