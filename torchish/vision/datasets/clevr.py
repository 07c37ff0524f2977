"""CLEVR, as a classification of the number of objects."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from ._listed import CORRUPTED, Listed, need_files
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform


class CLEVRClassification(Listed):
    """Scenes and how many objects they show: `clevr/CLEVR_v1.0/images/train/NAME.png` ….

    Args:
        split: "train", "val" or "test" (without labels).
    """

    _URL = "https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip"
    _MD5 = "b11922020e72d0cd9154779b2d3d07d2"

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        super().__init__(root, transform, target_transform, loader)
        base = pathlib.Path(self.root) / "clevr"
        folder = base / "CLEVR_v1.0"
        if download and not folder.is_dir():
            download_and_extract_archive(self._URL, str(base), md5=self._MD5)
        need_files(folder.is_dir(), CORRUPTED)
        self._image_files = sorted((folder / "images" / split).glob("*"))
        self._labels = [None] * len(self._image_files)
        if split != "test":
            with open(folder / "scenes" / f"CLEVR_{split}_scenes.json") as file:
                scenes = json.load(file)["scenes"]
            counts = {scene["image_filename"]: len(scene["objects"]) for scene in scenes}
            self._labels = [counts[path.name] for path in self._image_files]

    def extra_repr(self) -> str:
        return f"split={self._split}"
