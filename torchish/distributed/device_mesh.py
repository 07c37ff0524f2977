"""``torch.distributed.device_mesh``."""

from ._shard import DeviceMesh, init_device_mesh

__all__ = ["DeviceMesh", "init_device_mesh"]
