"""`OptimizedModule`: what `torch.compile` makes in PyTorch, and never makes here."""

from __future__ import annotations

from typing import Any

from .._core.errors import not_supported
from ..compiler import disable as disable


class OptimizedModule:
    """No object is one: `torch.compile` gives the module itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise not_supported("OptimizedModule", "torch.compile, which gives the module itself")
