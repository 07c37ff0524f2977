"""How random values enter tensors, whatever their distribution and device.

Invariant: on the CPU values are drawn by the host at the call, in program order and in the order in
which PyTorch's kernel walks the memory; they enter programs as inputs. On other devices the program
derives a key from (seed, counter) operands and draws by itself. Nothing is drawn before everything
that can fail has been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._autograd.apply import check_inplace, commit, write_inplace
from .._autograd.tensor_base import from_value
from .._basics.devices import META, device
from .._basics.dtypes import SCALAR_NAMES, dtype
from .._basics.errors import not_supported
from .._basics.memo import Memo
from .._basics.state import state
from .._basics.strides import contiguous_strides, inverse, memory_order
from .._core.kernels import DrawKernel, Kernel
from .._core.trace import record_on
from .._core.values import Aval, Value, aval_of, host_value
from .generator import Generator, device_generator, thread_generator

HostDraw = Callable[..., "np.ndarray[Any, Any]"]
DeviceDraw = Callable[..., Any]


@dataclass(frozen=True)
class Distribution:
    """One distribution: how the host draws it and how a program on a device does.

    host(generator, count, numpy dtype, contiguous, *numbers) gives `count` values in memory order;
    device(key, shape, numpy dtype, *numbers) gives an array.
    """

    name: str
    host: HostDraw
    device: DeviceDraw


def pick(generator: Any, dev: device, name: str) -> Generator:
    """The generator to draw from on `dev`.

    Raises: TypeError for another object, RuntimeError for a generator of another device type.
    """
    if state.capture is not None and state.capture.draws_by_key:
        raise not_supported(f"{name} inside a JAX function", "drawing outside, or on a device")
    if generator is None:
        return thread_generator() if dev.type in ("cpu", "meta") else device_generator(dev)
    if not isinstance(generator, Generator):
        raise TypeError(
            f"{name}(): argument 'generator' must be torch.Generator, not "
            f"{type(generator).__name__}"
        )
    if dev.type != "meta" and generator.device.type != dev.type:
        raise RuntimeError(
            f"Expected a '{dev.type}' device type for generator but found '{generator.device.type}'"
        )
    return generator


def draw(
    dist: Distribution,
    numbers: Sequence[Any],
    shape: tuple[int, ...],
    dt: dtype,
    dev: device,
    generator: Any,
    strides: tuple[int, ...] | None = None,
) -> Value:
    """A Value of drawn numbers for memory of this shape and these strides."""
    aval = aval_of(tuple(shape), dt)
    if dev is META:
        return Value(None, aval, META)
    if state.capture is not None:
        found: Value | None = state.capture.draw(dist, numbers, aval, dev)
        if found is not None:
            return found
    gen = pick(generator, dev, dist.name)
    if dev.type != "cpu":
        return _draw_on_device(dist, numbers, aval, dev, gen)
    real = dt.to_real().np
    count = aval.numel * (2 if dt.is_complex else 1)
    plain = contiguous_strides(tuple(shape))
    strides = plain if strides is None else tuple(strides)
    contiguous = all(n == 1 or a == b for n, a, b in zip(shape, strides, plain, strict=True))

    def make() -> np.ndarray[Any, Any]:
        flat = dist.host(gen, count, real, contiguous or aval.numel == 0, *numbers)
        return arrange(flat.view(dt.np) if dt.is_complex else flat, shape, strides)

    return on_host(make, aval)


def on_host(make: Callable[[], np.ndarray[Any, Any]], aval: Aval) -> Value:
    """The Value of what `make` draws now; of what it draws at each call, where that is captured."""
    if state.capture is not None:
        made: Value = state.capture.drawn(make, aval)
        return made
    return host_value(make())


def arrange(
    flat: np.ndarray[Any, Any], shape: Sequence[int], strides: Sequence[int]
) -> np.ndarray[Any, Any]:
    """Values drawn in memory order as an array in logical order."""
    order = memory_order(tuple(shape), tuple(strides))
    if order == tuple(range(len(order))):
        return flat.reshape(tuple(shape))
    rows = flat.reshape([shape[d] for d in order])
    return np.ascontiguousarray(rows.transpose(inverse(order)))


# -- devices ---------------------------------------------------------------------------------------

_DEVICE_KERNELS: Memo[Kernel] = Memo()


def key_of(seed: Any, counter: Any) -> Any:
    """A JAX key from a generator's seed and counter (both int64 operands)."""
    words = jnp.stack([seed >> 32, seed & 0xFFFFFFFF]).astype(jnp.uint32)
    key = jax.random.wrap_key_data(words, impl="threefry2x32")
    return jax.random.fold_in(key, counter.astype(jnp.uint32))


def counters(gen: Generator) -> tuple[int, int]:
    """Seed and counter as operands of a program (the seed as a signed 64-bit integer)."""
    seed, counter = gen.next_counter()
    return (seed + 2**63) % 2**64 - 2**63, counter


def _draw_on_device(
    dist: Distribution, numbers: Sequence[Any], aval: Aval, dev: device, gen: Generator
) -> Value:
    kinds = tuple(type(n) for n in numbers)
    shape, np_dtype = tuple(aval.shape), aval.dtype.np

    def fn(seed: Any, counter: Any, *values: Any) -> tuple[Any]:
        return (dist.device(key_of(seed, counter), shape, np_dtype, *values).astype(np_dtype),)

    def make() -> Kernel:
        return DrawKernel(dist.name, fn, (int, int, *kinds), (aval,), differentiable=False)

    kernel = _DEVICE_KERNELS.find((dist, aval, kinds), make)
    return record_on(dev, kernel, (*counters(gen), *numbers))[0]


# -- into tensors ----------------------------------------------------------------------------------

_REPLACE: Memo[Kernel] = Memo()


def fill(
    target: Any, dist: Distribution, numbers: Sequence[Any], generator: Any, grad_name: str
) -> Any:
    """Overwrite `target` with drawn values; its history then has a gradient of zero."""
    check_inplace(target)
    value = draw(
        dist, numbers, tuple(target._aval.shape), target._aval.dtype, target._storage.device,
        generator, tuple(target._strides),
    )  # fmt: skip
    return overwrite(target, value, grad_name)


def overwrite(target: Any, value: Value, grad_name: str) -> Any:
    """Write a Value that does not depend on `target` into it."""
    if not (state.grad_enabled and target._needs_grad()):
        commit(target, value, None)
        return target
    aval = target._aval

    def make() -> Kernel:
        avals = (aval, aval)
        return Kernel(grad_name, lambda old, new: (new,), avals, (aval,), grad_name=grad_name)

    kernel = _REPLACE.find((aval, grad_name), make)
    return write_inplace(target, kernel, (target, from_value(value)), cast=False)


def not_implemented(kernel: str, dt: dtype) -> NotImplementedError:
    """torch's error for a dtype that a kernel has no version for."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[dt]}'")


def number(x: Any) -> str:
    """A number as C++ streams print it in torch's error texts."""
    return f"{float(x):g}"


def as_float(x: Any, name: str, argument: str, position: int = 1) -> float:
    """A Python float from a number or a 0-dim tensor.

    Raises: torch's TypeError for anything else.
    """
    if isinstance(x, bool | int | float):
        return float(x)
    if hasattr(x, "item") and not getattr(x, "ndim", 0):
        return float(x.item())
    raise TypeError(
        f"{name}(): argument '{argument}' (position {position}) must be float, not "
        f"{type(x).__name__}"
    )
