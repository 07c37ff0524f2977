"""Tags of operators against PyTorch's, all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

import torchish
from tools import op_tags
from torchish._ops.protocol.tags import tags_of


def _names(tags: Sequence[object]) -> list[str]:
    return [str(tag) for tag in tags]


def test_tags_of_every_overload() -> None:
    theirs = op_tags.overloads()
    differ = {
        name: (_names(mine), _names(tags))
        for name, tags in theirs.items()
        if _names(mine := tags_of(name)) != _names(tags)
    }
    assert not differ and len(theirs) > 3000
    assert op_tags.FILE.read_text() == op_tags.table()


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
