"""Sparse tensors against PyTorch's: values, gradients, printing, errors."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchish

with warnings.catch_warnings():  # PyTorch gives these once a process
    warnings.simplefilter("ignore")
    torch.sparse_coo_tensor([[0]], [1.0]).to_dense()
    torch.eye(2).to_sparse_csr()


# They come once a process, and another test may have been the first.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse")


def coo(m: Any, **kwargs: Any) -> Any:
    return m.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0], (2, 3), **kwargs)


def doubled(m: Any) -> Any:
    return m.sparse_coo_tensor([[0, 0, 1], [2, 2, 2]], [3.0, 4.0, 5.0], (2, 3))


def csr(m: Any) -> Any:
    return m.sparse_csr_tensor(m.tensor([0, 1, 3]), m.tensor([2, 0, 2]), m.tensor([3.0, 4, 5]),
                               (2, 3))  # fmt: skip


def dense(m: Any) -> Any:
    return m.arange(6.0).view(3, 2)


CASES: dict[str, Callable[[Any], Any]] = {
    "coo": coo,
    "csr": csr,
    "facts": lambda m: [
        (a.is_sparse, str(a.layout), tuple(a.shape), a._nnz(), a.is_coalesced(), a.sparse_dim(),
         a.dense_dim(), str(a.dtype), str(a.device), a.numel(), a.dim(), a.size(0))
        for a in [coo(m)]
    ],
    "coalesce": lambda m: [doubled(m), doubled(m).coalesce(), doubled(m).to_dense()],
    "parts": lambda m: [coo(m)._indices(), coo(m).coalesce().values(), csr(m).crow_indices(),
                        csr(m).col_indices(), csr(m).values()],
    "layouts": lambda m: [coo(m).to_dense(), coo(m).to_sparse_csr(), csr(m).to_dense(),
                          csr(m).to_sparse_coo(), m.eye(3).to_sparse(), m.eye(3).to_sparse_csr()],
    "products": lambda m: [f(coo(m), dense(m)) for f in (m.sparse.mm, m.mm, m.spmm, m.matmul)]
    + [coo(m) @ dense(m), csr(m) @ dense(m), coo(m).mv(m.ones(3)), m.ones(4, 2) @ coo(m)],
    "sparse product": lambda m: m.sparse.mm(coo(m), coo(m).t()),
    "addmm": lambda m: [m.addmm(m.ones(2, 2), coo(m), dense(m)),
                        m.sparse.addmm(m.ones(2, 2), coo(m), dense(m), beta=2, alpha=3)],
    "numbers": lambda m: [(coo(m) * 2).to_dense(), (2 * coo(m)).to_dense(), coo(m) / 2, -coo(m)],
    "both sparse": lambda m: [(coo(m) + doubled(m)).to_dense(), (coo(m) - doubled(m)).to_dense(),
                              (coo(m) * doubled(m)).to_dense()],
    "with dense": lambda m: [m.ones(2, 3) + coo(m), m.ones(2, 3) * coo(m)],
    "movement": lambda m: [coo(m).t(), coo(m).transpose(0, 1).to_dense(), coo(m)[1],
                           coo(m).index_select(0, m.tensor([1])), m.cat([coo(m), coo(m)]),
                           m.stack([coo(m), coo(m)]).to_dense()],
    "sums": lambda m: [m.sparse.sum(coo(m)), m.sparse.sum(coo(m), dim=0), coo(m).sum(),
                       m.sparse.sum(coo(m), dim=1).to_dense()],
    "softmax": lambda m: [m.sparse.softmax(coo(m), dim=1), m.sparse.log_softmax(coo(m), 0)],
    "functions": lambda m: [m.relu(coo(m)), coo(m).abs(), coo(m).pow(2), m.sqrt(coo(m))],
    "dtypes": lambda m: [coo(m).double(), coo(m).to(m.float64), coo(m).clone(), coo(m).detach()],
    "empty": lambda m: m.sparse_coo_tensor((2, 3)),
    "hybrid": lambda m: [m.sparse_coo_tensor([[0, 1]], m.ones(2, 4), (3, 4)),
                         m.sparse_coo_tensor([[0, 0]], m.ones(2, 4), (3, 4)).to_dense()],
    "mask": lambda m: m.ones(2, 3).sparse_mask(coo(m).coalesce()),
    "wants gradient": lambda m: coo(m, requires_grad=True),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_printing(name: str) -> None:
    assert str(CASES[name](torchish)) == str(CASES[name](torch))


WRONG: dict[str, Callable[[Any], Any]] = {
    "uncoalesced": lambda m: doubled(m).indices(),
    "range": lambda m: m.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (3,), check_invariants=True),
    "negative": lambda m: m.sparse_coo_tensor([[0, -1]], [1.0, 2.0], (3,), check_invariants=True),
    "nnz": lambda m: m.sparse_coo_tensor(m.tensor([[0, 1]]), m.ones(3), (3,)),
    "adam": lambda m: _stepped(m, m.optim.Adam),
}


BAD, OUTSIDE = [[0, 5], [1, 0]], [[0, -5], [1, 0]]


def _decorated(m: Any) -> Any:
    with_checks = m.sparse.check_sparse_tensor_invariants()
    return with_checks(lambda: m.sparse_coo_tensor(BAD, [1.0, 2.0], (2, 2)))()


def _under(m: Any, asked: bool, **kwargs: Any) -> Any:
    with m.sparse.check_sparse_tensor_invariants(asked):
        return m.sparse_coo_tensor(BAD, [1.0, 2.0], (2, 2), **kwargs)


def _rows(m: Any, starts: Any, places: Any) -> Any:
    values, size = m.ones(len(places)), (len(starts) - 1, 2)
    return m.sparse_csr_tensor(starts, places, values, size, check_invariants=True)


def _blocks(m: Any, layout: str, starts: Any, places: Any, size: Any) -> Any:
    return m.sparse_compressed_tensor(starts, places, m.ones(len(places), 2, 3), size,
                                      layout=getattr(m, layout), check_invariants=True)  # fmt: skip


WRONG |= {
    "inferred from negative": lambda m: m.sparse_coo_tensor(OUTSIDE, [1.0, 2.0]),
    "with checks": lambda m: _under(m, True),
    "asked inside": lambda m: _under(m, False, check_invariants=True),
    "decorated": _decorated,
    "dims": lambda m: m.sparse_coo_tensor(BAD, [1.0, 2.0], (6, 6, 6)),
    "rows": lambda m: m.sparse_coo_tensor([0, 5], [1.0, 2.0]),
    "values": lambda m: m.sparse_coo_tensor(BAD, m.ones(2, 3), (6, 6, 4)),
    "one value": lambda m: m.sparse_coo_tensor(BAD, m.tensor(2.0), (6, 6)),
    "sparse values": lambda m: m.sparse_coo_tensor([[0, 1, 1]], coo(m), (6, 3)),
    "coalesced": lambda m: m.sparse_coo_tensor([[1, 0]], [1.0, 2.0], (3,), is_coalesced=True,
                                               check_invariants=True),
    "start": lambda m: _rows(m, [1, 2], [0, 1]),
    "end": lambda m: _rows(m, [0, 3], [0, 1]),
    "order": lambda m: _rows(m, [0, 2, 1, 2], [0, 1]),
    "column": lambda m: _rows(m, [0, 2], [0, 2]),
    "negative column": lambda m: _rows(m, [0, 2], [0, -2]),
    "unsorted": lambda m: _rows(m, [0, 2], [1, 0]),
    "twice": lambda m: _rows(m, [0, 2], [1, 1]),
    "float columns": lambda m: _rows(m, [0, 2], [0.0, 1.0]),
    "shorts": lambda m: _rows(m, m.tensor([0, 2]).short(), m.tensor([0, 1]).short()),
    "rows of csr": lambda m: m.sparse_csr_tensor([0, 2], [0, 1], [1.0, 2.0], (2, 2),
                                                 check_invariants=True),
    "nnz of csr": lambda m: m.sparse_csr_tensor([0, 2], [0, 1], [1.0, 2.0, 3.0], (1, 2),
                                                check_invariants=True),
    "csc": lambda m: m.sparse_csc_tensor([0, 2], [0, 2], [1.0, 2.0], (2, 1),
                                         check_invariants=True),
    "bsr": lambda m: _blocks(m, "sparse_bsr", [0, 2], [0, 2], (2, 6)),
    "bsc": lambda m: _blocks(m, "sparse_bsc", [0, 2], [1, 0], (4, 3)),
    "blocks": lambda m: _blocks(m, "sparse_bsr", [0, 2], [0, 1], (3, 7)),
}  # fmt: skip

UNCHECKED: dict[str, Callable[[Any], Any]] = {
    "outside": lambda m: m.sparse_coo_tensor(BAD, [1.0, 2.0], (2, 2)),
    "negative": lambda m: m.sparse_coo_tensor(OUTSIDE, [1.0, 2.0], (2, 2)),
    "not asked": lambda m: m.sparse_coo_tensor(BAD, [1.0, 2.0], (2, 2), check_invariants=False),
    "switched off": lambda m: _under(m, False),
    "not here": lambda m: _under(m, True, check_invariants=False),
    "coalesced": lambda m: m.sparse_coo_tensor(BAD, [1.0, 2.0], (2, 2)).coalesce(),
    "float indices": lambda m: m.sparse_coo_tensor([[0.5, 1.0]], [1.0, 2.0], (2,)),
    "columns": lambda m: m.sparse_csr_tensor([0, 2], [0, 5], [1.0, 2.0], (1, 2)),
    "end": lambda m: m.sparse_csr_tensor([0, 3], [0, 1], [1.0, 2.0], (1, 2)),
}


@pytest.mark.parametrize("name", UNCHECKED)
def test_what_is_not_checked_unasked(name: str) -> None:
    assert str(UNCHECKED[name](torchish)) == str(UNCHECKED[name](torch))


def test_whether_invariants_are_checked() -> None:
    found = []
    for m in (torchish, torch):
        checks = m.sparse.check_sparse_tensor_invariants
        seen = [checks.is_enabled()]
        checks.enable()
        seen.append(checks.is_enabled())
        with checks(False) as inside:
            seen += [inside, checks.is_enabled()]
        seen.append(checks.is_enabled())
        checks.disable()
        twice = checks()
        with pytest.raises(RuntimeError, match="already activated"), twice, twice:
            pass
        found.append([*seen, checks.is_enabled()])
    assert found[0] == found[1] == [False, True, None, False, True, False]


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    found = []
    for m in (torchish, torch):
        with pytest.raises(RuntimeError) as caught:
            WRONG[name](m)
        found.append(str(caught.value))
    assert found[0] == found[1]


def test_gradients_reach_values_and_dense_operands() -> None:
    found = []
    for m in (torchish, torch):
        v, d = m.tensor([3.0, 4, 5], requires_grad=True), dense(m).requires_grad_()
        a = m.sparse_coo_tensor(m.tensor([[0, 1, 1], [2, 0, 2]]), v, (2, 3))
        m.sparse.mm(a, d).pow(2).sum().backward()
        leaf = coo(m, requires_grad=True)
        m.sparse.mm(leaf, dense(m)).pow(2).sum().backward()
        soft = coo(m, requires_grad=True)
        (
            m.sparse.softmax(soft.coalesce(), 1).to_dense() * m.arange(6.0).view(2, 3)
        ).sum().backward()
        found.append([v.grad, d.grad, leaf.grad.to_dense(), soft.grad.to_dense()])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def _table(m: Any, **kwargs: Any) -> Any:
    table = m.nn.Embedding(5, 3, sparse=True, **kwargs)
    with m.no_grad():
        table.weight.copy_(m.arange(15.0).view(5, 3) / 10)
    return table


def _stepped(m: Any, kind: Any, **kwargs: Any) -> Any:
    table = _table(m)
    optimizer = kind(table.parameters(), lr=0.1, **kwargs)
    for ids in ([1, 1, 4], [1, 3, 3], [0, 4, 2]):
        optimizer.zero_grad()
        (table(m.tensor(ids)) ** 2).sum().backward()
        optimizer.step()
    return table.weight.detach()


@pytest.mark.parametrize("name", ["SparseAdam", "SGD", "Adagrad"])
def test_optimizers_of_sparse_gradients(name: str) -> None:
    mine, theirs = (_stepped(m, getattr(m.optim, name)) for m in (torchish, torch))
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}])
def test_embedding_gradients(options: dict[str, Any]) -> None:
    found = []
    for m in (torchish, torch):
        table = _table(m, **options)
        table(m.tensor([[1, 1], [4, 0]])).sum().backward()
        found.append(table.weight.grad)
    assert found[0].is_sparse
    np.testing.assert_allclose(found[0].to_dense().numpy(), found[1].to_dense().numpy())


def test_checkpoints_go_both_ways() -> None:
    for writer, reader in ((torchish, torch), (torch, torchish), (torchish, torchish)):
        file = io.BytesIO()
        writer.save({"a": doubled(writer), "c": csr(writer)}, file)
        file.seek(0)
        found = reader.load(file)
        assert str(found) == str({"a": doubled(reader), "c": csr(reader)})


def test_what_is_lacking_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="cumsum of sparse tensors.*to_dense"):
        coo(torchish).cumsum(0)


def test_a_graph_convolution_trains_as_in_pytorch() -> None:
    losses = []
    for m in (torchish, torch):
        edges = m.tensor([[0, 1, 2, 3, 0, 2], [1, 2, 3, 0, 0, 2]])
        a = m.sparse_coo_tensor(edges, m.full((6,), 0.5), (4, 4))
        x, y = m.arange(12.0).view(4, 3) / 10, m.tensor([0, 1, 0, 1])
        w = (m.arange(6.0).view(3, 2) / 10).requires_grad_()
        optimizer = m.optim.Adam([w], lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            loss = m.nn.functional.cross_entropy(m.spmm(a, x @ w), y)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
