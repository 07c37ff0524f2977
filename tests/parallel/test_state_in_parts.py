"""ZeRO, both forms of FSDP, collectives with gradients and checkpoint options, in two processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import torchish
from tests.parallel.processes import MARK, run_ranks
from torchish._basics.errors import NotSupportedError

SCRIPT = str(Path(__file__).parent / "scripts" / "sharded.py")
PARTS = ("collectives", "zero", "classic", "modern", "saved")
# Averages in bfloat16 differ by an ulp where the order of sums does.
TOLERANCE = {"classic": 2e-2, "modern": 2e-2}


def _results(*launcher: str) -> list[dict[str, Any]]:
    """What each rank printed."""
    found = []
    for done in run_ranks([*launcher, SCRIPT], 2):
        lines = [x for x in done.stdout.splitlines() if x.startswith(MARK)]
        assert lines, done.stderr[-4000:]
        found.append(json.loads(lines[0][len(MARK) :]))
    return found


@pytest.fixture(scope="module")
def both(once: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return once("state_in_parts", lambda: (_results("-m", "torchish"), _results()))


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [x for k, v in value.items() for x in _leaves(v, f"{path}/{k}")]
    if isinstance(value, list):
        return [x for k, v in enumerate(value) for x in _leaves(v, f"{path}/{k}")]
    return [(path, value)]


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_two_processes_give_pytorchs_numbers(both: Any, part: str) -> None:
    for mine, theirs in zip(*both, strict=True):
        mine, theirs = _leaves(mine[part]), _leaves(theirs[part])
        assert [path for path, _ in mine] == [path for path, _ in theirs]
        for (path, a), (_, b) in zip(mine, theirs, strict=True):
            loose = TOLERANCE.get(part, 0.0) if "half" in path or "reduced" in path else 0.0
            near = {"rel": loose or 1e-4, "abs": loose or 1e-6}
            assert a == (pytest.approx(b, **near) if isinstance(b, float) else b), path


def test_options_without_a_meaning_here_are_refused() -> None:
    dist = torchish.distributed
    f, s = dist.fsdp, dist.checkpoint.state_dict
    net = torchish.nn.Linear(2, 2)
    for text, call in {
        "dsd_fqn_modifiers": lambda: s.get_model_state_dict(
            net, options=s.StateDictOptions(dsd_fqn_modifiers="other")
        ),
        "LOCAL_STATE_DICT": lambda: f.FullyShardedDataParallel.set_state_dict_type(
            net, f.StateDictType.LOCAL_STATE_DICT
        ),
        "keep_low_precision_grads": lambda: f.FullyShardedDataParallel(
            net, mixed_precision=f.MixedPrecision(keep_low_precision_grads=True)
        ),
        "process_group": lambda: f.FullyShardedDataParallel(net, process_group=(1, 2)),
        "register_comm_hook": lambda: f.FullyShardedDataParallel(net).register_comm_hook(None, 1),
        "dp_mesh_dims": lambda: f.fully_shard(net, dp_mesh_dims=1),
        "set_gradient_divide_factor": lambda: f.fully_shard(
            torchish.nn.Linear(1, 1)
        ).set_gradient_divide_factor(2.0),
        "planners of checkpoints such as Mine": lambda: dist.checkpoint.save(
            {}, checkpoint_id="x", planner=type("Mine", (dist.checkpoint.DefaultSavePlanner,), {})()
        ),
        "overlap_with_ddp": lambda: dist.optim.ZeroRedundancyOptimizer(
            net.parameters(), torchish.optim.SGD, overlap_with_ddp=True
        ),
        "_extensions": lambda: dist.checkpoint.FileSystemWriter("x", _extensions=[1]),
    }.items():
        with pytest.raises(NotSupportedError, match=text):
            call()
    with pytest.raises(ValueError, match="full_state_dict must be True"):
        s.set_model_state_dict(net, {}, options=s.StateDictOptions(broadcast_from_rank0=True))
    with pytest.raises(ValueError, match="containers that do not implement forward"):
        f.fully_shard(torchish.nn.ModuleList([net]))
    with pytest.raises(NotImplementedError, match="rank0_only=True is not supported"):
        f.FullyShardedDataParallel.summon_full_params(net, rank0_only=True).__enter__()
