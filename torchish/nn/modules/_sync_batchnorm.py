"""Batch statistics over all processes of a group, with their gradient."""

from __future__ import annotations

from typing import Any

from ... import distributed as dist
from ..._ops.registry import ops
from ..._tensor.tensor import Tensor
from ...autograd import Function

__all__ = ["SyncBatchNormFunction"]


def _per_channel(x: Tensor, like: Tensor) -> Tensor:
    return x.reshape(1, -1, *[1] * (like.dim() - 2))


class SyncBatchNormFunction(Function):
    """y = (x - mean) * rsqrt(var + eps) * weight + bias; mean, var over the batches of all ranks.

    Gradient: dx = rsqrt(var + eps) * weight * (dy - mean(dy) - xhat * mean(dy * xhat)), with the
    means over all ranks; those of weight and bias stay local, as the module is in
    DistributedDataParallel.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, eps: float, group: Any) -> Any:
        """Returns (y, mean, unbiased variance)."""
        dims = [d for d in range(x.dim()) if d != 1]
        wide = x.float() if x.dtype.itemsize < 4 else x
        count = x.numel() // x.shape[1]
        mean = wide.mean(dims)
        var = wide.var(dims, correction=0) if count else mean
        mine = ops.cat([mean, var, ops.full((1,), float(count), dtype=mean.dtype, device=x.device)])
        rows = ops.empty((dist.get_world_size(group), mine.numel()), dtype=mine.dtype,
                         device=x.device)  # fmt: skip
        dist.all_gather_into_tensor(rows, mine, group)
        channels = x.shape[1]
        means, variances, counts = rows.split([channels, channels, 1], 1)
        if count == 0:  # an empty batch takes part in the exchange and counts for nothing
            means = ops.where(counts > 0, means, ops.zeros_like(means))
            variances = ops.where(counts > 0, variances, ops.zeros_like(variances))
        total = counts.sum()
        mean = (means * counts).sum(0) / total
        var = ((variances + (means - mean) ** 2) * counts).sum(0) / total
        scale = (var + eps).rsqrt()
        normal = (wide - _per_channel(mean, x)) * _per_channel(scale, x)
        y = normal if weight is None else normal * _per_channel(weight, x)
        y = y if bias is None else y + _per_channel(bias, x)
        ctx.save_for_backward(normal, scale, weight, total)
        ctx.group, ctx.dims, ctx.has_bias, ctx.dtype = group, dims, bias is not None, x.dtype
        unbiased = var * (total / (total - 1).clamp(min=1))
        ctx.mark_non_differentiable(mean, unbiased)
        return y.to(x.dtype), mean, unbiased

    @staticmethod
    def backward(ctx: Any, dy: Any, *_: Any) -> Any:
        """Gradients of x, weight and bias."""
        normal, scale, weight, total = ctx.saved_tensors
        dy = dy.to(normal.dtype)
        dbias, dweight = dy.sum(ctx.dims), (dy * normal).sum(ctx.dims)
        both = ops.stack([dbias, dweight])
        dist.all_reduce(both, group=ctx.group)
        mean_dy, mean_dy_normal = (_per_channel(r / total, dy) for r in both.unbind(0))
        factor = scale if weight is None else scale * weight
        dx = _per_channel(factor, dy) * (dy - mean_dy - normal * mean_dy_normal)
        return (
            dx.to(ctx.dtype),
            None if weight is None else dweight.to(weight.dtype),
            dbias if ctx.has_bias else None,
            None,
            None,
        )
