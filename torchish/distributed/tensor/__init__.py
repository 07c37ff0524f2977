"""`torch.distributed.tensor`: tensors laid out over a mesh of this process's devices.

A `DTensor` is the whole tensor with a note of how it lies; XLA moves what an operator needs.

Source: https://docs.pytorch.org/docs/stable/distributed.tensor.html
"""

from ._api import (
    DTensor as DTensor,
    distribute_module as distribute_module,
    distribute_tensor as distribute_tensor,
    empty as empty,
    full as full,
    ones as ones,
    rand as rand,
    randn as randn,
    zeros as zeros,
)
from .placement_types import (
    Partial as Partial,
    Placement as Placement,
    Replicate as Replicate,
    Shard as Shard,
)
