"""Exceptions of torchish's own; every other error is the class and wording that PyTorch uses."""

from __future__ import annotations


class NotSupportedError(NotImplementedError):
    """PyTorch has this feature and torchish does not (yet); the text names the nearest way."""


def not_supported(feature: str, nearest: str = "") -> NotSupportedError:
    """Build the error for an absent `feature`, pointing at the `nearest` thing that works."""
    hint = f" Nearest: {nearest}." if nearest else ""
    return NotSupportedError(f"torchish does not support {feature}.{hint}")
