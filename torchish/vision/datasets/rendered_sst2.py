"""Rendered SST2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._listed import Listed, need_files, numbered
from .folder import default_loader, make_dataset
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform


class RenderedSST2(Listed):
    """Pictures of sentences with a positive or negative tone: `rendered-sst2/train/positive/1.png`.

    Args:
        split: "train", "val" or "test".
    """

    _URL = "https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz"
    _MD5 = "2384d08e9dcfa4bd55b324e610496ee5"

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        self.classes = ["negative", "positive"]
        self.class_to_idx = numbered(self.classes)
        folder = Path(self.root) / "rendered-sst2" / {"val": "valid"}.get(split, split)
        there = [folder / name for name in self.classes]
        if download and not all(path.is_dir() for path in there):
            download_and_extract_archive(self._URL, download_root=self.root, md5=self._MD5)
        need_files(all(path.is_dir() for path in there))
        samples = make_dataset(str(folder), extensions=("png",))
        self._image_files = [path for path, _ in samples]
        self._labels = [label for _, label in samples]

    def extra_repr(self) -> str:
        return f"split={self._split}"
