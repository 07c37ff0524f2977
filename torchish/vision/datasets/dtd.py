"""The Describable Textures Dataset."""

from __future__ import annotations

import pathlib
from typing import Any

from ._listed import Listed, need_files, numbered
from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform


class DTD(Listed):
    """Textures in 47 classes: `dtd/dtd/labels/train1.txt`, `dtd/dtd/images/CLASS/NAME.jpg`.

    Args:
        split: "train", "val" or "test".
        partition: 1 to 10: which of the ways to split.
    """

    _URL = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
    _MD5 = "fff73e5086ae6bdbea199a49dfb8a4c1"

    def __init__(
        self,
        root: Any,
        split: str = "train",
        partition: int = 1,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        if not isinstance(partition, int) or not 1 <= partition <= 10:
            raise ValueError(
                "Parameter 'partition' should be an integer with `1 <= partition <= 10`, "
                f"but got {partition} instead"
            )
        self._partition = partition
        super().__init__(root, transform, target_transform, loader)
        base = pathlib.Path(self.root) / "dtd"
        folder = base / "dtd"
        if download and not folder.is_dir():
            download_and_extract_archive(self._URL, download_root=str(base), md5=self._MD5)
        need_files(folder.is_dir())
        with open(folder / "labels" / f"{split}{partition}.txt") as file:
            parts = [line.strip().split("/") for line in file]
        self._image_files = [folder / "images" / cls / name for cls, name in parts]
        self.classes = sorted({cls for cls, _ in parts})
        self.class_to_idx = numbered(self.classes)
        self._labels = [self.class_to_idx[cls] for cls, _ in parts]

    def extra_repr(self) -> str:
        return f"split={self._split}, partition={self._partition}"
