"""``torch.distributed.device_mesh``."""

from ._mesh import DeviceMesh, init_device_mesh

__all__ = ["DeviceMesh", "init_device_mesh"]
