"""Names of ``torch.nn`` that torchish lacks, each with the nearest way."""

from __future__ import annotations

NAMES = {
    "intrinsic": "quantization is out of scope",
    "qat": "quantization is out of scope",
    "quantizable": "quantization is out of scope",
    "quantized": "quantization is out of scope",
    "LinearCrossEntropyOptions": "LinearCrossEntropyLoss without options",
}

FUNCTIONS = frozenset({"linear_cross_entropy", "scaled_mm", "scaled_grouped_mm", "grouped_mm"})
