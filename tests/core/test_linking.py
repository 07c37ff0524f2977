"""Linked structures against the same ones node by node, bit for bit; what recipes leave out."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import torchish
import torchish.nn.functional as F
from tests.ops import test_parity as parity
from torchish._basics.settings import settings
from torchish._core import policy, running
from torchish._core.interpreted import LinkedTrace
from torchish._interpret import plan as plans
from torchish._interpret.linking import Linker
from torchish._interpret.recipe import Recipe
from torchish._interpret.rules import Plan
from torchish._ops import registry

if settings.compiled or settings.eager or settings.kernels:
    pytest.skip("nothing is linked in this mode", allow_module_level=True)


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> list[LinkedTrace]:
    """The structures that are linked, each at its third run."""
    made: list[LinkedTrace] = []

    class Watched(LinkedTrace):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(running, "LinkedTrace", Watched)
    running.drop_programs()
    return made


def bits(x: Any) -> bytes:
    """Value, shape and dtype of a tensor."""
    array = x.detach().numpy()
    return repr((array.shape, array.dtype)).encode() + array.tobytes()


def cell(length: int) -> list[Any]:
    """A recurrent net and its gradients."""
    torchish.manual_seed(0)
    cell = torchish.nn.RNNCell(5, 7)
    xs, h = torchish.randn(length, 3, 5), torchish.zeros(3, 7)
    for x in xs:
        h = cell(x, h)
    h.pow(2).mean().backward()
    return [h, *[p.grad for p in cell.parameters()]]


def writes(length: int) -> list[Any]:
    """In-place writes through views, into memory that others look at."""
    x = torchish.arange(12.0).reshape(3, 4)
    y, t = x.clone(), x.t()
    for k in range(length):
        t[k % 4, 0] += k
        y[k % 3] = x[0] * k
        y.index_add_(0, torchish.tensor([0, 2]), x[1:])
    return [x, y, t, x * 2, x * 2]


def numbers(length: int) -> list[Any]:
    """Python numbers, the same ones as int, float and bool."""
    x = torchish.ones(4)
    for k in range(length):
        x = x * k + 0.5 + torchish.where(x > k, k, True)
    return [x, x.to(torchish.float16) * 3, x.to(torchish.int64) // 2]


def attention(length: int) -> list[Any]:
    """Broadcasts, softmax, normalisation and their gradients."""
    x = torchish.linspace(-1, 1, 2 * length * 8).view(2, length, 8).requires_grad_()
    w = torchish.linspace(0, 1, 64).view(8, 8).requires_grad_()
    y = F.layer_norm(x, (8,))
    y = (y @ w).softmax(-1) + F.gelu(y) + F.linear(y, w, w[0])
    y.square().sum().backward()
    return [y, x.grad, w.grad, torchish.cat([x, y]).amax(0), *x.unbind(1)[:2]]


@pytest.mark.parametrize("program", [cell, writes, numbers, attention])
def test_a_linked_structure_gives_the_same_bits(
    program: Callable[[int], list[Any]], linked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "EARLIEST", 1000)  # cold throughout
    first = [bits(x) for x in program(6)]
    for _ in range(5):
        assert [bits(x) for x in program(6)] == first
    assert linked


def test_results_that_are_one_array_are_two_tensors(linked: list[Any]) -> None:
    for _ in range(6):
        x = torchish.arange(4.0)
        a, b, c = x * 2 + 1, x * 2 + 1, x.clone()
        a.numpy()[0] = 99
        x.numpy()[1] = 50
        assert b.tolist() == [1, 3, 5, 7]
        assert c.tolist() == [0, 1, 2, 3]
    assert linked


def test_what_a_gradient_would_compute_again_is_computed_once(linked: list[Any]) -> None:
    x = torchish.linspace(-1, 1, 8, requires_grad=True)
    for _ in range(4):
        (grad,) = torchish.autograd.grad(torchish.erfc(x).exp().sum(), x)
        grad.tolist()
    trace = linked[-1]
    asked = [e.name for k in trace.kernels for e in k.plan.equations if e is not None]
    assert asked.count("erfc") == 1
    assert asked.count("exp") == 3  # of the result, and in both gradients
    assert sum(step[0] != plans.DROP for step in trace.linked.steps) < len(asked)


def test_an_error_names_its_node(linked: list[Any]) -> None:
    def run() -> Any:
        return (torchish.full((3,), 2.0).exp().digamma() + 1).tolist()

    for _ in range(4):
        run()
    steps = linked[-1].linked.steps
    at = [k for k, kernel in enumerate(linked[-1].kernels) if kernel.name == "digamma"]
    assert len(at) == 1

    def broken(*arrays: Any) -> Any:
        raise ValueError("a rule that fails")

    made_by = linked[-1].linked.ends
    first = made_by[at[0] - 1]
    steps[first] = (steps[first][0], broken, *steps[first][2:])
    with pytest.raises(RuntimeError, match=r"digamma.*test_linking.py.*a rule that fails"):
        run()
    running.drop_programs()


def test_large_arrays_are_let_go_and_small_ones_together() -> None:
    def steps(size: int) -> list[Any]:
        plan = Plan(jax.make_jaxpr(lambda x: lax.sin(x))(np.zeros(size, np.float32)))
        linker = Linker(["x"])
        name: Any = "x"
        for k in range(20):
            linker.add(plan, [name], [k])
            name = k
        return linker.linked([name]).steps

    assert sum(step[0] == plans.DROP for step in steps(4)) == 0
    assert sum(step[0] == plans.DROP for step in steps(1 << 20)) >= 18


def test_what_acts_acts_each_time() -> None:
    seen: list[float] = []

    def act(x: Any) -> Any:
        jax.debug.callback(lambda v: seen.append(float(v)), x)
        return x * 2

    plan = Plan(jax.make_jaxpr(act)(np.float32(1)))
    linker = Linker(["x"])
    linker.add(plan, ["x"], ["a"])
    linker.add(plan, ["x"], ["b"])
    made = linker.linked(["a", "b"]).run([np.asarray(3, np.float32)], lambda k: RuntimeError(k))
    jax.effects_barrier()
    assert [float(x) for x in made] == [6, 6]
    assert seen == [3, 3]


def test_what_is_linked_stays_so_where_a_call_of_its_program_costs_more() -> None:
    cheap, dear = (policy.Seen(3, 100, 200, seconds=seconds) for seconds in (2.5e-4, 4e-4))
    for seen in (cheap, dear):
        seen.linked(saved=1e-4, arrays=40)
    assert (cheap.start, cheap.takeover) == (policy.UNLESS_ASKED, policy.UNLESS_ASKED)
    assert (dear.start, dear.takeover) == (100, 200)
    policy.Policy().ask(cheap)
    assert cheap.takeover == policy.ASKED


def test_few_structures_stay_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running._links, "limit", 300)
    for n in range(3, 23):
        for _ in range(3):
            x = torchish.ones(n)
            for _ in range(20):
                x = x + 1
            x.tolist()
    assert 1 <= len(running._links.programs) < 20
    assert running._links.bytes <= 300
    running.drop_programs()
    gc.collect()


# --- recipes ----------------------------------------------------------------------------------


def names(function: Callable[..., Any], *shapes: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """Names of the equations that are left, and that the answers are as before."""
    rng = np.random.default_rng(0)
    arrays = [(rng.standard_normal(s) * 4).astype(dtype) for s in shapes]
    closed = jax.make_jaxpr(function)(*arrays)
    expected = jax.tree.leaves(function(*map(jnp.asarray, arrays)))
    for mine, theirs in zip(Plan(closed).run(list(arrays)), expected, strict=True):
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(
            mine.astype(np.float64), np.asarray(theirs, np.float64), rtol=1e-5, atol=1e-5
        )
    return [eqn.name for eqn, *_ in Recipe(closed).steps]


DOT = (((1,), (0,)), ((), ()))


def test_transposes_go_where_they_can() -> None:
    assert names(lambda x: lax.transpose(lax.transpose(x, (1, 0)), (1, 0)), (2, 3)) == []
    twice = names(lambda x: lax.transpose(lax.transpose(x, (1, 2, 0)), (1, 2, 0)), (2, 3, 4))
    assert twice == ["transpose"]
    assert names(lambda x, y: lax.dot_general(x.T, y, DOT), (3, 2), (3, 4)) == ["dot_general"]
    assert names(lambda x, y: lax.dot_general(x, y.T, DOT), (2, 3), (4, 3)) == ["dot_general"]
    both = names(lambda x, y: lax.dot_general(x.T, y.T, DOT), (3, 2), (4, 3))
    assert both == ["dot_general"]
    kept = names(lambda x, y: (lax.dot_general(x.T, y, DOT), x.T), (3, 2), (3, 4))
    assert sorted(kept) == ["dot_general", "transpose"]
    assert names(lambda x, y: lax.dot_general(x.T, y, DOT), (3, 0), (3, 4)) == ["dot_general"]


def test_reshapes_go_where_they_can() -> None:
    assert names(lambda x: x.reshape(6).reshape(2, 3), (2, 3)) == []
    assert names(lambda x: x.reshape(6).reshape(3, 2), (2, 3)) == ["reshape"]
    assert names(lambda x: x.reshape(1, 3).sum(0), (3,)) == []
    assert names(lambda x: lax.reduce_max(x, (0,)), (2, 3)) == ["reduce_max"]
    assert names(lambda x: lax.broadcast_in_dim(x, (3, 1), (0,)), (3,)) == ["reshape"]
    assert names(lambda x: lax.broadcast_in_dim(x, (3, 2), (0,)), (3,)) == ["broadcast_in_dim"]
    # A matrix that numpy has to copy for the reshape.
    assert names(lambda x: x.T.reshape(6), (2, 3)) == ["transpose", "reshape"]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32])
def test_elementwise_calls_broadcast(dtype: Any) -> None:
    bias = names(lambda x, b: x + b, (4, 3), (3,), dtype=dtype)
    assert [n for n in bias if n in ("reshape", "broadcast_in_dim")] == []
    column = names(lambda x, b: x - lax.broadcast_in_dim(b, (4, 3), (0,)), (4, 3), (4,))
    assert column == ["broadcast_in_dim", "sub"]
    outer = names(lambda a, b: a[:, None] * b[None, :], (4,), (3,), dtype=dtype)
    assert outer[-1] == "mul"
    number = names(lambda x, b: lax.max(x, lax.broadcast_in_dim(b, (4, 3), ())), (4, 3), ())
    assert number == ["max"]
    empty = names(lambda x, b: x + b, (0, 3), (3,), dtype=dtype)
    assert empty[-1] == "add"


def results(name: str) -> list[Any]:
    """What an operator makes of its first sample, gradients included, as bytes."""
    place, bare = parity.resolve(name)
    samples = parity.SAMPLES[name]
    sample = next((s for s in samples if not s.options.reason), samples[0])
    torchish.manual_seed(0)
    call = parity.Call(sample, torchish, None, sample.options.grad)
    made = call.run(registry.table(place)[bare])
    if isinstance(made, Exception):
        return []  # a sample of an error
    tensors = [t for t in parity.flat(made) if parity.is_tensor(t)]
    if any(t.requires_grad for t in tensors):
        np.random.seed(0)
        tensors += [g for g in parity.gradients(call, made) if g is not None]
    return [parity.to_numpy(t).tobytes() for t in tensors]


def test_every_operator_gives_the_same_bits_linked(
    linked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "AT_ONCE", float("inf"))  # nothing is compiled
    monkeypatch.setattr(policy, "EARLIEST", 1000)
    monkeypatch.setattr(policy, "LINKED", policy.NEVER)
    apart = {name: results(name) for name in parity.SAMPLES}
    assert not linked
    monkeypatch.setattr(policy, "LINKED", 0)
    together = {name: results(name) for name in parity.SAMPLES}
    assert [name for name in apart if apart[name] != together[name]] == []
    assert len(linked) > len(parity.SAMPLES) // 2
    running.drop_programs()
