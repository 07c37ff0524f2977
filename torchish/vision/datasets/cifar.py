"""CIFAR-10 and CIFAR-100 in their original files: pickles of numpy arrays."""

from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np

from ._base import Transform, VisionDataset, missing_files


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


class CIFAR10(VisionDataset):
    """Colour images of 32 x 32 pixels in ten classes.

    Args:
        root: folder that contains `cifar-10-batches-py`.
        train: the training batches rather than the test batch.
        download: accepted where the files are there already.
    Raises: RuntimeError if files are missing or damaged, NotSupportedError if they would have to be
    downloaded.
    Differs from torch: files are not compared with known checksums, so subsets in the same format
    load too; their pickles may hold nothing but arrays, numbers and text.
    """

    base_folder = "cifar-10-batches-py"
    train_list: list[list[str]] = [[f"data_batch_{i}"] for i in range(1, 6)]  # noqa: RUF012
    test_list: list[list[str]] = [["test_batch"]]  # noqa: RUF012
    meta = {"filename": "batches.meta", "key": "label_names"}  # noqa: RUF012
    _labels = "labels"

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
        folder = os.path.join(self.root, self.base_folder)
        names = [entry[0] for entry in (self.train_list if train else self.test_list)]
        wanted = [os.path.join(folder, name) for name in [*names, self.meta["filename"]]]
        if not all(os.path.isfile(path) for path in wanted):
            raise missing_files(type(self).__name__, download, wanted)
        images, self.targets = [], []
        for path in wanted[:-1]:
            batch = _read(path)
            try:
                data = np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32)
                labels = list(batch[self._labels])
            except (KeyError, ValueError, TypeError) as error:
                raise RuntimeError(f"Dataset file {path} is corrupted: {error}") from error
            if len(data) != len(labels):
                raise RuntimeError(
                    f"Dataset file {path} is corrupted: {len(data)} images, {len(labels)} labels"
                )
            images.append(data)
            self.targets += labels
        # height, width, channels: what PIL takes
        self.data = np.ascontiguousarray(np.concatenate(images).transpose(0, 2, 3, 1))
        meta = _read(wanted[-1])
        if self.meta["key"] not in meta:
            raise RuntimeError(
                "Dataset metadata file not found or corrupted."
                " You can use download=True to download it"
            )
        self.classes: list[str] = meta[self.meta["key"]]
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

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
    train_list = [["train"]]  # noqa: RUF012
    test_list = [["test"]]  # noqa: RUF012
    meta = {"filename": "meta", "key": "fine_label_names"}  # noqa: RUF012
    _labels = "fine_labels"
