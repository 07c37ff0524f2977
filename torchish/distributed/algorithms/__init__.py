"""`torch.distributed.algorithms`: ways to train over processes."""

from .join import Join as Join, Joinable as Joinable, JoinHook as JoinHook
