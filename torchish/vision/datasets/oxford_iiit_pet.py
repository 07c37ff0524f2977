"""Oxford-IIIT Pet."""

from __future__ import annotations

import pathlib
from typing import Any

from ._listed import need_files, numbered
from .folder import pil_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform, VisionDataset


class OxfordIIITPet(VisionDataset):
    """Cats and dogs of 37 breeds: `oxford-iiit-pet/images/NAME.jpg`, `annotations/trainval.txt` ….

    Args:
        split: "trainval" or "test".
        target_types: "category", "binary-category" or "segmentation", or a list of them.
    """

    _URL = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
    _RESOURCES = (
        (f"{_URL}images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        (f"{_URL}annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    )
    _VALID_TARGET_TYPES = ("category", "binary-category", "segmentation")

    def __init__(
        self,
        root: Any,
        split: str = "trainval",
        target_types: Any = "category",
        transforms: Any = None,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("trainval", "test"))
        kinds = [target_types] if isinstance(target_types, str) else target_types
        known = self._VALID_TARGET_TYPES
        self._target_types = [verify_str_arg(kind, "target_types", known) for kind in kinds]
        super().__init__(root, transforms, transform, target_transform)
        base = pathlib.Path(self.root) / "oxford-iiit-pet"
        folders = (base / "images", base / "annotations")
        if download and not all(folder.is_dir() for folder in folders):
            for url, md5 in self._RESOURCES:
                download_and_extract_archive(url, download_root=str(base), md5=md5)
        need_files(all(folder.is_dir() for folder in folders))
        with open(base / "annotations" / f"{split}.txt") as file:
            rows = [line.strip().split() for line in file]
        names = [row[0] for row in rows]
        self._labels = [int(row[1]) - 1 for row in rows]
        self._bin_labels = [int(row[2]) - 1 for row in rows]
        breeds = {(n.rsplit("_", 1)[0], k) for n, k in zip(names, self._labels, strict=True)}
        ordered = sorted(breeds, key=lambda breed: breed[1])
        self.classes = [" ".join(p.title() for p in name.split("_")) for name, _ in ordered]
        self.class_to_idx = numbered(self.classes)
        self.bin_classes = ["Cat", "Dog"]
        self.bin_class_to_idx = numbered(self.bin_classes)
        self._images = [base / "images" / f"{name}.jpg" for name in names]
        self._segs = [base / "annotations" / "trimaps" / f"{name}.png" for name in names]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        image = pil_loader(str(self._images[idx]))
        found = [self._target(kind, idx) for kind in self._target_types]
        target: Any = tuple(found) if len(found) > 1 else found[0] if found else None
        return self.transforms(image, target) if self.transforms else (image, target)

    def _target(self, kind: str, idx: int) -> Any:
        from PIL import Image

        if kind == "category":
            return self._labels[idx]
        return self._bin_labels[idx] if kind.startswith("binary") else Image.open(self._segs[idx])
