"""Imagenette: ten classes of ImageNet that are easy to tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._listed import Listed
from .folder import default_loader, find_classes, make_dataset
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform


class Imagenette(Listed):
    """Ten classes: `imagenette2/train/n01440764/NAME.JPEG`.

    Args:
        split: "train" or "val".
        size: "full", "320px" or "160px".
    """

    _ARCHIVES = {  # noqa: RUF012
        size: (f"https://s3.amazonaws.com/fast-ai-imageclas/imagenette2{ending}.tgz", md5)
        for size, ending, md5 in (
            ("full", "", "fe2fc210e6bb7c5664d602c3cd71e612"),
            ("320px", "-320", "3df6f0d01a2c9592104656642f5e78a3"),
            ("160px", "-160", "e793b78cc4c9e9a4ccc0c1155377a412"),
        )
    }
    _WNID_TO_CLASS = {  # noqa: RUF012
        "n01440764": ("tench", "Tinca tinca"),
        "n02102040": ("English springer", "English springer spaniel"),
        "n02979186": ("cassette player",),
        "n03000684": ("chain saw", "chainsaw"),
        "n03028079": ("church", "church building"),
        "n03394916": ("French horn", "horn"),
        "n03417042": ("garbage truck", "dustcart"),
        "n03425413": ("gas pump", "gasoline pump", "petrol pump", "island dispenser"),
        "n03445777": ("golf ball",),
        "n03888257": ("parachute", "chute"),
    }

    def __init__(
        self,
        root: Any,
        split: str = "train",
        size: str = "full",
        download: bool = False,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ["train", "val"])
        self._size = verify_str_arg(size, "size", ["full", "320px", "160px"])
        url, md5 = self._ARCHIVES[size]
        folder = Path(self.root) / Path(url).stem
        if download and not folder.exists():
            download_and_extract_archive(url, self.root, md5=md5)
        if not folder.exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it.")
        self.wnids, self.wnid_to_idx = find_classes(str(folder / split))
        self.classes = [self._WNID_TO_CLASS[wnid] for wnid in self.wnids]
        self.class_to_idx = {
            name: k for wnid, k in self.wnid_to_idx.items() for name in self._WNID_TO_CLASS[wnid]
        }
        samples = make_dataset(str(folder / split), self.wnid_to_idx, extensions=".jpeg")
        self._image_files = [path for path, _ in samples]
        self._labels = [label for _, label in samples]
