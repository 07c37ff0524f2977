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


def _selective(m: Any, policy: Any, part: Any, **options: Any) -> Any:
    """The gradient, and how often each operator ran."""
    context = functools.partial(
        m.utils.checkpoint.create_selective_checkpoint_contexts, policy, **options
    )
    x = m.arange(4.0).reshape(2, 2).div(4).requires_grad_()
    out = m.utils.checkpoint.checkpoint(part, x, use_reentrant=False, context_fn=context)
    out.sum().backward()
    return x.grad.numpy(), out


@pytest.mark.parametrize("name", ["PREFER_RECOMPUTE", "MUST_SAVE", "PREFER_SAVE"])
def test_selective_checkpoints_have_the_same_gradients(name: str) -> None:
    found, asked = [], []
    for m in (torchish, torch):
        policies, seen = m.utils.checkpoint.CheckpointPolicy, []

        def policy(c: Any, op: Any, *a: Any, seen: Any = seen, answer: Any = policies[name]) -> Any:
            seen.append((str(op), c.is_recompute, tuple(c.op_output.shape)))
            return answer

        found.append(_selective(m, policy, lambda x: (x.mm(x).sin() * x).exp())[0])
        asked.append(seen)
        assert [p.name for p in policies][-1] == "PREFER_CPU_OFFLOAD"
    np.testing.assert_allclose(*found, 1e-6)
    assert asked[0] == asked[1]


def test_what_a_selective_checkpoint_keeps_is_not_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torchish._core import interpreted

    ran: list[str] = []
    run = interpreted._run

    def noted(position: int, kernel: Any, arrays: Any) -> Any:
        ran.append(kernel.name)
        return run(position, kernel, arrays)

    monkeypatch.setattr(interpreted, "_run", noted)
    c, runs = torchish.utils.checkpoint, []
    for kept in ([], [torchish.ops.aten.mm.default]):
        context = functools.partial(c.create_selective_checkpoint_contexts, kept)
        x = torchish.rand(3, 3).requires_grad_()
        part = lambda t: t.mm(t).sin().mm(t).cos()  # noqa: E731
        loss = c.checkpoint(part, x, use_reentrant=False, context_fn=context).sum()
        loss.item()
        ran.clear()
        loss.backward()
        x.grad.sum().item()
        runs.append(ran.count("mm"))
    assert runs == [2, 0]


def test_a_selective_checkpoint_gives_kept_values() -> None:
    """A result that was written to would be seen: what is kept is what backward takes."""
    for m in (torchish, torch):
        kept = []

        def part(x: Any, m: Any = m, kept: Any = kept) -> Any:
            y = x.mm(x)
            kept.append(y.detach())
            return y.sin()

        saves = [m.ops.aten.mm.default]
        c = m.utils.checkpoint
        context = functools.partial(c.create_selective_checkpoint_contexts, saves)
        x = m.ones(2, 2, requires_grad=True)
        out = c.checkpoint(part, x, use_reentrant=False, context_fn=context)
        kept[0].add_(1)
        with pytest.raises(RuntimeError, match="selective activation checkpoint has been mutated"):
            out.sum().backward()
        context = functools.partial(c.create_selective_checkpoint_contexts, saves, True)
        x = m.ones(2, 2, requires_grad=True)
        kept.clear()
        out = c.checkpoint(part, x, use_reentrant=False, context_fn=context)
        kept[0].fill_(0)
        out.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), np.full((2, 2), 4.0))  # cos(0), not cos(2)
        with pytest.raises(RuntimeError, match=r"second time|extra time"):
            out.sum().backward()


def test_selective_checkpoints_say_what_is_wrong() -> None:
    for m in (torchish, torch):
        make = m.utils.checkpoint.create_selective_checkpoint_contexts
        with pytest.raises(TypeError, match="either a function or a list"):
            make(3)
        with pytest.raises(ValueError, match="Please update the OpOverloadPacket to a specific"):
            make([m.ops.aten.mm])
    with pytest.raises(torchish.NotSupportedError, match="MUST_CPU_OFFLOAD"):
        policy = torchish.utils.checkpoint.CheckpointPolicy.MUST_CPU_OFFLOAD
        _selective(torchish, lambda *a, **k: policy, lambda x: x.sin())
