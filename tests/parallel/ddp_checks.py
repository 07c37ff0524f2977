"""Checks of DistributedDataParallel, run by every rank of a job; the joined batch is the oracle."""

from __future__ import annotations

import copy
import functools
from datetime import timedelta

import numpy as np

import torchish as torch
import torchish.distributed as dist
from tests.agreement import same
from tests.parallel.comparing import raises, same_weights
from tests.parallel.processes import checks_of, main
from torchish import nn
from torchish._basics.stats import stats
from torchish.nn.parallel import DistributedDataParallel as DDP


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2))


def batches(count, size=8):
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.standard_normal((size, 5)).astype(np.float32)) for _ in range(count)]


def mine(x):
    return x[dist.get_rank() :: dist.get_world_size()]


def check_training_equals_the_joined_batch():
    alone = net()
    torch.manual_seed(dist.get_rank() + 5)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2))
    if dist.get_rank() == 0:
        model.load_state_dict(alone.state_dict())
    ddp = DDP(model)
    same_weights(model, alone)  # all ranks start as rank 0
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
    same_weights(model, alone)


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
        same(a.grad, b.grad, 1e-4)


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
    same(model.a.weight.grad, alone.a.weight.grad)
    same(model.b.weight.grad, alone.b.weight.grad)
    strict = DDP(copy.deepcopy(alone))
    strict(mine(x), True)["y"].mean().backward()
    raises(RuntimeError, "Expected to have finished reduction in the prior iteration",
           lambda: strict(mine(x), True))  # fmt: skip


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 2), nn.Linear(5, 2)

    def forward(self, x):
        return self.a(x), self.b(x)


def check_outputs_that_nobody_derives():
    torch.manual_seed(0)
    alone = Both()
    (x,) = batches(1)
    for _ in range(2):
        alone(x)[1].mean().backward()
    for kwargs in ({"find_unused_parameters": True}, {"static_graph": True}):
        model = copy.deepcopy(alone)
        model.zero_grad()
        ddp = DDP(model, **kwargs)
        for _ in range(2):
            first, second = ddp(mine(x))
            second.mean().backward()
        assert model.a.weight.grad is None and first.requires_grad
        same(model.b.weight.grad, alone.b.weight.grad)
    # Outputs that some process derives count for all.
    model = copy.deepcopy(alone)
    model.zero_grad(), alone.zero_grad()
    ddp = DDP(model, find_unused_parameters=True)
    ddp(mine(x))[0 if dist.get_rank() == 0 else 1].mean().backward()
    count = dist.get_world_size()
    parts = [alone(x[r::count])[0 if r == 0 else 1].mean() for r in range(count)]
    (sum(parts) / count).backward()
    same(model.a.weight.grad, alone.a.weight.grad)
    same(model.b.weight.grad, alone.b.weight.grad)


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
    same(model.running_mean, want[0])


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
        same(a.grad, b.grad)
    same(model[1].running_mean, alone[1].running_mean)
    same(model[1].running_var, alone[1].running_var)
    model.eval(), alone.eval()
    same(ddp(x), alone(x))


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


# --- several forwards, hooks, uneven batches ---


def check_a_second_forward_before_backward():
    alone, model = net(), net()
    ddp = DDP(model)
    x = batches(1)[0]
    (ddp(mine(x)) - ddp(2 * mine(x))).pow(2).mean().backward()
    (alone(x) - alone(2 * x)).pow(2).mean().backward()
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        same(a.grad, b.grad)
    ddp(mine(x)).sum()  # an output nobody uses
    out = ddp(mine(x))
    ddp.eval()
    with torch.no_grad():
        ddp(mine(x))
    ddp.train()
    for m in (model, alone):
        m.zero_grad()
    out.pow(2).mean().backward()
    alone(x).pow(2).mean().backward()
    for a, b in zip(model.parameters(), alone.parameters(), strict=True):
        same(a.grad, b.grad)


def check_communication_hooks():
    from torchish.distributed.algorithms.ddp_comm_hooks import (
        DDPCommHookType,
        debugging_hooks,
        default_hooks,
        powerSGD_hook as power,
        register_ddp_comm_hook,
    )

    x = batches(1)[0]
    alone = net()
    alone(x).pow(2).mean().backward()
    expected = [p.grad for p in alone.parameters()]
    wrapped = default_hooks.fp16_compress_wrapper(default_hooks.allreduce_hook)
    hooks = [
        (default_hooks.allreduce_hook, 1e-5),
        (default_hooks.fp16_compress_hook, 1e-2),
        (default_hooks.bf16_compress_hook, 5e-2),
        (wrapped, 1e-2),
    ]
    for hook, tol in hooks:
        ddp = DDP(net())
        ddp.register_comm_hook(None, hook)
        ddp(mine(x)).pow(2).mean().backward()
        for p, grad in zip(ddp.parameters(), expected, strict=True):
            same(p.grad, grad, tol)
        again = functools.partial(ddp.register_comm_hook, None, hook)
        raises(RuntimeError, "can only be called once", again)
    seen = []

    def looking(state, bucket):
        for view, p in zip(bucket.gradients(), bucket.parameters(), strict=True):
            assert view.shape == p.shape and (view == p.grad).all()
        seen.append((state, bucket.index(), bucket.is_last(), bucket.buffer().numel()))
        return debugging_hooks.noop_hook(state, bucket)

    ddp = DDP(net())
    ddp.register_comm_hook("state", looking)
    ddp(mine(x)).pow(2).mean().backward()
    assert seen == [("state", 0, True, sum(g.numel() for g in expected))]
    local = net()
    local(mine(x)).pow(2).mean().backward()
    for a, b in zip(ddp.parameters(), local.parameters(), strict=True):
        same(a.grad, b.grad)
    ddp = DDP(net())
    state = power.PowerSGDState(None, 4, 2, min_compression_rate=0.1)
    ddp.register_comm_hook(state, power.powerSGD_hook)
    for _ in range(5):
        ddp.zero_grad()
        ddp(mine(x)).pow(2).mean().backward()
    assert state.iter == 5 and state.compression_stats()[1] > 0
    for p, grad in zip(ddp.parameters(), expected, strict=True):
        same(p.grad, grad, 0.2)
    register_ddp_comm_hook(DDPCommHookType.ALLREDUCE, DDP(net()), None)
    raises(TypeError, "must be callable", lambda: DDP(net()).register_comm_hook(None, 3))


def check_join_with_uneven_batches():
    rank, count = dist.get_rank(), dist.get_world_size()
    for by_all in (True, False):
        ddp, alone = DDP(net()), net()
        xs = batches(2 + count)
        opts = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (ddp, alone)]
        with ddp.join(divide_by_initial_world_size=by_all):
            for x in xs[: 2 + rank]:
                opts[0].zero_grad()
                ddp(x).pow(2).mean().backward()
                opts[0].step()
        for step in range(1 + count):
            left = sum(step < 2 + r for r in range(count))
            opts[1].zero_grad()
            scale = left / count if by_all else 1.0
            (alone(xs[step]).pow(2).mean() * scale).backward()
            opts[1].step()
        same_weights(ddp.module, alone)
    ddp = DDP(net())

    def ends_early():
        with ddp.join(throw_on_early_termination=True):
            for x in batches(3 + rank):
                ddp(x).sum().backward()

    if count > 1:
        text = "exhausted (all )?inputs"
        raises(RuntimeError, text, ends_early)


def check_futures_of_collectives():
    x = torch.ones(2)
    future = dist.all_reduce(x, async_op=True).get_future()
    doubled = future.then(lambda done: done.value()[0] * 2)
    assert doubled.wait().tolist() == [2.0 * dist.get_world_size()] * 2
    assert future.done() and x.tolist() == [float(dist.get_world_size())] * 2


if __name__ == "__main__":
    dist.init_process_group("gloo", timeout=timedelta(seconds=120))
    main(checks_of(globals()))
    dist.destroy_process_group()
