"""Write the tables of published weights: addresses, sizes and categories, read from torchvision.

Run with the real torch and torchvision: `python tools/vision_weights.py`. Only facts are kept;
torchvision's descriptions of the weights are left out.
"""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
from enum import Enum
from pathlib import Path
from typing import Any

import torchvision.models
from torchvision.models import WeightsEnum, _meta

FOLDER = Path(__file__).parent.parent / "torchish" / "vision" / "models"
CATEGORIES = {
    "imagenet": _meta._IMAGENET_CATEGORIES,
    "coco": _meta._COCO_CATEGORIES,
    "coco_person": _meta._COCO_PERSON_CATEGORIES,
    "coco_person_keypoints": _meta._COCO_PERSON_KEYPOINT_NAMES,
    "voc": _meta._VOC_CATEGORIES,
    "kinetics400": _meta._KINETICS400_CATEGORIES,
}


def plain(value: Any) -> Any:
    """A value as JSON; lists of categories become `{"list": name}`."""
    if isinstance(value, WeightsEnum):
        return {"weights": f"{type(value).__name__}.{value.name}"}
    if isinstance(value, Enum):
        return {"interpolation": value.value}
    if isinstance(value, list):
        for name, known in CATEGORIES.items():
            if value == known:
                return {"list": name}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def preset(transforms: Any) -> list[Any]:
    if isinstance(transforms, functools.partial):
        return [transforms.func.__name__, plain(transforms.keywords)]
    return [transforms.__name__, {}]


def enums() -> dict[str, type[WeightsEnum]]:
    found = {}
    prefix = torchvision.models.__name__ + "."
    for info in pkgutil.walk_packages(torchvision.models.__path__, prefix):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, WeightsEnum) and len(value):
                found[name] = value
    return found


def main() -> None:
    table = {}
    for name, enum in sorted(enums().items()):
        members = {
            label: {
                "url": member.url,
                "transforms": preset(member.transforms),
                "meta": {k: plain(v) for k, v in member.meta.items() if k != "_docs"},
            }
            for label, member in enum.__members__.items()
            if label == member.name
        }
        default = enum.__members__.get("DEFAULT")
        table[name] = {"members": members, "default": default.name if default else None}
    lines = [f"{json.dumps(k)}: {json.dumps(v, sort_keys=False)}" for k, v in table.items()]
    (FOLDER / "_weights.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in CATEGORIES.items()]
    (FOLDER / "_categories.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
