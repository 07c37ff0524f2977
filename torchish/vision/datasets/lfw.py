"""Labeled Faces in the Wild."""

from __future__ import annotations

import os
from typing import Any

from ._listed import CORRUPTED, need_files, numbered
from .folder import default_loader
from .utils import check_integrity, download_and_extract_archive, download_url, verify_str_arg
from .vision import Transform, VisionDataset


class _LFW(VisionDataset):
    base_folder = "lfw-py"
    download_url_prefix = "http://vis-www.cs.umass.edu/lfw/"
    file_dict = {  # noqa: RUF012
        "original": ("lfw", "lfw.tgz", "a17d05bd522c52d84eca14327a23d494"),
        "funneled": ("lfw_funneled", "lfw-funneled.tgz", "1b42dfed7d15c9b2dd63d5e5840c86ad"),
        "deepfunneled": (
            "lfw-deepfunneled",
            "lfw-deepfunneled.tgz",
            "68331da3eb755a505a502b5aacb3c201",
        ),
    }
    checksums = {  # noqa: RUF012
        "pairs.txt": "9f1ba174e4e1c508ff7cdf10ac338a7d",
        "pairsDevTest.txt": "5132f7440eb68cf58910c8a45a2ac10b",
        "pairsDevTrain.txt": "4f27cbf15b2da4a85c1907eb4181ad21",
        "people.txt": "450f0863dd89e85e73936a6d71a3474b",
        "peopleDevTest.txt": "e4bf5be0a43b5dcd9dc5ccfcb8fb19c5",
        "peopleDevTrain.txt": "54eaac34beb6d042ed3a7d883e247a21",
        "lfw-names.txt": "a6d0a479bd074669f656265a6e693f6d",
    }
    annot_file = {"10fold": "", "train": "DevTrain", "test": "DevTest"}  # noqa: RUF012
    names = "lfw-names.txt"
    view: str

    def __init__(
        self,
        root: Any,
        split: str = "10fold",
        image_set: str = "funneled",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        folder = os.path.join(root, self.base_folder)
        super().__init__(folder, transform=transform, target_transform=target_transform)
        self.image_set = verify_str_arg(image_set.lower(), "image_set", self.file_dict.keys())
        images, self.filename, self.md5 = self.file_dict[self.image_set]
        self.split = verify_str_arg(split.lower(), "split", ["10fold", "train", "test"])
        self.labels_file = f"{self.view}{self.annot_file[self.split]}.txt"
        if download:
            raise ValueError(
                "LFW dataset is no longer available for automatic download."
                "Please download the dataset manually and place it in the specified directory."
                "A commonly used mirror is available at: "
                "https://www.kaggle.com/datasets/jessicali9530/lfw-dataset"
            )
        need_files(self._check_integrity(), CORRUPTED)
        self.images_dir = os.path.join(self.root, images)
        self._loader = loader
        self.data: list[Any] = []
        self.targets: list[int] = []
        self._list()

    def _list(self) -> None:
        """Fill `data` and `targets`."""
        raise NotImplementedError

    def _lines(self, name: str) -> list[list[str]]:
        with open(os.path.join(self.root, name)) as file:
            return [line.strip().split("\t") for line in file]

    def _check_integrity(self) -> bool:
        wanted = {self.filename: self.md5, self.labels_file: self.checksums[self.labels_file]}
        if self.view == "people":
            wanted[self.names] = self.checksums[self.names]
        paths = ((os.path.join(self.root, name), md5) for name, md5 in wanted.items())
        return all(check_integrity(path, md5) for path, md5 in paths)

    def download(self) -> None:
        """Fetch what is missing from where it once was."""
        if self._check_integrity():
            return
        prefix = self.download_url_prefix
        download_and_extract_archive(
            f"{prefix}{self.filename}", self.root, filename=self.filename, md5=self.md5
        )
        for name in (self.labels_file, *([self.names] if self.view == "people" else [])):
            download_url(f"{prefix}{name}", self.root)

    def _get_path(self, identity: str, no: Any) -> str:
        return os.path.join(self.images_dir, identity, f"{identity}_{int(no):04d}.jpg")

    def extra_repr(self) -> str:
        return f"Alignment: {self.image_set}\nSplit: {self.split}"

    def __len__(self) -> int:
        return len(self.data)


class LFWPeople(_LFW):
    """Faces by person: `lfw-py/people.txt`, `lfw-py/lfw_funneled/NAME/NAME_0001.jpg`.

    Args:
        split: "10fold", "train" or "test".
        image_set: "original", "funneled" or "deepfunneled": how faces are aligned.
    """

    view = "people"

    def _list(self) -> None:
        self.class_to_idx = numbered([row[0].split()[0] for row in self._lines(self.names)])
        lines = iter(self._lines(self.labels_file))
        folds = int(next(lines)[0]) if self.split == "10fold" else 1
        for _ in range(folds):
            for _ in range(int(next(lines)[0])):
                identity, count = next(lines)
                for number in range(1, int(count) + 1):
                    self.data.append(self._get_path(identity, number))
                    self.targets.append(self.class_to_idx[identity])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self._loader(self.data[index]), self.targets[index])

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}\nClasses (identities): {len(self.class_to_idx)}"


class LFWPairs(_LFW):
    """Pairs of faces, of one person or of two: `lfw-py/pairs.txt` ….

    Args: as for LFWPeople.
    """

    view = "pairs"

    def _list(self) -> None:
        self.pair_names: list[tuple[str, str]] = []
        lines = iter(self._lines(self.labels_file))
        head = [int(n) for n in next(lines)]
        folds, count = head if self.split == "10fold" else (1, head[0])
        for _ in range(folds):
            for k in range(2 * count):  # first the pairs of one person
                row = next(lines)
                first, second = (row[0], row[0]) if k < count else (row[0], row[2])
                self.pair_names.append((first, second))
                paths = self._get_path(first, row[1]), self._get_path(second, row[-1])
                self.data.append(paths)
                self.targets.append(int(k < count))

    def __getitem__(self, index: int) -> tuple[Any, Any, int]:
        images = [self._loader(path) for path in self.data[index]]
        if self.transform is not None:
            images = [self.transform(image) for image in images]
        target = self.targets[index]
        if self.target_transform is not None:
            target = self.target_transform(target)
        return images[0], images[1], target
