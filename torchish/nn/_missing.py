"""Names of `torch.nn` that torchish lacks, each with the nearest way."""

from __future__ import annotations

from .._basics.errors import NotSupportedError, absent


class MissingName(NotSupportedError, AttributeError):
    """A name that torch has and torchish lacks; `hasattr` finds it absent, as probing expects."""


NAMES = {
    "LinearCrossEntropyOptions": "LinearCrossEntropyLoss without options",
}

FUNCTIONS = {
    "scaled_mm": "a matrix product of float32 or bfloat16",
    "scaled_grouped_mm": "a loop of matrix products in float32 or bfloat16",
    "grouped_mm": "a loop of matrix products",
}


def error(path: str, nearest: str) -> MissingName:
    """The error for a name that torchish lacks."""
    return MissingName(str(absent(path, nearest)))
