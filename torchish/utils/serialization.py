"""Settings of `torch.save` and `torch.load`."""

from .._serialization.state import config as config
