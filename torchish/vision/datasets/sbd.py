"""The Semantic Boundaries Dataset."""

from __future__ import annotations

import os
import shutil
from typing import Any

import numpy as np

from ._listed import CORRUPTED, need_files
from .folder import pil_loader
from .utils import download_and_extract_archive, download_url, scipy_io, verify_str_arg
from .vision import VisionDataset


class SBDataset(VisionDataset):
    """Objects with outlines: `img/NAME.jpg`, `cls/NAME.mat`, `train.txt`; needs SciPy.

    Args:
        image_set: "train", "val" or "train_noval".
        mode: "boundaries" (an array (20, H, W)) or "segmentation" (a PIL image).
    """

    url = (
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/"
        "semantic_contours/benchmark.tgz"
    )
    md5 = "82b4d87ceb2ed10f6038a1cba92111cb"
    filename = "benchmark.tgz"
    voc_train_url = "https://www.cs.cornell.edu/~bharathh/train_noval.txt"
    voc_split_filename = "train_noval.txt"
    voc_split_md5 = "79bff800c5f0b1ec6b21080a3c066722"

    def __init__(
        self,
        root: Any,
        image_set: str = "train",
        mode: str = "boundaries",
        download: bool = False,
        transforms: Any = None,
    ) -> None:
        self._loadmat = scipy_io().loadmat
        super().__init__(root, transforms)
        self.image_set = verify_str_arg(image_set, "image_set", ("train", "val", "train_noval"))
        self.mode = verify_str_arg(mode, "mode", ("segmentation", "boundaries"))
        self.num_classes = 20
        if download:
            self._download()
        need_files(os.path.isdir(self.root), CORRUPTED)
        with open(os.path.join(self.root, f"{image_set}.txt")) as file:
            names = [line.strip() for line in file]
        self.images = [os.path.join(self.root, "img", f"{name}.jpg") for name in names]
        self.masks = [os.path.join(self.root, "cls", f"{name}.mat") for name in names]

    def _download(self) -> None:
        download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        unpacked = os.path.join(self.root, "benchmark_RELEASE", "dataset")
        for name in ("cls", "img", "inst", "train.txt", "val.txt"):
            shutil.move(os.path.join(unpacked, name), self.root)
        if self.image_set == "train_noval":
            name = self.voc_split_filename
            download_url(self.voc_train_url, self.root, name, self.voc_split_md5)

    def _target(self, path: str) -> Any:
        from PIL import Image

        content = self._loadmat(path)["GTcls"][0]
        if self.mode == "segmentation":
            return Image.fromarray(content["Segmentation"][0])
        outlines = content["Boundaries"][0]
        return np.stack([outlines[k][0].toarray() for k in range(self.num_classes)])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil_loader(self.images[index]), self._target(self.masks[index])
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __len__(self) -> int:
        return len(self.images)

    def extra_repr(self) -> str:
        return f"Image set: {self.image_set}\nMode: {self.mode}"
