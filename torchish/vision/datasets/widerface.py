"""WIDER FACE."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._tensors import tensor_of
from .utils import (
    download_and_extract_archive,
    download_file_from_google_drive,
    extract_archive,
    verify_str_arg,
)
from .vision import Transform, VisionDataset

_FACTS = ("blur", "expression", "illumination", "occlusion", "pose", "invalid")


class WIDERFace(VisionDataset):
    """Faces: `widerface/WIDER_train/images/EVENT/NAME.jpg`, `widerface/wider_face_split/….txt`.

    Args:
        split: "train", "val" or "test" (without targets).
    """

    BASE_FOLDER = "widerface"
    FILE_LIST = [  # noqa: RUF012
        (
            "15hGDLhsx8bLgLcIRD5DhYt5iBxnjNF1M",
            "3fedf70df600953d25982bcd13d91ba2",
            "WIDER_train.zip",
        ),
        (
            "1GUCogbp16PMGa39thoMMeWxp7Rp5oM8Q",
            "dfa7d7e790efa35df3788964cf0bbaea",
            "WIDER_val.zip",
        ),
        (
            "1HIfDbVEWKmsYKJZm4lchTBDLW5N7dY5T",
            "e5d8f4248ed24c334bbd12f49c29dd40",
            "WIDER_test.zip",
        ),
    ]
    ANNOTATIONS_FILE = (
        "http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip",
        "0e3767bcf0e326556d407bf5bff5d27c",
        "wider_face_split.zip",
    )

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        folder = os.path.join(root, self.BASE_FOLDER)
        super().__init__(folder, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", ("train", "val", "test"))
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError(
                "Dataset not found or corrupted. You can use download=True to download and "
                "prepare it"
            )
        self.img_info: list[dict[str, Any]] = []
        if split == "test":
            self.parse_test_annotations_file()
        else:
            self.parse_train_val_annotations_file()

    def _lines(self, name: str) -> list[str]:
        with open(os.path.join(self.root, "wider_face_split", name)) as file:
            return [line.rstrip() for line in file]

    def _image(self, line: str) -> str:
        path = os.path.join(self.root, f"WIDER_{self.split}", "images", line)
        return os.path.abspath(os.path.expanduser(path))

    def parse_train_val_annotations_file(self) -> None:
        """A path, a number, and as many lines of ten numbers (one line of zeros for none)."""
        lines = iter(self._lines(f"wider_face_{self.split}_bbx_gt.txt"))
        for line in lines:
            rows = [next(lines).split() for _ in range(max(int(next(lines)), 1))]
            table = np.array([[int(n) for n in row] for row in rows], np.int64)
            facts: dict[str, Any] = {"bbox": tensor_of(table[:, :4].copy())}
            for k, name in enumerate(_FACTS, 4):
                facts[name] = tensor_of(table[:, k].copy())
            self.img_info.append({"img_path": self._image(line), "annotations": facts})

    def parse_test_annotations_file(self) -> None:
        """A path on every line."""
        lines = self._lines("wider_face_test_filelist.txt")
        self.img_info += [{"img_path": self._image(line)} for line in lines]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        info = self.img_info[index]
        return self._transformed(Image.open(info["img_path"]), info.get("annotations"))

    def __len__(self) -> int:
        return len(self.img_info)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"

    def _check_integrity(self) -> bool:
        names = [file[2] for file in (*self.FILE_LIST, self.ANNOTATIONS_FILE)]
        folders = (os.path.join(self.root, os.path.splitext(name)[0]) for name in names)
        return all(os.path.exists(folder) for folder in folders)

    def download(self) -> None:
        """Fetch what is missing."""
        if self._check_integrity():
            return
        for file_id, md5, name in self.FILE_LIST:
            download_file_from_google_drive(file_id, self.root, name, md5)
            extract_archive(os.path.join(self.root, name))
        url, md5, _ = self.ANNOTATIONS_FILE
        download_and_extract_archive(url, download_root=self.root, md5=md5)
