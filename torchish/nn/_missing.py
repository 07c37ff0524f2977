"""Names of ``torch.nn`` that torchish lacks, each with the nearest way."""

from __future__ import annotations

from torchish._basics.errors import NotSupportedError


class MissingName(NotSupportedError, AttributeError):
    """A name that torch has and torchish lacks; `hasattr` finds it absent, as probing expects."""


NAMES = {
    "LinearCrossEntropyOptions": "LinearCrossEntropyLoss without options",
}

FUNCTIONS = frozenset({"scaled_mm", "scaled_grouped_mm", "grouped_mm"})
