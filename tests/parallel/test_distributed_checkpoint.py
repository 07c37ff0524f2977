"""torch.distributed.checkpoint: folders are PyTorch's both ways; states by names of parameters."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint
import torch.distributed.checkpoint.state_dict

import torchish
import torchish.distributed.checkpoint
import torchish.distributed.checkpoint.state_dict
from torchish._basics.errors import NotSupportedError


def states(m: Any, filled: bool) -> dict[str, Any]:
    """Nested states: with contents, or of the same form."""
    k = 1 if filled else 0
    return {
        "model": {"w": m.arange(6.0).reshape(2, 3) * k, "half": m.ones(2, dtype=m.bfloat16) * k},
        "step": 3 * k, "rates": [0.1 * k, 0.2 * k], "name": "x" * k,
        "list": [m.ones(1) * k, {"x": m.full((2,), 7) * k}], "pair": (m.ones(2) * k, k),
    }  # fmt: skip


def plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        return value.detach().float().numpy().tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("writer, reader", [(torchish, torch), (torch, torchish),
                                            (torchish, torchish)])  # fmt: skip
def test_folders_go_both_ways(tmp_path: Path, writer: Any, reader: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = writer.distributed.checkpoint.save(states(writer, True), checkpoint_id=tmp_path)
        target = states(reader, False)
        kept = target["model"]["w"]
        reader.distributed.checkpoint.load(target, checkpoint_id=tmp_path)
    assert target["model"]["w"] is kept  # filled in place
    assert plain(target) == plain(states(torch, True))
    assert saved.planner_data["list.1.x"] == ("list", 1, "x")
    read = torchish.distributed.checkpoint.FileSystemReader(tmp_path).read_metadata()
    assert read.state_dict_metadata["model.w"].size == (2, 3)
    assert str(read.state_dict_metadata["model.half"].properties.dtype) == "torch.bfloat16"


def trained(m: Any, seed: int) -> tuple[Any, Any]:
    m.manual_seed(seed)
    net = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.Tanh(), m.nn.Linear(4, 2))
    optimizer = m.optim.AdamW([{"params": net[0].parameters()},
                               {"params": net[2].parameters(), "lr": 0.1}])  # fmt: skip
    for _ in range(2):
        optimizer.zero_grad()
        net(m.ones(2, 3)).square().sum().backward()
        optimizer.step()
    return net, optimizer


@pytest.mark.parametrize("flat", [False, True])
def test_states_by_name(flat: bool) -> None:
    found = []
    for m in (torchish, torch):
        s = m.distributed.checkpoint.state_dict
        options = s.StateDictOptions(flatten_optimizer_state_dict=flat)
        found.append(plain(s.get_state_dict(*trained(m, 0), options=options)))
    mine, theirs = found
    assert mine[0].keys() == theirs[0].keys() and mine[1].keys() == theirs[1].keys()
    if flat:
        for key in (k for k in theirs[1] if k.startswith("state.") or k.endswith(".lr")):
            np.testing.assert_allclose(mine[1][key], theirs[1][key], 1e-4, 1e-7)
    else:
        for name, values in theirs[1]["state"].items():
            for key, value in values.items():
                np.testing.assert_allclose(mine[1]["state"][name][key], value, 1e-4, 1e-7)
        names = [g["params"] for g in theirs[1]["param_groups"]]
        assert [g["params"] for g in mine[1]["param_groups"]] == names


@pytest.mark.parametrize("flat", [False, True])
def test_training_goes_on_from_a_checkpoint(tmp_path: Path, flat: bool) -> None:
    s = torchish.distributed.checkpoint.state_dict
    options = s.StateDictOptions(flatten_optimizer_state_dict=flat, cpu_offload=True)
    net, optimizer = trained(torchish, 0)
    model_state, optimizer_state = s.get_state_dict(net, optimizer, options=options)
    torchish.distributed.checkpoint.save(
        {"model": model_state, "optimizer": optimizer_state}, checkpoint_id=tmp_path
    )
    torchish.manual_seed(9)
    other = torchish.nn.Sequential(
        torchish.nn.Linear(3, 4), torchish.nn.Tanh(), torchish.nn.Linear(4, 2)
    )
    fresh = torchish.optim.AdamW([{"params": other[0].parameters()},
                                  {"params": other[2].parameters()}])  # fmt: skip
    model_state, optimizer_state = s.get_state_dict(other, fresh, options=options)
    state = {"model": model_state, "optimizer": optimizer_state}
    torchish.distributed.checkpoint.load(state, checkpoint_id=tmp_path)
    s.set_state_dict(
        other, fresh, model_state_dict=state["model"], optim_state_dict=state["optimizer"],
        options=options,
    )  # fmt: skip
    assert [g["lr"] for g in fresh.param_groups] == [1e-3, 0.1]
    for model, step in ((net, optimizer), (other, fresh)):
        step.zero_grad()
        model(torchish.ones(2, 3)).square().sum().backward()
        step.step()
    for mine, theirs in zip(other.parameters(), net.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), 1e-6)


def test_objects_with_a_state(tmp_path: Path) -> None:
    net, optimizer = trained(torchish, 0)
    c = torchish.distributed.checkpoint
    c.async_save({"net": net, "optimizer": optimizer}, checkpoint_id=tmp_path).result()
    other, fresh = trained(torchish, 5)
    c.load({"net": other, "optimizer": fresh}, checkpoint_id=tmp_path)
    for mine, theirs in zip(other.parameters(), net.parameters(), strict=True):
        assert bool((mine == theirs).all())


def test_wrappers_leave_no_mark_in_names() -> None:
    s = torchish.distributed.checkpoint.state_dict
    net, _ = trained(torchish, 0)
    wrapped = torchish.nn.DataParallel(net)
    state = s.get_model_state_dict(wrapped)
    assert list(state) == list(net.state_dict())
    assert not s.set_model_state_dict(wrapped, state).missing_keys
    net[0].requires_grad_(False)
    options = s.StateDictOptions(ignore_frozen_params=True)
    assert list(s.get_model_state_dict(net, options=options)) == ["2.weight", "2.bias"]


def test_errors(tmp_path: Path) -> None:
    c = torchish.distributed.checkpoint
    c.save(states(torchish, True), checkpoint_id=tmp_path)
    with pytest.raises(c.CheckpointException, match=r"Missing key in checkpoint state_dict: zzz\."):
        c.load({"zzz": torchish.ones(1)}, checkpoint_id=tmp_path)
    with pytest.raises(c.CheckpointException, match="Size mismatch between saved"):
        c.load({"model": {"w": torchish.ones(3, 3)}}, checkpoint_id=tmp_path)
    with pytest.raises(c.CheckpointException, match="No such file"):
        c.load({"a": 1}, checkpoint_id=tmp_path / "nowhere")
    with pytest.raises(RuntimeError, match="must be specified"):
        c.save({})
    with pytest.raises(RuntimeError, match="already exists"):
        c.save({"a": 1}, storage_writer=c.FileSystemWriter(tmp_path, overwrite=False))
    with pytest.raises(NotSupportedError, match="planners"):
        c.save({}, checkpoint_id=tmp_path, planner=3)
    with pytest.raises(NotSupportedError, match="submodules"):
        c.state_dict.get_model_state_dict(torchish.nn.Linear(1, 1), submodules=set())
