"""Food-101."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ._listed import Listed, need_files, numbered
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform


class Food101(Listed):
    """Dishes in 101 classes: `food-101/meta/train.json`, `food-101/images/CLASS/NAME.jpg`.

    Args:
        split: "train" or "test".
    """

    _URL = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
    _MD5 = "85eeb15f3717b99a5da872d97d918f87"

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        base = Path(self.root) / "food-101"
        folders = (base / "meta", base / "images")
        if download and not all(folder.is_dir() for folder in folders):
            download_and_extract_archive(self._URL, download_root=self.root, md5=self._MD5)
        need_files(all(folder.is_dir() for folder in folders))
        with open(base / "meta" / f"{split}.json") as file:
            listed = json.load(file)
        self.classes = sorted(listed)
        self.class_to_idx = numbered(self.classes)
        for name, paths in listed.items():
            self._labels += [self.class_to_idx[name]] * len(paths)
            self._image_files += [base.joinpath("images", *f"{p}.jpg".split("/")) for p in paths]

    def extra_repr(self) -> str:
        return f"split={self._split}"
