"""Models of Flax, Equinox and Haiku as modules, and what docs/jax.md says of them.

The libraries are of the test extra; `make libraries` has them in a folder of its own too.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import torchish as torch
from tests.oracle import close
from torchish.func import module_from_jax

PAGE = Path(__file__).resolve().parents[2] / "docs" / "jax.md"
BLOCK = re.compile(r"^```python (flax|equinox|orbax)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def libraries(jax_libraries: Any) -> None:
    """Where they are."""


X = np.random.default_rng(0).standard_normal((16, 3)).astype(np.float32)
Y = X[:, :1] - 2 * X[:, 1:2]


def both(net: Any, params: Any, predict: Any, arrays: Any, forward: Any = None) -> None:
    """Train `net` in a torch loop and `params` with optax, and compare at every step."""
    forward = net if forward is None else forward
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    rule = optax.adam(0.02)
    state = rule.init(params)
    loss_of = jax.jit(jax.value_and_grad(lambda p: ((predict(p, X) - Y) ** 2).mean()))
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    for _ in range(8):
        optimizer.zero_grad()
        loss = ((forward(x) - y) ** 2).mean()
        loss.backward()
        want, grads = loss_of(params)
        close(loss.item(), want)
        for p, g in zip(net.parameters(), arrays(grads), strict=True):
            close(p.grad, g)
        optimizer.step()
        updates, state = rule.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    for p, q in zip(net.parameters(), arrays(params), strict=True):
        close(p.detach(), q, 1e-5)


def test_an_nnx_model_trains_in_a_torch_loop() -> None:
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.hidden = nnx.Linear(3, 8, rngs=rngs)
            self.out = nnx.Linear(8, 1, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.out(nnx.tanh(self.hidden(x)))

    model = Net(nnx.Rngs(0))
    graph, params = nnx.split(model)
    net = module_from_jax(model)
    both(net, params, lambda p, x: nnx.merge(graph, p)(x), jax.tree_util.tree_leaves)
    close(net.to_model()(X), net(torch.from_numpy(X)).detach())


def test_statistics_and_dropout_of_nnx() -> None:
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            self.norm = nnx.BatchNorm(3, rngs=rngs)
            self.drop = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.drop(self.norm(x))

    model = Net(nnx.Rngs(0))
    net = module_from_jax(model)
    x = torch.from_numpy(X)
    first, second = net(x), net(x)
    assert not torch.equal(first, second), "the counter of the random stream is written back"
    model.train()
    close(first.detach(), model(X))
    close(second.detach(), model(X))
    close(net.get_buffer("norm.mean"), model.norm.mean[...])
    net.eval()
    model.eval()
    close(net(x).detach(), model(X))
    other = module_from_jax(Net(nnx.Rngs(1)))
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.eval()(x), net(x))


def test_an_equinox_model_trains_in_a_torch_loop() -> None:
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(3, 1, 8, 2, key=jax.random.key(0))
    params, static = eqx.partition(model, eqx.is_inexact_array)
    net = module_from_jax(model)
    assert "layers.0.weight" in dict(net.named_parameters())

    def predict(p: Any, x: Any) -> Any:
        return jax.vmap(eqx.combine(p, static))(x)

    both(net, params, predict, jax.tree_util.tree_leaves, torch.func.vmap(net))
    assert isinstance(net.to_model(), eqx.nn.MLP)


def test_a_haiku_model_trains_in_a_torch_loop() -> None:
    hk = pytest.importorskip("haiku")
    model = hk.without_apply_rng(
        hk.transform(lambda x: hk.nets.MLP([8, 1], activation=jnp.tanh)(x))
    )
    params = model.init(jax.random.key(0), X)
    net = module_from_jax(model.apply, params)
    both(net, params, model.apply, jax.tree_util.tree_leaves)


@pytest.mark.parametrize("library", ["flax", "equinox", "orbax"])
def test_the_page_s_code_runs(library: str) -> None:
    pytest.importorskip({"flax": "flax.nnx", "orbax": "orbax.checkpoint"}.get(library, library))
    for name, code in BLOCK.findall(PAGE.read_text()):
        if name == library:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(PAGE), "exec"), {"__name__": "example"})
            assert printed.getvalue().splitlines() == EXPECTED.findall(code)
