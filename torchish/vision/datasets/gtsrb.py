"""The German Traffic Sign Recognition Benchmark."""

from __future__ import annotations

import csv
import pathlib
from typing import Any

from ._listed import Listed, need_files
from .folder import make_dataset, pil_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform

_URL = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
_ARCHIVES = {
    "train": [("GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478")],
    "test": [
        ("GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
        ("GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
    ],
}


class GTSRB(Listed):
    """Traffic signs in 43 classes: `gtsrb/GTSRB/Training/00000/NAME.ppm` ….

    Args:
        split: "train" or "test".
    """

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform, pil_loader)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._base_folder = pathlib.Path(self.root) / "gtsrb"
        part = "Training" if split == "train" else "Final_Test/Images"
        self._target_folder = self._base_folder / "GTSRB" / part
        if download:
            self.download()
        need_files(self._target_folder.is_dir())
        if split == "train":
            samples = make_dataset(str(self._target_folder), extensions=(".ppm",))
        else:
            with open(self._base_folder / "GT-final_test.csv") as file:
                rows = list(csv.DictReader(file, delimiter=";", skipinitialspace=True))
            samples = [
                (str(self._target_folder / row["Filename"]), int(row["ClassId"])) for row in rows
            ]
        self._image_files = [path for path, _ in samples]
        self._labels = [label for _, label in samples]

    def download(self) -> None:
        """Fetch what is missing."""
        if self._target_folder.is_dir():
            return
        for name, md5 in _ARCHIVES[self._split]:
            download_and_extract_archive(f"{_URL}{name}", str(self._base_folder), md5=md5)
