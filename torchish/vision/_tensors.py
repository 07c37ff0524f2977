"""What the image code needs of the engine: tensors as numpy arrays and back, and random draws.

Invariant: nothing here touches JAX for a tensor whose data is on the host, so transforms and
datasets are safe inside the workers of a DataLoader.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._autograd.interop import host_array, is_host, wrap_host
from .._basics.errors import not_supported
from .._basics.state import process, state
from .._random import draws
from .._random.generator import thread_generator
from .._tensor.tensor import Tensor


def array_of(tensor: Tensor) -> np.ndarray:
    """The contents of a tensor, read-only; reading does not take part in autograd."""
    return host_array(tensor)


def tensor_of(array: np.ndarray, like: Tensor | None = None) -> Tensor:
    """A tensor that takes the array over, on the device of `like` (default: the CPU)."""
    array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        array = array.copy()
    if like is None or like.device.type == "cpu":
        return wrap_host(array)
    return wrap_host(array, device=like.device)


def apply(
    tensor: Tensor,
    on_array: Callable[[np.ndarray], np.ndarray],
    on_tensor: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Run `on_array` where the data is on the host, `on_tensor` where it is pending or elsewhere.

    Raises: NotSupportedError if a gradient is wanted and there is no `on_tensor`.
    """
    needs_grad = tensor.requires_grad and state.grad_enabled
    if on_tensor is not None and (needs_grad or not is_host(tensor)):
        return on_tensor(tensor)
    if needs_grad:
        raise not_supported(
            "gradients through this image transform", "detach() first, or torch.nn.functional"
        )
    return tensor_of(on_array(array_of(tensor)), like=tensor)


# -- random draws, from the stream and with the arithmetic of the torch call they name -------------


def random() -> float:
    """`torch.rand(1)`"""
    return uniform(0.0, 1.0)


def uniform(low: float, high: float) -> float:
    """`torch.empty(1).uniform_(low, high)`"""
    dtype = np.dtype(process.default_dtype.np)
    return float(draws.uniform(thread_generator(), 1, dtype, low, high)[0])


def uniforms(shape: tuple[int, ...]) -> np.ndarray:
    """`torch.rand(shape)`"""
    dtype = np.dtype(process.default_dtype.np)
    return draws.uniform(thread_generator(), int(np.prod(shape)), dtype).reshape(shape)


def randint(low: int, high: int) -> int:
    """`torch.randint(low, high, (1,))`"""
    return int(draws.integers(thread_generator(), 1, np.dtype(np.int64), high - low, low)[0])


def randperm(count: int) -> list[int]:
    """`torch.randperm(count)`"""
    return draws.permutation(thread_generator(), count).tolist()


def normal(shape: tuple[int, ...], dtype: np.dtype | None = None) -> np.ndarray:
    """`torch.empty(shape, dtype=dtype).normal_()`, in float32 by default"""
    values = draws.normal(thread_generator(), int(np.prod(shape)), dtype or np.dtype(np.float32))
    return values.reshape(shape)
