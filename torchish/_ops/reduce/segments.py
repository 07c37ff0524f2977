"""Reductions over segments: `segment_reduce`; and kernels that torch names `native_…`."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._autograd.interop import host_array, wrap_host
from ..call.warning import user_level
from ..registry import Scalar, Tensor, composite, internal, nnf, op

_EMPTY = {"sum": 0.0, "mean": math.nan, "max": -math.inf, "min": math.inf, "prod": 1.0}
_NAMES = {"amax": "max", "amin": "min"}
_JOIN = {"sum": jnp.add, "mean": jnp.add, "max": jnp.maximum, "min": jnp.minimum,
         "prod": jnp.multiply}  # fmt: skip
_REDUCE = {"sum": jax.ops.segment_sum, "mean": jax.ops.segment_sum, "max": jax.ops.segment_max,
           "min": jax.ops.segment_min}  # fmt: skip


@op("none", into=("internal",), out=False, grad_name="SegmentReduceBackward0")
def segments(data: Tensor, ids: Tensor, sizes: Tensor, initial: Scalar, reduce: str, count: int,
             longest: int, given: bool):  # fmt: skip
    """Reduce rows of `data` that have the same id (ids ascend; `count` is out of bounds)."""
    shape = (count,) + (1,) * (data.ndim - 1)
    lengths = sizes.reshape(shape)
    if reduce == "prod":  # JAX has no gradient of a product by scatter
        starts = jnp.searchsorted(ids, jnp.arange(count, dtype=ids.dtype))
        steps = jnp.arange(longest)
        rows = jnp.minimum(starts[:, None] + steps, max(data.shape[0] - 1, 0))
        held = (steps < sizes[:, None]).reshape(count, longest, *shape[1:])
        found = jnp.prod(jnp.where(held, data[rows], jnp.ones((), data.dtype)), axis=1)
    else:
        found = _REDUCE[reduce](data, ids, num_segments=count, indices_are_sorted=True)
    if given:
        found = jnp.where(lengths == 0, initial, _JOIN[reduce](found, initial))
    else:
        found = jnp.where(lengths == 0, jnp.asarray(_EMPTY[reduce], data.dtype), found)
    if reduce == "mean":
        found = jnp.where(lengths == 0, found, found / jnp.maximum(lengths, 1).astype(data.dtype))
    if reduce in ("max", "min"):  # equal winners share the gradient, also where `initial` ties
        found = jax.lax.stop_gradient(found)
        wins = (data == found[ids]) & jnp.isfinite(data)
        step = jnp.where(wins, data - jax.lax.stop_gradient(data), jnp.zeros((), data.dtype))
        winners = jax.ops.segment_sum(wins.astype(data.dtype), ids, num_segments=count)
        found = found + jax.ops.segment_sum(step, ids, num_segments=count) / jnp.maximum(winners, 1)
    return found


@composite(into=("torch",))
def segment_reduce(
    data: Any,
    reduce: str,
    *,
    lengths: Any = None,
    indices: Any = None,
    offsets: Any = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: Any = None,
) -> Any:
    """Reduce consecutive segments of `data` along `axis`, given by their lengths or offsets.

    Shape: data (*batch, N, *rest), lengths (*batch, S) with `axis` = number of batch dims; the
        result is (*batch, S, *rest).
    Raises: RuntimeError for an unknown reduction, no lengths, or lengths that do not fit.
    """
    kind = _NAMES.get(reduce, reduce)
    if kind not in _EMPTY:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    sizes = host_array(lengths) if lengths is not None else np.diff(host_array(offsets), axis=-1)
    sizes = np.asarray(sizes, np.int64)
    total = data.shape[sizes.ndim - 1]
    if axis != sizes.ndim - 1:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of lengths but got {axis}."
        )
    ends = sizes.sum(-1)
    if not unsafe and lengths is not None:
        if (sizes < 0).any():
            raise RuntimeError("lengths contains negative value!")
        if (ends != total).any():
            raise RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to "
                "data.size(lengths.dim()-1) when !unsafe."
            )
    batch, each = math.prod(sizes.shape[:-1]), sizes.shape[-1]
    count = batch * each
    ids = np.full((batch, total), count, np.int64)
    for b, row in enumerate(sizes.reshape(batch, each)):
        first = 0 if offsets is None else int(host_array(offsets).reshape(batch, -1)[b, 0])
        named = np.repeat(np.arange(b * each, (b + 1) * each), row)
        ids[b, first : first + named.size] = named
    rest = tuple(data.shape[sizes.ndim :])
    made = internal.segments(
        data.reshape(batch * total, *rest), wrap_host(ids.reshape(-1)),
        wrap_host(sizes.reshape(-1).copy()), 0.0 if initial is None else float(initial), kind,
        count, int(sizes.max(initial=1)), initial is not None,
    )  # fmt: skip
    return made.reshape(*sizes.shape, *rest)


@composite(into=("torch", "nn.functional"))
def native_channel_shuffle(input: Any, groups: int) -> Any:
    """As `channel_shuffle`."""
    return nnf.channel_shuffle(input, groups)


@composite(into=("torch",))
def convolution(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Any:  # fmt: skip
    """Convolution over as many dims as `input` has behind batch and channels."""
    form = f"conv_transpose{input.dim() - 2}d" if transposed else f"conv{input.dim() - 2}d"
    function = getattr(nnf, form)
    if transposed:
        return function(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return function(input, weight, bias, stride, padding, dilation, groups)


def _removed(name: str, text: str) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(text)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Removed from PyTorch: {text}"
    return method


for _name, _instead in (("eig", "eig"), ("lstsq", "lstsq"), ("solve", "solve"), ("symeig", "eigh")):
    composite(into=("method",), name=_name)(
        _removed(
            _name,
            "This function was deprecated since version 1.9 and is now removed. "
            f"Use torch.linalg.{_instead}.",
        )
    )
composite(into=("method",), name="reinforce")(
    _removed("reinforce", "reinforce() was removed.\nUse torch.distributions instead.")
)


def _resized(name: str, self: Any, shape: Any) -> Any:
    import warnings

    warnings.warn(f"non-inplace {name} is deprecated", stacklevel=user_level())
    if math.prod(shape) != self.numel():
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({math.prod(shape)} elements in "
            f"total), but the given tensor has a size of {'x'.join(map(str, self.shape))} "
            f"({self.numel()} elements). autograd's resize can only change the shape of a given "
            "tensor, while preserving the number of elements. "
        )
    return self.contiguous().view(*shape)


@composite(into=("method",))
def resize(self: Any, *sizes: Any) -> Any:
    """The old name of `view` (of a contiguous copy); warns."""
    if len(sizes) == 1 and not isinstance(sizes[0], int):
        sizes = tuple(sizes[0])
    return _resized("resize", self, sizes)


@composite(into=("method",))
def resize_as(self: Any, tensor: Any) -> Any:
    """The old name of `view_as` (of a contiguous copy); warns."""
    return _resized("resize_as", self, tuple(tensor.shape))
