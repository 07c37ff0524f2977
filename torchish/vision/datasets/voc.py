"""Pascal VOC."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any
from xml.etree.ElementTree import Element, parse

from ._listed import CORRUPTED, need_files
from .folder import pil_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform, VisionDataset

# year: file, MD5, and folder inside
_YEARS = {
    "2012": ("VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd", ""),
    "2011": ("VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e", "TrainVal"),
    "2010": ("VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb", ""),
    "2009": ("VOCtrainval_11-May-2009.tar", "a3e00b113cfcfebf17e343f59da3caa1", ""),
    "2008": ("VOCtrainval_14-Jul-2008.tar", "2629fa636546599198acfcfbfcf1904a", ""),
    "2007": ("VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64", ""),
    "2007-test": ("VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f", ""),
}
DATASET_YEAR_DICT = {
    key: {
        "url": f"https://thor.robots.ox.ac.uk/pascal/VOC/voc{key[:4]}/{file}",
        "filename": file,
        "md5": md5,
        "base_dir": os.path.join(inside, "VOCdevkit", f"VOC{key[:4]}"),
    }
    for key, (file, md5, inside) in _YEARS.items()
}


class _VOC(VisionDataset):
    _SPLITS_DIR: str
    _TARGET_DIR: str
    _TARGET_FILE_EXT: str

    def __init__(
        self,
        root: Any,
        year: str = "2012",
        image_set: str = "train",
        download: bool = False,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        transforms: Any = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.year = verify_str_arg(year, "year", [str(y) for y in range(2007, 2013)])
        sets = ["train", "trainval", "val", *(["test"] if year == "2007" else [])]
        self.image_set = verify_str_arg(image_set, "image_set", sets)
        facts = DATASET_YEAR_DICT["2007-test" if image_set == "test" else year]
        self.url, self.filename, self.md5 = facts["url"], facts["filename"], facts["md5"]
        folder = os.path.join(self.root, facts["base_dir"])
        if download:
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        need_files(os.path.isdir(folder), CORRUPTED)
        listed = os.path.join(folder, "ImageSets", self._SPLITS_DIR, f"{image_set}.txt")
        with open(listed) as file:
            names = [line.strip() for line in file]
        target, ending = os.path.join(folder, self._TARGET_DIR), self._TARGET_FILE_EXT
        self.images = [os.path.join(folder, "JPEGImages", f"{name}.jpg") for name in names]
        self.targets = [os.path.join(target, f"{name}{ending}") for name in names]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil_loader(self.images[index]), self._target(self.targets[index])
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def _target(self, path: str) -> Any:
        raise NotImplementedError


class VOCSegmentation(_VOC):
    """Images and masks: `VOCdevkit/VOC2012/JPEGImages/NAME.jpg`, `SegmentationClass/NAME.png`.

    Args:
        year: "2007" to "2012".
        image_set: "train", "trainval", "val", and "test" of 2007.
    """

    _SPLITS_DIR = "Segmentation"
    _TARGET_DIR = "SegmentationClass"
    _TARGET_FILE_EXT = ".png"

    @property
    def masks(self) -> list[str]:
        """Paths of the masks."""
        return self.targets

    def _target(self, path: str) -> Any:
        from PIL import Image

        return Image.open(path)


class VOCDetection(_VOC):
    """Images and objects: `VOCdevkit/VOC2012/JPEGImages/NAME.jpg`, `Annotations/NAME.xml`.

    Args: as for VOCSegmentation.
    """

    _SPLITS_DIR = "Main"
    _TARGET_DIR = "Annotations"
    _TARGET_FILE_EXT = ".xml"

    @property
    def annotations(self) -> list[str]:
        """Paths of the annotations."""
        return self.targets

    def _target(self, path: str) -> Any:
        return self.parse_voc_xml(parse(path).getroot())

    @staticmethod
    def parse_voc_xml(node: Element) -> dict[str, Any]:
        """An element as a dictionary; what occurs several times, and objects, as lists."""
        children = list(node)
        if not children:
            return {node.tag: node.text.strip()} if node.text else {}
        found: dict[str, Any] = defaultdict(list)
        for child in children:
            for name, value in VOCDetection.parse_voc_xml(child).items():
                found[name].append(value)
        if node.tag == "annotation":
            found["object"] = [found["object"]]
        return {node.tag: {name: v[0] if len(v) == 1 else v for name, v in found.items()}}
