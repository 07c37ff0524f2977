"""SUN397."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ._listed import Listed, need_files, numbered
from .folder import default_loader
from .utils import download_and_extract_archive
from .vision import Transform


class SUN397(Listed):
    """Scenes in 397 classes: `SUN397/ClassName.txt`, `SUN397/a/abbey/sun_NAME.jpg`."""

    _DATASET_URL = "http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz"
    _DATASET_MD5 = "8ca2778205c41d23104230ba66911c7a"

    def __init__(
        self,
        root: Any,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        folder = Path(self.root) / "SUN397"
        if download and not folder.is_dir():
            download_and_extract_archive(self._DATASET_URL, self.root, md5=self._DATASET_MD5)
        need_files(folder.is_dir())
        with open(folder / "ClassName.txt") as file:
            self.classes = [line[3:].strip() for line in file]
        self.class_to_idx = numbered(self.classes)
        self._image_files = list(folder.rglob("sun_*.jpg"))
        names = ["/".join(p.relative_to(folder).parts[1:-1]) for p in self._image_files]
        self._labels = [self.class_to_idx[name] for name in names]
