"""Caltech 101 and 256."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ._listed import CORRUPTED, need_files
from .utils import download_and_extract_archive, extract_archive, scipy_io, verify_str_arg
from .vision import Transform, VisionDataset

_ANNOTATED = {  # where annotations have another folder than images
    "Faces": "Faces_2",
    "Faces_easy": "Faces_3",
    "Motorbikes": "Motorbikes_16",
    "airplanes": "Airplanes_Side_2",
}


class _Caltech(VisionDataset):
    """Images that are numbered from 1 within each folder of a class."""

    _folder: str

    def _list(self, categories: list[str], ending: str = "") -> None:
        self.categories = categories
        self.index: list[int] = []
        self.y: list[int] = []
        for k, name in enumerate(categories):
            files = os.listdir(os.path.join(self.root, self._folder, name))
            count = len([file for file in files if file.endswith(ending)])
            self.index.extend(range(1, count + 1))
            self.y.extend([k] * count)

    def _open(self, category: int, name: str) -> Any:
        from PIL import Image

        folder = os.path.join(self.root, self._folder, self.categories[category])
        return Image.open(os.path.join(folder, name))

    def __len__(self) -> int:
        return len(self.index)

    def _there(self) -> bool:
        return os.path.exists(os.path.join(self.root, self._folder))


class Caltech101(_Caltech):
    """Objects in 101 classes: `caltech101/101_ObjectCategories/anchor/image_0001.jpg`.

    Args:
        target_type: "category" or "annotation" (an outline), or a list of them.
    """

    _folder = "101_ObjectCategories"

    def __init__(
        self,
        root: Any,
        target_type: Any = "category",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        folder = os.path.join(root, "caltech101")
        super().__init__(folder, transform=transform, target_transform=target_transform)
        kinds = [target_type] if isinstance(target_type, str) else target_type
        known = ("category", "annotation")
        self.target_type = [verify_str_arg(t, "target_type", known) for t in kinds]
        if download:
            self.download()
        need_files(self._there(), CORRUPTED)
        names = sorted(os.listdir(os.path.join(self.root, self._folder)))
        names.remove("BACKGROUND_Google")
        self._list(names)
        self.annotation_categories = [_ANNOTATED.get(name, name) for name in names]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        category, number = self.y[index], self.index[index]
        targets = [
            category if kind == "category" else self._outline(category, number)
            for kind in self.target_type
        ]
        image = self._open(category, f"image_{number:04d}.jpg")
        return self._transformed(image, tuple(targets) if len(targets) > 1 else targets[0])

    def _outline(self, category: int, number: int) -> Any:
        folder = os.path.join(self.root, "Annotations", self.annotation_categories[category])
        path = os.path.join(folder, f"annotation_{number:04d}.mat")
        return scipy_io().loadmat(path)["obj_contour"]

    def download(self) -> None:
        """Fetch what is missing."""
        if self._there():
            return
        download_and_extract_archive(
            "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
            download_root=self.root,
            filename="caltech-101.zip",
            md5="3138e1922a9193bfa496528edbbc45d0",
        )
        folder = os.path.join(self.root, "caltech-101")
        for name in os.listdir(folder):
            if name.endswith(".gz"):
                extract_archive(os.path.join(folder, name), self.root)
        shutil.rmtree(folder)
        os.remove(os.path.join(self.root, "caltech-101.zip"))

    def extra_repr(self) -> str:
        return f"Target type: {self.target_type}"


class Caltech256(_Caltech):
    """Objects in 256 classes: `caltech256/256_ObjectCategories/001.ak47/001_0001.jpg`."""

    _folder = "256_ObjectCategories"

    def __init__(
        self,
        root: Any,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        folder = os.path.join(root, "caltech256")
        super().__init__(folder, transform=transform, target_transform=target_transform)
        if download:
            self.download()
        need_files(self._there(), CORRUPTED)
        self._list(sorted(os.listdir(os.path.join(self.root, self._folder))), ".jpg")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        category, number = self.y[index], self.index[index]
        image = self._open(category, f"{category + 1:03d}_{number:04d}.jpg")
        return self._transformed(image, category)

    def download(self) -> None:
        """Fetch what is missing."""
        if not self._there():
            download_and_extract_archive(
                "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",
                self.root,
                filename="256_ObjectCategories.tar",
                md5="67b4f42ca05d46448c6bb8ecd2220f6d",
            )
