"""USPS."""

from __future__ import annotations

import bz2
import os
from typing import Any

import numpy as np

from ._listed import picture
from .utils import download_url
from .vision import Transform, VisionDataset

_URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"


class USPS(VisionDataset):
    """Handwritten digits of 16 x 16 pixels: `usps.bz2`, `usps.t.bz2`."""

    split_list = {  # noqa: RUF012
        "train": [f"{_URL}usps.bz2", "usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"],
        "test": [f"{_URL}usps.t.bz2", "usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"],
    }

    def __init__(
        self,
        root: Any,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        url, filename, md5 = self.split_list["train" if train else "test"]
        path = os.path.join(self.root, filename)
        if download and not os.path.exists(path):
            download_url(url, self.root, filename, md5=md5)
        with bz2.open(path) as file:
            rows = [line.decode().split() for line in file]
        numbers = [[pair.split(":")[-1] for pair in row[1:]] for row in rows]
        shades = np.asarray(numbers, np.float32).reshape(-1, 16, 16)  # in [-1, 1]
        self.data = ((shades + 1) / 2 * 255).astype(np.uint8)
        self.targets = [int(row[0]) - 1 for row in rows]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(picture(self.data[index]), int(self.targets[index]))
