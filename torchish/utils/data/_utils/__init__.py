"""The private parts of data loading, under the names of PyTorch's."""

from . import collate as collate
from . import fetch as fetch
from . import pin_memory as pin_memory
from . import worker as worker

MP_STATUS_CHECK_INTERVAL = 5.0
