"""Samples of attention."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, b, f

_Q, _K, _V = f(2, 4, 3, 8), f(2, 4, 5, 8), f(2, 4, 5, 8)
# Small weights: sums of large terms that cancel would measure float32, not the operator.
_PROJECT = (f(12, 4) / 4, f(12) / 4, None, None, False, 0.0, f(4, 4) / 4, f(4) / 4)
_HIDE = np.array([[False, False, True, False, True]] * 2)

SAMPLES = {
    "nn.functional.scaled_dot_product_attention": [
        S(_Q, _K, _V),
        S(_Q, _K, f(2, 4, 5, 6), b(3, 5)),
        S(_Q, _K, _V, np.zeros((3, 5), bool)),
        S(_Q, _K, _V, f(3, 5)).no_half(),
        S(_Q, f(2, 4, 3, 8), f(2, 4, 3, 8), is_causal=True),
        S(_Q, f(2, 2, 5, 8), f(2, 2, 5, 8), enable_gqa=True),
        S(f(3, 8), f(5, 8), f(5, 8), scale=0.3),
        S(_Q, _K, _V, dropout_p=0.5).no_half(),
        S(_Q, f(2, 2, 5, 8), f(2, 2, 5, 8)),
        S(_Q, f(2, 4, 5, 7), _V),
    ],
    "nn.functional.multi_head_attention_forward": [
        S(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), 4, 2, *_PROJECT),
        S(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), 4, 2, *_PROJECT, need_weights=False,
          key_padding_mask=_HIDE),
        S(f(3, 4), f(5, 4), f(5, 4), 4, 2, *_PROJECT, average_attn_weights=False),
        S(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), 4, 2, *_PROJECT, attn_mask=b(3, 5),
          key_padding_mask=_HIDE),
        S(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), 5, 2, *_PROJECT),
    ],
}  # fmt: skip
SAMPLES["nn.functional.multi_head_attention_forward"] = [
    s.no_strides().no_half() for s in SAMPLES["nn.functional.multi_head_attention_forward"]
]
