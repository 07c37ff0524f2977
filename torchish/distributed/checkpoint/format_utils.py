"""Checkpoints in folders to files of `torch.save`, and back.

Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

from __future__ import annotations

from typing import Any

from ...serialization import load as _load, save as _save
from . import load, save
from .default_planner import _EmptyStateDictLoadPlanner

__all__ = ["dcp_to_torch_save", "torch_save_to_dcp"]


def dcp_to_torch_save(dcp_checkpoint_dir: Any, torch_save_path: Any) -> None:
    """Write what a folder holds into a file."""
    state: dict[str, Any] = {}
    planner = _EmptyStateDictLoadPlanner()
    load(state, checkpoint_id=dcp_checkpoint_dir, planner=planner, no_dist=True)
    _save(state, torch_save_path)


def torch_save_to_dcp(torch_save_path: Any, dcp_checkpoint_dir: Any) -> None:
    """Write what a file holds into a folder."""
    state = _load(torch_save_path, weights_only=False)
    save(state, checkpoint_id=dcp_checkpoint_dir, no_dist=True)
