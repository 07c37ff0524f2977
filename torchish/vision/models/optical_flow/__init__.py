"""Networks that say where every pixel of a frame goes."""

from __future__ import annotations

from .raft import (
    RAFT as RAFT,
    Raft_Large_Weights as Raft_Large_Weights,
    Raft_Small_Weights as Raft_Small_Weights,
    raft_large as raft_large,
    raft_small as raft_small,
)
