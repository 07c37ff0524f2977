"""Names that PyTorch's modules have from Python's library are there too."""

from __future__ import annotations

import importlib

import pytest

IMPORTED = (
    ("jit.annotations", "List"), ("jit.annotations", "Dict"), ("jit.annotations", "Optional"),
    ("optim.lr_scheduler", "Counter"), ("optim.lr_scheduler", "bisect_right"),
    ("optim.optimizer", "defaultdict"), ("distributions.transforms", "Sequence"),
)  # fmt: skip


@pytest.mark.parametrize(("module", "name"), IMPORTED)
def test_the_object_is_the_same(module: str, name: str) -> None:
    theirs = getattr(importlib.import_module(f"torch.{module}"), name)
    assert getattr(importlib.import_module(f"torchish.{module}"), name) is theirs
