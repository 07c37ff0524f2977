"""What most datasets are: files with labels, or arrays with labels."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .folder import default_loader
from .utils import check_integrity, download_and_extract_archive
from .vision import Transform, VisionDataset


class Listed(VisionDataset):
    """Files and their labels, each file read by `loader`."""

    def __init__(
        self,
        root: Any,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self._image_files: list[Any] = []
        self._labels: list[Any] = []

    def __len__(self) -> int:
        return len(self._image_files)

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        return self._transformed(self.loader(self._image_files[idx]), self._labels[idx])


class Archive(VisionDataset):
    """Files of one archive, which are known by their sums: those to train with and to test with."""

    base_folder: str
    url: str
    filename: str
    tgz_md5: str
    train_list: list[list[str]]
    test_list: list[list[str]]

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _check_integrity(self) -> bool:
        files = self.train_list + self.test_list
        return all(check_integrity(self._path(name), md5) for name, md5 in files)

    def download(self) -> None:
        """Fetch what is missing."""
        if not self._check_integrity():
            download_and_extract_archive(
                self.url, self.root, filename=self.filename, md5=self.tgz_md5
            )


class Arrays(VisionDataset):
    """Images in one array (N, H, W) or (N, C, H, W), and their labels."""

    data: Any
    labels: Any

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(picture(self.data[index]), int(self.labels[index]))


def picture(array: np.ndarray) -> Any:
    """A PIL image from an array (H, W) or (C, H, W) of bytes."""
    from PIL import Image

    return Image.fromarray(array if array.ndim == 2 else array.transpose(1, 2, 0))


def need_files(there: bool, text: str = "Dataset not found") -> None:
    """Raise RuntimeError unless the files are there."""
    if not there:
        raise RuntimeError(f"{text}. You can use download=True to download it")


CORRUPTED = "Dataset not found or corrupted"


def numbered(names: list[Any]) -> dict[Any, int]:
    """Names and their places in the list."""
    return {name: k for k, name in enumerate(names)}
