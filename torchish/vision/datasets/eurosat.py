"""EuroSAT."""

from __future__ import annotations

import os
from typing import Any

from ._listed import need_files
from .folder import ImageFolder, default_loader
from .utils import download_and_extract_archive
from .vision import Transform

_URL = (
    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip"
)


class EuroSAT(ImageFolder):
    """Satellite images in ten classes: `eurosat/2750/AnnualCrop/NAME.jpg`."""

    def __init__(
        self,
        root: Any,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
        loader: Any = default_loader,
    ) -> None:
        folder = os.path.expanduser(root)
        self._base_folder = os.path.join(folder, "eurosat")
        self._data_folder = os.path.join(self._base_folder, "2750")
        if download:
            self.download()
        need_files(os.path.exists(self._data_folder))
        super().__init__(
            self._data_folder,
            transform=transform,
            target_transform=target_transform,
            loader=loader,
        )
        self.root = folder

    def download(self) -> None:
        """Fetch what is missing."""
        if not os.path.exists(self._data_folder):
            md5 = "c8fa014336c82ac7804f0398fcb19387"
            download_and_extract_archive(_URL, download_root=self._base_folder, md5=md5)
