"""SBU Captioned Photos."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from ._listed import CORRUPTED, need_files
from .folder import default_loader
from .utils import check_integrity, download_and_extract_archive, download_url
from .vision import Transform, VisionDataset


class SBU(VisionDataset):
    """Photographs with captions: `dataset/SBU_captioned_photo_dataset_urls.txt` …."""

    url = "https://www.cs.rice.edu/~vo9/sbucaptions/SBUCaptionedPhotoDataset.tar.gz"
    filename = "SBUCaptionedPhotoDataset.tar.gz"
    md5_checksum = "9aec147b3488753cf758b4d493422285"

    def __init__(
        self,
        root: Any,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = True,
        loader: Any = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        if download:
            self.download()
        need_files(self._check_integrity(), CORRUPTED)
        self.photos: list[str] = []
        self.captions: list[str] = []
        for url, caption in zip(self._lines("urls"), self._lines("captions"), strict=False):
            photo = os.path.basename(url)
            if os.path.exists(os.path.join(self.root, "dataset", photo)):
                self.photos.append(photo)
                self.captions.append(caption)

    def _lines(self, kind: str) -> list[str]:
        name = f"SBU_captioned_photo_dataset_{kind}.txt"
        with open(os.path.join(self.root, "dataset", name)) as file:
            return [line.rstrip() for line in file]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = self.loader(os.path.join(self.root, "dataset", self.photos[index]))
        return self._transformed(image, self.captions[index])

    def __len__(self) -> int:
        return len(self.photos)

    def _check_integrity(self) -> bool:
        return check_integrity(os.path.join(self.root, self.filename), self.md5_checksum)

    def download(self) -> None:
        """Fetch the list and the photographs; those that are gone from the web are left out."""
        if self._check_integrity():
            return
        download_and_extract_archive(
            self.url, self.root, self.root, self.filename, self.md5_checksum
        )
        for url in self._lines("urls"):
            with suppress(OSError):
                download_url(url, os.path.join(self.root, "dataset"))
