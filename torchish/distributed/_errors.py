"""Exceptions of `torch.distributed`."""

from __future__ import annotations

from .._basics.errors import shown_as


@shown_as("torch.distributed")
class DistError(RuntimeError):
    """Base of what goes wrong between processes."""


@shown_as("torch.distributed")
class DistBackendError(DistError):
    """A collective failed."""


@shown_as("torch.distributed")
class DistNetworkError(DistError):
    """A connection could not be made."""


@shown_as("torch.distributed")
class DistStoreError(DistError):
    """The store did not answer in time, or not all processes came."""


UNINITIALISED = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)
