"""Stanford Cars."""

from __future__ import annotations

import pathlib
from typing import Any

from ._listed import Listed, numbered
from .folder import default_loader
from .utils import scipy_io, verify_str_arg
from .vision import Transform


class StanfordCars(Listed):
    """Cars in 196 classes: `stanford_cars/devkit/cars_meta.mat`, `cars_train/00001.jpg` ….

    Args:
        split: "train" or "test".
        download: refused: the data is no longer where it was.
    """

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        mat = scipy_io()
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        base = pathlib.Path(self.root) / "stanford_cars"
        devkit, images = base / "devkit", base / f"cars_{split}"
        listed = devkit / "cars_train_annos.mat"
        if split == "test":
            listed = base / "cars_test_annos_withlabels.mat"
        if download:
            self.download()
        if not (devkit.is_dir() and listed.exists() and images.is_dir()):
            raise RuntimeError("Dataset not found.")
        for row in mat.loadmat(listed, squeeze_me=True)["annotations"]:
            self._image_files.append(str(images / row["fname"]))
            self._labels.append(row["class"] - 1)
        meta = mat.loadmat(str(devkit / "cars_meta.mat"), squeeze_me=True)
        self.classes = meta["class_names"].tolist()
        self.class_to_idx = numbered(self.classes)

    def download(self) -> None:
        """Raise ValueError: there is nothing to fetch any more."""
        raise ValueError(
            "The original URL is broken so the StanfordCars dataset cannot be downloaded anymore."
        )
