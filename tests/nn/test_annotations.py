"""The annotations of `Module` use names that a program has: fastai resolves them among its own."""

from __future__ import annotations

import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torchish


def test_a_loss_has_type_hints_in_another_modules_names() -> None:
    names = {"OrderedDict": OrderedDict, "Callable": Callable, "Any": Any}
    hints = typing.get_type_hints(torchish.nn.CrossEntropyLoss(), globalns=names)
    assert hints["training"] is bool
