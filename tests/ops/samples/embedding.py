"""Samples of embeddings."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, f, i

_TABLE = f(6, 3)
_IDS = i(2, 4, low=0, high=6)
_FLAT, _STARTS = i(8, low=0, high=6), np.array([0, 2, 2, 5])

SAMPLES = {
    "nn.functional.embedding": [
        S(_IDS, _TABLE),
        S(_IDS, _TABLE, padding_idx=-2),
        S(_IDS, _TABLE, scale_grad_by_freq=True),
        S(_IDS, _TABLE, max_norm=1.0).no_grad(),
        S(_IDS + 3, _TABLE),
        S(_IDS, _TABLE, padding_idx=7),
        S(f(3), _TABLE),
    ],
    "torch.embedding": [S(_TABLE, _IDS).no_forms()],
    "torch.embedding_renorm_": [S(_TABLE, _IDS, 1.0, 2.0).no_forms().no_grad().no_half()],
    "nn.functional.embedding_bag": [
        *[S(_FLAT, _TABLE, _STARTS, mode=m) for m in ("sum", "mean", "max")],
        *[S(_IDS, _TABLE, mode=m, padding_idx=2) for m in ("sum", "mean", "max")],
        S(_FLAT, _TABLE, np.array([0, 2, 2, 5, 8]), mode="sum", include_last_offset=True),
        S(_FLAT, _TABLE, _STARTS, mode="sum", per_sample_weights=f(8)),
        S(_FLAT, _TABLE),
        S(_FLAT, _TABLE, np.array([1, 2])),
        S(_FLAT, _TABLE, _STARTS, mode="other"),
    ],
}
