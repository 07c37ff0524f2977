"""Suppression of overlapping boxes: `ops.nms` and `ops.batched_nms` of 1,000 boxes.

Beside them stands the definition in numpy: the best box left, the overlaps of all others with it.
"""

from __future__ import annotations

import numpy as np

from .timing import medians, report

BOXES = 1000
LIMIT = 0.5


def boxes(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of 10 to 100 pixels on a canvas of 500, and their scores."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 400, (BOXES, 2))
    size = rng.uniform(10, 100, (BOXES, 2))
    return np.concatenate([corner, corner + size], 1).astype(np.float32), rng.random(
        BOXES, np.float32
    )


def by_definition(corners: np.ndarray, scores: np.ndarray, limit: float) -> list[int]:
    """Indices of the boxes that are kept, by falling score."""
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        best, others = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(corners[best, :2], corners[others, :2])
        high = np.minimum(corners[best, 2:], corners[others, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        left = others[shared / (area[best] + area[others] - shared) <= limit]
    return kept


def main() -> dict[str, float]:
    """Measure and print, reading out the result each time."""
    import torchish
    from torchish.vision import ops

    corners, scores = boxes()
    kinds = torchish.from_numpy(np.arange(BOXES) % 20)
    mine = torchish.from_numpy(corners), torchish.from_numpy(scores)
    assert ops.nms(*mine, LIMIT).tolist() == by_definition(corners, scores, LIMIT)
    times = medians(
        {
            "numpy": lambda: by_definition(corners, scores, LIMIT),
            "torchish": lambda: ops.nms(*mine, LIMIT).numpy(),
            "batched": lambda: ops.batched_nms(*mine, kinds, LIMIT).numpy(),
        },
        rounds=51,
    )
    report(f"nms of {BOXES} boxes; batched_nms of as many in 20 categories", times)
    return times


if __name__ == "__main__":
    main()
