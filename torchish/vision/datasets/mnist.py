"""MNIST and its kin in their original files: idx, as they are or compressed."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import string
import struct
import warnings
import zlib
from typing import Any
from urllib.error import URLError

import numpy as np

from ...serialization import load
from .._tensors import Tensor, array_of, tensor_of
from ._listed import need_files
from .utils import (
    check_integrity,
    download_and_extract_archive,
    extract_archive,
    verify_str_arg,
)
from .vision import Transform, VisionDataset

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}


def read_idx(path: str, strict: bool = True) -> np.ndarray:
    """The array in an idx file: two zero bytes, dtype code, rank, sizes, then the numbers.

    Raises: RuntimeError if the file is damaged.
    """
    try:
        with _OPENERS.get(os.path.splitext(path)[1], open)(path, "rb") as file:
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


def get_int(b: bytes) -> int:
    """A number from its bytes, the high one first."""
    return int.from_bytes(b, "big")


def read_sn3_pascalvincent_tensor(path: str, strict: bool = True) -> Tensor:
    """The tensor in an idx file."""
    return tensor_of(read_idx(path, strict))


def _of_rank(path: str, rank: int) -> np.ndarray:
    array = read_idx(path)
    if array.dtype != np.uint8:
        raise TypeError(f"x should be of dtype torch.uint8 instead of torch.{array.dtype}")
    if array.ndim != rank:
        raise ValueError(f"x should have {rank} dimension instead of {array.ndim}")
    return array


def read_label_file(path: str) -> Tensor:
    """Labels (N,) as int64."""
    return tensor_of(_of_rank(path, 1).astype(np.int64))


def read_image_file(path: str) -> Tensor:
    """Images (N, H, W) of bytes."""
    return tensor_of(_of_rank(path, 3))


def _renamed(old: str, new: str) -> Any:
    def get(self: Any) -> Any:
        warnings.warn(f"{old} has been renamed {new}", stacklevel=2)
        return getattr(self, new)

    return property(get, doc=f"The old name of `{new}`.")


_DIGITS = "zero one two three four five six seven eight nine".split()
_PARTS = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


class MNIST(VisionDataset):
    """Gray images of 28 x 28 pixels of the ten digits: `MNIST/raw/train-images-idx3-ubyte` ….

    Args:
        train: the training images rather than the test images.
        download: fetch what is missing.
    Raises: RuntimeError if files are missing or damaged.
    """

    mirrors = [  # noqa: RUF012
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ]
    resources: Any = list(  # noqa: RUF012
        zip(
            _PARTS,
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
            strict=True,
        )
    )
    training_file = "training.pt"
    test_file = "test.pt"
    classes = [f"{k} - {name}" for k, name in enumerate(_DIGITS)]  # noqa: RUF012

    train_labels = _renamed("train_labels", "targets")
    test_labels = _renamed("test_labels", "targets")
    train_data = _renamed("train_data", "data")
    test_data = _renamed("test_data", "data")

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
        old = [os.path.join(self.processed_folder, f) for f in (self.training_file, self.test_file)]
        if all(check_integrity(path) for path in old):
            self.data, self.targets = load(old[0 if train else 1], weights_only=True)
            return
        if download:
            self.download()
        need_files(self._check_exists())
        self.data, self.targets = self._load_data()

    def _files(self) -> tuple[str, str]:
        """Names of the files with images and labels."""
        part = "train" if self.train else "t10k"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def _found(self, name: str) -> str:
        """The path of a file, which may still be compressed."""
        path = os.path.join(self.raw_folder, name)
        packed = [path + ending for ending in _OPENERS if os.path.isfile(path + ending)]
        return path if os.path.isfile(path) or not packed else packed[0]

    def _load_data(self) -> tuple[Tensor, Tensor]:
        images, labels = (self._found(name) for name in self._files())
        data, targets = read_image_file(images), read_label_file(labels)
        if len(data) != len(targets):
            raise RuntimeError(
                f"Dataset files in {self.raw_folder} are corrupted: "
                f"{len(data)} images, {len(targets)} labels"
            )
        return data, targets

    def _check_exists(self) -> bool:
        return all(os.path.isfile(self._found(name)) for name in self._files())

    @property
    def raw_folder(self) -> str:
        """Where the files are."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def processed_folder(self) -> str:
        """Where torchvision once kept them in a form of its own, which is still read."""
        return os.path.join(self.root, type(self).__name__, "processed")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Numbers of the classes."""
        return {name: i for i, name in enumerate(self.classes)}

    def download(self) -> None:
        """Fetch what is missing from the first mirror that has it.

        Raises: RuntimeError if none has.
        """
        if self._check_exists():
            return
        for name, md5 in self.resources:
            errors = []
            for mirror in self.mirrors:
                try:
                    download_and_extract_archive(
                        f"{mirror}{name}", self.raw_folder, filename=name, md5=md5
                    )
                    break
                except (RuntimeError, URLError) as error:
                    errors.append(f"Tried {mirror}, got:\n{error}\n")
            else:
                raise RuntimeError(f"Error downloading {name}:\n{''.join(errors)}")

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image = Image.fromarray(array_of(self.data)[index])
        return self._transformed(image, self._target(index))

    def _target(self, index: int) -> Any:
        return int(array_of(self.targets)[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


def _listed(*md5: str) -> list[tuple[str, str]]:
    return list(zip(_PARTS, md5, strict=True))


class FashionMNIST(MNIST):
    """As MNIST, with ten kinds of clothes, in `FashionMNIST/raw`."""

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]  # noqa: RUF012
    resources = _listed(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    )
    classes = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(
        ","
    )


class KMNIST(MNIST):
    """As MNIST, with ten Japanese characters, in `KMNIST/raw`."""

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]  # noqa: RUF012
    resources = _listed(
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    )
    classes = "o ki su tsu na ha ma ya re wo".split()


_ALL = set(string.digits + string.ascii_letters)
_UNMERGED = _ALL - set("cijklmopsuvwxyz")  # letters that look alike in both cases count once


class EMNIST(MNIST):
    """As MNIST, with letters: `EMNIST/raw/emnist-letters-train-images-idx3-ubyte` ….

    Args:
        split: "byclass", "bymerge", "balanced", "letters", "digits" or "mnist".
    """

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict = {  # noqa: RUF012
        "byclass": sorted(_ALL),
        "bymerge": sorted(_UNMERGED),
        "balanced": sorted(_UNMERGED),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root: Any, split: str, **kwargs: Any) -> None:
        self.split = verify_str_arg(split, "split", self.splits)
        self.training_file = f"training_{split}.pt"
        self.test_file = f"test_{split}.pt"
        super().__init__(root, **kwargs)
        self.classes = self.classes_split_dict[self.split]

    def _files(self) -> tuple[str, str]:
        prefix = f"emnist-{self.split}-{'train' if self.train else 'test'}"
        return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"

    @property
    def images_file(self) -> str:
        """The file with images."""
        return os.path.join(self.raw_folder, self._files()[0])

    @property
    def labels_file(self) -> str:
        """The file with labels."""
        return os.path.join(self.raw_folder, self._files()[1])

    def download(self) -> None:
        """Fetch what is missing."""
        if self._check_exists():
            return
        download_and_extract_archive(self.url, download_root=self.raw_folder, md5=self.md5)
        folder = os.path.join(self.raw_folder, "gzip")
        for name in os.listdir(folder):
            if name.endswith(".gz"):
                extract_archive(os.path.join(folder, name), self.raw_folder)
        shutil.rmtree(folder)


_QMNIST = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/"


class QMNIST(MNIST):
    """MNIST with all of its test images and more about them: `QMNIST/raw/qmnist-train-…`.

    Args:
        what: "train", "test", "test10k" (MNIST's own), "test50k" (the rest) or "nist".
        compat: targets are digits, rather than eight numbers about each image.
    """

    subsets = {  # noqa: RUF012
        "train": "train",
        "test": "test",
        "test10k": "test",
        "test50k": "test",
        "nist": "nist",
    }
    resources: Any = {  # noqa: RUF012
        "train": [
            (f"{_QMNIST}qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            (f"{_QMNIST}qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ],
        "test": [
            (f"{_QMNIST}qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            (f"{_QMNIST}qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ],
        "nist": [
            (f"{_QMNIST}xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            (f"{_QMNIST}xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ],
    }

    def __init__(
        self,
        root: Any,
        what: str | None = None,
        compat: bool = True,
        train: bool = True,
        **kwargs: Any,
    ) -> None:
        what = ("train" if train else "test") if what is None else what
        self.what = verify_str_arg(what, "what", tuple(self.subsets))
        self.compat = compat
        self.training_file = self.test_file = self.data_file = f"{what}.pt"
        super().__init__(root, train, **kwargs)

    def _files(self) -> tuple[str, str]:
        listed = self.resources[self.subsets[self.what]]
        images, labels = (os.path.splitext(os.path.basename(url))[0] for url, _ in listed)
        return images, labels

    images_file = EMNIST.images_file
    labels_file = EMNIST.labels_file

    def _load_data(self) -> tuple[Tensor, Tensor]:
        images, labels = (self._found(name) for name in self._files())
        data, targets = _of_rank(images, 3), read_idx(labels).astype(np.int64)
        if targets.ndim != 2:
            raise ValueError(f"targets should have 2 dimensions instead of {targets.ndim}")
        part = {"test10k": slice(0, 10000), "test50k": slice(10000, None)}.get(
            self.what, slice(None)
        )
        return tensor_of(data[part]), tensor_of(targets[part])

    def _target(self, index: int) -> Any:
        return int(array_of(self.targets)[index, 0]) if self.compat else self.targets[index]

    def download(self) -> None:
        """Fetch what is missing."""
        if not self._check_exists():
            for url, md5 in self.resources[self.subsets[self.what]]:
                download_and_extract_archive(url, self.raw_folder, md5=md5)

    def extra_repr(self) -> str:
        return f"Split: {self.what}"
