"""Checks of DistributedDataParallel, run by every rank of a job; the joined batch is the oracle."""

from __future__ import annotations

import copy
from datetime import timedelta

import numpy as np

import torchish as torch
import torchish.distributed as dist
from tests.parallel.collective_checks import raises
from tests.parallel.processes import checks_of, main
from torchish import nn
from torchish._core.stats import stats
from torchish.nn.parallel import DistributedDataParallel as DDP


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2))


def batches(count, size=8):
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.standard_normal((size, 5)).astype(np.float32)) for _ in range(count)]


def mine(x):
    return x[dist.get_rank() :: dist.get_world_size()]


def close(a, b, tol=1e-5):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=tol, atol=tol)


def same(a, b, tol=1e-5):
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        close(x, y, tol)


def check_training_equals_the_joined_batch():
    alone = net()
    torch.manual_seed(dist.get_rank() + 5)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2))
    if dist.get_rank() == 0:
        model.load_state_dict(alone.state_dict())
    ddp = DDP(model)
    same(model, alone)  # all ranks start as rank 0
    opts = [torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (ddp, alone)]
    wire = dist.group.WORLD.wire
    for step, x in enumerate(batches(20)):
        compiled, exchanges = stats.compiled, wire.exchanges
        opts[0].zero_grad()
        ddp(mine(x)).pow(2).mean().backward()
        opts[0].step()
        if step > 1:
            assert stats.compiled == compiled and wire.exchanges == exchanges + 1
        opts[1].zero_grad()
        alone(x).pow(2).mean().backward()
        opts[1].step()
    same(model, alone)


def check_no_sync_accumulates():
    alone, model = net(), net()
    ddp = DDP(model)
    xs = batches(2)
    with ddp.no_sync():
        ddp(mine(xs[0])).sum().backward()
    local = model[0].weight.grad.clone()
    ddp(mine(xs[1])).sum().backward()
    assert (local != model[0].weight.grad).any()
    (sum(alone(x).sum() for x in xs) / dist.get_world_size()).backward()
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        close(a.grad, b.grad, 1e-4)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 2), nn.Linear(5, 2), nn.Linear(5, 2)

    def forward(self, x, which):
        return {"y": self.a(x) + (self.b(x) if which else 0)}


def check_unused_parameters():
    torch.manual_seed(0)
    alone = Branches()
    model = copy.deepcopy(alone)
    ddp = DDP(model, find_unused_parameters=True)
    (x,) = batches(1)
    me, size = dist.get_rank(), dist.get_world_size()
    for _ in range(2):
        ddp(mine(x), me == 0)["y"].mean().backward()
    assert model.c.weight.grad is None  # nobody used it
    for _ in range(2):
        total = sum(alone(x[r::size], r == 0)["y"].mean() for r in range(size)) / size
        total.backward()
    close(model.a.weight.grad, alone.a.weight.grad)
    close(model.b.weight.grad, alone.b.weight.grad)
    strict = DDP(copy.deepcopy(alone))
    strict(mine(x), True)["y"].mean().backward()
    raises(RuntimeError, "Expected to have finished reduction in the prior iteration",
           lambda: strict(mine(x), True))  # fmt: skip


def check_buffers_are_those_of_the_first():
    model = nn.BatchNorm1d(5)
    ddp = DDP(model)
    xs = batches(2)
    ddp(mine(xs[0])).sum().backward()
    want = [torch.zeros(5)]
    if dist.get_rank() == 0:
        want[0].copy_(model.running_mean)
    dist.broadcast(want[0], 0)
    model.momentum = 0.0
    ddp(mine(xs[1])).sum().backward()
    close(model.running_mean, want[0])


def check_sync_batch_norm():
    torch.manual_seed(0)
    alone = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh())
    model = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(alone))
    assert isinstance(model[1], nn.SyncBatchNorm)
    ddp = DDP(model)
    for x in batches(2):
        for m, part in ((ddp, mine(x)), (alone, x)):
            m.zero_grad()
            m(part).pow(2).mean().backward()
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        close(a.grad, b.grad)
    close(model[1].running_mean, alone[1].running_mean)
    close(model[1].running_var, alone[1].running_var)
    model.eval(), alone.eval()
    close(ddp(x), alone(x))


def check_contract():
    ddp = DDP(net())
    assert next(iter(ddp.state_dict())) == "module.0.weight"
    assert repr(ddp).startswith("DistributedDataParallel(\n  (module): Sequential(\n    (0): Lin")
    raises(RuntimeError, "doesn't have any parameter that requires a gradient",
           lambda: DDP(nn.ReLU()))  # fmt: skip
    raises(RuntimeError, "DDP expects same model across all ranks",
           lambda: DDP(nn.Linear(2, 2 + dist.get_rank())))  # fmt: skip
    with torch.no_grad():
        assert ddp(torch.ones(1, 5)).grad_fn is None
    frozen = net()
    frozen[0].weight.requires_grad_(False)
    ddp = DDP(frozen)
    ddp(torch.ones(2, 5)).sum().backward()
    assert frozen[0].weight.grad is None and frozen[0].bias.grad is not None
    raises(ValueError, "only work with single-device", lambda: DDP(net(), device_ids=[0]))


if __name__ == "__main__":
    dist.init_process_group("gloo", timeout=timedelta(seconds=120))
    main(checks_of(globals()))
    dist.destroy_process_group()
