"""vmap: arguments, results, gradients inside and outside, randomness; against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch as oracle

import torchish
from tests.oracle import Work, agree
from torchish._basics.stats import stats


def a(m: Any) -> Any:
    """A matrix."""
    return m.arange(6.0).reshape(2, 3)


def _per_sample(m: Any) -> Any:
    net = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.ReLU(), m.nn.Linear(4, 2))
    params = {k: p.detach() for k, p in net.named_parameters()}

    def loss(params: Any, x: Any, y: Any) -> Any:
        out = m.func.functional_call(net, params, (x.unsqueeze(0),))
        return m.nn.functional.cross_entropy(out, y.unsqueeze(0))

    x, y = m.randn(5, 3), m.tensor([0, 1, 0, 1, 1])
    return m.func.vmap(m.func.grad(loss), in_dims=(None, 0, 0))(params, x, y)


def _ensemble(m: Any) -> Any:
    models = [m.nn.Linear(3, 2) for _ in range(4)]
    params, buffers = m.func.stack_module_state(models)

    def run(params: Any, buffers: Any, x: Any) -> Any:
        return m.func.functional_call(models[0], (params, buffers), (x,))

    out = m.vmap(run, in_dims=(0, 0, None))(params, buffers, m.ones(5, 3))
    out.pow(2).sum().backward()
    return out, {k: p.grad for k, p in params.items()}


def _closure(m: Any) -> Any:
    w = m.ones(3, requires_grad=True)
    base = m.ones(2, 3, requires_grad=True)
    row = base[1]
    x = a(m).requires_grad_(True)
    y = m.vmap(lambda t: (t * w * row).sin().sum())(x)
    y.pow(2).sum().backward()
    return w.grad, base.grad, x.grad, row + 1


def _once(m: Any) -> Any:
    x, w = a(m).requires_grad_(True), m.arange(3.0, requires_grad=True)
    each, one = m.vmap(lambda t: (t * w, w.sin().sum()), out_dims=(0, None))(x)
    gx, gw = m.autograd.grad(each.sum() + 3 * one, (x, w), create_graph=True)
    return one, gx, gw, m.autograd.grad(gw.sum(), w)


def _twice(m: Any) -> Any:
    x = a(m).requires_grad_(True)
    w = m.ones(3, requires_grad=True)
    y = m.vmap(lambda t: (t**3 * w**2).sum())(x)
    gx, gw = m.autograd.grad(y.sum(), (x, w), create_graph=True)
    return m.autograd.grad(gx.sum() + (gw**2).sum(), (x, w))


def _conv(m: Any) -> Any:
    net = m.nn.Conv2d(2, 3, 3, padding=1)
    x = m.randn(4, 1, 2, 5, 5)
    y = m.vmap(net)(x)
    y.sum().backward()
    return y, net.weight.grad


def _layers(m: Any) -> Any:
    net = m.nn.Sequential(
        m.nn.Conv2d(1, 2, 3), m.nn.GroupNorm(1, 2), m.nn.GELU(), m.nn.MaxPool2d(2), m.nn.Flatten(),
        m.nn.Linear(8, 3), m.nn.LayerNorm(3), m.nn.Softmax(-1),
    )  # fmt: skip
    return m.vmap(net)(m.randn(3, 1, 1, 6, 6))


WORKS: dict[str, Work] = {
    "sum": lambda m: m.vmap(lambda x: x.sum())(a(m)),
    "dot": lambda m: m.vmap(m.dot)(a(m), a(m)),
    "dims": lambda m: m.vmap(lambda x, y: x * y, in_dims=(1, 0), out_dims=1)(a(m), a(m).T),
    "negative": lambda m: m.vmap(lambda x: x * 2, in_dims=-1, out_dims=-1)(a(m)),
    "shared": lambda m: m.vmap(lambda x, s, k: x * s + k, in_dims=(0, None, None))(a(m), 3, a(m)),
    "tree": lambda m: m.vmap(lambda d: d["a"] + d["b"], in_dims=({"a": 0, "b": None},))(
        {"a": a(m), "b": m.ones(3)}
    ),
    "results": lambda m: m.vmap(lambda x: (x, {"b": x * 2}), out_dims=(1, {"b": 0}))(a(m)),
    "once": lambda m: m.vmap(lambda x: m.ones(2), out_dims=None)(a(m)),
    "keywords": lambda m: m.vmap(lambda x, *, k: x * k)(a(m), k=a(m)),
    "chunks": lambda m: m.vmap(lambda x: (x.sum(), x), chunk_size=2, out_dims=(0, 1))(
        m.arange(10.0).reshape(5, 2)
    ),
    "nested": lambda m: m.vmap(m.vmap(lambda x, y: x * y, in_dims=(0, None)), in_dims=(0, 0))(
        a(m), m.ones(2)
    ),
    "outer product": lambda m: m.vmap(lambda x: m.vmap(lambda y: (x * y).sum())(a(m)), in_dims=1)(
        m.arange(6.0).reshape(3, 2).repeat(1, 1)
    ),
    "written": lambda m: m.vmap(lambda x: x.clone().mul_(2).index_fill_(0, m.tensor([0]), 9.0))(
        a(m)
    ),
    "index": lambda m: m.vmap(lambda x, i: x[i])(a(m), m.tensor([[0], [2]])),
    "where": lambda m: m.vmap(lambda x: m.where(x > 2, x, -x))(a(m)),
    "integers": lambda m: m.vmap(lambda x: x % 3)(m.arange(5)),
    "empty": lambda m: m.vmap(lambda x: x * 2)(m.ones(0, 3)),
    "per-sample gradients": _per_sample,
    "ensemble": _ensemble,
    "closure": _closure,
    "second derivatives": _twice,
    "one for all samples": _once,
    "convolution": _conv,
    "layers": _layers,
    "grad of vmap": lambda m: m.func.grad(lambda x: m.vmap(m.sin)(x).sum())(m.arange(3.0)),
    "hessians": lambda m: m.vmap(m.func.hessian(lambda x: (x**3).sum()))(a(m)),
    "jacobians": lambda m: m.vmap(m.func.jacrev(lambda x: x.cumsum(0) ** 2))(a(m)),
    "jvps": lambda m: m.vmap(lambda t: m.func.jvp(m.exp, (m.ones(3),), (t,))[1])(a(m)),
    "different": lambda m: m.vmap(lambda x: x + m.rand(3), randomness="different")(a(m)),
    "same": lambda m: m.vmap(lambda x: x + m.randn(3), randomness="same")(a(m)),
    "dropout": lambda m: m.vmap(m.nn.functional.dropout, randomness="different")(a(m)),
    # errors
    "random": lambda m: m.vmap(lambda x: x + m.rand(3))(a(m)),
    "randomness": lambda m: m.vmap(lambda x: x, randomness="foo"),
    "no tensor": lambda m: m.vmap(lambda x: 3)(a(m)),
    "number": lambda m: m.vmap(lambda x: x)(3),
    "dim": lambda m: m.vmap(lambda x: x, in_dims=2)(a(m)),
    "structure": lambda m: m.vmap(lambda x: x, in_dims=(0, 0))(a(m)),
    "sizes": lambda m: m.vmap(lambda x, y: x)(a(m), m.ones(3)),
    "out structure": lambda m: m.vmap(lambda x: x, out_dims=(0, 0))(a(m)),
    "out dim": lambda m: m.vmap(lambda x: x, out_dims=3)(a(m)),
    "nothing": lambda m: m.vmap(lambda x: x)(),
    "in_dims": lambda m: m.vmap(lambda x: x, in_dims=None)(a(m)),
    "chunk": lambda m: m.vmap(lambda x: x, chunk_size=0),
    "varies": lambda m: m.vmap(lambda x: x, out_dims=None)(a(m)),
    "0-dim": lambda m: m.vmap(lambda x: x)(m.tensor(1.0)),
}


@pytest.mark.parametrize("name", WORKS)
def test_vmap(name: str) -> None:
    agree(WORKS[name], 2e-5, 1e-5, lines=1, warned=False)


def test_reading_a_number_is_refused() -> None:
    for read in (lambda x: x.item(), lambda x: x if x > 0 else -x, lambda x: x.nonzero()):
        with pytest.raises(RuntimeError, match=r"calling \.item\(\)|data-dependent control flow"):
            torchish.vmap(read)(torchish.ones(2))
    assert torchish.ones(2).sum().item() == 2


def test_what_leaves_by_another_door_is_refused() -> None:
    kept = []
    torchish.vmap(lambda x: kept.append(x * 2) or x)(torchish.ones(2))
    with pytest.raises(RuntimeError, match="inside a function given to vmap"):
        kept[0].tolist()


def test_a_call_that_repeats_compiles_nothing() -> None:
    w = torchish.ones(3, requires_grad=True)

    def step() -> None:
        y = torchish.vmap(lambda x: (x * w * 0.5).sum())(torchish.ones(4, 3))
        y.sum().backward()
        w.grad.sum().item()

    for _ in range(3):
        step()
    before = stats.programs_compiled
    step()
    assert stats.programs_compiled == before


def _of(m: Any, *shapes: Any) -> list[Any]:
    return [m.ones(*shape) for shape in shapes]


def _linear_cases(m: Any) -> list[Any]:
    linear = m.nn.functional.linear
    return [
        lambda: m.vmap(linear)(*_of(m, (3, 2, 4), (3, 2, 5))),
        lambda: m.vmap(linear, in_dims=(0, None, None))(*_of(m, (3, 4), (2, 5), (2,))),
        lambda: m.vmap(linear, in_dims=(0, None, None))(*_of(m, (3, 4), (2, 4), (3,))),
        lambda: m.vmap(linear)(*_of(m, (3, 4), (3, 2, 4), (3, 3))),
        lambda: m.vmap(m.addmm)(*_of(m, (3, 2, 2), (3, 2, 4), (3, 5, 2))),
        lambda: m.vmap(lambda x, y: x + y)(*_of(m, (3, 2, 4), (3, 5))),
        lambda: m.vmap(lambda x, y: x * y, in_dims=(None, 0))(*_of(m, (2, 4), (3, 5))),
    ]


# Shapes of one sample of each operand of a product that do not fit.
PRODUCTS = [
    ((2, 4), (5,)), ((4,), (5, 2)), ((4,), (5,)), ((2, 4), (5, 2)), ((6, 2, 4), (6, 5, 2)),
    ((6, 2, 4), (5,)), ((4,), (6, 5, 2)),
]  # fmt: skip
RESHAPES = {
    "size": lambda m, x: x.reshape(5),
    "inferred": lambda m, x: x.reshape(5, -1),
    "view": lambda m, x: x.view(5),
    "view_as": lambda m, x: x.view_as(m.ones(5)),
    "reshape_as": lambda m, x: x.reshape_as(m.ones(5)),
    "two": lambda m, x: m.reshape(x, (-1, -1)),
    "negative": lambda m, x: x.reshape(-2, 4),
    "computed": lambda m, x: (x * 2).reshape(5),
    "expand": lambda m, x: x.expand(5, 4),
    "fewer": lambda m, x: x.expand(4),
    "split": lambda m, x: x.split([1, 2]),
    "stack": lambda m, x: m.stack([x, x.t()]),
    "stack alike": lambda m, x: m.stack([x[0], x[0, :2]]),
    "nested": lambda m, x: m.vmap(lambda row: row.reshape(5))(x),
    "outer only": lambda m, x: m.vmap(lambda row: x.reshape(5) + row)(m.ones(7, 2)),
    "inner only": lambda m, x: m.vmap(lambda row: row.reshape(5) + x)(m.ones(7, 2)),
    "captured": lambda m, x: m.ones(2, 4).reshape(5) + x,
}


def _says(run: Any) -> str:
    with pytest.raises(RuntimeError) as caught:
        run()
    return str(caught.value)


@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
@pytest.mark.parametrize("mapped", [(0, 0), (0, None), (None, 0)], ids=str)
def test_texts_for_products_are_about_all_samples(shapes: Any, mapped: Any) -> None:
    def product(m: Any) -> Any:
        given = [m.ones(*(3,) * (d == 0), *s) for s, d in zip(shapes, mapped, strict=True)]
        return m.vmap(lambda x, y: x @ y, in_dims=mapped)(*given)

    assert _says(lambda: product(torchish)) == _says(lambda: product(oracle))


def test_texts_for_sums_are_about_all_samples() -> None:
    theirs = [_says(run) for run in _linear_cases(oracle)]
    assert [_says(run) for run in _linear_cases(torchish)] == theirs


@pytest.mark.parametrize("name", RESHAPES)
def test_texts_for_sizes_are_about_all_samples(name: str) -> None:
    ours, theirs = (
        _says(lambda m=m: m.vmap(lambda x: RESHAPES[name](m, x))(m.ones(3, 2, 4)))
        for m in (torchish, oracle)
    )
    assert ours == theirs


def test_the_text_of_an_index_is_about_all_samples() -> None:
    found = []
    for m in (torchish, oracle):
        with pytest.raises(IndexError) as caught:
            m.vmap(lambda x: x.select(0, 3))(m.ones(3, 2, 4))
        found.append(str(caught.value))
    assert found[0] == found[1]
