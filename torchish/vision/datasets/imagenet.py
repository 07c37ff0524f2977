"""ImageNet 2012."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from ...serialization import load, save
from .folder import ImageFolder
from .utils import check_integrity, extract_archive, scipy_io, verify_str_arg

ARCHIVE_META = {
    "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
    "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
    "devkit": ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf"),
}
META_FILE = "meta.bin"


class ImageNet(ImageFolder):
    """A thousand classes: `train/n01440764/NAME.JPEG`, or the archives, which are unpacked.

    Args:
        split: "train" or "val".
        kwargs: arguments of ImageFolder.
    """

    def __init__(self, root: Any, split: str = "train", **kwargs: Any) -> None:
        root = self.root = os.path.expanduser(root)
        self.split = verify_str_arg(split, "split", ("train", "val"))
        self.parse_archives()
        names = load_meta_file(self.root)[0]
        super().__init__(self.split_folder, **kwargs)
        self.root = root
        self.wnids = self.classes
        self.wnid_to_idx = self.class_to_idx
        self.classes = [names[wnid] for wnid in self.wnids]  # type: ignore[misc]
        self.class_to_idx = {name: k for k, many in enumerate(self.classes) for name in many}

    def parse_archives(self) -> None:
        """Unpack what is not unpacked yet."""
        if not check_integrity(os.path.join(self.root, META_FILE)):
            parse_devkit_archive(self.root)
        if not os.path.isdir(self.split_folder):
            parse = parse_train_archive if self.split == "train" else parse_val_archive
            parse(self.root)

    @property
    def split_folder(self) -> str:
        """Folder of the images."""
        return os.path.join(self.root, self.split)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"


def load_meta_file(root: Any, file: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """Names by WordNet id, and the ids of the validation images.

    Raises: RuntimeError if the file is not there.
    """
    path = os.path.join(root, file or META_FILE)
    if not check_integrity(path):
        raise RuntimeError(
            f"The meta file {path} is not present in the root directory or is corrupted. "
            "This file is automatically created by the ImageNet dataset."
        )
    return load(path, weights_only=True)


def _archive(root: Any, kind: str, file: str | None) -> str:
    """The path of an archive, after comparing its checksum."""
    name, md5 = file or ARCHIVE_META[kind][0], ARCHIVE_META[kind][1]
    path = os.path.join(root, name)
    if not check_integrity(path, md5):
        raise RuntimeError(
            f"The archive {name} is not present in the root directory or is corrupted. "
            f"You need to download it externally and place it in {root}."
        )
    return path


def parse_devkit_archive(root: Any, file: str | None = None) -> None:
    """Write `meta.bin` from the development kit."""
    mat = scipy_io()
    archive = _archive(root, "devkit", file)
    with tempfile.TemporaryDirectory() as folder:
        extract_archive(archive, folder)
        data = os.path.join(folder, "ILSVRC2012_devkit_t12", "data")
        rows = mat.loadmat(os.path.join(data, "meta.mat"), squeeze_me=True)["synsets"]
        leaves = [row for row in rows if row[4] == 0]  # without children
        wnids = {row[0]: row[1] for row in leaves}
        names = {str(row[1]): tuple(str(row[2]).split(", ")) for row in leaves}
        with open(os.path.join(data, "ILSVRC2012_validation_ground_truth.txt")) as lines:
            val = [str(wnids[int(line)]) for line in lines]
    save((names, val), os.path.join(root, META_FILE))


def parse_train_archive(root: Any, file: str | None = None, folder: str = "train") -> None:
    """Unpack the training images, an archive in the archive for each class."""
    archive, target = _archive(root, "train", file), os.path.join(root, folder)
    extract_archive(archive, target)
    for name in os.listdir(target):
        path = os.path.join(target, name)
        extract_archive(path, os.path.splitext(path)[0], remove_finished=True)


def parse_val_archive(
    root: Any, file: str | None = None, wnids: list[str] | None = None, folder: str = "val"
) -> None:
    """Unpack the validation images and sort them into folders by class."""
    known = load_meta_file(root)[1] if wnids is None else wnids
    archive, target = _archive(root, "val", file), os.path.join(root, folder)
    extract_archive(archive, target)
    images = sorted(os.listdir(target))
    for wnid in set(known):
        os.mkdir(os.path.join(target, wnid))
    for wnid, image in zip(known, images, strict=False):
        shutil.move(os.path.join(target, image), os.path.join(target, wnid, image))
