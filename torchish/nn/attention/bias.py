"""Causal masks by name, for `scaled_dot_product_attention`: `torch.nn.attention.bias`."""

from __future__ import annotations

import warnings
from enum import IntEnum, auto
from typing import Any

from ..._basics import dtypes
from ..._ops.call.warning import user_level
from ..._ops.registry import nnf, ops
from ..._tensor.tensor import Tensor

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(IntEnum):
    """Which corner the triangle of a mask that is not square starts from."""

    UPPER_LEFT = auto()
    LOWER_RIGHT = auto()


class CausalBias(Tensor):
    """A causal mask of `seq_len_q` queries and `seq_len_kv` keys, which is made when it is needed.

    Raises: AssertionError for a variant that is no `CausalVariant`.
    """

    variant: CausalVariant
    seq_len_q: int
    seq_len_kv: int

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> CausalBias:
        """An empty tensor that carries the three."""
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        return ops.empty(0).as_subclass(cls)  # type: ignore[no-any-return]

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        self.variant, self.seq_len_q, self.seq_len_kv = variant, seq_len_q, seq_len_kv
        if seq_len_q > seq_len_kv and variant is CausalVariant.LOWER_RIGHT:
            warnings.warn(
                "Lower right causal bias will produce NaNs in the output when seq_len_q > "
                "seq_len_kv!",
                stacklevel=user_level(),
            )

    def _materialize(self, device: Any = None) -> Any:
        """The bool mask: True where a query looks."""
        ones = ops.ones(
            (self.seq_len_q, self.seq_len_kv), dtype=dtypes.bool_, device=device or "cpu"
        )
        lower = self.variant is CausalVariant.LOWER_RIGHT
        return ops.tril(ones, self.seq_len_kv - self.seq_len_q if lower else 0)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nnf.scaled_dot_product_attention:
            return _attend(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs or {})

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return repr(self._materialize())


def _attend(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    if is_causal:
        raise ValueError("CausalBias should not be used with causal=True")
    square = attn_mask.seq_len_q == attn_mask.seq_len_kv
    first = square or attn_mask.variant is CausalVariant.UPPER_LEFT
    mask = None if first else attn_mask._materialize(query.device)
    return nnf.scaled_dot_product_attention(
        query, key, value, mask, dropout_p, first, scale=scale, enable_gqa=enable_gqa
    )


def _sizes(name: str, size: tuple[int, ...]) -> tuple[int, ...]:
    if len(size) != 2:
        raise AssertionError(f"{name} only supports 2D tensors")
    return size


def causal_upper_left(*size: int) -> CausalBias:
    """The causal mask of (queries, keys) aligned to the first ones, as `is_causal=True`."""
    return CausalBias(CausalVariant.UPPER_LEFT, *_sizes("causal_upper_left", size))


def causal_lower_right(*size: int) -> CausalBias:
    """The causal mask of (queries, keys) aligned to the last ones."""
    return CausalBias(CausalVariant.LOWER_RIGHT, *_sizes("causal_lower_right", size))
