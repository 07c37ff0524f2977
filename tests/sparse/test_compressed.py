"""CSC, BSR and BSC matrices against PyTorch's: making, converting, products, gradients, text."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchish
from tests import oracle

LAYOUTS = ("csr", "csc", "bsr", "bsc")


def dense(m: Any) -> Any:
    return m.tensor([[1.0, 0, 0, 2], [0, 0, 3, 0], [0, 4, 0, 0], [5, 0, 0, 6]])


def of(m: Any, layout: str) -> Any:
    convert = getattr(dense(m), f"to_sparse_{layout}")
    return convert((2, 2)) if layout[0] == "b" else convert()


def facts(x: Any) -> list[Any]:
    if not hasattr(x, "detach"):
        return [x]
    shown = str(x.layout)
    if shown == "torch.strided":
        return [shown, x.detach().numpy()]
    return [shown, tuple(x.shape), x._nnz(), x.to_dense().detach().numpy()]


def same(mine: list[Any], theirs: list[Any]) -> None:
    oracle.same(mine, theirs, 1e-5, 0.0)


def both(question: Callable[[Any], Any]) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = question(torch)
    return question(torchish), theirs


QUESTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "itself": lambda m, x: x,
    "t": lambda m, x: x.t(),
    "transpose": lambda m, x: x.transpose(0, 1),
    "scaled": lambda m, x: x * 2,
    "abs": lambda m, x: x.abs(),
    "double": lambda m, x: x.double(),
    "clone": lambda m, x: x.clone(),
    "sum": lambda m, x: x.sum(),
    "coo": lambda m, x: x.to_sparse_coo().to_dense(),
    "times matrix": lambda m, x: x @ m.arange(8.0).reshape(4, 2),
    "dims": lambda m, x: m.tensor([x.sparse_dim(), x.dense_dim(), x.dim()]),
    "values": lambda m, x: x.values(),
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_answers(layout: str, name: str) -> None:
    if (layout, name) == ("bsc", "times matrix"):  # PyTorch has no such product
        mine = of(torchish, layout) @ torchish.arange(8.0).reshape(4, 2)
        theirs = dense(torch) @ torch.arange(8.0).reshape(4, 2)
    else:
        mine, theirs = both(lambda m: QUESTIONS[name](m, of(m, layout)))
    same(facts(mine), facts(theirs))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("target", LAYOUTS)
def test_conversions(layout: str, target: str) -> None:
    def convert(m: Any) -> Any:
        kind = getattr(m, f"sparse_{target}")
        given = {"blocksize": (2, 2)} if target[0] == "b" else {}
        return of(m, layout).to_sparse(layout=kind, **given)

    try:
        mine, theirs = both(convert)
    except RuntimeError:  # PyTorch converts blocks to few layouts; the values say what is right
        mine = convert(torchish)
        np.testing.assert_array_equal(mine.to_dense().numpy(), dense(torch).numpy())
        return
    assert repr(mine) == repr(theirs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_printed_text_and_copies(layout: str) -> None:
    mine, theirs = both(lambda m: of(m, layout))
    assert repr(mine) == repr(theirs)
    for made in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert repr(made) == repr(mine)


MAKERS: dict[str, Callable[[Any], Any]] = {
    "csc": lambda m: m.sparse_csc_tensor(m.tensor([0, 1, 3]), m.tensor([1, 0, 2]),
                                         m.tensor([1.0, 2, 3])),
    "csc of a size": lambda m: m.sparse_csc_tensor([0, 1, 3], [1, 0, 2], [1.0, 2, 3], (4, 2)),
    "bsr": lambda m: m.sparse_bsr_tensor(m.tensor([0, 1, 2]), m.tensor([1, 0]),
                                         m.arange(12.0).reshape(2, 2, 3)),
    "bsc": lambda m: m.sparse_bsc_tensor(m.tensor([0, 1, 2]), m.tensor([1, 0]),
                                         m.arange(12.0).reshape(2, 2, 3), (4, 6)),
    "compressed": lambda m: m.sparse_compressed_tensor(
        m.tensor([0, 1, 2]), m.tensor([1, 0]), m.tensor([1.0, 2]), layout=m.sparse_csc
    ),
    "dtype": lambda m: m.sparse_csc_tensor([0, 1], [1], [1.0], (2, 1), dtype=m.float64),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_making(name: str) -> None:
    mine, theirs = both(MAKERS[name])
    assert repr(mine) == repr(theirs)
    same(facts(mine), facts(theirs))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_reach_values_and_matrices(layout: str) -> None:
    x = of(torchish, layout)
    values = x.values().requires_grad_()
    right = torchish.arange(8.0).reshape(4, 2).requires_grad_()
    out = x._like(values) @ right
    (out * torchish.arange(8.0).reshape(4, 2)).sum().backward()
    left = dense(torch).requires_grad_()
    same_right = torch.arange(8.0).reshape(4, 2).requires_grad_()
    ((left @ same_right) * torch.arange(8.0).reshape(4, 2)).sum().backward()
    np.testing.assert_allclose(right.grad.numpy(), same_right.grad.numpy())
    there = dense(torch) != 0
    found = x._like(values.grad).to_dense().numpy()[there.numpy()]
    np.testing.assert_allclose(found, left.grad[there].numpy())


@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin"])
def test_products_that_reduce_otherwise(reduce: str) -> None:
    def run(m: Any) -> Any:
        right = (m.arange(8.0).reshape(4, 2) + 1).sin().requires_grad_()
        out = m.sparse.mm(dense(m).to_sparse_csr(), right, reduce)
        (out * m.arange(8.0).reshape(4, 2)).sum().backward()
        return [out.detach().numpy(), right.grad.numpy()]

    mine, theirs = both(run)
    same(mine, theirs)


WRONG: dict[str, Callable[[Any], Any]] = {
    "rows of columns": lambda m: of(m, "csc").crow_indices(),
    "columns of rows": lambda m: of(m, "bsr").ccol_indices(),
    "blocks": lambda m: dense(m).to_sparse_bsr((3, 2)),
    "layout": lambda m: m.sparse_compressed_tensor(
        m.tensor([0, 1]), m.tensor([0]), m.tensor([1.0]), layout=m.strided
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    found = []
    for m in (torchish, torch):
        with pytest.raises(RuntimeError) as caught:
            WRONG[name](m)
        found.append(str(caught.value))
    assert found[0] == found[1]
    with pytest.raises(RuntimeError, match="ccol_indices.shape"):
        torchish.sparse_csc_tensor([0, 1], [0], [1.0], (1, 3))
