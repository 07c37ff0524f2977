"""`torch.utils._pytree` against PyTorch's: leaves, shapes, their printing, paths, errors."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch.utils._pytree as theirs

import torchish.utils._pytree as ours

Point = namedtuple("Point", "x y")
TREES = [
    1, (1, 2), [1, {"a": 2, "b": (3,)}], OrderedDict(a=1), Point(1, [2]),
    defaultdict(int, b=1, a=2),
    deque([1, 2], maxlen=3), None, (), {}, [[[]]],
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_taken_apart_and_put_together(tree: Any) -> None:
    leaves, spec = ours.tree_flatten(tree)
    expected, their_spec = theirs.tree_flatten(tree)
    assert leaves == expected and repr(spec) == repr(their_spec)
    assert (spec.num_leaves, spec.num_nodes, spec.num_children, spec.is_leaf()) == (
        their_spec.num_leaves, their_spec.num_nodes, their_spec.num_children, their_spec.is_leaf()
    )  # fmt: skip
    assert ours.tree_unflatten(leaves, spec) == tree
    assert spec == ours.tree_structure(tree) and hash(spec) == hash(ours.tree_structure(tree))
    assert ours.tree_map(str, tree) == theirs.tree_map(str, tree)
    paths = [(ours.keystr(k), v) for k, v in ours.tree_leaves_with_path(tree)]
    assert paths == [(theirs.keystr(k), v) for k, v in theirs.tree_leaves_with_path(tree)]
    if not isinstance(tree, Point):
        text = ours.treespec_dumps(spec)
        assert text == theirs.treespec_dumps(their_spec) and ours.treespec_loads(text) == spec


WRONG: dict[str, Callable[[Any], Any]] = {
    "count": lambda p: p.tree_unflatten([1], p.tree_structure((1, 2))),
    "arity": lambda p: p.tree_map(lambda a, b: a, (1, 2), (1,)),
    "type": lambda p: p.tree_map(lambda a, b: a, (1, 2), [1, 2]),
    "keys": lambda p: p.tree_map(lambda a, b: a, {"a": 1}, {"b": 1}),
    "depth": lambda p: p.tree_map(lambda a, b: a, (1, (2, 3)), (1, 2)),
    "registered": lambda p: p.register_pytree_node(list, None, None),
    "protocol": lambda p: p.treespec_dumps(p.tree_structure(1), 5),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    found = []
    for p in (ours, theirs):
        with pytest.raises(ValueError) as caught:
            WRONG[name](p)
        found.append(str(caught.value))
    assert found[0] == found[1]


def test_registered_classes() -> None:
    class Pair:
        def __init__(self, a: Any, b: Any) -> None:
            self.a, self.b = a, b

    ours.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda parts, _: Pair(*parts))
    made = ours.tree_map(lambda x: x + 1, {"p": Pair(1, [2])})
    assert (made["p"].a, made["p"].b) == (2, [3])
    assert ours.tree_map_only(int, str, [1, 2.0]) == ["1", 2.0]
    assert ours.tree_any(lambda x: x > 1, [1, 2]) and not ours.tree_all(lambda x: x > 1, [1, 2])
    assert ours._broadcast_to_and_flatten((1, 2), ours.tree_structure((0, (0, 0)))) == [1, 2, 2]
    ours._deregister_pytree_node(Pair)
    assert ours.tree_is_leaf(Pair(1, 2))


def test_named_results_are_containers() -> None:
    import torchish

    spec = ours.tree_structure(torchish.ones(3).max(0))
    assert repr(spec) == "TreeSpec(max, None, [*,\n  *])"
