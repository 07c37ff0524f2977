"""Names that PyTorch's modules have from Python's library are there too."""

from __future__ import annotations

import importlib

import pytest

IMPORTED = (
    ("jit.annotations", "List"), ("jit.annotations", "Dict"), ("jit.annotations", "Optional"),
    ("optim.lr_scheduler", "Counter"), ("optim.lr_scheduler", "bisect_right"),
    ("optim.optimizer", "defaultdict"), ("distributions.transforms", "Sequence"),
    ("utils.checkpoint", "Mapping"), ("optim.lr_scheduler", "override"),
)  # fmt: skip


@pytest.mark.parametrize(("module", "name"), IMPORTED)
def test_the_object_is_the_same(module: str, name: str) -> None:
    theirs = getattr(importlib.import_module(f"torch.{module}"), name)
    assert getattr(importlib.import_module(f"torchish.{module}"), name) is theirs


def test_packages_under_a_second_path_have_their_modules() -> None:
    for path in (
        "distributed._shard.checkpoint.planner", "distributed._sharded_tensor.api",
        "distributed._sharding_spec.chunk_sharding_spec_ops.embedding",
    ):  # fmt: skip
        importlib.import_module(f"torchish.{path}")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("torchish.distributed._sharded_tensor.nothing")
