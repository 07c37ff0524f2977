"""CelebA."""

from __future__ import annotations

import csv
import os
from collections import namedtuple
from typing import Any

import numpy as np

from .._tensors import tensor_of
from ._listed import CORRUPTED, need_files
from .utils import (
    check_integrity,
    download_file_from_google_drive,
    extract_archive,
    verify_str_arg,
)
from .vision import Transform, VisionDataset

CSV = namedtuple("CSV", ["header", "index", "data"])
_SPLITS = {"train": 0, "valid": 1, "test": 2, "all": None}


class CelebA(VisionDataset):
    """Faces of celebrities: `celeba/img_align_celeba/000001.jpg`, `celeba/list_attr_celeba.txt` ….

    Args:
        split: "train", "valid", "test" or "all".
        target_type: "attr" (40 attributes), "identity", "bbox" (x, y, width, height) or
            "landmarks", or a list of them.
    """

    base_folder = "celeba"
    file_list = [  # noqa: RUF012
        (
            "0B7EVK8r0v71pZjFTYXZWM3FlRnM",
            "00d2c5bc6d35e252742224ab0c1e8fcb",
            "img_align_celeba.zip",
        ),
        (
            "0B7EVK8r0v71pblRyaVFSWGxPY0U",
            "75e246fa4810816ffd6ee81facbd244c",
            "list_attr_celeba.txt",
        ),
        (
            "1_ee_0u7vcNLOfNLegJRHmolfH5ICW-XS",
            "32bd1bd63d3c78cd57e08160ec5ed1e2",
            "identity_CelebA.txt",
        ),
        (
            "0B7EVK8r0v71pbThiMVRxWXZ4dU0",
            "00566efa6fedff7a56946cd1c10f1c16",
            "list_bbox_celeba.txt",
        ),
        (
            "0B7EVK8r0v71pd0FJY3Blby1HUTQ",
            "cc24ecafdb5b50baae59b03474781f8c",
            "list_landmarks_align_celeba.txt",
        ),
        (
            "0B7EVK8r0v71pY0NSMzRuSXJEVkk",
            "d32c9cbf5e040fd4025c592c306e6668",
            "list_eval_partition.txt",
        ),
    ]

    def __init__(
        self,
        root: Any,
        split: str = "train",
        target_type: Any = "attr",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = split
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        if not self.target_type and self.target_transform is not None:
            raise RuntimeError("target_transform is specified but target_type is empty")
        if download:
            self.download()
        need_files(self._check_integrity(), CORRUPTED)
        lowered = split.lower() if isinstance(split, str) else split
        part = _SPLITS[verify_str_arg(lowered, "split", tuple(_SPLITS))]
        splits = self._load_csv("list_eval_partition.txt")
        kept = np.arange(len(splits.index))
        if part is not None:
            kept = np.nonzero(splits.data[:, 0] == part)[0]
        self.filename = [splits.index[k] for k in kept]
        self.identity = tensor_of(self._load_csv("identity_CelebA.txt").data[kept])
        self.bbox = tensor_of(self._load_csv("list_bbox_celeba.txt", 1).data[kept])
        landmarks = self._load_csv("list_landmarks_align_celeba.txt", 1)
        self.landmarks_align = tensor_of(landmarks.data[kept])
        attributes = self._load_csv("list_attr_celeba.txt", 1)
        self.attr = tensor_of((attributes.data[kept] + 1) // 2)  # from -1 and 1
        self.attr_names = attributes.header

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _load_csv(self, filename: str, header: int | None = None) -> CSV:
        with open(self._path(filename)) as file:
            rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
        names = [] if header is None else rows[header]
        rows = rows if header is None else rows[header + 1 :]
        numbers = np.array([[int(n) for n in row[1:]] for row in rows], np.int64)
        return CSV(names, [row[0] for row in rows], numbers)

    def _check_integrity(self) -> bool:
        texts = [(md5, name) for _, md5, name in self.file_list if not name.endswith(".zip")]
        whole = all(check_integrity(self._path(name), md5) for md5, name in texts)
        return whole and os.path.isdir(self._path("img_align_celeba"))

    def download(self) -> None:
        """Fetch what is missing."""
        if self._check_integrity():
            return
        for file_id, md5, name in self.file_list:
            download_file_from_google_drive(file_id, self._path(""), name, md5)
        extract_archive(self._path("img_align_celeba.zip"))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image = Image.open(self._path(os.path.join("img_align_celeba", self.filename[index])))
        targets = [self._target(kind, index) for kind in self.target_type]
        if self.transform is not None:
            image = self.transform(image)
        if not targets:
            return image, None
        target = tuple(targets) if len(targets) > 1 else targets[0]
        return image, target if self.target_transform is None else self.target_transform(target)

    def _target(self, kind: str, index: int) -> Any:
        if kind == "identity":
            return self.identity[index, 0]
        known = {"attr": self.attr, "bbox": self.bbox, "landmarks": self.landmarks_align}
        if kind not in known:
            raise ValueError(f'Target type "{kind}" is not recognized.')
        return known[kind][index, :]

    def __len__(self) -> int:
        return len(self.attr)

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}\nSplit: {self.split}"
