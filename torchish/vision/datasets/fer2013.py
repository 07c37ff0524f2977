"""FER2013."""

from __future__ import annotations

import csv
import pathlib
from typing import Any

import numpy as np

from ._listed import picture
from .utils import check_integrity, verify_str_arg
from .vision import Transform, VisionDataset


class FER2013(VisionDataset):
    """Faces of 48 x 48 pixels with seven expressions: `fer2013/train.csv` or `fer2013/fer2013.csv`.

    Args:
        split: "train" or "test" (without labels where only `test.csv` is there).
    """

    _RESOURCES = {  # noqa: RUF012
        "train": ("train.csv", "3f0dfb3d3fd99c811a1299cb947e3131"),
        "test": ("test.csv", "b02c2298636a634e8c2faabbf3ea9a23"),
        "fer": ("fer2013.csv", "f8428a1edbd21e88f42c73edd2a14f95"),
        "icml": ("icml_face_data.csv", "b114b9e04e6949e5fe8b6a98b3892b1d"),
    }

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "test"))
        super().__init__(root, transform=transform, target_transform=target_transform)
        base = pathlib.Path(self.root) / "fer2013"
        whole = [kind for kind in ("fer", "icml") if (base / self._RESOURCES[kind][0]).exists()]
        name, md5 = self._RESOURCES[whole[0] if whole else split]
        if not check_integrity(str(base / name), md5=md5):
            raise RuntimeError(
                f"{name} not found in {base} or corrupted. You can download it from "
                "https://www.kaggle.com/c/challenges-in-representation-learning-facial-"
                "expression-recognition-challenge"
            )
        with open(base / name, newline="") as file:
            rows = [{k.strip(): v for k, v in row.items()} for row in csv.DictReader(file)]
        if whole:
            uses = ("Training",) if split == "train" else ("PublicTest", "PrivateTest")
            rows = [row for row in rows if row["Usage"] in uses]
        labelled = bool(whole) or split == "train"
        self._samples = [
            (
                np.array(row["pixels"].split(), np.uint8).reshape(48, 48),
                int(row["emotion"]) if labelled else None,
            )
            for row in rows
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        pixels, target = self._samples[idx]
        return self._transformed(picture(pixels), target)

    def extra_repr(self) -> str:
        return f"split={self._split}"
