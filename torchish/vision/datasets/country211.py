"""Country211."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._listed import need_files
from .folder import ImageFolder, default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import Transform


class Country211(ImageFolder):
    """Photographs by country: `country211/train/AD/NAME.jpg`.

    Args:
        split: "train", "valid" or "test".
    """

    _URL = "https://openaipublic.azureedge.net/clip/data/country211.tgz"
    _MD5 = "84988d7644798601126c29e9877aab6a"

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "valid", "test"))
        base = Path(root).expanduser() / "country211"
        if download and not base.is_dir():
            download_and_extract_archive(self._URL, str(base.parent), md5=self._MD5)
        need_files(base.is_dir())
        super().__init__(
            str(base / split), transform=transform, target_transform=target_transform, loader=loader
        )
        self.root = str(base.parent)
