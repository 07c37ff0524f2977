"""STL-10."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ._listed import CORRUPTED, Archive, Arrays, need_files
from .utils import verify_str_arg
from .vision import Transform


class STL10(Archive, Arrays):
    """Colour images of 96 x 96 pixels in ten classes: `stl10_binary/train_X.bin` ….

    Args:
        split: "train", "test", "unlabeled" (labels are -1) or "train+unlabeled".
        folds: 0 to 9: one of the predefined folds of the training images.
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list = [  # noqa: RUF012
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list = [  # noqa: RUF012
        ["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"],
        ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"],
    ]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root: Any,
        split: str = "train",
        folds: int | None = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.splits)
        self.folds = self._verify_folds(folds)
        if download:
            self.download()
        need_files(self._check_integrity(), CORRUPTED)
        data, labels = [], []
        if split.startswith("train"):
            images, known = self._images("train_X.bin"), self._labels("train_y.bin")
            chosen = self._fold(len(images))
            data.append(images[chosen])
            labels.append(known[chosen])
        if split.endswith("unlabeled"):
            data.append(self._images("unlabeled_X.bin"))
            labels.append(np.full(len(data[-1]), -1))
        if split == "test":
            data.append(self._images("test_X.bin"))
            labels.append(self._labels("test_y.bin"))
        self.data = data[0] if len(data) == 1 else np.concatenate(data)
        self.labels = labels[0] if len(labels) == 1 else np.concatenate(labels)
        names = self._path(self.class_names_file)
        if os.path.isfile(names):
            with open(names) as file:
                self.classes = file.read().splitlines()

    @staticmethod
    def _verify_folds(folds: Any) -> int | None:
        if folds is None or (isinstance(folds, int) and folds in range(10)):
            return folds
        if isinstance(folds, int):
            raise ValueError(
                f"Value for argument folds should be in the range [0, 10), but got {folds}."
            )
        raise ValueError(
            f"Expected type None or int for argument folds, but got type {type(folds)}."
        )

    def _images(self, name: str) -> np.ndarray:
        columns = np.fromfile(self._path(name), np.uint8).reshape(-1, 3, 96, 96)
        return columns.transpose(0, 1, 3, 2)

    def _labels(self, name: str) -> np.ndarray:
        return np.fromfile(self._path(name), np.uint8) - 1

    def _fold(self, count: int) -> np.ndarray:
        if self.folds is None:
            return np.arange(count)
        with open(self._path(self.folds_list_file)) as file:
            return np.array(file.read().splitlines()[self.folds].split(), np.int64)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
