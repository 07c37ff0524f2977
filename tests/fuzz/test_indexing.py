"""Random chains of indexing and assignment: both libraries raise the same, or both agree."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

import torchish
from tests import oracle

from .both import cases, node_by_node as node_by_node

SHAPES = [(), (4,), (3, 4), (2, 3, 4)]


@dataclass(frozen=True)
class Array:
    """An index tensor (or value) that each library builds for itself."""

    data: Any
    kind: str = "tensor"

    def build(self, lib: Any) -> Any:
        """The array as a tensor, a numpy array or nested lists."""
        if self.kind == "numpy":
            return np.array(self.data)
        return lib.tensor(np.array(self.data)) if self.kind == "tensor" else self.data


def arrays(limit: int) -> st.SearchStrategy[Any]:
    """Index arrays, mostly in range."""
    number = st.integers(-limit - 1 if limit else -1, limit)
    shapes = st.sampled_from([(1,), (2,), (2, 1), (3,)])
    data = shapes.flatmap(
        lambda shape: st.lists(
            number, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))
        ).map(lambda flat: np.array(flat).reshape(shape).tolist())
    )
    kind = st.sampled_from(["tensor", "tensor", "numpy", "list"])
    return st.builds(Array, data, kind)


def masks(size: int) -> st.SearchStrategy[Any]:
    """Masks along one dimension, sometimes of the wrong length."""
    length = st.sampled_from([size, size, size, size + 1])
    data = length.flatmap(lambda n: st.lists(st.booleans(), min_size=n, max_size=n))
    return st.builds(Array, data, st.sampled_from(["tensor", "numpy", "list"]))


def slices(size: int) -> st.SearchStrategy[slice]:
    """Slices, a few of them with steps that torch refuses."""
    end = st.none() | st.integers(-size - 1, size + 1)
    return st.builds(slice, end, end, st.sampled_from([None, None, 1, 2, 3, -1, 0]))


def item(size: int) -> st.SearchStrategy[Any]:
    """One element of an index for a dimension of `size`."""
    return st.one_of(
        st.integers(-size, max(size - 1, 0)), st.integers(-size - 1, size), slices(size),
        slices(size), st.none(), st.just(Ellipsis), st.booleans(), arrays(max(size - 1, 0)),
        masks(size), st.builds(Array, st.integers(-size, max(size - 1, 0))),
    )  # fmt: skip


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> Any:
    """An index: alone or in a tuple of up to one element too many."""
    sizes = [*shape, 2]
    count = draw(st.integers(0, len(sizes)))
    if count <= 1 and draw(st.booleans()):
        return draw(item(sizes[0]))
    found = [draw(item(sizes[k])) for k in range(count)]
    dots = [k for k, part in enumerate(found) if part is Ellipsis]
    return tuple(part for k, part in enumerate(found) if k not in dots[1:])  # two are undefined


@st.composite
def steps(draw: Any) -> Any:
    """A shape and what is done to it."""
    shape = draw(st.sampled_from(SHAPES))
    chain = []
    for _ in range(draw(st.integers(1, 3))):
        what = draw(st.sampled_from(["get", "get", "set", "set tensor", "add"]))
        chain.append((what, draw(indices(shape)), draw(st.integers(0, 3))))
    return shape, chain


def build(index: Any, lib: Any) -> Any:
    """The index for one library."""
    if isinstance(index, tuple):
        return tuple(build(part, lib) for part in index)
    return index.build(lib) if isinstance(index, Array) else index


def run(lib: Any, shape: tuple[int, ...], chain: Any, grad: bool) -> list[Any]:
    """Every state along the chain, up to the first error (after which torch may have written)."""
    root = lib.tensor(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1.0)
    leaf = root.requires_grad_() if grad else None
    if grad:
        root = root * 2
    view, seen = root, []
    for what, index, number in chain:
        try:
            index = build(index, lib)
            if what == "get":
                view = view[index]
            elif what == "set":
                view[index] = number * 10
            elif what == "set tensor":
                ends = [(), (1,), (4,), (3, 1)]
                view[index] = lib.tensor(np.full(ends[number], 7.0 + number, np.float32))
            else:
                view[index] += 100
            strides = tuple(view.stride()) if view.numel() else ()
            seen.append((tuple(view.shape), strides, view.storage_offset()))
        except Exception as error:
            seen.append((type(error).__name__, str(error).split("\n")[0]))
            return seen
        seen.append(root.detach().clone().numpy())
        seen.append(view.detach().clone().numpy())
    if leaf is not None:
        total = (root * root).sum() + (view * 3).sum()
        total.backward()
        seen.append(leaf.grad.numpy())
    return seen


def same(own: Any, theirs: Any) -> None:
    wrong_twice = isinstance(theirs, tuple) and "shape mismatch" in str(theirs)
    if not (wrong_twice and own[0] == "IndexError"):  # the index and the value were wrong
        oracle.same(own, theirs, 1e-6, 0.0)


@pytest.mark.parametrize("grad", [False, True])
@cases(600)
@given(steps())
def test_chain(grad: bool, case: Any) -> None:
    """Results, strides, errors, aliasing and gradients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = run(torch, *case, grad)
        own = run(torchish, *case, grad)
    for a, b in zip(own, theirs, strict=False):
        same(a, b)
    assert len(own) == len(theirs)
