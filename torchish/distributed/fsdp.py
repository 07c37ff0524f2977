"""``torch.distributed.fsdp``: ``fully_shard``, over the devices of this process."""

from ._shard import fully_shard

__all__ = ["fully_shard"]
