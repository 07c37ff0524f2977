"""Tensors and plans of tensor parallelism on eight simulated GPUs; `python -m` runs them all."""

from __future__ import annotations

import copy

import numpy as np

import torchish as torch
from tests.agreement import same
from tests.parallel.comparing import raises
from tests.parallel.processes import checks_of, main
from torchish import nn
from torchish._basics.stats import stats
from torchish.distributed import init_device_mesh
from torchish.distributed._shard import local_bytes
from torchish.distributed.fsdp import FullyShardedDataParallel
from torchish.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_module,
    distribute_tensor,
)
from torchish.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)


def mesh24():
    return init_device_mesh("cuda", (2, 4), mesh_dim_names=("dp", "tp"))


def whole():
    return torch.arange(64.0).reshape(8, 8)


def check_a_tensor_lies_in_parts():
    x = distribute_tensor(whole(), mesh24(), [Shard(0), Shard(1)])
    same(x.full_tensor(), whole())
    same(x.to_local(), whole()[:4, :2])
    assert x.shape == (8, 8) and x.placements == (Shard(0), Shard(1))
    held = local_bytes([x])
    assert len(held) == 8 and set(held.values()) == {4 * 2 * 4}
    assert "placements=(Shard(dim=0), Shard(dim=1))" in repr(x)


def check_it_is_laid_out_otherwise():
    x = distribute_tensor(whole(), mesh24(), [Shard(0), Replicate()])
    y = x.redistribute(placements=[Replicate(), Shard(-1)])
    same(y.full_tensor(), whole())
    same(y.to_local(), whole()[:, :2])
    assert set(local_bytes([y]).values()) == {8 * 2 * 4} and y.placements == (Replicate(), Shard(1))


def check_results_and_gradients():
    mesh = mesh24()["tp"]
    w = distribute_tensor(whole().requires_grad_(), mesh, [Shard(1)])
    assert w.requires_grad and w.is_leaf and mesh.size() == 4 and mesh.root.size() == 8
    y = (w * 2).relu()
    assert isinstance(y, DTensor) and y.placements == (Shard(1),)
    z = y @ distribute_tensor(whole(), mesh, [Shard(0)])
    assert isinstance(z, DTensor) and z.placements == (Replicate(),)
    z.full_tensor().sum().backward()
    plain = whole().requires_grad_()
    ((plain * 2).relu() @ whole()).sum().backward()
    same(w.grad, plain.grad)
    same(distribute_tensor(whole(), mesh, [Shard(0)]).to_local() + 1, whole()[:2] + 1)


def check_parts_that_are_unequal_stay_in_full():
    x = distribute_tensor(torch.arange(10.0), mesh24()["tp"], [Shard(0)])
    same(x.to_local(), torch.arange(3.0))
    same(x.full_tensor(), torch.arange(10.0))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(16, 8)
        self.norm = nn.LayerNorm(8)
        self.up, self.down = nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, tokens):
        return self.down(nn.functional.gelu(self.up(self.norm(self.words(tokens)))))


PLAN = {
    "words": RowwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1)),
    "norm": SequenceParallel(),
    "up": ColwiseParallel(input_layouts=Shard(1)),
    "down": RowwiseParallel(),
}


def train(model, steps=6):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    tokens = torch.arange(32, device="cuda:0").reshape(4, 8) % 16
    losses = []
    for k in range(steps):
        if k == 3:
            before = stats.programs_compiled
        optimizer.zero_grad()
        loss = model(tokens).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert stats.programs_compiled == before, "compiled again after step 3"
    return losses


def check_a_plan_trains_as_one_device_does():
    torch.manual_seed(0)
    single = Block().to("cuda:0")
    cut = parallelize_module(copy.deepcopy(single), mesh24()["tp"], PLAN)
    np.testing.assert_allclose(train(cut), train(single), 1e-4)
    for name, share in (("up.weight", 4), ("down.weight", 4), ("words.weight", 4), ("up.bias", 4),
                        ("norm.weight", 1)):  # fmt: skip
        tensor = cut.get_parameter(name)
        assert set(local_bytes([tensor]).values()) == {tensor.numel() * 4 // share}, name
    for mine, theirs in zip(cut.parameters(), single.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach().cpu().numpy(), theirs.detach().cpu().numpy(),
                                   1e-3, 1e-4)  # fmt: skip


def check_plans_by_pattern_and_errors():
    mesh = mesh24()
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.ReLU()).to("cuda:0")
    parallelize_module(net, mesh["tp"], {"[01]": ColwiseParallel()})
    assert all(p._storage.placement is not None for p in net.parameters())
    parallelize_module(net, mesh["tp"], PrepareModuleInput(
        input_layouts=Replicate(), desired_input_layouts=Shard(0)))  # fmt: skip
    assert net(torch.ones(4, 8, device="cuda:0")).shape == (4, 8)
    raises(NotImplementedError, "only support nn.Linear and nn.Embedding",
           lambda: parallelize_module(net, mesh["tp"], {"2": ColwiseParallel()}))  # fmt: skip
    raises(TypeError, "for parallelize_plan", lambda: parallelize_module(net, mesh["tp"], 3))
    raises(ValueError, "only 1D", lambda: parallelize_module(net, mesh, PLAN))
    raises(KeyError, "Invalid mesh_dim_names", lambda: mesh["pp"])
    raises(ValueError, "must have the same length", lambda: distribute_tensor(whole(), mesh, []))
    raises(IndexError, "out of range", lambda: distribute_tensor(
        whole(), mesh["tp"], [Shard(2)]))  # fmt: skip
    raises(RuntimeError, "unsupported placements", lambda: distribute_tensor(
        whole(), mesh["tp"], [Partial()]))  # fmt: skip
    raises(NotImplementedError, "distribute_tensor of the whole", lambda: DTensor.from_local(
        whole(), mesh["tp"], [Shard(0)]))  # fmt: skip


def check_a_module_by_function():
    mesh = mesh24()["tp"]
    net = nn.Linear(8, 8).to("cuda:0")
    want = net(torch.ones(2, 8, device="cuda:0"))

    def partition(name, module, mesh):
        for key, param in module.named_parameters(recurse=False):
            cut = distribute_tensor(param, mesh, [Shard(0)])
            module.register_parameter(key, nn.Parameter(cut))

    distribute_module(net, mesh, partition, lambda m, x, mesh: (x[0] * 2,),
                      lambda m, y, mesh: y / 2)  # fmt: skip
    out = net(torch.ones(2, 8, device="cuda:0"))
    bias = net.bias.full_tensor() if isinstance(net.bias, DTensor) else net.bias
    full = out.full_tensor() if isinstance(out, DTensor) else out
    same(full, want - bias / 2)


def check_a_wrapper_cuts_over_all_devices():
    torch.manual_seed(0)
    single = nn.Sequential(nn.Embedding(16, 8), nn.Linear(8, 16)).to("cuda:0")
    cut = FullyShardedDataParallel(copy.deepcopy(single))
    np.testing.assert_allclose(train(cut), train(single), 1e-4)
    weight = cut.module[1].weight
    assert set(local_bytes([weight]).values()) == {weight.numel() * 4 // 8}
    state = cut.state_dict()
    for name, value in single.state_dict().items():
        np.testing.assert_allclose(state[name].cpu().numpy(), value.cpu().numpy(), 1e-3, 1e-4)


if __name__ == "__main__":
    main(checks_of(globals()))
