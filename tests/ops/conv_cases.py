"""Convolutions of every kind that oneDNN is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from torchish._ops.conv.xla_maps import ConvShape

# batch, channels, size, outputs, kernel, stride, padding, dilation, groups
CASES = [
    (2, 3, (19,), 8, (3,), (1,), (1,), (1,), 1),
    (5, 32, (40,), 48, (5,), (2,), (0,), (2,), 1),
    (4, 3, (16, 17), 16, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (3, 16, (9, 12), 32, (3, 2), (2, 1), (0, 1), (1, 2), 1),
    (1, 64, (8, 8), 128, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    (4, 128, (4, 4), 128, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 32, (14, 14), 32, (3, 3), (1, 1), (1, 1), (1, 1), 32),
    (2, 24, (10, 10), 48, (3, 3), (2, 2), (1, 1), (1, 1), 4),
    (2, 16, (9, 9), 32, (4, 4), (2, 2), (1, 1), (1, 1), 1),
    (2, 8, (6, 7, 8), 16, (3, 3, 3), (1, 2, 1), (1, 1, 0), (1, 1, 1), 1),
    # Large enough for several threads: cut by images, by channels, by groups.
    (5, 32, (24, 24), 64, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (1, 72, (20, 20), 136, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (1, 64, (28, 28), 128, (3, 3), (1, 1), (1, 1), (1, 1), 8),
    # As matrix products: pointwise, two shifted taps, weight gradients of small images.
    (5, 40, (19, 23), 72, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    (1, 200, (8, 8, 8), 90, (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1),
    (3, 33, (1100,), 65, (2,), (1,), (0,), (16,), 1),
    (9, 130, (4, 4), 140, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (5, 96, (9, 7), 200, (4, 3), (2, 3), (1, 0), (1, 2), 1),
    (4, 64, (5, 5, 6), 150, (3, 3, 3), (2, 2, 3), (1, 1, 1), (1, 1, 1), 1),
    (8, 256, (16,), 300, (5,), (4,), (2,), (1,), 1),
]


def arrays(case: Any) -> tuple[Any, Any, Any, ConvShape]:
    """x, w, the gradient of y, and the geometry of a case."""
    n, c, size, o, kernel, stride, padding, dilation, groups = case
    geo = ConvShape(size, kernel, stride, tuple((p, p) for p in padding), dilation, groups)
    rng = np.random.default_rng(0)
    shapes = ((n, c, *size), (o, c // groups, *kernel), (n, o, *geo.output))
    x, w, g = (rng.standard_normal(s).astype(np.float32) for s in shapes)
    return x, w, g, geo
