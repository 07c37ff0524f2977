"""DTensor and tensor parallelism over simulated GPUs, and over the one CPU."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import torchish
from tests.parallel import dtensor_checks
from tests.parallel.processes import checks_of, run_checks
from torchish.distributed import init_device_mesh
from torchish.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, ones
from torchish.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    loss_parallel,
    parallelize_module,
)


@pytest.fixture(scope="module")
def results(once: Any) -> dict[str, str]:
    return once("dtensor_checks", lambda: run_checks("tests.parallel.dtensor_checks", 8))


@pytest.mark.slow
@pytest.mark.parametrize("name", checks_of(vars(dtensor_checks)))
def test_check(results: dict[str, str], name: str) -> None:
    assert not results[name], results[name]


def test_on_one_device_everything_is_whole() -> None:
    mesh = init_device_mesh("cpu", (1,))
    x = distribute_tensor(torchish.arange(6.0).reshape(2, 3), mesh, [Shard(0)])
    assert torchish.equal(x.to_local(), x.full_tensor())
    assert type(x.to_local()) is torchish.Tensor and isinstance(x + 1, DTensor)
    y = DTensor.from_local(torchish.ones(2), mesh, [Replicate()])
    assert y.placements == (Replicate(),) and y.device_mesh is mesh
    z = copy.deepcopy(ones(2, 3, device_mesh=mesh, placements=[Shard(1)]))
    assert z.placements == (Shard(1),) and z.full_tensor().sum().item() == 6.0
    assert mesh.get_coordinate() == [0] and mesh.get_local_rank() == 0


def test_plans_change_nothing_on_one_device() -> None:
    mesh = init_device_mesh("cpu", (1,), mesh_dim_names=("tp",))
    net = torchish.nn.Sequential(torchish.nn.Linear(3, 4), torchish.nn.Linear(4, 2))
    want = net(torchish.ones(2, 3)).detach().numpy()
    parallelize_module(net, mesh["tp"], {"0": ColwiseParallel(), "1": RowwiseParallel()})
    with loss_parallel():
        np.testing.assert_allclose(net(torchish.ones(2, 3)).detach().numpy(), want)
    with pytest.warns(UserWarning, match="could not be resolved"):
        parallelize_module(net, mesh, {"nothing": ColwiseParallel()})
    with pytest.warns(UserWarning, match="No parallelize_plan"):
        parallelize_module(net, mesh)
    with pytest.raises(RuntimeError, match="No device mesh"):
        parallelize_module(net, None, {})
