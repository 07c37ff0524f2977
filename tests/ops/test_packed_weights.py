"""Weights of convolutions that are packed once: the same bits, and never those of other weights."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch as oracle

import torchish as torch
from tests.ops.conv_cases import CASES, arrays
from torchish import nn
from torchish._basics.settings import settings
from torchish._core import running
from torchish._core.trace import forget_programs
from torchish._ops.conv import onednn, packing

pytestmark = pytest.mark.skipif(not onednn.is_available(), reason="torchish-cpu is not installed")


def _operands(case: Any, kind: int, dtype: Any) -> tuple[Any, Any, Any]:
    x, w, g, geo = arrays(case)
    first = x if kind == onednn.FORWARD else g
    return jnp.asarray(first, dtype), jnp.asarray(w, dtype), geo


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("kind", [onednn.FORWARD, onednn.INPUT_GRAD], ids=["forward", "input_grad"])
def test_packed_weights_give_the_same_bits(
    kind: int, dtype: Any, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed for as many threads as there are, for other numbers, for another convolution."""
    import ctypes

    monkeypatch.setattr(onednn, "_threads", lambda: ctypes.c_int64(threads))
    packed = 0
    for case in CASES:
        a, w, geo = _operands(case, kind, dtype)
        if not onednn.takes(kind, a, w, geo) or not onednn.packed_bytes(kind, a, w, geo):
            continue
        packed += 1
        made = onednn.pack(kind, a, np.asarray(w), geo)
        plain = jax.jit(lambda a, w, g=geo: onednn.conv(kind, a, w, g))(a, w)
        with_packed = jax.jit(lambda a, w, p, g=geo: onednn.conv(kind, a, w, g, p))
        for other in (made, np.zeros_like(made)):
            np.testing.assert_array_equal(
                np.asarray(with_packed(a, w, other), np.float32), np.asarray(plain, np.float32)
            )
        # What is packed is what is used: other weights under the right label give their result.
        twice = onednn.pack(kind, a, np.asarray(w * 2), geo)
        found = np.asarray(with_packed(a, w, twice), np.float32)
        expected = np.asarray(plain, np.float32)
        assert (found == 2 * expected).all() or (found == expected).all()
        wrong = twice.copy()
        wrong[:8] ^= 0xFF  # the label of another convolution
        np.testing.assert_array_equal(np.asarray(with_packed(a, w, wrong), np.float32), expected)
    assert packed > 5


def test_for_the_threads_there_are_the_packed_weights_are_used() -> None:
    a, w, geo = _operands(CASES[10], onednn.FORWARD, jnp.float32)
    plain = jax.jit(lambda a, w: onednn.conv(onednn.FORWARD, a, w, geo))(a, w)
    twice = onednn.pack(onednn.FORWARD, a, np.asarray(w * 2), geo)
    found = jax.jit(lambda a, w, p: onednn.conv(onednn.FORWARD, a, w, geo, p))(a, w, twice)
    np.testing.assert_array_equal(np.asarray(found), 2 * np.asarray(plain))


class Net(nn.Module):
    """A convolution, a transposed one, and one whose weights are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.second = nn.ConvTranspose2d(32, 16, 4, 2, 1)
        self.third = nn.Conv2d(16, 32, 3)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.norm(self.first(x)))
        x = self.second(x)
        return nn.functional.conv2d(x, self.third.weight * 2, self.third.bias)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "compiled", True)
    forget_programs()
    yield
    forget_programs()


def _made() -> tuple[Any, Any]:
    """A network and its input, computed: programs begin with the network."""
    net, x = Net(), torch.randn(4, 3, 16, 16)
    for tensor in (x, *net.state_dict().values()):
        tensor.clone().numpy()  # (an array of the tensor itself may be written to at any time)
    forget_programs()
    return net.eval(), x


def _programs() -> list[packing.Packed]:
    found = [entry.program for entry in running._cache.programs.values()]
    return [program for program in found if isinstance(program, packing.Packed)]


def _numbers(net: Any, x: Any) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        return net(x).numpy().copy()  # type: ignore[no-any-return]


def _expected(net: Any, x: Any) -> Any:
    state = net.state_dict()
    weights = {k: oracle.from_numpy(v.clone().numpy()) for k, v in state.items()}
    f = oracle.nn.functional
    y = f.conv2d(
        oracle.from_numpy(x.clone().numpy()), weights["first.weight"], weights["first.bias"], 1, 1
    )
    norms = [weights[f"norm.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    y = f.batch_norm(y, *norms).relu()
    y = f.conv_transpose2d(y, weights["second.weight"], weights["second.bias"], 2, 1)
    return f.conv2d(y, weights["third.weight"] * 2, weights["third.bias"]).numpy()


def test_a_network_packs_what_comes_again_and_sees_each_change(compiled: None) -> None:
    torch.manual_seed(0)
    net, x = _made()
    first = _numbers(net, x)
    np.testing.assert_allclose(first, _expected(net, x), rtol=1e-4, atol=1e-5)
    for _ in range(3):
        np.testing.assert_array_equal(_numbers(net, x), first)
    (program,) = _programs()
    assert len(program.memories) == 2  # not the computed weights
    assert all(memory.last[1] is not None for _, memory in program.memories)
    changes = (
        lambda: net.first.weight.mul_(1.5),
        lambda: net.second.weight.data.copy_(torch.randn(32, 16, 4, 4)),
        lambda: net.load_state_dict({k: v * 0.5 for k, v in net.state_dict().items()}),
        lambda: net.first.weight.__setitem__((0, 0, 0, 0), 3.0),
    )
    for change in changes:
        with torch.no_grad():
            change()
        for _ in range(3):
            np.testing.assert_allclose(_numbers(net, x), _expected(net, x), rtol=1e-4, atol=1e-5)


def test_another_model_of_the_same_structure_has_its_own_weights(compiled: None) -> None:
    nets = [_made()[0] for _ in range(2)]
    x = _made()[1]
    for _ in range(3):
        for net in nets:
            for _ in range(2):
                np.testing.assert_allclose(
                    _numbers(net, x), _expected(net, x), rtol=1e-4, atol=1e-5
                )
    assert len(_programs()) == 1


def test_packed_weights_die_with_their_model(compiled: None) -> None:
    net, x = _made()
    for _ in range(4):
        _numbers(net, x)
    (program,) = _programs()
    assert all(memory.last[1] is not None for _, memory in program.memories)
    del net
    gc.collect()
    assert all(memory.last[1] is None for _, memory in program.memories)


def test_training_packs_nothing(compiled: None) -> None:
    net, x = _made()
    net.train()
    sgd = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(3):
        sgd.zero_grad()
        net(x).square().mean().backward()
        sgd.step()
    assert _programs() == []


def test_weights_that_are_new_each_time_are_not_packed(compiled: None) -> None:
    net, x = _made()
    for _ in range(4):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.01)
        np.testing.assert_allclose(_numbers(net, x), _expected(net, x), rtol=1e-4, atol=1e-5)
    assert all(memory.last[1] is None for p in _programs() for _, memory in p.memories)
