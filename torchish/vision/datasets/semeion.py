"""SEMEION."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ._listed import CORRUPTED, Arrays, need_files
from .utils import check_integrity, download_url
from .vision import Transform


class SEMEION(Arrays):
    """Handwritten digits of 16 x 16 pixels: `semeion.data`."""

    url = "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data"
    filename = "semeion.data"
    md5_checksum = "cb545d371d2ce14ec121470795a77432"

    def __init__(
        self,
        root: Any,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = True,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if download:
            self.download()
        path = os.path.join(self.root, self.filename)
        need_files(check_integrity(path, self.md5_checksum), CORRUPTED)
        numbers = np.loadtxt(path)
        self.data = (numbers[:, :256] * 255).astype(np.uint8).reshape(-1, 16, 16)
        self.labels = np.nonzero(numbers[:, 256:])[1]

    def download(self) -> None:
        """Fetch what is missing."""
        download_url(self.url, self.root, self.filename, self.md5_checksum)
