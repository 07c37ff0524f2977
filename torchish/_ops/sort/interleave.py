"""repeat_interleave and one_hot: results whose size the data may decide."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._autograd.interop import host_array, wrap_host
from ..call.describe import scalar_name
from ..registry import Tensor, composite, op, ops, wrap_dim
from ..shared.ranges import check_range


@op("none", into=("internal",), name="_repeat_each", grad_name="ViewBackward0")
def _repeat_each(input: Tensor, repeats: int, dim: Any = None):
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    if dim is None:
        return jnp.repeat(input.reshape(-1), repeats)
    dim = wrap_dim(dim, input.ndim)
    return jnp.repeat(input.reshape(1) if input.ndim == 0 else input, repeats, axis=dim)


@composite()
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None) -> Tensor:
    """Repeat each element, `repeats` times or `repeats[i]` times; a lone tensor gives positions.

    Raises: RuntimeError for negative repeats or when their number does not fit the dimension.
    """
    if repeats is None:
        counts = _counts(input)
        positions = np.repeat(np.arange(len(counts), dtype=counts.dtype), counts)
        return wrap_host(positions, input.device)
    if isinstance(repeats, int):
        return _repeat_each(input, repeats, dim)
    if dim is None:
        input, dim = input.reshape(-1), 0
    if input.dim() == 0:
        input = input.reshape(1)
    dim = wrap_dim(dim, input.dim())
    counts, size = _counts(repeats), input.shape[dim]
    if counts.size == 1:
        counts = np.broadcast_to(counts.reshape(1), (size,))
    if len(counts) != size:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got "
            f"repeats.size(0) = {len(counts)} and input.size({dim}) = {size}"
        )
    positions = np.repeat(np.arange(size, dtype=np.int64), counts)
    if output_size is not None and output_size != len(positions):
        raise RuntimeError("allocated size does not match required size")
    return ops.index_select(input, dim, wrap_host(positions, input.device))


def _counts(repeats: Any) -> np.ndarray:
    counts = np.asarray(host_array(repeats) if hasattr(repeats, "dim") else repeats)
    if counts.ndim > 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if counts.dtype not in (np.int32, np.int64):
        raise NotImplementedError(
            f"\"repeat_interleave_cpu\" not implemented for '{scalar_name(counts)}'"
        )
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    return counts.reshape(-1)


@op("none", into=("internal",), name="_one_hot")
def _one_hot(tensor: Tensor, num_classes: int):
    return (tensor[..., None] == jnp.arange(num_classes)).astype(jnp.int64)


@composite(into=("nn.functional",))
def one_hot(tensor, num_classes=-1) -> Tensor:
    """`out[..., c] = (tensor[...] == c)` as int64; without `num_classes` it reads the tensor."""
    if str(tensor.dtype) != "torch.int64":
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return _one_hot(tensor, num_classes)
    if num_classes == -1:
        num_classes = max(int(host_array(tensor).max()) + 1, 1)
    check_range(tensor, 0, num_classes, _class_error)
    return _one_hot(tensor, num_classes)


def _class_error(found: int) -> Exception:
    what = "non-negative" if found < 0 else "smaller than num_classes"
    return RuntimeError(f"Class values must be {what}.")
