"""COCO."""

from __future__ import annotations

import os
from typing import Any

from .folder import pil_loader
from .utils import need
from .vision import Transform, VisionDataset


class CocoDetection(VisionDataset):
    """Images and their objects, by an annotation file of COCO; needs `pycocotools`.

    Args:
        root: folder of the images.
        annFile: path of the annotations, `instances_val2017.json`.
    """

    def __init__(
        self,
        root: Any,
        annFile: str,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        transforms: Any = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.coco = need("pycocotools.coco", "pycocotools", "reading COCO").COCO(annFile)
        self.ids = sorted(self.coco.imgs)

    def _load_image(self, id: int) -> Any:
        return pil_loader(os.path.join(self.root, self.coco.loadImgs(id)[0]["file_name"]))

    def _load_target(self, id: int) -> list[Any]:
        return self.coco.loadAnns(self.coco.getAnnIds(id))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not isinstance(index, int):
            raise ValueError(f"Index must be of type integer, got {type(index)} instead.")
        image, target = self._load_image(self.ids[index]), self._load_target(self.ids[index])
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """As CocoDetection, with captions: `captions_val2017.json`."""

    def _load_target(self, id: int) -> list[Any]:
        return [entry["caption"] for entry in super()._load_target(id)]
