"""Rows of a table whose gradient is sparse: what `Embedding(sparse=True)` looks up."""

from __future__ import annotations

from typing import Any

from .._autograd.grad_mode import is_grad_enabled
from .tensors import coo


def rows(weight: Any, indices: Any, padding_idx: int | None, by_freq: bool) -> Any:
    """weight[indices]; backward gives the leaf `weight` a sparse gradient of those rows.

    Raises: NotSupportedError for a weight that is computed.
    """
    flat = indices.reshape(-1)
    picked = weight.detach().index_select(0, flat)
    if not (is_grad_enabled() and weight.requires_grad):
        return picked.reshape(*indices.shape, weight.shape[1])
    if not weight.is_leaf:
        from .._basics.errors import not_supported

        raise not_supported("sparse gradients of a table that is computed", "sparse=False")
    leaf = picked.requires_grad_()

    def deliver(found: Any) -> None:
        values, places = found.grad, flat
        found.grad = None
        if by_freq:
            raise RuntimeError(
                "embedding_backward: scale_grad_by_freq not supported with sparse gradients"
            )
        if padding_idx is not None:
            kept = flat != padding_idx
            values, places = values[kept], places[kept]
        grad = coo(places.long().unsqueeze(0), values.detach(), weight.shape)
        weight.grad = grad if weight.grad is None else weight.grad + grad

    leaf.register_post_accumulate_grad_hook(deliver)
    return leaf.reshape(*indices.shape, weight.shape[1])
