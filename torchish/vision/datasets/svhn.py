"""Street View House Numbers."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ._listed import CORRUPTED, Arrays, need_files
from .utils import check_integrity, download_url, scipy_io, verify_str_arg
from .vision import Transform

_URL = "http://ufldl.stanford.edu/housenumbers/"


class SVHN(Arrays):
    """Digits on houses, 32 x 32 pixels: `train_32x32.mat` ….

    Args:
        split: "train", "test" or "extra".
    """

    split_list = {  # noqa: RUF012
        split: [f"{_URL}{split}_32x32.mat", f"{split}_32x32.mat", md5]
        for split, md5 in (
            ("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            ("test", "eb5a983be6a315427106f1b164d9cef3"),
            ("extra", "a93ce644f1a588dc4d68dda5feec44a7"),
        )
    }

    def __init__(
        self,
        root: Any,
        split: str = "train",
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", tuple(self.split_list))
        self.url, self.filename, self.file_md5 = self.split_list[split]
        if download:
            self.download()
        path = os.path.join(self.root, self.filename)
        need_files(check_integrity(path, self.file_md5), CORRUPTED)
        content = scipy_io().loadmat(path)
        labels = content["y"].astype(np.int64).squeeze()
        self.labels = np.where(labels == 10, 0, labels)  # the file has 10 for the digit 0
        self.data = content["X"].transpose(3, 2, 0, 1)

    def download(self) -> None:
        """Fetch what is missing."""
        download_url(self.url, self.root, self.filename, self.file_md5)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
