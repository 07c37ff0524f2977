"""iNaturalist."""

from __future__ import annotations

import os
from typing import Any

from ._listed import CORRUPTED, need_files
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform, VisionDataset

CATEGORIES_2021 = ["kingdom", "phylum", "class", "order", "family", "genus"]
_BASE = "https://ml-inat-competition-datasets.s3.amazonaws.com/"
_VERSIONS = {
    "2017": ("2017/train_val_images", "7c784ea5e424efaec655bd392f87301f"),
    "2018": ("2018/train_val2018", "b1c6952ce38f31868cc50ea72d066cc3"),
    "2019": ("2019/train_val2019", "c60a6e2962c9b8ccbd458d12c8582644"),
    "2021_train": ("2021/train", "e0526d53c7f7b2e3167b2b43bb2690ed"),
    "2021_train_mini": ("2021/train_mini", "db6ed8330e634445efc8fec83ae81442"),
    "2021_valid": ("2021/val", "f6f6e0e242e3d4c9569ba56400938afc"),
}
DATASET_URLS = {name: f"{_BASE}{path}.tar.gz" for name, (path, _) in _VERSIONS.items()}
DATASET_MD5 = {name: md5 for name, (_, md5) in _VERSIONS.items()}


class INaturalist(VisionDataset):
    """Living things: `2021_train/00000_Animalia_…/NAME.jpg`, `2017/Amphibia/SPECIES/NAME.jpg`.

    Args:
        version: "2017", "2018", "2019", "2021_train", "2021_train_mini" or "2021_valid".
        target_type: "full" (the species), "super" before 2021, a rank such as "family" since; or a
            list of them.
        loader: reads a file; PIL by default.
    """

    def __init__(
        self,
        root: Any,
        version: str = "2021_train",
        target_type: Any = "full",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = None,
    ) -> None:
        self.version = verify_str_arg(version, "version", DATASET_URLS.keys())
        folder = os.path.join(root, version)
        super().__init__(folder, transform=transform, target_transform=target_transform)
        if download:
            self.download()
        need_files(self._check_exists(), CORRUPTED)
        self.all_categories: list[str] = []
        self.categories_index: dict[str, dict[str, int]] = {}
        self.categories_map: list[dict[str, int]] = []
        kinds = target_type if isinstance(target_type, list) else [target_type]
        recent = version.startswith("2021")
        known = ("full", *CATEGORIES_2021) if recent else ("full", "super")
        self.target_type = [verify_str_arg(kind, "target_type", known) for kind in kinds]
        if recent:
            self._init_2021()
        else:
            self._init_pre2021()
        self.index = [
            (k, name)
            for k, category in enumerate(self.all_categories)
            for name in os.listdir(os.path.join(self.root, category))
        ]
        self.loader = loader

    def _init_2021(self) -> None:
        """Folders are called 00000_kingdom_phylum_…_species."""
        self.all_categories = sorted(os.listdir(self.root))
        self.categories_index = {rank: {} for rank in CATEGORIES_2021}
        for k, folder in enumerate(self.all_categories):
            pieces = folder.split("_")
            if len(pieces) != 8:
                raise RuntimeError(f"Unexpected category name {folder}, wrong number of pieces")
            if pieces[0] != f"{k:05d}":
                raise RuntimeError(f"Unexpected category id {pieces[0]}, expecting {k:05d}")
            places = {}
            for rank, name in zip(CATEGORIES_2021, pieces[1:7], strict=True):
                known = self.categories_index[rank]
                places[rank] = known.setdefault(name, len(known))
            self.categories_map.append(places)

    def _init_pre2021(self) -> None:
        """Folders within folders; since 2018 the inner ones are numbers."""
        self.categories_index = {"super": {}}
        found: dict[int, tuple[int, str]] = {}
        for k, outer in enumerate(sorted(os.listdir(self.root))):
            self.categories_index["super"][outer] = k
            for inner in sorted(os.listdir(os.path.join(self.root, outer))):
                try:
                    number = len(found) if self.version == "2017" else int(inner)
                except ValueError:
                    raise RuntimeError(f"Unexpected non-numeric dir name: {inner}") from None
                if number in found:
                    raise RuntimeError(f"Duplicate category {inner}")
                found[number] = (k, os.path.join(outer, inner))
        for number in range(max(found, default=-1) + 1):
            if number not in found:
                raise RuntimeError(f"Missing category {number}")
            group, path = found[number]
            self.categories_map.append({"super": group})
            self.all_categories.append(path)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        category, name = self.index[index]
        path = os.path.join(self.root, self.all_categories[category], name)
        image = Image.open(path) if self.loader is None else self.loader(path)
        targets = [
            category if kind == "full" else self.categories_map[category][kind]
            for kind in self.target_type
        ]
        return self._transformed(image, tuple(targets) if len(targets) > 1 else targets[0])

    def __len__(self) -> int:
        return len(self.index)

    def category_name(self, category_type: str, category_id: int) -> str:
        """The name of a category.

        Raises: ValueError for unknown types and ids.
        """
        if category_type == "full":
            return self.all_categories[category_id]
        if category_type not in self.categories_index:
            raise ValueError(f"Invalid category type '{category_type}'")
        for name, number in self.categories_index[category_type].items():
            if number == category_id:
                return name
        raise ValueError(f"Invalid category id {category_id} for {category_type}")

    def _check_exists(self) -> bool:
        return os.path.exists(self.root) and len(os.listdir(self.root)) > 0

    def download(self) -> None:
        """Fetch what is missing."""
        if self._check_exists():
            return
        url, base = DATASET_URLS[self.version], os.path.dirname(self.root)
        name = f"{self.version}.tgz"
        download_and_extract_archive(url, base, filename=name, md5=DATASET_MD5[self.version])
        unpacked = os.path.join(base, os.path.basename(url).removesuffix(".tar.gz"))
        if not os.path.exists(unpacked):
            raise RuntimeError(f"Unable to find downloaded files at {unpacked}")
        os.rename(unpacked, self.root)
