"""Tags of operators against PyTorch's, all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

import torchish
from torchish._ops.protocol.tags import tags_of


def _names(tags: Sequence[object]) -> list[str]:
    return [str(tag) for tag in tags]


def test_tags_of_every_overload() -> None:
    differ, count = {}, 0
    for qualified in torch._C._dispatch_get_all_op_names():
        space, _, name = qualified.partition("::")
        operator, _, overload = name.partition(".")
        if space != "aten":
            continue
        try:
            theirs = getattr(getattr(torch.ops.aten, operator), overload or "default")
        except (AttributeError, RuntimeError):  # declared for TorchScript only
            continue
        mine = tags_of(f"{operator}.{overload or 'default'}")
        count += 1
        if _names(mine) != _names(theirs.tags):
            differ[name] = _names(mine), _names(theirs.tags)
    assert not differ and count > 3000


def test_the_enum() -> None:
    theirs = {name: int(tag) for name, tag in torch.Tag.__members__.items()}
    assert {name: tag.value for name, tag in torchish.Tag.__members__.items()} == theirs
    assert repr(torchish.Tag.core) == repr(torch.Tag.core)
    assert torchish.Tag.pointwise in torchish.ops.aten.add.Tensor.tags


def test_tags_of_custom_operators() -> None:
    found = []
    for m in (torchish, torch):
        library = m.library.Library("tagged", "DEF")
        library.define("none(Tensor x) -> Tensor")
        library.define("one(Tensor x) -> Tensor", tags=m.Tag.pointwise)
        m.library.define("tagged::two", "(Tensor x) -> Tensor", tags=(m.Tag.pointwise, m.Tag.core))
        made = m.library.custom_op("tagged::made", lambda x: x.clone(), mutates_args=(),
                                   schema="(Tensor x) -> Tensor", tags=m.Tag.reduction)  # fmt: skip
        ops = m.ops.tagged
        found.append([_names(op.default.tags) for op in (ops.none, ops.one, ops.two, ops.made)])
        assert made(m.ones(2)).tolist() == [1.0, 1.0]
        library._destroy()
    assert found[0] == found[1]
