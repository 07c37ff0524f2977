"""OpInfo entries that are out of scope, by pattern, with the reason."""

from __future__ import annotations

import fnmatch

EXCLUDED = {
    "masked.*": "torch.masked is out of scope",
    "sparse.*": "sparse tensors are out of scope",
    "to_sparse": "sparse tensors are out of scope",
    "*jagged*": "nested tensors are out of scope",
    "jiterator_*": "CUDA only",
    "torch._scaled_mm*": "float8 matrix products: CUDA only",
    "bmm.triton_optimized": "CUDA only",
    "nn.functional.batch_norm.without_cudnn": "CUDA only",
    "torch.ops.*": "internal: reached through the dispatcher only",
    "slice": "internal: aten.slice, reached through the dispatcher only",
    "native_dropout_backward": "internal: reached through the dispatcher only",
    "max_pool2d_with_indices_backward": "internal: reached through the dispatcher only",
    "_softmax_backward_data": "internal",
    "_native_batch_norm_legit": "internal",
    "_batch_norm_with_update": "internal",
    "_upsample_bilinear2d_aa": "internal",
    "_unsafe_masked_index": "internal",
    "_unsafe_masked_index_put_accumulate": "internal",
    "_chunk_cat": "internal",
    "_segment_reduce*": "internal",
    "nn.functional._*": "internal",
}


def label(op: object) -> str:
    """Name and variant of an OpInfo entry, as used everywhere here."""
    variant = op.variant_test_name  # type: ignore[attr-defined]
    return op.name + (f".{variant}" if variant else "")  # type: ignore[attr-defined]


def excluded(name: str) -> str | None:
    """Why an entry is out of scope; None when it is not."""
    for pattern, reason in EXCLUDED.items():
        if fnmatch.fnmatchcase(name, pattern):
            return reason
    return None
