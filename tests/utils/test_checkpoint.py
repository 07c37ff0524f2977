"""torch.utils.checkpoint: gradients, random numbers and errors are those without it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.checkpoint

import torchish
import torchish.utils.checkpoint


def network(m: Any, reentrant: bool | None) -> list[Any]:
    """Results, gradients and random numbers of a network with dropout, checkpointed or not."""
    m.manual_seed(0)
    net = m.nn.Sequential(
        m.nn.Linear(3, 4), m.nn.Dropout(0.5), m.nn.Tanh(), m.nn.Linear(4, 2), m.nn.Sigmoid(),
        m.nn.Linear(2, 1),
    )  # fmt: skip
    x = m.randn(5, 3).requires_grad_(True)
    c = m.utils.checkpoint
    if reentrant is None:
        z = net(x * 2)
    else:
        y = c.checkpoint(net[:4], x * 2, use_reentrant=reentrant)
        z = c.checkpoint_sequential(net[4:], 2, y, use_reentrant=reentrant)
    drawn = m.rand(1)
    z.sum().backward()
    tensors = [z.detach(), drawn, x.grad, m.rand(2), *[p.grad for p in net.parameters()]]
    return [t.numpy() for t in tensors]


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_changes_no_number(reentrant: bool) -> None:
    expected = network(torch, None)
    for mine, theirs in zip(network(torchish, reentrant), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def _closure(m: Any, c: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    b = a.sin()
    y = c(lambda x: (x * a * b, x.cos()), b * 2, use_reentrant=False)
    (y[0].sum() + y[1].sum()).backward()
    return a.grad


def _keywords(m: Any, c: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    y = c(lambda x, *, scale, pair: x * scale + pair["p"][0], a, scale=a.exp(),
          pair={"p": [a * 3]}, use_reentrant=False)  # fmt: skip
    return m.autograd.grad(y.sum(), a)[0]


def _second(m: Any, c: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    y = c(lambda x: x.sin() * a, a * 2, use_reentrant=False)
    (g,) = m.autograd.grad(y.sum(), a, create_graph=True)
    return m.autograd.grad(g.sum(), a)[0]


def _nested(m: Any, c: Any) -> Any:
    a = m.ones(2, requires_grad=True)

    def inner(x: Any) -> Any:
        return x.sin() * a

    def outer(x: Any) -> Any:
        return c(inner, x * 2, use_reentrant=False).exp()

    c(outer, a, use_reentrant=False).sum().backward()
    return a.grad


def _kept(m: Any, c: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    y = c(lambda x: x.exp(), a, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    y.backward()
    return a.grad


def _written(m: Any, c: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    y = c(lambda x: x * 2, a, use_reentrant=False)
    y.mul_(3)
    (y**2).sum().backward()
    return a.grad


def _returned(m: Any, c: Any) -> Any:
    a = m.ones(2, requires_grad=True)
    x, y = c(lambda x: (x, x * 2), a.exp(), use_reentrant=False)
    (x * y).sum().backward()
    return a.grad


def _mixed(m: Any, c: Any) -> Any:
    a = m.ones(2, 2, requires_grad=True)
    with m.autocast("cpu"):
        y = c(lambda x: x @ x, a, use_reentrant=False)
    y.float().sum().backward()
    return a.grad


WORKS: dict[str, Callable[[Any, Any], Any]] = {
    "closure": _closure, "keywords": _keywords, "second": _second, "nested": _nested,
    "kept": _kept, "written": _written, "returned": _returned, "mixed": _mixed,
}  # fmt: skip


@pytest.mark.parametrize("name", WORKS)
def test_gradients(name: str) -> None:
    found = [WORKS[name](m, m.utils.checkpoint.checkpoint) for m in (torchish, torch)]
    np.testing.assert_allclose(found[0].detach().numpy(), found[1].detach().numpy(), rtol=1e-5)


def test_the_part_runs_twice_and_only_with_history() -> None:
    runs = []

    def part(x: Any) -> Any:
        runs.append(x)
        return x.sin()

    a = torchish.ones(2, requires_grad=True)
    y = torchish.utils.checkpoint.checkpoint(part, a, use_reentrant=False).sum()
    assert len(runs) == 1
    y.backward()
    assert len(runs) == 2
    with torchish.no_grad():
        torchish.utils.checkpoint.checkpoint(part, a, use_reentrant=False)
    assert len(runs) == 3


def _refused(work: Callable[[Any, Any], Any]) -> Any:
    found = []
    for m in (torchish, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                work(m, m.utils.checkpoint.checkpoint)
                result: Any = None
            except Exception as error:
                result = (type(error).__name__, str(error).split("\n")[0])
        found.append((result, [str(w.message) for w in caught]))
    return found


def _other_shape(m: Any, c: Any) -> None:
    calls: list[int] = []

    def part(x: Any) -> Any:
        calls.append(1)
        return x.sin() if len(calls) == 1 else x[:1].sin()

    c(part, m.ones(2, requires_grad=True), use_reentrant=False).sum().backward()


WRONG: dict[str, Callable[[Any, Any], Any]] = {
    "unsaid": lambda m, c: c(lambda x: x.sin(), m.ones(2, requires_grad=True)),
    "no grad": lambda m, c: c(lambda x: x.sin(), m.ones(2), use_reentrant=True),
    "keyword": lambda m, c: c(lambda x: x, m.ones(2), use_reentrant=True, a=3),
    "debug": lambda m, c: c(lambda x: x, m.ones(2), use_reentrant=True, debug=True),
    "grad": lambda m, c: _grad_of_reentrant(m, c),
    "twice": lambda m, c: _twice(m, c),
    "another shape": _other_shape,
}


def _grad_of_reentrant(m: Any, c: Any) -> None:
    a = m.ones(2, requires_grad=True)
    m.autograd.grad(c(lambda x: x.sin(), a, use_reentrant=True).sum(), a)


def _twice(m: Any, c: Any) -> None:
    y = c(lambda x: x.sin(), m.ones(2, requires_grad=True), use_reentrant=False).sum()
    y.backward()
    y.backward()


@pytest.mark.parametrize("name", WRONG)
def test_refusals(name: str) -> None:
    found = _refused(WRONG[name])
    assert found[0] == found[1]


def test_selective_checkpoints_have_the_same_gradients() -> None:
    found = []
    for m in (torchish, torch):
        c = m.utils.checkpoint
        keep = c.CheckpointPolicy.PREFER_RECOMPUTE
        context = functools.partial(
            c.create_selective_checkpoint_contexts, lambda *args, answer=keep, **kwargs: answer
        )
        x = m.arange(3.0).requires_grad_()
        out = c.checkpoint(lambda t: t.sin().exp(), x, use_reentrant=False, context_fn=context)
        out.sum().backward()
        found.append(x.grad.numpy())
        assert [p.name for p in c.CheckpointPolicy][-1] == "PREFER_CPU_OFFLOAD"
        with pytest.raises(TypeError, match="either a function or a list"):
            c.create_selective_checkpoint_contexts(3)
    np.testing.assert_allclose(*found, 1e-6)
