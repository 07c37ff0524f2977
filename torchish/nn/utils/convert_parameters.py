"""Parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable

from ..._ops.registry import ops
from ..._tensor.tensor import Tensor
from ..modules._names import typename

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _checked(parameters: Iterable[Tensor]) -> list[Tensor]:
    params = list(parameters)
    if len({param.device for param in params}) > 1:
        raise TypeError(
            "Found two parameters on different devices, this is currently not supported."
        )
    return params


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters joined to one vector (differentiable)."""
    return ops.cat([param.view(-1) for param in _checked(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Makes the parameters views of slices of `vec`."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {typename(vec)}")
    start = 0
    for param in _checked(parameters):
        size = param.numel()
        param.data = vec[start : start + size].view_as(param).data
        start += size
