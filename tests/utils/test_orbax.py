"""Checkpoints by Orbax: a whole state goes round, and plain JAX reads it."""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import torchish as torch
from torchish import nn
from torchish.func import to_jax
from torchish.utils import orbax

needs_orbax = pytest.mark.usefixtures("library")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Orbax's own


@pytest.fixture
def library(jax_libraries: Any) -> Any:
    return pytest.importorskip("orbax.checkpoint")


def trained(net: Any, optimizer: Any, steps: int = 3) -> list[float]:
    x = torch.linspace(-1, 1, 12).reshape(4, 3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def made() -> tuple[Any, Any]:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return net, torch.optim.AdamW(net.parameters(), 0.01)


@needs_orbax
def test_training_goes_on_from_a_folder(tmp_path: Path) -> None:
    net, optimizer = made()
    trained(net, optimizer)
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    orbax.save(state, tmp_path / "state")
    other, rule = made()
    stored = orbax.load(tmp_path / "state")
    assert stored["epoch"] == 3 and type(stored["net"]) is OrderedDict
    other.load_state_dict(stored["net"])
    rule.load_state_dict(stored["optimizer"])
    assert rule.param_groups[0]["betas"] == (0.9, 0.999)
    assert trained(other, rule) == trained(net, optimizer)


@needs_orbax
def test_every_kind_of_content_goes_round(tmp_path: Path) -> None:
    dtypes = (torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool,
              torch.complex64)  # fmt: skip
    state = {
        "dtypes": [torch.arange(4).to(d).reshape(2, 2) for d in dtypes],
        "number": torch.tensor(7), "empty": torch.zeros(0, 3), "leaf": nn.Parameter(torch.ones(2)),
        "view": torch.arange(6.0).reshape(2, 3).t(), 3: ("text", None, True, 2.5, float("inf"), []),
        "a.b": torch.zeros(1), "a": {"b": torch.ones(1)},
    }  # fmt: skip
    orbax.save(state, tmp_path / "state")
    back = orbax.load(tmp_path / "state")
    assert list(back) == list(state) and back[3] == state[3]
    for a, b in zip(
        torch.utils._pytree.tree_leaves(state), torch.utils._pytree.tree_leaves(back), strict=True
    ):
        if isinstance(a, torch.Tensor):
            assert b.dtype is a.dtype and torch.equal(a, b)
    orbax.save({"only": 1}, tmp_path / "values")
    assert orbax.load(tmp_path / "values") == {"only": 1}


@needs_orbax
def test_plain_jax_reads_it_and_writes_for_us(tmp_path: Path, library: Any) -> None:
    net = nn.Linear(3, 2)
    orbax.save(net.state_dict(), tmp_path / "state")
    with library.Checkpointer(library.CompositeCheckpointHandler()) as checkpointer:
        wanted = library.args.Composite(arrays=library.args.StandardRestore())
        arrays = checkpointer.restore(tmp_path / "state", wanted)["arrays"]
    apply, params = to_jax(net)
    x = jnp.ones((1, 3), jnp.float32)
    assert jnp.array_equal(apply(arrays, x), apply(params, x))
    with library.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "params", jax.tree_util.tree_map(lambda p: p + 1, params))
    with library.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(tmp_path / "params", params)
    net.load_state_dict(torch.from_jax(restored))
    np.testing.assert_array_equal(net.bias.detach().numpy(), np.asarray(params["bias"]) + 1)


@needs_orbax
def test_what_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    orbax.save({"x": torch.ones(1)}, tmp_path / "state")
    with pytest.raises(ValueError, match="already exists"):
        orbax.save({"x": torch.ones(1)}, tmp_path / "state")
    orbax.save({"x": torch.zeros(1)}, tmp_path / "state", force=True)
    assert orbax.load(tmp_path / "state")["x"].item() == 0
    with pytest.raises(TypeError, match=r"net.loss is a MSELoss, neither a tensor"):
        orbax.save({"net": {"loss": nn.MSELoss()}}, tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        orbax.load(tmp_path / "nowhere")


def test_without_orbax_the_error_says_how_to_get_it(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "orbax", None)
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    for call in (lambda: orbax.save({}, tmp_path / "x"), lambda: orbax.load(tmp_path / "x")):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'torchish\[orbax\]'"):
            call()
