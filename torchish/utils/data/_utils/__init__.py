"""The private parts of data loading, under the names of PyTorch's."""

from . import collate as collate, fetch as fetch, pin_memory as pin_memory, worker as worker

MP_STATUS_CHECK_INTERVAL = 5.0
