"""Tables looked up by index: embedding, and embedding_bag, which reduces bags of rows."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..._autograd.require import require
from ..._basics.later import later
from ..call.warning import user_level
from ..registry import OptTensor, Scalar, Tensor, composite, internal, op, ops
from ..shared import numeric as num

_sparse_rows = later("torchish.sparse.embedding:rows")

_F = ("nn.functional",)
_TYPES = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16",
          "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
          "complex64": "ComplexFloat", "complex128": "ComplexDouble"}  # fmt: skip


def _check_indices(indices: Any, name: str) -> None:
    if indices.dtype not in (jnp.int32, jnp.int64):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{_TYPES[indices.dtype.name]}Tensor instead (while checking "
            f"arguments for {name})"
        )


# The rows, with their gradients scaled: `share` is one number a row.
_scaled_rows = num.with_derivative(
    lambda rows, share: rows, lambda out, primals, tangents: tangents[0] * primals[1]
)


def _gradient_share(
    indices: Any, rows: int, padding_idx: int | None, by_freq: bool, dtype: Any
) -> Any:
    """What each looked-up row's gradient is multiplied by, or None for 1."""
    share = None
    if by_freq:
        flat = indices.reshape(-1)
        counts = jnp.zeros((rows,), dtype).at[flat].add(jnp.ones(flat.shape, dtype))
        share = 1 / counts[indices]
    if padding_idx is not None:
        kept = (indices != padding_idx).astype(dtype)
        share = kept if share is None else share * kept
    return None if share is None else lax.stop_gradient(share)


def _rows(weight: Any, indices: Any) -> Any:
    return weight.at[indices].get(mode="promise_in_bounds")


@op("none", into=("internal",), grad_name="EmbeddingBackward0")
def embedding_rows(
    weight: Tensor, indices: Tensor, padding_idx: int | None, scale_grad_by_freq: bool
) -> Any:
    """weight[indices]; the padding row gets no gradient."""
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    _check_indices(indices, "embedding")
    rows = _rows(weight, indices)
    share = _gradient_share(indices, weight.shape[0], padding_idx, scale_grad_by_freq, weight.dtype)
    return rows if share is None else _scaled_rows(rows, share[..., None])


def _refuse_sparse(name: str) -> None:
    from ..._basics.errors import NotSupportedError

    raise NotSupportedError(
        f"{name}(sparse=True): sparse gradients are not supported; use sparse=False, which gives "
        "the same gradient as a dense tensor"
    )


def _outside(i: Any, n: Any) -> Any:
    return (i < 0) | (i >= n)


def _embed(weight: Any, indices: Any, padding_idx: Any, by_freq: bool, sparse: bool = False) -> Any:
    if sparse:
        out = _sparse_rows(weight, indices, padding_idx, by_freq)
    else:
        out = internal.embedding_rows(weight, indices, padding_idx, by_freq)
    error = IndexError("index out of range in self")
    require("embedding_range", _outside, [indices], [weight.shape[0]], error)
    return out


@composite(into=("torch",), name="embedding")
def torch_embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:  # fmt: skip
    """weight[indices] with torch.embedding's argument order."""
    return _embed(weight, indices, padding_idx, scale_grad_by_freq, sparse)


def _check_padding(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % rows


@composite(into=_F)
def embedding(
    input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """weight[input]; with `max_norm` the rows used are first shortened in place.

    Raises: IndexError for an index out of range (on a device: at the next read).
    """
    if weight.dim() != 2:
        raise RuntimeError("'weight' must be 2-D")
    padding_idx = _check_padding(padding_idx, weight.size(0))
    if max_norm is not None:
        ops.embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    return _embed(weight, input, padding_idx, scale_grad_by_freq, sparse)


@op("none", into=("internal",), differentiable=False)
def shortened_rows(weight: Tensor, indices: Tensor, max_norm: Scalar, norm_type: float) -> Any:
    """weight with every row that `indices` names scaled down to norm `max_norm`."""
    used = jnp.zeros((weight.shape[0],), bool).at[indices.reshape(-1)].set(True)
    wide = num.widen(weight)
    size = jnp.linalg.norm(wide, ord=norm_type, axis=1)
    limit = num.as_dtype(max_norm, wide)
    scale = jnp.where(used & (size > limit), limit / (size + 1e-7), jnp.ones_like(size))
    return (wide * scale[:, None]).astype(weight.dtype)


@composite(into=("torch",))
def embedding_renorm_(weight: Any, indices: Any, max_norm: float, norm_type: float) -> Tensor:
    """Shorten the rows that `indices` names to norm `max_norm`, in place."""
    from ..._autograd.grad_mode import no_grad

    with no_grad():
        error = IndexError("index out of range in self")
        require("embedding_range", _outside, [indices], [weight.shape[0]], error)
        short = internal.shortened_rows(weight, indices, max_norm, float(norm_type))
        return weight.copy_(short)


MODES = ("sum", "mean", "max")


def _first_at_maximum(rows: Any, best: Any, bag: Any, bags: int) -> Any:
    """The position of the first row of each bag that holds the maximum, for every column."""
    count = rows.shape[0]
    at = jnp.arange(count, dtype=jnp.int64)[:, None]
    place = jnp.where(rows == best[bag], at, count)
    return jax.ops.segment_min(place, bag, bags, indices_are_sorted=True)


@op("none", into=("internal",), grad_name="EmbeddingBagBackward0")
def reduce_bags(
    weight: Tensor, indices: Tensor, offsets: Tensor, per_sample_weights: OptTensor, mode: str,
    include_last_offset: bool, padding_idx: int | None, scale_grad_by_freq: bool,
) -> Any:  # fmt: skip
    """Bags of rows, each reduced to one; bag b holds indices[offsets[b]:offsets[b + 1]]."""
    _check_indices(indices, "embedding_bag")
    bags = offsets.shape[0] - (1 if include_last_offset else 0)
    starts = offsets[:bags].astype(jnp.int64)
    count = indices.shape[0]
    at = jnp.arange(count, dtype=jnp.int64)
    bag = jnp.searchsorted(starts, at, side="right") - 1
    kept = jnp.ones((count,), bool) if padding_idx is None else indices != padding_idx
    sizes = jax.ops.segment_sum(kept.astype(jnp.int64), bag, bags)
    if count == 0:
        empty = jnp.zeros((bags, weight.shape[1]), weight.dtype)
        return empty, bag, sizes, jnp.zeros((bags, weight.shape[1]), jnp.int64)
    rows = num.widen(_rows(weight, indices))
    if scale_grad_by_freq:
        share = _gradient_share(indices, weight.shape[0], None, True, rows.dtype)
        rows = _scaled_rows(rows, share[:, None])
    if mode == "max":
        masked = jnp.where(kept[:, None], rows, num.as_dtype(-jnp.inf, rows))
        best = jax.ops.segment_max(lax.stop_gradient(masked), bag, bags)
        place = _first_at_maximum(lax.stop_gradient(masked), best, bag, bags)
        some = (sizes > 0)[:, None]
        place = jnp.where(some, place, 0)
        picked = jnp.take_along_axis(masked, place, 0, mode="clip")
        out = jnp.where(some, picked, jnp.zeros_like(picked))
        return out.astype(weight.dtype), bag, sizes, jnp.where(some, indices[place], -1)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.astype(rows.dtype)[:, None]
    rows = jnp.where(kept[:, None], rows, jnp.zeros_like(rows))
    out = jax.ops.segment_sum(rows, bag, bags, indices_are_sorted=True)
    if mode == "mean":
        out = out / jnp.maximum(sizes, 1).astype(out.dtype)[:, None]
    return out.astype(weight.dtype), bag, sizes, sizes


def _check_offsets(indices: Any, offsets: Any) -> None:
    count = indices.shape[0]

    def wrong(o: Any, n: Any) -> Any:
        return (o[:1] != 0) | (o[-1:] > n)

    def error(o: Any) -> Exception:
        if o[0] != 0:
            return RuntimeError(
                "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start "
                f"from position 0. However, got {int(o[0])}"
            )
        return RuntimeError(
            f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of "
            f"{int(o[-1])}"
        )

    require("bag_offsets", wrong, [offsets], [count], error)


def _bags(
    weight: Any, indices: Any, offsets: Any, by_freq: bool, mode: str, per_sample_weights: Any,
    include_last_offset: bool, padding_idx: int | None,
) -> Any:  # fmt: skip
    out = internal.reduce_bags(
        weight, indices, offsets, per_sample_weights, mode, include_last_offset, padding_idx,
        by_freq,
    )  # fmt: skip
    _check_offsets(indices, offsets)
    rows = weight.shape[0]

    def error(values: Any) -> Exception:
        at = int(_outside(values, rows).argmax())
        if mode == "max":
            return RuntimeError(
                "embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be "
                f"{int(values[at])}"
            )
        return RuntimeError(
            f"Index {at} of input takes value {int(values[at])} which is not in the valid range "
            f"[0, {rows})"
        )

    require("embedding_range", _outside, [indices], [rows], error)
    return out


@composite(into=("torch",), name="embedding_bag")
def torch_embedding_bag(
    weight: Any, indices: Any, offsets: Any, scale_grad_by_freq: bool = False, mode: int = 0,
    sparse: bool = False, per_sample_weights: Any = None, include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:  # fmt: skip
    """embedding_bag with torch's numbered modes; also the bag of each index and the bags' sizes."""
    if sparse:
        _refuse_sparse("embedding_bag")
    return _bags(
        weight, indices, offsets, scale_grad_by_freq, MODES[mode], per_sample_weights,
        include_last_offset, padding_idx,
    )  # fmt: skip


def _check_bag_arguments(input: Any, mode: str, sparse: bool, by_freq: bool, weights: Any) -> None:
    if weights is not None and input.size() != weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({weights.shape}) is not None, then it must "
            f"have the same shape as the input ({input.shape})"
        )
    if input.dim() not in (1, 2):
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}"
        )
    if mode not in MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if sparse:
        _refuse_sparse("embedding_bag")
    if weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )


@composite(into=_F)
def embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
    sparse: bool = False, per_sample_weights: Any = None, include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or maximum of bags of rows of `weight`.

    A 2-D input holds one bag a row; a 1-D input is cut into bags at `offsets`.
    """
    if weight.dtype.name.startswith("int") and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage "
            "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
            "`embedding_bag(input, weight, ...)`.",
            stacklevel=user_level(),
        )
        weight, input = input, weight
    _check_bag_arguments(input, mode, sparse, scale_grad_by_freq, per_sample_weights)
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        width = input.size(1)
        offsets = ops.arange(0, input.numel(), width, dtype=input.dtype, device=input.device)
        input = input.reshape(-1)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
    elif offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    elif offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if padding_idx is not None:
        rows = weight.size(0)
        if not -rows <= padding_idx < rows:
            raise AssertionError("padding_idx must be within the number of embeddings")
        padding_idx %= rows
    if max_norm is not None:
        ops.embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    out = _bags(
        weight, input, offsets, scale_grad_by_freq, mode, per_sample_weights, include_last_offset,
        padding_idx,
    )  # fmt: skip
    return out[0]
