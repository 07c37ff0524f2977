"""Random tensors from sizes: `rand`, `randn`, `randint`, `randperm` and the `_like` forms.

They are empty tensors of the asked layout filled as `random.py` fills them.

Source: Matsumoto & Nishimura, 1998, the generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..._autograd.tensor_base import TensorBase, from_value
from ..._basics import dtypes
from ..._basics.devices import resolve
from ..._basics.dtypes import SCALAR_NAMES, dtype
from ..._basics.memory import check_size
from ..._basics.state import process, state
from ..._random import draws
from ..._random.drawing import Distribution, draw, not_implemented
from ..._random.generator import Generator
from ..call.calling import resize_output
from ..create.copying import _format_strides
from ..create.filled import _CPP_LIMITS, _options, as_dtype
from ..registry import Tensor, composite
from .fills import INTEGERS, NORMAL, UNIFORM, check_uniform, integer_range, normal_numbers

_TAIL = (
    "torch.dtype dtype = None, torch.layout layout = None, torch.device device = None, "
    "bool pin_memory = False, bool requires_grad = False)\n"
)
_SIZE = "tuple of ints size, "
_FACTORY = "*, torch.Generator generator = None, Tensor out = None, " + _TAIL


def _names(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    found = [type(a).__name__ for a in args]
    found += [f"{k}={type(v).__name__}" for k, v in kwargs.items()]
    return f"({', '.join(found)})"


def _invalid(name: str, args: Sequence[Any], kwargs: dict[str, Any], form: str) -> TypeError:
    """torch's error for a call that fits no signature."""
    return TypeError(
        f"{name}() received an invalid combination of arguments - got {_names(args, kwargs)}, but "
        f"expected one of:\n * ({form}{_FACTORY}"
    )


_KEYWORDS = {
    "dtype", "layout", "device", "pin_memory", "requires_grad", "generator", "out",
}  # fmt: skip


def _check_keywords(name: str, args: Sequence[Any], kwargs: dict[str, Any], form: str) -> None:
    """Raise torch's error for keywords that no factory has, or of another type."""
    generator, dt = kwargs.get("generator"), kwargs.get("dtype")
    if (
        set(kwargs) - _KEYWORDS
        or not (generator is None or isinstance(generator, Generator))
        or not (dt is None or isinstance(dt, dtype | type))
    ):
        raise _invalid(name, args, kwargs, form)


def _is_int(x: Any) -> bool:
    if isinstance(x, bool) or not hasattr(x, "__index__"):
        return False
    return not isinstance(x, TensorBase) or not x._aval.dtype.is_floating_point


def _size(name: str, given: Any, position: int) -> tuple[int, ...]:
    """A sequence of ints as a size.

    Raises: TypeError for other things, RuntimeError for a negative dimension.
    """
    place = f" (position {position})" if position else ""
    if not isinstance(given, tuple | list):
        raise TypeError(
            f"{name}(): argument 'size'{place} must be tuple of ints, not {type(given).__name__}"
        )
    for k, n in enumerate(given):
        if not _is_int(n):
            if k == 0:
                raise TypeError(
                    f"{name}(): argument 'size'{place} must be tuple of ints, but found element of "
                    f"type {type(n).__name__} at pos 0"
                )
            raise TypeError(
                f"{name}(): argument 'size' failed to unpack the object at pos {k + 1} with error "
                f'"type must be tuple of ints,but got {type(n).__name__}"'
            )
    sizes = tuple(int(n) for n in given)
    _check_sizes(sizes)
    return sizes


def _check_sizes(sizes: Sequence[int]) -> None:
    for n in sizes:
        if n < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: {list(sizes)}"
            )


def _size_from(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, ...]:
    """The size of `f(2, 3)`, `f((2, 3))` or `f(size=(2, 3))`."""
    if not args:
        if "size" not in kwargs:
            raise _invalid(name, args, kwargs, _SIZE)
        return _size(name, kwargs.pop("size"), 0)
    if "size" in kwargs:
        raise _invalid(name, args, kwargs, _SIZE)
    if len(args) == 1 and isinstance(args[0], tuple | list):
        return _size(name, args[0], 1)
    if isinstance(args[0], tuple | list):
        raise _invalid(name, args, kwargs, _SIZE)
    if not _is_int(args[0]):
        raise TypeError(
            f"{name}(): argument 'size' (position 1) must be tuple of ints, not "
            f"{type(args[0]).__name__}"
        )
    return _size(name, args, 1)


class _Target:
    """What a factory call asks for besides the values: dtype, device, `out=`, requires_grad."""

    def __init__(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], default: dtype, form: str
    ) -> None:
        self.name = name
        _check_keywords(name, args, kwargs, form)
        self.out = kwargs.pop("out", None)
        self.generator = kwargs.pop("generator", None)
        pinned = kwargs.get("pin_memory", False)
        given, device, self.requires_grad, _ = _options(name, kwargs)
        if pinned:
            raise RuntimeError(
                "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory "
                "allocator is available on this system."
            )
        self.dtype = as_dtype(given, default)
        if self.out is not None:
            self._check_out(given, device)
        else:
            self.device = resolve(device)

    def _check_out(self, given: Any, device: Any) -> None:
        out = self.out
        if not isinstance(out, TensorBase):
            raise TypeError(
                f"{self.name}(): argument 'out' must be Tensor, not {type(out).__name__}"
            )
        if given is not None and given is not out._aval.dtype:
            raise RuntimeError(
                f"dtype {SCALAR_NAMES[self.dtype]} does not match dtype of out parameter "
                f"({SCALAR_NAMES[out._aval.dtype]})"
            )
        if device is not None and resolve(device) is not out._storage.device:
            raise RuntimeError(
                f"device {resolve(device)} does not match device of out parameter "
                f"({out._storage.device})"
            )
        if state.grad_enabled and out._needs_grad():
            raise RuntimeError(
                f"aten::{self.name}(): functions with out=... arguments don't support automatic "
                "differentiation, but one of the arguments requires grad."
            )
        self.dtype, self.device = out._aval.dtype, out._storage.device

    def draw(
        self, dist: Distribution, numbers: Sequence[Any], shape: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
    ) -> Any:  # fmt: skip
        """A fresh leaf (or `out`) filled with values of `dist`."""
        if self.requires_grad and not (self.dtype.is_floating_point or self.dtype.is_complex):
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        out = self.out
        check_size(shape, self.dtype.itemsize, self.device)
        if out is None:
            value = draw(dist, numbers, shape, self.dtype, self.device, self.generator, strides)
            made = from_value(value, strides)
        else:
            if tuple(out._aval.shape) != shape:
                resize_output(out, shape)
            strides = tuple(out._strides)
            value = draw(dist, numbers, shape, self.dtype, self.device, self.generator, strides)
            out._write(value)
            out._version_counter.version += 1
            made = out
        if self.requires_grad:
            made.requires_grad = True
        return made


# -- from sizes ------------------------------------------------------------------------------------


@composite(into=("torch",))
def rand(*size: Any, **kwargs: Any) -> Tensor:
    """Uniform values in [0, 1): `rand(2, 3)`, `rand((2, 3), generator=..., dtype=...)`."""
    shape = _size_from("rand", size, kwargs)
    target = _Target("rand", size, kwargs, process.default_dtype, _SIZE)
    check_uniform(target.dtype, 0.0, 1.0)
    return target.draw(UNIFORM, (0.0, 1.0), shape)


@composite(into=("torch",))
def randn(*size: Any, **kwargs: Any) -> Tensor:
    """Standard normal values: `randn(2, 3)`, `randn((2, 3), generator=..., dtype=...)`."""
    shape = _size_from("randn", size, kwargs)
    target = _Target("randn", size, kwargs, process.default_dtype, _SIZE)
    return target.draw(NORMAL, normal_numbers(target.dtype, 0.0, 1.0), shape)


_RANDINT = "int low, int high, tuple of ints size, "


def _int_argument(name: str, argument: str, x: Any, position: int) -> int:
    if not _is_int(x):
        place = f" (position {position})" if position else ""
        raise TypeError(
            f"{name}(): argument '{argument}'{place} must be int, not {type(x).__name__}"
        )
    return int(x)


@composite(into=("torch",))
def randint(*args: Any, **kwargs: Any) -> Tensor:
    """Integers in [low, high): `randint(high, size)`, `randint(low, high, size)`.

    Raises: RuntimeError for an empty range and for bounds that the dtype cannot hold.
    """
    given = list(args)
    low, high, size = kwargs.pop("low", None), kwargs.pop("high", None), kwargs.pop("size", None)
    if size is None and len(given) > 1:
        size = given.pop()
    ends = [x for x in (low, *given, high) if x is not None]
    if size is None or not 1 <= len(ends) <= 2 or (low is not None and len(ends) == 1):
        raise _invalid("randint", args, kwargs, _RANDINT)
    names = ("high",) if len(ends) == 1 else ("low", "high")
    ends = [
        _int_argument("randint", what, x, k + 1 if k < len(given) else 0)
        for k, (what, x) in enumerate(zip(names, ends, strict=True))
    ]
    shape = _size("randint", size, len(args) if args and args[-1] is size else 0)
    target = _Target("randint", args, kwargs, dtypes.int64, _RANDINT)
    numbers = integer_range(target.dtype, 0 if len(ends) == 1 else ends[0], ends[-1])
    return target.draw(INTEGERS, numbers, shape)


def _host_permutation(gen: Any, n: int, dt: Any, contiguous: bool) -> Any:
    return draws.permutation(gen, n, dt)


def _device_permutation(key: Any, shape: Any, dt: Any) -> Any:
    return jax.random.permutation(key, shape[0])


PERMUTATION = Distribution("randperm", _host_permutation, _device_permutation)


@composite(into=("torch",))
def randperm(n: Any, **kwargs: Any) -> Tensor:
    """The integers 0 to n - 1 in random order.

    Raises: RuntimeError for negative `n` and for an `n` that the dtype cannot hold.
    """
    n = _int_argument("randperm", "n", n, 1)
    target = _Target("randperm", (n,), kwargs, dtypes.int64, "int n, ")
    _check_sizes((n,))
    _check_holds(n, target.dtype)
    return target.draw(PERMUTATION, (), (n,))


def _check_holds(n: int, dt: dtype) -> None:
    """Raise torch's error when `randperm(n)` does not fit a dtype."""
    if dt.is_complex or dt in (dtypes.bool_, dtypes.uint16, dtypes.uint32, dtypes.uint64):
        raise not_implemented("randperm", dt)
    digits = draws.MANTISSA_BITS.get(dt.name)
    if digits is not None and n > 2**digits + 1:
        raise RuntimeError(f"n cannot be greater than {2**digits + 1} for {SCALAR_NAMES[dt]} type.")
    if digits is None and n - 1 > np.iinfo(dt.np).max:
        kind = _CPP_LIMITS.get(dt.name, dt.name)
        raise RuntimeError(f"value cannot be converted to type {kind} without overflow")


# -- like another tensor ---------------------------------------------------------------------------


def _like(name: str, input: Any, kwargs: dict[str, Any]) -> tuple[_Target, Any, Any]:
    """Target, shape and strides for a tensor like `input`."""
    if not isinstance(input, TensorBase):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if "out" in kwargs:
        raise _invalid(name, (input,), kwargs, "Tensor input, ")
    fmt = kwargs.pop("memory_format", None)
    kwargs["device"] = kwargs.get("device") or input._storage.device
    target = _Target(name, (input,), kwargs, input._aval.dtype, "Tensor input, ")
    strides = _format_strides(input, fmt) if fmt is not None or not input._is_plain else None
    return target, tuple(input._aval.shape), strides


@composite(into=("torch",))
def rand_like(input: Any, **kwargs: Any) -> Tensor:
    """`rand` of the input's size, layout, dtype and device."""
    target, shape, strides = _like("rand_like", input, kwargs)
    check_uniform(target.dtype, 0.0, 1.0)
    return target.draw(UNIFORM, (0.0, 1.0), shape, strides)


@composite(into=("torch",))
def randn_like(input: Any, **kwargs: Any) -> Tensor:
    """`randn` of the input's size, layout, dtype and device."""
    target, shape, strides = _like("randn_like", input, kwargs)
    return target.draw(NORMAL, normal_numbers(target.dtype, 0.0, 1.0), shape, strides)


@composite(into=("torch",))
def randint_like(input: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`randint` of the input's size, layout, dtype and device."""
    low, high = kwargs.pop("low", None), kwargs.pop("high", None)
    ends = [x for x in (low, *args, high) if x is not None]
    if not 1 <= len(ends) <= 2:
        raise _invalid("randint_like", (input, *args), kwargs, "Tensor input, int low, int high, ")
    names = ("high",) if len(ends) == 1 else ("low", "high")
    ends = [
        _int_argument("randint_like", what, x, k + 2 if k < len(args) else 0)
        for k, (what, x) in enumerate(zip(names, ends, strict=True))
    ]
    target, shape, strides = _like("randint_like", input, kwargs)
    numbers = integer_range(target.dtype, 0 if len(ends) == 1 else ends[0], ends[-1])
    return target.draw(INTEGERS, numbers, shape, strides)
