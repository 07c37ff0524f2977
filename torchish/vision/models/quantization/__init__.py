"""torchvision's quantized models, which are refused by name."""

from __future__ import annotations

from typing import Any

from torchish._basics.errors import MissingName, not_supported


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    error = not_supported(f"quantized models ({name})", "the model of torchvision.models")
    raise MissingName(
        f"module 'torchvision.models.quantization' has no attribute {name!r}. {error}"
    )
