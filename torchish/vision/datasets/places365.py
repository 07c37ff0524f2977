"""Places365."""

from __future__ import annotations

import os
from os import path
from typing import Any

from .folder import default_loader
from .utils import check_integrity, download_and_extract_archive, verify_str_arg
from .vision import Transform, VisionDataset

# The MD5 of the lists of files, one for each set of training images.
_LISTS = {
    "standard": "35a0585fee1fa656440f3ab298f8479c",
    "challenge": "70a8307e459c3de41690a7c76c931734",
}
# Of each split: the MD5 of its list, the name of its archives for either size, and their MD5s,
# of the large images and of the small ones.
_FACTS = {
    "train-standard": (
        "30f37515461640559006b8329efbed1a", "train_{}_places365standard",
        "67e186b496a84c929568076ed01a8aa1", "53ca1c756c3d1e7809517cc47c5561c5",
    ),
    "train-challenge": (
        "b2931dc997b8c33c27e7329c073a6b57", "train_{}_places365challenge",
        "605f18e68e510c82b958664ea134545f", "741915038a5e3471ec7332404dfb64ef",
    ),
    "val": (
        "e9f2fd57bfd9d07630173f4e8708e4b1", "val_{}",
        "9b71c4993ad89d2d8bcbdc4aef38042f", "e27b17d8d44f4af9a78502beb927f808",
    ),
    "test": (
        "2fce8233fe493576d724142e45d93653", "test_{}",
        "41a4b6b724b1d2cd862fb3871ed59913", "f532f6ad7b582262a2ec8009075e186b",
    ),
}  # fmt: skip


class Places365(VisionDataset):
    """Scenes in 365 classes: `data_256_standard/a/airfield/NAME.jpg`, `categories_places365.txt` ….

    Args:
        split: "train-standard", "train-challenge", "val" or "test".
        small: images of 256 x 256 pixels.
    """

    _SPLITS = ("train-standard", "train-challenge", "val", "test")
    _BASE_URL = "http://data.csail.mit.edu/places/places365/"
    _DEVKIT_META = {  # noqa: RUF012
        kind: (f"filelist_places365-{kind}.tar", md5) for kind, md5 in _LISTS.items()
    }
    _CATEGORIES_META = ("categories_places365.txt", "06c963b85866bd0649f97cb43dd16673")
    _FILE_LIST_META = {  # noqa: RUF012
        split: (f"places365_{split.replace('-', '_')}.txt", facts[0])
        for split, facts in _FACTS.items()
    }
    _IMAGES_META = {  # noqa: RUF012
        (split, small): (f"{facts[1].format('256' if small else 'large')}.tar", facts[2 + small])
        for small in (False, True)
        for split, facts in _FACTS.items()
    }

    def __init__(
        self,
        root: Any,
        split: str = "train-standard",
        small: bool = False,
        download: bool = False,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self._SPLITS)
        self.small = small
        self.loader = loader
        self.classes, self.class_to_idx = self.load_categories(download)
        self.imgs, self.targets = self.load_file_list(download)
        if download:
            self.download_images()

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        file, target = self.imgs[index]
        return self._transformed(self.loader(file), target)

    def __len__(self) -> int:
        return len(self.imgs)

    @property
    def variant(self) -> str:
        """ "challenge" or "standard"."""
        return "challenge" if "challenge" in self.split else "standard"

    @property
    def images_dir(self) -> str:
        """Folder of the images."""
        size = "256" if self.small else "large"
        name = f"{self.split}_{size}"
        if self.split.startswith("train"):
            name = f"data_{size}_{self.variant}"
        return path.join(self.root, name)

    def _listed(self, meta: tuple[str, str], download: bool) -> list[list[str]]:
        """The words of every line of a list."""
        file = path.join(self.root, meta[0])
        if not check_integrity(file, md5=meta[1]):
            if not download:
                raise RuntimeError(
                    f"The file {file} does not exist or is corrupted. You can set download=True "
                    "to download it."
                )
            self.download_devkit()
        with open(file) as lines:
            return [line.split() for line in lines]

    def load_categories(self, download: bool = True) -> tuple[list[str], dict[str, int]]:
        """Names of the classes, and their numbers."""
        numbers = {row[0]: int(row[1]) for row in self._listed(self._CATEGORIES_META, download)}
        return sorted(numbers), numbers

    def load_file_list(self, download: bool = True) -> tuple[list[tuple[str, Any]], list[Any]]:
        """Paths of the images with their classes (None in the test set), and the classes."""
        images = [
            (
                path.join(self.images_dir, row[0].lstrip("/").replace("/", os.sep)),
                int(row[1]) if len(row) > 1 else None,
            )
            for row in self._listed(self._FILE_LIST_META[self.split], download)
        ]
        return images, [target for _, target in images]

    def download_devkit(self) -> None:
        """Fetch the lists."""
        file, md5 = self._DEVKIT_META[self.variant]
        download_and_extract_archive(f"{self._BASE_URL}{file}", self.root, md5=md5)

    def download_images(self) -> None:
        """Fetch the images, if they are missing."""
        if path.exists(self.images_dir):
            return
        file, md5 = self._IMAGES_META[self.split, self.small]
        download_and_extract_archive(f"{self._BASE_URL}{file}", self.root, md5=md5)
        if self.split.startswith("train"):
            os.rename(self.images_dir.rsplit("_", 1)[0], self.images_dir)

    def extra_repr(self) -> str:
        return f"Split: {self.split}\nSmall: {self.small}"
