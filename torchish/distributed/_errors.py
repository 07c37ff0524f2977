"""Exceptions of `torch.distributed`."""

from __future__ import annotations


class DistError(RuntimeError):
    """Base of what goes wrong between processes."""

    __module__ = "torch.distributed"


class DistBackendError(DistError):
    """A collective failed."""

    __module__ = "torch.distributed"


class DistNetworkError(DistError):
    """A connection could not be made."""

    __module__ = "torch.distributed"


class DistStoreError(DistError):
    """The store did not answer in time, or not all processes came."""

    __module__ = "torch.distributed"


UNINITIALISED = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)
