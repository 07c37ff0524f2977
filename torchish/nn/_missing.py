"""Names of ``torch.nn`` that torchish lacks, each with the nearest way."""

from __future__ import annotations

from torchish._core.errors import NotSupportedError


class MissingName(NotSupportedError, AttributeError):
    """A name that torch has and torchish lacks; `hasattr` finds it absent, as probing expects."""


NAMES = {
    "intrinsic": "quantization is out of scope",
    "qat": "quantization is out of scope",
    "quantizable": "quantization is out of scope",
    "quantized": "quantization is out of scope",
    "LinearCrossEntropyOptions": "LinearCrossEntropyLoss without options",
}

FUNCTIONS = frozenset({"scaled_mm", "scaled_grouped_mm", "grouped_mm"})
