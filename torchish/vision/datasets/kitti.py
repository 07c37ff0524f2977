"""KITTI's objects."""

from __future__ import annotations

import csv
import os
from typing import Any

from .utils import download_and_extract_archive
from .vision import Transform, VisionDataset


class Kitti(VisionDataset):
    """Streets and what is on them: `Kitti/raw/training/image_2/000001.png`, `label_2/000001.txt`.

    Args:
        train: the images with labels rather than those without.
    """

    data_url = "https://s3.eu-central-1.amazonaws.com/avg-kitti/"
    resources = ["data_object_image_2.zip", "data_object_label_2.zip"]  # noqa: RUF012
    image_dir_name = "image_2"
    labels_dir_name = "label_2"

    def __init__(
        self,
        root: Any,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        transforms: Any = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.train = train
        self._raw_folder = os.path.join(self.root, type(self).__name__, "raw")
        self._folder = os.path.join(self._raw_folder, "training" if train else "testing")
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError("Dataset not found. You may use download=True to download it.")
        images = os.path.join(self._folder, self.image_dir_name)
        names = os.listdir(images)
        self.images = [os.path.join(images, name) for name in names]
        labels = os.path.join(self._folder, self.labels_dir_name)
        stems = [name.split(".")[0] for name in names] if train else []
        self.targets = [os.path.join(labels, f"{stem}.txt") for stem in stems]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image = Image.open(self.images[index])
        target = self._parse_target(index) if self.train else None
        return self.transforms(image, target) if self.transforms else (image, target)

    def _parse_target(self, index: int) -> list[dict[str, Any]]:
        with open(self.targets[index]) as file:
            return [
                {
                    "type": row[0],
                    "truncated": float(row[1]),
                    "occluded": int(row[2]),
                    "alpha": float(row[3]),
                    "bbox": [float(x) for x in row[4:8]],
                    "dimensions": [float(x) for x in row[8:11]],
                    "location": [float(x) for x in row[11:14]],
                    "rotation_y": float(row[14]),
                }
                for row in csv.reader(file, delimiter=" ")
            ]

    def __len__(self) -> int:
        return len(self.images)

    def _check_exists(self) -> bool:
        names = [self.image_dir_name, *([self.labels_dir_name] if self.train else [])]
        return all(os.path.isdir(os.path.join(self._folder, name)) for name in names)

    def download(self) -> None:
        """Fetch what is missing."""
        if not self._check_exists():
            for name in self.resources:
                download_and_extract_archive(
                    f"{self.data_url}{name}", self._raw_folder, filename=name
                )
