"""Jagged nested tensors against PyTorch's: values, gradients, shapes, errors, printed text."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import torchish
from tests import oracle
from torchish._basics.errors import NotSupportedError
from torchish.nested._internal.nested_tensor import NestedTensor

LENGTHS, D = (2, 4, 1), 6


def parts(m: Any, *tail: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    shapes = [(n, *(tail or (D,))) for n in LENGTHS]
    return [m.from_numpy(rng.normal(size=s).astype("float32")) for s in shapes]


def nested(m: Any, *tail: int, seed: int = 0, **kwargs: Any) -> Any:
    return m.nested.nested_tensor(parts(m, *tail, seed=seed), layout=m.jagged, **kwargs)


def pair(m: Any) -> tuple[Any, Any]:
    """Two tensors of the same offsets."""
    x = nested(m)
    return x, x * 0.5 + 1


def matrix(m: Any, *shape: int) -> Any:
    return m.from_numpy(np.random.default_rng(7).normal(size=shape).astype("float32"))


def heads(m: Any) -> tuple[Any, Any, Any]:
    x = nested(m)
    return tuple((x * f).unflatten(-1, (2, 3)).transpose(1, 2) for f in (1.0, 0.5, 2.0))  # type: ignore[return-value]


def facts(x: Any) -> list[Any]:
    """What is compared of a result."""
    if isinstance(x, tuple | list):
        return [fact for part in x for fact in facts(part)]
    if getattr(x, "is_nested", False):
        shape = re.sub(r"j\d+", "j", str(tuple(x.shape)))
        return [shape, *(part.detach().numpy() for part in x.unbind())]
    return [x.detach().numpy()] if hasattr(x, "detach") else [x]


def same(mine: list[Any], theirs: list[Any]) -> None:
    oracle.same(mine, theirs, 1e-5, 1e-6)


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda m: nested(m),
    "of vectors": lambda m: m.nested.nested_tensor([m.arange(2), m.arange(3)], layout=m.jagged),
    "of lists": lambda m: m.nested.nested_tensor([[1.0, 2.0], [3.0]], layout=m.jagged),
    "dtype": lambda m: nested(m, dtype=m.float64),
    "ragged later": lambda m: m.nested.nested_tensor(
        [matrix(m, 3, 2), matrix(m, 3, 4)], layout=m.jagged
    ),
    "of rows": lambda m: m.nested.as_nested_tensor(matrix(m, 3, 4, 2), layout=m.jagged),
    "parts": lambda m: (nested(m).values(), nested(m).offsets(), nested(m).lengths() is None),
    "by offsets": lambda m: m.nested.nested_tensor_from_jagged(
        matrix(m, 7, 2), offsets=m.tensor([0, 3, 3, 7])
    ),
    "by lengths": lambda m: m.nested.nested_tensor_from_jagged(
        matrix(m, 7, 2), lengths=m.tensor([3, 4])
    ),
    "with holes": lambda m: m.nested.nested_tensor_from_jagged(
        matrix(m, 7, 2), m.tensor([0, 3, 7]), m.tensor([2, 3])
    ),
    "jagged dim": lambda m: m.nested.nested_tensor_from_jagged(
        matrix(m, 2, 7), m.tensor([0, 3, 7]), jagged_dim=2
    ),
    "narrow": lambda m: m.nested.narrow(
        matrix(m, 3, 5, 2), 1, m.tensor([0, 1, 2]), m.tensor([2, 3, 1]), layout=m.jagged
    ),
    "narrow alike": lambda m: m.nested.narrow(matrix(m, 3, 5, 2), 1, 1, 2, layout=m.jagged),
    "masked_select": lambda m: m.nested.masked_select(matrix(m, 3, 4), matrix(m, 3, 4) > 0),
    "numbers": lambda m: [nested(m).dim(), nested(m).numel(), nested(m).size(0),
                          nested(m).size(-1), len(nested(m)), nested(m).is_nested],
    "+ number": lambda m: nested(m) + 2,
    "number -": lambda m: 2 - nested(m),
    "both": lambda m: m.mul(*pair(m)),
    "/": lambda m: (lambda a, b: a / b)(*pair(m)),
    "+ vector": lambda m: nested(m) + matrix(m, D),
    "+ one": lambda m: nested(m) * matrix(m, 1, 1, D),
    "+ of each": lambda m: nested(m) + matrix(m, 3, 1, D),
    "compare": lambda m: nested(m) > 0,
    "sin": lambda m: nested(m).sin(),
    "relu": lambda m: m.nn.functional.relu(nested(m)),
    "gelu": lambda m: m.nn.functional.gelu(nested(m)),
    "silu": lambda m: m.nn.functional.silu(nested(m)),
    "clamp": lambda m: nested(m).clamp(-0.5, 0.5),
    "where": lambda m: (lambda x: m.where(x > 0, x, x * 0.1))(nested(m)),
    "masked_fill": lambda m: (lambda x: x.masked_fill(x > 0, 9.0))(nested(m)),
    "double": lambda m: nested(m).double(),
    "to": lambda m: nested(m).to(m.float64),
    "zeros_like": lambda m: m.zeros_like(nested(m)),
    "clone": lambda m: nested(m).clone(),
    "linear": lambda m: m.nn.functional.linear(nested(m), matrix(m, 4, D), matrix(m, 4)),
    "layer_norm": lambda m: m.nn.functional.layer_norm(nested(m), (D,), matrix(m, D)),
    "rms_norm": lambda m: m.nn.functional.rms_norm(nested(m), (D,)),
    "dropout": lambda m: m.nn.functional.dropout(nested(m), 0.5, training=False),
    "embedding": lambda m: m.nn.functional.embedding(
        m.nested.nested_tensor([m.tensor([1, 2]), m.tensor([0])], layout=m.jagged), matrix(m, 3, 2)
    ),
    "matmul": lambda m: nested(m) @ matrix(m, D, 3),
    "matmul of each": lambda m: m.matmul(nested(m), matrix(m, 3, D, 2)),
    "matmul over ragged": lambda m: (lambda a, b: a.transpose(1, 2) @ b)(*pair(m)),
    "transpose": lambda m: nested(m).transpose(1, 2),
    "unflatten": lambda m: nested(m).unflatten(-1, (2, 3)),
    "flatten": lambda m: nested(m, 2, 3).flatten(2, 3),
    "view": lambda m: nested(m).view(3, -1, 2, 3),
    "reshape": lambda m: (lambda x: x.reshape(3, x.size(1), 2, 3))(nested(m)),
    "permute": lambda m: nested(m, 2, 3).permute(0, 2, 1, 3),
    "unsqueeze": lambda m: nested(m).unsqueeze(2),
    "squeeze": lambda m: nested(m, 1, 3).squeeze(2),
    "select": lambda m: nested(m).select(2, 1),
    "sample": lambda m: nested(m)[1],
    "last sample": lambda m: nested(m)[-1],
    "narrow of dim": lambda m: nested(m).narrow(2, 1, 2),
    "chunk": lambda m: nested(m).chunk(3, dim=-1),
    "chunk of batch": lambda m: nested(m).chunk(2, dim=0),
    "split": lambda m: nested(m).split([2, 4], dim=2),
    "cat": lambda m: m.cat(pair(m), dim=2),
    "sum": lambda m: nested(m).sum(),
    "mean": lambda m: nested(m).mean(),
    "sum of dim": lambda m: nested(m).sum(dim=2),
    "sum of ragged": lambda m: nested(m).sum(dim=1),
    "sum of ragged kept": lambda m: nested(m).sum(dim=1, keepdim=True),
    "sum of batch": lambda m: nested(m).sum(dim=(0, 1)),
    "mean of ragged": lambda m: nested(m).mean(dim=1),
    "mean of dim": lambda m: nested(m).mean(dim=-1, keepdim=True),
    "max of ragged": lambda m: nested(m).amax(dim=1),
    "max of dim": lambda m: nested(m).max(dim=2)[0],
    "any": lambda m: (nested(m) > 1).any(dim=1),
    "softmax": lambda m: nested(m).softmax(dim=-1),
    "softmax of ragged": lambda m: m.softmax(nested(m), dim=1),
    "log_softmax": lambda m: nested(m).log_softmax(dim=-1),
    "padded": lambda m: nested(m).to_padded_tensor(-1.0),
    "padded more": lambda m: m.nested.to_padded_tensor(nested(m), 0.0, (3, 5, D)),
    "padded later": lambda m: nested(m).transpose(1, 2).to_padded_tensor(0.0),
    "attention": lambda m: m.nn.functional.scaled_dot_product_attention(*heads(m)),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = facts(QUESTIONS[name](torch))
    same(facts(QUESTIONS[name](torchish)), theirs)


def _attended(m: Any, x: Any, weights: Any) -> Any:
    """A layer of attention, of a nested tensor or of one sample."""
    functional, tail = m.nn.functional, x.dim() - 2
    q, k, v = (
        functional.linear(x, w).unflatten(-1, (2, 3)).transpose(tail, tail + 1) for w in weights
    )
    y = functional.scaled_dot_product_attention(q, k, v).transpose(tail, tail + 1)
    return functional.layer_norm(y.flatten(tail + 1, tail + 2) + x, (D,))


def test_gradients_of_a_model() -> None:
    """Against PyTorch one sample after the other: its nested backward lacks some operators."""
    found = []
    for m in (torchish, torch):
        leaves = [x.requires_grad_() for x in parts(m)]
        weights = [w.requires_grad_() for w in (matrix(m, D, D), matrix(m, D, D) * 2)]
        weights.append(weights[0])
        if m is torchish:
            y = _attended(m, m.nested.as_nested_tensor(leaves, layout=m.jagged), weights)
            pooled = y.sum(dim=1) / matrix(m, 3, 1) + y.amax(dim=1) + y.softmax(dim=1).mean(dim=1)
            squares = y.to_padded_tensor(0.0).square().sum()
        else:
            rows = [_attended(m, x, weights) for x in leaves]
            sums = m.stack([r.sum(0) for r in rows]) / matrix(m, 3, 1)
            more = [r.amax(0) + r.softmax(0).mean(0) for r in rows]
            pooled, squares = sums + m.stack(more), sum(r.square().sum() for r in rows)
        loss = (pooled * matrix(m, 3, D)).sum() + squares
        loss.backward()
        found.append([loss.detach().numpy(), *(x.grad.numpy() for x in (*leaves, *weights[:2]))])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-3, 1e-3)


def test_a_leaf_has_a_nested_gradient() -> None:
    found = []
    for m in (torchish, torch):
        x = nested(m, requires_grad=True)
        (x * x).sum().backward()
        found.append(facts([x.grad, x.is_leaf, x.requires_grad]))
    same(*found)


def test_more_than_pytorch() -> None:
    """Causal attention on the CPU, and slices of dense dims."""
    attend = torchish.nn.functional.scaled_dot_product_attention
    q, k, v = heads(torchish)
    rows = zip(q.unbind(), k.unbind(), v.unbind(), strict=True)
    one_by_one = [attend(*row, is_causal=True) for row in rows]
    same(facts(attend(q, k, v, is_causal=True).unbind()), facts(one_by_one))
    x = nested(torchish)
    same(facts(x[:, :, 1:3]), facts(x.narrow(2, 1, 2)))
    same(facts(x[..., 1]), facts(x.select(2, 1)))


def test_modules_take_them() -> None:
    torchish.manual_seed(0)
    layer = torchish.nn.Sequential(
        torchish.nn.Linear(D, 4), torchish.nn.LayerNorm(4), torchish.nn.ReLU(),
        torchish.nn.Dropout(0.1), torchish.nn.Linear(4, 2),
    ).eval()  # fmt: skip
    for sample, part in zip(layer(nested(torchish)).unbind(), parts(torchish), strict=True):
        np.testing.assert_allclose(
            sample.detach().numpy(), layer(part).detach().numpy(), 1e-5, 1e-6
        )


SHOWN: dict[str, Callable[[Any], Any]] = {
    "plain": lambda m: nested(m),
    "leaf": lambda m: nested(m, requires_grad=True),
    "holes": lambda m: QUESTIONS["with holes"](m),
    "transposed": lambda m: nested(m).transpose(1, 2),
}


@pytest.mark.parametrize("name", SHOWN)
def test_printed_text(name: str) -> None:
    mine, theirs = (re.sub(r"j\d+", "j", repr(SHOWN[name](m))) for m in (torchish, torch))
    assert mine == theirs
    shapes = [re.sub(r"j\d+", "j", str(SHOWN[name](m).shape)) for m in (torchish, torch)]
    assert shapes[0] == shapes[1]


def test_ragged_sizes_are_equal_for_the_same_offsets_only() -> None:
    for m in (torchish, torch):
        x, y = pair(m)
        assert x.size(1) == y.size(1) and x.shape == y.shape
        assert x.size(1) != nested(m).size(1) and x.size(1) != 4
        assert x.size(1) >= 2


def test_copies() -> None:
    x = nested(torchish, requires_grad=True)
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert isinstance(y, NestedTensor) and y.requires_grad
        same(facts(y), facts(x))


WRONG: dict[str, Callable[[Any], Any]] = {
    "other offsets": lambda m: nested(m) + nested(m),
    "two ragged": lambda m: m.nested.nested_tensor([m.ones(2, 3), m.ones(3, 4)], layout=m.jagged),
    "dims": lambda m: m.nested.nested_tensor([m.ones(2), m.ones(2, 3)], layout=m.jagged),
    "numbers": lambda m: m.nested.nested_tensor([m.tensor(1.0)], layout=m.jagged),
    "nothing": lambda m: m.nested.nested_tensor([], layout=m.jagged),
    "no places": lambda m: m.nested.nested_tensor_from_jagged(m.ones(3)),
    "jagged dim": lambda m: m.nested.nested_tensor_from_jagged(
        m.ones(3), m.tensor([0, 3]), jagged_dim=0
    ),
    "vector": lambda m: m.nested.as_nested_tensor(m.ones(3), layout=m.jagged),
    "no tensor": lambda m: m.nested.as_nested_tensor(3),
    "narrow": lambda m: m.nested.narrow(m.ones(3, 4), 0, 0, 1, layout=m.jagged),
    "narrow by text": lambda m: m.nested.narrow(m.ones(3, 4), 1, "a", 1, layout=m.jagged),
    "layout": lambda m: m.nested.nested_tensor([m.ones(2)], layout=m.sparse_coo),
    "batch": lambda m: nested(m).sum(dim=0),
    "ragged and more": lambda m: nested(m).sum(dim=(1, 2)),
    "unbind": lambda m: nested(m).unbind(1),
    "transpose": lambda m: nested(m).transpose(0, 1),
    "holes": lambda m: QUESTIONS["with holes"](m).to_padded_tensor(0.0),
    "norm over ragged": lambda m: m.nn.functional.rms_norm(nested(m), (4, D)),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    found = []
    for m in (torchish, torch):
        with pytest.raises((RuntimeError, ValueError, TypeError)) as caught:
            WRONG[name](m)
        shown = re.sub(r"j\d+", "j", str(caught.value))
        found.append(f"{type(caught.value).__name__}: {shown}")
    assert found[0] == found[1]


def test_what_has_no_rule_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="cumsum of nested tensors.*unbind"):
        nested(torchish).cumsum(1)
    with pytest.raises(RuntimeError, match="numpy"):
        nested(torchish).numpy()
