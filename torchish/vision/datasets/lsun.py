"""LSUN: scenes in LMDB databases."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any

from .utils import iterable_to_str, need, verify_str_arg
from .vision import Transform, VisionDataset

_CATEGORIES = [
    "bedroom",
    "bridge",
    "church_outdoor",
    "classroom",
    "conference_room",
    "dining_room",
    "kitchen",
    "living_room",
    "restaurant",
    "tower",
]
_PARTS = ["train", "val", "test"]


class LSUNClass(VisionDataset):
    """The images of one database; needs `lmdb`. Targets are None.

    Differs from torch: the list of keys is not cached in the working directory.
    """

    def __init__(
        self,
        root: str,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        lmdb = need("lmdb", "lmdb", "reading LSUN")
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.env = lmdb.open(
            root, max_readers=1, readonly=True, lock=False, readahead=False, meminit=False
        )
        with self.env.begin(write=False) as transaction:
            self.length = transaction.stat()["entries"]
            self.keys = list(transaction.cursor().iternext(keys=True, values=False))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        with self.env.begin(write=False) as transaction:
            content = transaction.get(self.keys[index])
        return self._transformed(Image.open(io.BytesIO(content)).convert("RGB"), None)

    def __len__(self) -> int:
        return self.length


class LSUN(VisionDataset):
    """Scenes by class: `bedroom_train_lmdb` ….

    Args:
        classes: "train", "val", "test", or a list like ["bedroom_train", "tower_train"].
    """

    def __init__(
        self,
        root: Any,
        classes: Any = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes = self._verify_classes(classes)
        paths = [os.path.join(self.root, f"{name}_lmdb") for name in self.classes]
        self.dbs = [LSUNClass(path, transform=transform) for path in paths]
        self.indices: list[int] = []
        for db in self.dbs:
            self.indices.append(len(db) + (self.indices[-1] if self.indices else 0))
        self.length = self.indices[-1] if self.indices else 0

    @staticmethod
    def _verify_classes(classes: Any) -> list[str]:
        if classes in _PARTS:
            return ["test"] if classes == "test" else [f"{c}_{classes}" for c in _CATEGORIES]
        if isinstance(classes, str):
            verify_str_arg(classes, "classes", _PARTS)
        if not isinstance(classes, Iterable):
            raise ValueError(
                f"Expected type str or Iterable for argument classes, but got type {type(classes)}."
            )
        unknown = "Unknown value '{}' for {}. Valid values are {{{}}}."
        for name in classes:
            if not isinstance(name, str):
                raise ValueError(
                    "Expected type str for elements in argument classes, "
                    f"but got type {type(name)}."
                )
            category, _, part = name.rpartition("_")
            text = unknown.format(category, "LSUN class", iterable_to_str(_CATEGORIES))
            verify_str_arg(category, valid_values=_CATEGORIES, custom_msg=text)
            text = unknown.format(part, "postfix", iterable_to_str(_PARTS))
            verify_str_arg(part, valid_values=_PARTS, custom_msg=text)
        return list(classes)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target: Any = next(k for k, end in enumerate(self.indices) if index < end)
        start = self.indices[target - 1] if target else 0
        image, _ = self.dbs[target][index - start]
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return self.length

    def extra_repr(self) -> str:
        return f"Classes: {self.classes}"
