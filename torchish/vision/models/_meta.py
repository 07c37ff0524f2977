"""The categories that published weights tell apart: `_IMAGENET_CATEGORIES` and its like."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_NAMES = {
    "_IMAGENET_CATEGORIES": "imagenet",
    "_COCO_CATEGORIES": "coco",
    "_COCO_PERSON_CATEGORIES": "coco_person",
    "_COCO_PERSON_KEYPOINT_NAMES": "coco_person_keypoints",
    "_VOC_CATEGORIES": "voc",
    "_KINETICS400_CATEGORIES": "kinetics400",
}


@functools.cache
def table(name: str) -> dict[str, Any]:
    """A table of this folder, written by tools/vision_weights.py."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())


def categories(name: str) -> list[str]:
    """A list of categories: "imagenet", "coco" …; always the same object."""
    return table("_categories")[name]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return categories(_NAMES[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
