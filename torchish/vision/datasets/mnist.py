"""MNIST and its kin in their original files: idx, as they are or gzipped."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from typing import Any

import numpy as np

from .._tensors import array_of, tensor_of
from ._base import Transform, VisionDataset, missing_files

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str) -> np.ndarray:
    """The array in an idx file: two zero bytes, dtype code, rank, sizes, then the numbers.

    Raises: RuntimeError if the file is damaged.
    """
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            content = file.read()
        zero, code, rank = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{rank}I", content, 4)
        dtype = np.dtype(_DTYPES[code])
        if zero:
            raise ValueError("it does not begin with two zero bytes")
        array = np.frombuffer(content, dtype, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, KeyError, ValueError) as error:
        raise RuntimeError(f"Dataset file {path} is corrupted: {error}") from error
    return array.astype(dtype.newbyteorder("="))


class MNIST(VisionDataset):
    """Gray images of 28 x 28 pixels of the ten digits.

    Args:
        root: folder that contains `MNIST/raw`.
        train: the training images rather than the test images.
        download: accepted where the files are there already.
    Raises: RuntimeError if files are missing or damaged, NotSupportedError if they would have to be
    downloaded.
    """

    classes = [  # noqa: RUF012
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]

    def __init__(
        self,
        root: Any,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        part = "train" if train else "t10k"
        images, labels = self._load(part, download)
        if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise RuntimeError(
                f"Dataset files {part}-* in {self.raw_folder} are corrupted: "
                f"images {images.shape}, labels {labels.shape}"
            )
        self.data = tensor_of(images)
        self.targets = tensor_of(labels.astype(np.int64))

    def _load(self, part: str, download: bool) -> list[np.ndarray]:
        arrays = []
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            path = os.path.join(self.raw_folder, f"{part}-{kind}")
            found = [p for p in (path, f"{path}.gz") if os.path.isfile(p)]
            if not found:
                if download:
                    raise missing_files(type(self).__name__, download, [f"{path}.gz"])
                raise RuntimeError("Dataset not found. You can use download=True to download it")
            arrays.append(read_idx(found[0]))
        return arrays

    @property
    def raw_folder(self) -> str:
        """Where the files are."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Numbers of the classes."""
        return {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image = Image.fromarray(array_of(self.data)[index])
        return self._transformed(image, int(array_of(self.targets)[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class FashionMNIST(MNIST):
    """As MNIST, with ten kinds of clothes, in `FashionMNIST/raw`."""

    classes = [  # noqa: RUF012
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]


class KMNIST(MNIST):
    """As MNIST, with ten Japanese characters, in `KMNIST/raw`."""

    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]  # noqa: RUF012
