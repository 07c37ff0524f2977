"""Datasets, samplers and the loader that makes batches of them."""

from typing import Any

from .dataloader import (
    DataLoader as DataLoader,
    _DatasetKind as _DatasetKind,
    default_collate as default_collate,
    default_convert as default_convert,
    get_worker_info as get_worker_info,
)
from .dataset import (
    ChainDataset as ChainDataset,
    ConcatDataset as ConcatDataset,
    Dataset as Dataset,
    IterableDataset as IterableDataset,
    StackDataset as StackDataset,
    Subset as Subset,
    TensorDataset as TensorDataset,
    random_split as random_split,
)
from .distributed import DistributedSampler as DistributedSampler
from .sampler import (
    BatchSampler as BatchSampler,
    RandomSampler as RandomSampler,
    Sampler as Sampler,
    SequentialSampler as SequentialSampler,
    SubsetRandomSampler as SubsetRandomSampler,
    WeightedRandomSampler as WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "_DatasetKind",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]

_DATA_PIPES = (
    "DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe", "functional_datapipe",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _DATA_PIPES:
        from . import datapipes

        return getattr(datapipes, name)
    raise AttributeError(f"module 'torch.utils.data' has no attribute {name!r}")


class guaranteed_datapipes_determinism:
    """A context without effect: pipes here draw from PyTorch's stream alone."""

    def __init__(self, *args: Any) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


class runtime_validation_disabled(guaranteed_datapipes_determinism):
    """A context without effect: annotations are not checked at run time."""


class non_deterministic:
    """A mark for a pipe's class."""

    def __new__(cls, arg: Any) -> Any:
        return arg if isinstance(arg, type) else object.__new__(cls)

    def __init__(self, arg: Any) -> None:
        pass

    def __call__(self, cls: Any) -> Any:
        return cls


def argument_validation(f: Any) -> Any:
    """`f`: its annotations are not checked at run time."""
    return f


def runtime_validation(f: Any) -> Any:
    """`f`: its annotations are not checked at run time."""
    return f
