"""CIFAR-10 and CIFAR-100 in their original files: pickles of numpy arrays."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from ._listed import CORRUPTED, Archive, need_files
from .utils import check_integrity
from .vision import Transform


def _latin1(text: str, encoding: str) -> bytes:
    """How protocol 2 spells bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in an unexpected encoding {encoding!r}")
    return text.encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    """Builds arrays, strings and containers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        core = np.ndarray.__reduce__(np.empty(0))[0]  # numpy's own `_reconstruct`
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): core,
            ("numpy._core.multiarray", "_reconstruct"): core,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin1,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"a CIFAR file must not refer to {module}.{name}")
        return allowed[module, name]


def _read(path: str) -> dict[str, Any]:
    """The dictionary in a CIFAR file; RuntimeError if it is damaged or holds anything unusual."""
    try:
        with open(path, "rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError,
            AttributeError, UnicodeDecodeError, MemoryError) as error:  # fmt: skip
        raise RuntimeError(f"Dataset file {path} is corrupted: {error}") from error
    if not isinstance(content, dict):
        raise RuntimeError(f"Dataset file {path} is corrupted: it holds no dictionary")
    return content


class CIFAR10(Archive):
    """Colour images of 32 x 32 pixels in ten classes: `cifar-10-batches-py/data_batch_1` ….

    Args:
        train: the training batches rather than the test batch.
        download: fetch what is missing.
    Raises: RuntimeError if files are missing or damaged.
    Differs from torch: the pickles may hold nothing but arrays, numbers and text.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list: list[list[str]] = [  # noqa: RUF012
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list: list[list[str]] = [  # noqa: RUF012
        ["test_batch", "40351d587109b95175f43aff81a1287e"]
    ]
    meta = {  # noqa: RUF012
        "filename": "batches.meta",
        "key": "label_names",
        "md5": "5ff9c542aee3614f3951f8cda6e48888",
    }

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
        if download:
            self.download()
        need_files(self._check_integrity(), CORRUPTED)
        images, self.targets = [], []
        for name, _ in self.train_list if train else self.test_list:
            data, labels = self._batch(self._path(name))
            images.append(data)
            self.targets += labels
        # height, width, channels: what PIL takes
        self.data = np.ascontiguousarray(np.concatenate(images).transpose(0, 2, 3, 1))
        path = self._path(self.meta["filename"])
        meta = _read(path) if check_integrity(path, self.meta["md5"]) else {}
        if self.meta["key"] not in meta:
            raise RuntimeError(
                "Dataset metadata file not found or corrupted."
                " You can use download=True to download it"
            )
        self.classes: list[str] = meta[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    @staticmethod
    def _batch(path: str) -> tuple[np.ndarray, list[int]]:
        batch = _read(path)
        try:
            data = np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32)
            labels = list(batch["labels"] if "labels" in batch else batch["fine_labels"])
        except (KeyError, ValueError, TypeError) as error:
            raise RuntimeError(f"Dataset file {path} is corrupted: {error}") from error
        if len(data) != len(labels):
            raise RuntimeError(
                f"Dataset file {path} is corrupted: {len(data)} images, {len(labels)} labels"
            )
        return data, labels

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        return self._transformed(Image.fromarray(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train is True else 'Test'}"


class CIFAR100(CIFAR10):
    """As CIFAR10, with a hundred classes, in `cifar-100-python`."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]  # noqa: RUF012
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]  # noqa: RUF012
    meta = {  # noqa: RUF012
        "filename": "meta",
        "key": "fine_label_names",
        "md5": "7973b15100ade9c7d40fb424638fde48",
    }
