"""FGVC Aircraft."""

from __future__ import annotations

import os
from typing import Any

from ._listed import Listed, need_files, numbered
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform

_LEVELS = {
    "variant": "variants.txt",
    "family": "families.txt",
    "manufacturer": "manufacturers.txt",
}


class FGVCAircraft(Listed):
    """Aircraft: `fgvc-aircraft-2013b/data/images_variant_train.txt`, `.../images/NAME.jpg`.

    Args:
        split: "train", "val", "trainval" or "test".
        annotation_level: "variant", "family" or "manufacturer".
    """

    _URL = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"

    def __init__(
        self,
        root: Any,
        split: str = "trainval",
        annotation_level: str = "variant",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "trainval", "test"))
        level = verify_str_arg(annotation_level, "annotation_level", tuple(_LEVELS))
        self._data_path = os.path.join(self.root, "fgvc-aircraft-2013b")
        if download and not os.path.isdir(self._data_path):
            download_and_extract_archive(self._URL, self.root)
        need_files(os.path.isdir(self._data_path))
        data = os.path.join(self._data_path, "data")
        with open(os.path.join(data, _LEVELS[level])) as file:
            self.classes = [line.strip() for line in file]
        self.class_to_idx = numbered(self.classes)
        with open(os.path.join(data, f"images_{level}_{split}.txt")) as file:
            for line in file:
                name, label = line.strip().split(" ", 1)
                self._image_files.append(os.path.join(data, "images", f"{name}.jpg"))
                self._labels.append(self.class_to_idx[label])
