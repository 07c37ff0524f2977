"""Cityscapes."""

from __future__ import annotations

import json
import os
from collections import namedtuple
from typing import Any

from .folder import pil_loader
from .utils import extract_archive, iterable_to_str, verify_str_arg
from .vision import Transform, VisionDataset

CityscapesClass = namedtuple(
    "CityscapesClass",
    "name id train_id category category_id has_instances ignore_in_eval color",
)
# name | id, training id | category | its id, has instances, is ignored | red green blue
_CLASSES = """\
unlabeled|0 255|void|0 0 1|0 0 0
ego vehicle|1 255|void|0 0 1|0 0 0
rectification border|2 255|void|0 0 1|0 0 0
out of roi|3 255|void|0 0 1|0 0 0
static|4 255|void|0 0 1|0 0 0
dynamic|5 255|void|0 0 1|111 74 0
ground|6 255|void|0 0 1|81 0 81
road|7 0|flat|1 0 0|128 64 128
sidewalk|8 1|flat|1 0 0|244 35 232
parking|9 255|flat|1 0 1|250 170 160
rail track|10 255|flat|1 0 1|230 150 140
building|11 2|construction|2 0 0|70 70 70
wall|12 3|construction|2 0 0|102 102 156
fence|13 4|construction|2 0 0|190 153 153
guard rail|14 255|construction|2 0 1|180 165 180
bridge|15 255|construction|2 0 1|150 100 100
tunnel|16 255|construction|2 0 1|150 120 90
pole|17 5|object|3 0 0|153 153 153
polegroup|18 255|object|3 0 1|153 153 153
traffic light|19 6|object|3 0 0|250 170 30
traffic sign|20 7|object|3 0 0|220 220 0
vegetation|21 8|nature|4 0 0|107 142 35
terrain|22 9|nature|4 0 0|152 251 152
sky|23 10|sky|5 0 0|70 130 180
person|24 11|human|6 1 0|220 20 60
rider|25 12|human|6 1 0|255 0 0
car|26 13|vehicle|7 1 0|0 0 142
truck|27 14|vehicle|7 1 0|0 0 70
bus|28 15|vehicle|7 1 0|0 60 100
caravan|29 255|vehicle|7 1 1|0 0 90
trailer|30 255|vehicle|7 1 1|0 0 110
train|31 16|vehicle|7 1 0|0 80 100
motorcycle|32 17|vehicle|7 1 0|0 0 230
bicycle|33 18|vehicle|7 1 0|119 11 32
license plate|-1 -1|vehicle|7 0 1|0 0 142
"""


def _class(line: str) -> CityscapesClass:
    name, ids, category, facts, color = line.split("|")
    number, train = map(int, ids.split())
    group, instances, ignored = map(int, facts.split())
    rgb = tuple(map(int, color.split()))
    return CityscapesClass(
        name, number, train, category, group, bool(instances), bool(ignored), rgb
    )


_SUFFIXES = {
    "instance": "instanceIds.png",
    "semantic": "labelIds.png",
    "color": "color.png",
    "polygon": "polygons.json",
}


class Cityscapes(VisionDataset):
    """Streets: `leftImg8bit/train/aachen/NAME_leftImg8bit.png`, `gtFine/train/aachen/NAME_….png`.

    Args:
        split: "train", "val", and "test" (fine) or "train_extra" (coarse).
        mode: "fine" or "coarse".
        target_type: "instance", "semantic", "polygon" or "color", or a list of them.
    """

    CityscapesClass = CityscapesClass
    classes = [_class(line) for line in _CLASSES.splitlines()]  # noqa: RUF012

    def __init__(
        self,
        root: Any,
        split: str = "train",
        mode: str = "fine",
        target_type: Any = "instance",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        transforms: Any = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        verify_str_arg(mode, "mode", ("fine", "coarse"))
        self.mode = "gtFine" if mode == "fine" else "gtCoarse"
        valid = ("train", "test", "val") if mode == "fine" else ("train", "train_extra", "val")
        message = (
            f"Unknown value '{split}' for argument split if mode is '{mode}'. "
            f"Valid values are {{{iterable_to_str(valid)}}}."
        )
        self.split = verify_str_arg(split, "split", valid, message)
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        for kind in self.target_type:
            verify_str_arg(kind, "target_type", tuple(_SUFFIXES))
        self.images_dir = os.path.join(self.root, "leftImg8bit", split)
        self.targets_dir = os.path.join(self.root, self.mode, split)
        if not os.path.isdir(self.images_dir) or not os.path.isdir(self.targets_dir):
            self._extract()
        self.images: list[str] = []
        self.targets: list[list[str]] = []
        for city in os.listdir(self.images_dir):
            for name in os.listdir(os.path.join(self.images_dir, city)):
                stem = os.path.join(self.targets_dir, city, name.split("_leftImg8bit")[0])
                self.images.append(os.path.join(self.images_dir, city, name))
                self.targets.append(
                    [f"{stem}_{self.mode}_{_SUFFIXES[kind]}" for kind in self.target_type]
                )

    def _extract(self) -> None:
        images = "trainextra" if self.split == "train_extra" else "trainvaltest"
        ending = "_trainvaltest" if self.mode == "gtFine" else ""
        archives = [
            os.path.join(self.root, f"leftImg8bit_{images}.zip"),
            os.path.join(self.root, f"{self.mode}{ending}.zip"),
        ]
        if not all(os.path.isfile(path) for path in archives):
            raise RuntimeError(
                "Dataset not found or incomplete. Please make sure all required folders for the "
                'specified "split" and "mode" are inside the "root" directory'
            )
        for path in archives:
            extract_archive(path, self.root)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pil_loader(self.images[index])
        read = [self._read(path) for path in self.targets[index]]
        target: Any = tuple(read) if len(read) > 1 else read[0]
        return (image, target) if self.transforms is None else self.transforms(image, target)

    @staticmethod
    def _read(path: str) -> Any:
        from PIL import Image

        if path.endswith(".json"):
            with open(path) as file:
                return json.load(file)
        return Image.open(path)

    def __len__(self) -> int:
        return len(self.images)

    def extra_repr(self) -> str:
        return f"Split: {self.split}\nMode: {self.mode}\nType: {self.target_type}"
