"""`torch.distributed.tensor`: placements are records; tensors over a mesh are refused by name.

Nearest: `torch.distributed.shard`, which lays a module's parameters over a mesh.
"""

from .placement_types import (
    Partial as Partial,
    Placement as Placement,
    Replicate as Replicate,
    Shard as Shard,
)
