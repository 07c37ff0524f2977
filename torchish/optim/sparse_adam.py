"""Adam for sparse gradients, which torchish does not have."""

from __future__ import annotations

from typing import Any

from torchish._core.errors import NotSupportedError

from .optimizer import Optimizer

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Raises: gradients here are dense; :class:`Adam` takes them.

    Raises:
        NotSupportedError: always.
    """

    def __init__(self, params: Any, *args: Any, **kwargs: Any) -> None:
        raise NotSupportedError(
            "SparseAdam: torchish has no sparse gradients; use torch.optim.Adam with dense ones"
        )
