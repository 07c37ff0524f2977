"""Tensors made from sizes and numbers: zeros, full, arange, linspace, eye and the `_like` forms.

They start as numpy arrays, so that a DataLoader worker may make them without touching JAX.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._autograd.interop import wrap_host
from ..._autograd.tensor_base import TensorBase, from_value
from ..._basics import dtypes
from ..._basics.devices import META, resolve
from ..._basics.dtypes import dtype as Type
from ..._basics.memo import memoised
from ..._basics.memory import check_size
from ..._basics.state import process
from ..._core import store
from ..._core.kernels import Kernel
from ..._core.trace import record_on
from ..._core.values import Aval, Value, aval_of
from ..call.composites import CREATED
from ..call.warning import user_level
from ..registry import Tensor, composite, ops
from .copying import _format_strides, born_with_grad

_CPP_LIMITS = {
    "uint8": "uint8_t", "int8": "int8_t", "int16": "int16_t", "int32": "int",
    "int64": "int64_t",
}  # fmt: skip


def as_dtype(given: Any, default: Type) -> Type:
    """The dtype meant by a `dtype=` argument (a Python type counts as its widest dtype)."""
    if given is None:
        return default
    found = dtypes.wanted(given)
    if isinstance(found, Type):
        return found
    raise TypeError(f"argument 'dtype' must be torch.dtype, not {type(given).__name__}")


def as_size(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, ...]:
    """The size given as `f(2, 3)`, `f((2, 3))` or `f(size=(2, 3))`.

    Raises: TypeError for what is no integer, RuntimeError for a negative size.
    """
    if not args:
        if "size" not in kwargs:
            raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
        args = (kwargs.pop("size"),)
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    size = []
    for position, item in enumerate(args):
        if isinstance(item, bool) or not hasattr(item, "__index__"):
            if position == 0:
                raise TypeError(
                    f"{name}(): argument 'size' (position 1) must be tuple of ints, not "
                    f"{type(item).__name__}"
                )
            raise TypeError(
                f"{name}(): argument 'size' failed to unpack the object at pos {position + 1} with "
                f'error "type must be tuple of ints,but got {type(item).__name__}"'
            )
        size.append(int(item))
    if any(n < 0 for n in size):
        if name in ("empty", "full", "new_empty"):
            bad = next(n for n in size if n < 0)
            raise RuntimeError(f"Trying to create tensor with negative dimension {bad}: {size}")
        raise RuntimeError(f"{name}: Dimension size must be non-negative.")
    return tuple(size)


def _filled(size: tuple[int, ...], number: Any, dt: Type) -> np.ndarray[Any, Any]:
    """A numpy array full of `number`, converted as C++ would.

    Raises: RuntimeError for a number that the dtype cannot hold, and for lack of memory.
    """
    check_size(size, dt.itemsize)
    if number == 0 and not isinstance(number, complex):
        return np.zeros(size, dt.np)
    if dt.category == dtypes.INT:
        number = int(number)
        info = np.iinfo(dt.np)
        if not info.min <= number <= info.max:
            kind = _CPP_LIMITS.get(dt.name, dt.name)
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
    elif dt.category == dtypes.BOOL:
        number = bool(number)
    elif dt.category == dtypes.FLOAT and isinstance(number, complex):
        raise RuntimeError(f"value cannot be converted to type {dt.name} without overflow")
    return np.full(size, number, dt.np)


def finish(array: np.ndarray[Any, Any], device: Any, requires_grad: bool) -> Any:
    """The user's tensor on `array`."""
    made = wrap_host(array, resolve(device))
    if requires_grad:
        born_with_grad(made)
    return made


def _made(size: tuple[int, ...], number: Any, dt: Type, device: Any, requires_grad: bool) -> Any:
    """A tensor full of `number`; one without data needs no memory."""
    if resolve(device) is not META:
        return finish(_filled(size, number, dt), device, requires_grad)
    _filled((), number, dt)  # checks the number
    check_size(size, dt.itemsize, META)
    made = from_value(Value(None, aval_of(size, dt), META))
    return born_with_grad(made) if requires_grad else made


def _options(name: str, kwargs: dict[str, Any]) -> tuple[Any, Any, bool, Any]:
    """(dtype, device, requires_grad, memory_format) from the keywords that creators share."""
    dt, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
    requires_grad = kwargs.pop("requires_grad", False)
    fmt = kwargs.pop("memory_format", None)
    layout = kwargs.pop("layout", None)
    kwargs.pop("pin_memory", None)
    if layout is not None and getattr(layout, "name", "strided") != "strided":
        from ..._basics.errors import not_supported

        raise not_supported(f"{layout}", "strided tensors")
    if kwargs:
        extra = next(iter(kwargs))
        raise TypeError(f"{name}() got an unexpected keyword argument '{extra}'")
    return dt, device, requires_grad, fmt


def _sized(name: str, number: int, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    size = as_size(name, args, kwargs)
    if name != "empty" and "memory_format" in kwargs:
        raise TypeError(f"{name}() got an unexpected keyword argument 'memory_format'")
    dt, device, requires_grad, fmt = _options(name, kwargs)
    found = as_dtype(dt, process.default_dtype)
    if fmt is None or fmt.name in ("contiguous_format", "preserve_format"):
        return _made(size, number, found, device, requires_grad)
    made = _made(size, number, found, device, False).contiguous(memory_format=fmt)
    return born_with_grad(made) if requires_grad else made


@composite(into=("torch",), out=CREATED)
def zeros(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3), dtype=..., device=...)`."""
    return _sized("zeros", 0, size, kwargs)


@composite(into=("torch",), out=CREATED)
def ones(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor of ones."""
    return _sized("ones", 1, size, kwargs)


@composite(into=("torch",), out=CREATED)
def empty(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor whose contents mean nothing (zeros here)."""
    return _sized("empty", 0, size, kwargs)


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _fill_value(value: Any, name: str) -> Any:
    """The Python number to fill with, from a number or a tensor of no dimensions."""
    whole = getattr(value, "shape", ()) == ()
    number = _number(value) if whole else value
    if whole and isinstance(number, bool | int | float | complex):
        return number
    raise TypeError(
        f"{name}(): argument 'fill_value' (position 2) must be Number, not {type(value).__name__}"
    )


def _type_of(number: Any) -> Type:
    if isinstance(number, bool):
        return dtypes.bool_
    if isinstance(number, int):
        return dtypes.int64
    if isinstance(number, complex):
        return process.default_dtype.to_complex()
    return process.default_dtype


@composite(into=("torch",), out=CREATED)
def full(size: Any, fill_value: Any, **kwargs: Any) -> Tensor:
    """A tensor filled with one number, whose category gives the dtype."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    dims = as_size("full", (size,), {})
    dt, device, requires_grad, _ = _options("full", kwargs)
    number = _fill_value(fill_value, "full")
    return _made(dims, number, as_dtype(dt, _type_of(number)), device, requires_grad)


@memoised(1024)
def _fill_kernel(aval: Aval, kind: type) -> Kernel:
    """A constant made inside the program, from a number that is its input."""
    shape, np_dtype = tuple(aval.shape), aval.dtype.np
    name = store.identity("full", aval, kind)
    if aval.dtype.category == dtypes.BOOL:
        fn = lambda x: (jnp.broadcast_to(x != 0, shape),)  # noqa: E731
        return Kernel("full", fn, (kind,), (aval,), identity=name)

    def fill(number: Any) -> Any:
        return (jnp.broadcast_to(number.astype(np_dtype), shape),)

    return Kernel("full", fill, (kind,), (aval,), identity=name)


def _like(name: str, input: Any, number: Any, kwargs: dict[str, Any]) -> Any:
    if not isinstance(input, TensorBase):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    dt, device, requires_grad, fmt = _options(name, kwargs)
    dt = as_dtype(dt, input._aval.dtype)
    dev = input._storage.device if device is None else resolve(device)
    strides = _format_strides(input, fmt)
    shape = tuple(input._aval.shape)
    _filled((), number, dt)  # checks the number
    kind: Any = type(number)
    kernel = _fill_kernel(aval_of(shape, dt), kind)
    value = record_on(dev, kernel, (number,))[0]
    made = from_value(value, strides)
    if requires_grad:
        born_with_grad(made)
    return made


@composite(into=("torch",))
def zeros_like(input: Any, **kwargs: Any) -> Tensor:
    """Zeros of the shape, dtype, device and layout of `input`."""
    return _like("zeros_like", input, 0, kwargs)


@composite(into=("torch",))
def ones_like(input: Any, **kwargs: Any) -> Tensor:
    """Ones of the shape, dtype, device and layout of `input`."""
    return _like("ones_like", input, 1, kwargs)


@composite(into=("torch",))
def empty_like(input: Any, **kwargs: Any) -> Tensor:
    """A tensor like `input` whose contents mean nothing (zeros here)."""
    return _like("empty_like", input, 0, kwargs)


@composite(into=("torch",))
def full_like(input: Any, fill_value: Any, **kwargs: Any) -> Tensor:
    """A tensor like `input` filled with one number."""
    return _like("full_like", input, _fill_value(fill_value, "full_like"), kwargs)


def _new(name: str, self: Any, number: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    size = as_size(name, args, kwargs)
    dt, device, requires_grad, _ = _options(name, kwargs)
    place = self.device if device is None else device
    return _made(size, number, as_dtype(dt, self.dtype), place, requires_grad)


@composite(into=("method",))
def new_zeros(self: Any, *size: Any, **kwargs: Any) -> Tensor:
    """Zeros of the dtype and device of this tensor."""
    return _new("new_zeros", self, 0, size, kwargs)


@composite(into=("method",))
def new_ones(self: Any, *size: Any, **kwargs: Any) -> Tensor:
    """Ones of the dtype and device of this tensor."""
    return _new("new_ones", self, 1, size, kwargs)


@composite(into=("method",))
def new_empty(self: Any, *size: Any, **kwargs: Any) -> Tensor:
    """A tensor of the dtype and device of this one; its contents mean nothing (zeros here)."""
    return _new("new_empty", self, 0, size, kwargs)


@composite(into=("method",))
def new_full(self: Any, size: Any, fill_value: Any, **kwargs: Any) -> Tensor:
    """A tensor of the dtype and device of this one, filled with one number."""
    return _new("new_full", self, _fill_value(fill_value, "new_full"), (size,), kwargs)


def _strided(size: Any, stride: Any, dt: Type, device: Any) -> Any:
    from ..._basics.strides import dense_span

    size, stride = as_size("empty_strided", (size,), {}), tuple(int(s) for s in stride)
    if len(size) != len(stride):
        raise RuntimeError(
            f"dimensionality of sizes ({len(size)}) must match dimensionality of strides "
            f"({len(stride)})"
        )
    flat = _made((dense_span(size, stride),), 0, dt, device, False)
    return ops.as_strided(flat, size, stride).detach()


@composite(into=("torch",))
def empty_strided(size: Any, stride: Any, **kwargs: Any) -> Tensor:
    """A tensor with the given strides."""
    dt, device, requires_grad, _ = _options("empty_strided", kwargs)
    made = _strided(size, stride, as_dtype(dt, process.default_dtype), device)
    return born_with_grad(made) if requires_grad else made


@composite(into=("method",))
def new_empty_strided(self: Any, size: Any, stride: Any, **kwargs: Any) -> Tensor:
    """A tensor of the dtype and device of this one with the given strides."""
    dt, device, requires_grad, _ = _options("new_empty_strided", kwargs)
    made = _strided(size, stride, as_dtype(dt, self.dtype), device or self.device)
    return born_with_grad(made) if requires_grad else made


@composite(into=("torch",))
def empty_permuted(size: Any, physical_layout: Any, **kwargs: Any) -> Tensor:
    """A dense tensor whose dims lie in memory in the order `physical_layout`."""
    order = tuple(physical_layout)
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(f"Invalid permutation of dimensions: {list(order)}")
    strides, span = [0] * len(order), 1
    for d in reversed(order):
        strides[d], span = span, span * size[d]
    return empty_strided(size, strides, **kwargs)


# --- sequences ------------------------------------------------------------------------------------


def _range_type(numbers: Sequence[Any], dt: Any) -> Type:
    if dt is not None:
        return as_dtype(dt, dtypes.int64)
    if all(isinstance(n, int) for n in numbers):
        return dtypes.int64
    return process.default_dtype


def _check_range(start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
    if (step > 0 and end < start) or (step < 0 and end > start):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def _arithmetic(start: Any, step: Any, count: int, dt: Type) -> np.ndarray[Any, Any]:
    check_size((count,), dt.itemsize)
    if dt.category == dtypes.INT:
        return (int(start) + np.arange(count, dtype=np.int64) * int(step)).astype(dt.np)
    return (start + np.arange(count, dtype=np.float64) * step).astype(dt.np)


def _counted(target: Any, made: Any) -> Any:
    """A target with as many elements keeps its shape."""
    return made.reshape(tuple(target.shape)) if target.numel() == made.numel() else made


def _in_target(target: Any, made: Any) -> Any:
    """The same, with torch's warning about another count."""
    if target.numel() not in (0, made.numel()):
        warnings.warn(
            f"The number of elements in the out tensor of shape {list(target.shape)} is "
            f"{target.numel()} which does not match the computed number of elements "
            f"{made.numel()}. Note that this may occur as a result of rounding error. The out "
            f"tensor will be resized to a tensor of shape ({made.numel()},).",
            stacklevel=user_level(),
        )
    return _counted(target, made)


_COUNTED = CREATED._replace(fit=_counted)
RANGED = CREATED._replace(fit=_in_target)


@composite(into=("torch",), out=RANGED)
def arange(*args: Any, **kwargs: Any) -> Tensor:
    """start, start + step, ... below `end`: `arange(end)`, `arange(start, end, step)`.

    Raises: RuntimeError if step is 0 or leads away from `end`.
    """
    start, end, step = kwargs.pop("start", 0), kwargs.pop("end", None), kwargs.pop("step", 1)
    if len(args) == 1 and end is None:
        end = args[0]
    elif args:
        start, end, step = (*args, *(end, step)[len(args) - 1 :])[:3]
    if end is None:
        raise TypeError('arange() missing 1 required positional arguments: "end"')
    numbers = [_number(n) for n in (start, end, step)]
    start, end, step = numbers
    dt, device, requires_grad, _ = _options("arange", kwargs)
    found = _range_type(numbers, dt)
    _check_range(start, end, step)
    if found is dtypes.int64:  # torch counts in whole numbers for this dtype only
        if int(step) == 0:
            raise ValueError("step must be nonzero")
        count = max(0, -((int(start) - int(end)) // int(step)))
    else:
        count = math.ceil((end - start) / step)
    return finish(_arithmetic(start, step, count, found), device, requires_grad)


@composite(into=("torch",), name="range", out=_COUNTED)
def range_(start: Any = 0, end: Any = None, step: Any = 1, **kwargs: Any) -> Tensor:
    """start, start + step, ... up to and including `end`; deprecated by torch."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        stacklevel=user_level(),
    )
    if end is None:
        start, end = 0, start
    start, end, step = map(_number, (start, end, step))
    dt, device, requires_grad, _ = _options("range", kwargs)
    _check_range(start, end, step)
    found = as_dtype(dt, process.default_dtype)
    array = _arithmetic(start, step, math.floor((end - start) / step) + 1, found)
    return finish(array, device, requires_grad)


def _evenly(start: Any, end: Any, steps: int, dt: Type) -> np.ndarray[Any, Any]:
    """`steps` numbers from `start` to `end`, each half counted from its own end as torch does."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    check_size((steps,), dt.itemsize)
    if steps == 1:
        return np.array([start]).astype(dt.np)
    if dt.category == dtypes.INT:
        start, end = int(start), int(end)
    work = {dtypes.FLOAT: dt.np, dtypes.COMPLEX: dt.np}.get(dt.category, np.dtype(np.float64))
    if dt.itemsize == 2 and dt.category == dtypes.FLOAT:
        work = np.dtype(np.float32)
    first, last = (np.asarray(x).astype(work) for x in (start, end))
    step = (last - first) / np.asarray(max(steps - 1, 1)).astype(work)
    index = np.arange(steps)
    low, high = index.astype(work), (steps - 1 - index).astype(work)
    return np.where(index < steps // 2, first + step * low, last - step * high).astype(dt.np)


def _line_type(start: Any, end: Any, dt: Any) -> Type:
    if isinstance(start, complex) or isinstance(end, complex):
        return as_dtype(dt, process.default_dtype.to_complex())
    return as_dtype(dt, process.default_dtype)


def _check_steps(name: str, steps: Any) -> None:
    if isinstance(steps, float):
        raise TypeError(
            f"{name}() received an invalid combination of arguments: steps must be int, not float"
        )


@composite(into=("torch",), out=_COUNTED)
def linspace(start: Any, end: Any, steps: int, **kwargs: Any) -> Tensor:
    """`steps` evenly spaced numbers from `start` to `end`, both included."""
    _check_steps("linspace", steps)
    dt, device, requires_grad, _ = _options("linspace", kwargs)
    start, end = _number(start), _number(end)
    array = _evenly(start, end, steps, _line_type(start, end, dt))
    return finish(array, device, requires_grad)


@composite(into=("torch",), out=_COUNTED)
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, **kwargs: Any) -> Tensor:
    """`steps` powers of `base`, with exponents evenly spaced from `start` to `end`."""
    _check_steps("logspace", steps)
    dt, device, requires_grad, _ = _options("logspace", kwargs)
    start, end = _number(start), _number(end)
    found = _line_type(start, end, dt)
    inexact = found if found.category >= dtypes.FLOAT else dtypes.float64
    if found is not inexact and steps > 1:
        start, end = int(start), int(end)
    exponents = _evenly(start, end, steps, inexact)
    work = np.dtype(np.float32) if inexact.itemsize == 2 else inexact.np
    array = (np.asarray(base, work) ** exponents.astype(work)).astype(found.np)
    return finish(array, device, requires_grad)


@composite(into=("torch",), out=CREATED)
def eye(n: int, m: int | None = None, **kwargs: Any) -> Tensor:
    """An n x m matrix with ones on the diagonal."""
    m = n if m is None else m
    if n < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {n}")
    if m < 0:
        raise RuntimeError(f"m must be greater or equal to 0, got {m}")
    dt, device, requires_grad, _ = _options("eye", kwargs)
    found = as_dtype(dt, process.default_dtype)
    check_size((n, m), found.itemsize)
    array = np.eye(n, m).astype(found.np)
    return finish(array, device, requires_grad)


def _below(row: int, col: int, offset: int) -> int:
    """How many places of a matrix are on its diagonal `offset` or below."""

    def total(first: int) -> int:
        low, high = max(first, 0), max(first + row, 0)  # sum of max(k, 0) for k in this range
        return (high * (high - 1) - low * (low - 1)) // 2

    return total(offset + 1) - total(offset + 1 - col)


def _triangle(name: str, row: int, col: int, offset: int, kwargs: dict[str, Any]) -> Any:
    if row < 0:
        raise RuntimeError("row must be non-negative, got" + str(row))
    if col < 0:
        raise RuntimeError("col must be non-negative, got" + str(col))
    dt, device, requires_grad, _ = _options(name, kwargs)
    lower = _below(row, col, offset if name == "tril_indices" else offset - 1)
    count = lower if name == "tril_indices" else row * col - lower
    check_size((2, count), as_dtype(dt, dtypes.int64).itemsize)
    make = np.tril_indices if name == "tril_indices" else np.triu_indices
    array = np.stack(make(row, offset, col)).astype(as_dtype(dt, dtypes.int64).np)
    return finish(array, device, requires_grad)


@composite(into=("torch",))
def tril_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Tensor:
    """Row and column indices of the lower triangle."""
    return _triangle("tril_indices", row, col, offset, kwargs)


@composite(into=("torch",))
def triu_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Tensor:
    """Row and column indices of the upper triangle."""
    return _triangle("triu_indices", row, col, offset, kwargs)
