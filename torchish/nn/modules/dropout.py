"""Dropout."""

from __future__ import annotations

from ..._ops.registry import nnf
from ..._tensor.tensor import Tensor
from .module import Module

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]


class _DropoutNd(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """In training, zeroes each element with probability `p` and divides the rest by `1 - p`.

    Source: Hinton et al., 2012.
    """

    def forward(self, input: Tensor) -> Tensor:
        return nnf.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """In training, zeroes whole channels of `(N, C, L)` with probability `p`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """In training, zeroes whole channels of `(N, C, H, W)` with probability `p`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """In training, zeroes whole channels of `(N, C, D, H, W)` with probability `p`."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean and variance after `SELU`.

    Source: Klambauer et al., 2017.
    """

    def forward(self, input: Tensor) -> Tensor:
        return nnf.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """`AlphaDropout` of whole channels."""

    def forward(self, input: Tensor) -> Tensor:
        return nnf.feature_alpha_dropout(input, self.p, self.training)
