"""Moving MNIST."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .._tensors import Tensor, tensor_of
from .utils import download_url, verify_str_arg
from .vision import Transform, VisionDataset


class MovingMNIST(VisionDataset):
    """Videos (20, 1, 64, 64) of two digits that move: `MovingMNIST/mnist_test_seq.npy`.

    Args:
        split: "train" for the first `split_ratio` frames, "test" for the rest, None for all.
    """

    _URL = "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"

    def __init__(
        self,
        root: Any,
        split: str | None = None,
        split_ratio: int = 10,
        download: bool = False,
        transform: Transform | None = None,
    ) -> None:
        super().__init__(root, transform=transform)
        self._base_folder = os.path.join(self.root, "MovingMNIST")
        self._filename = self._URL.split("/")[-1]
        if split is not None:
            verify_str_arg(split, "split", ("train", "test"))
        self.split = split
        if not isinstance(split_ratio, int):
            raise TypeError(f"`split_ratio` should be an integer, but got {type(split_ratio)}")
        if not 1 <= split_ratio <= 19:
            raise ValueError(
                f"`split_ratio` should be `1 <= split_ratio <= 19`, but got {split_ratio} instead."
            )
        self.split_ratio = split_ratio
        if download:
            self.download()
        if not os.path.exists(self._path()):
            raise RuntimeError("Dataset not found. You can use download=True to download it.")
        first = {"train": slice(split_ratio), "test": slice(split_ratio, None)}
        frames = np.load(self._path())[first.get(str(split), slice(None))]
        self.data = tensor_of(frames.swapaxes(0, 1)[:, :, None].copy())

    def _path(self) -> str:
        return os.path.join(self._base_folder, self._filename)

    def __getitem__(self, idx: int) -> Tensor:
        data = self.data[idx]
        return data if self.transform is None else self.transform(data)

    def __len__(self) -> int:
        return len(self.data)

    def download(self) -> None:
        """Fetch what is missing."""
        if not os.path.exists(self._path()):
            md5 = "be083ec986bfe91a449d63653c411eb2"
            download_url(self._URL, self._base_folder, self._filename, md5)
