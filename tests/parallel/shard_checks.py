"""Sharded modules on eight simulated GPUs; `python -m` runs them all."""

from __future__ import annotations

import copy

import numpy as np

import torchish as torch
from tests.parallel.comparing import raises
from tests.parallel.processes import checks_of, main
from torchish import nn
from torchish._basics.stats import stats
from torchish.distributed import DeviceMesh, fully_shard, init_device_mesh, shard
from torchish.distributed._shard import local_bytes

WORDS, WIDTH, HEADS, LENGTH = 64, 32, 4, 8


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.value, self.out = [nn.Linear(WIDTH, WIDTH) for _ in range(3)]
        # A bias of the keys would have no gradient but rounding errors, which Adam magnifies.
        self.key = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        def heads(t):
            return t.view(*t.shape[:2], HEADS, -1).transpose(1, 2)

        h = self.norm1(x)
        q, k, v = heads(self.query(h)), heads(self.key(h)), heads(self.value(h))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(x.shape))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.1)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.words(tokens) + self.places)))


RULES = {
    r"(query|key|value|up)\.weight": ("model", None),  # columns: each device its heads
    r"(query|key|value|up)\.bias": ("model",),
    r"(out|down)\.weight": (None, "model"),  # rows: summed over devices
    r"words|head|places": (None, "model"),
    r"bias|norm": ("model",),
}


def mesh24():
    return init_device_mesh("cuda", (2, 4), mesh_dim_names=("data", "model"))


def gpt():
    torch.manual_seed(0)
    return GPT().to("cuda:0")


def train(model, optimizer, steps=10):
    """The loop of any script; losses, and how many programs each step compiled."""
    rng = np.random.default_rng(0)
    losses, compiled = [], []
    for _ in range(steps):
        tokens = torch.tensor(rng.integers(WORDS, size=(8, LENGTH + 1)), device="cuda:0")
        before = stats.compiled
        optimizer.zero_grad()
        logits = model(tokens[:, :-1])
        loss = nn.functional.cross_entropy(logits.reshape(-1, WORDS), tokens[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        compiled.append(stats.compiled - before)
    return losses, compiled


def state_of(optimizer):
    return [v for s in optimizer.state.values() for k, v in s.items() if k != "step"]


def assert_parts(tensors, most):
    """Every device holds at most this share of the tensors."""
    total = sum(t.numel() * t.element_size() for t in tensors)
    held = local_bytes(tensors)
    assert len(held) == 8 and max(held.values()) <= total * most, (held, total)


def check_gpt_equals_one_device():
    alone, model = gpt(), shard(gpt(), mesh24(), RULES)
    # Adam's default eps makes whole steps of gradients that are rounding alone.
    want, _ = train(alone, torch.optim.Adam(alone.parameters(), lr=1e-2, eps=1e-5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-5)
    got, compiled = train(model, optimizer)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    assert want[-1] != want[0] and compiled[2:] == [0] * 8, compiled
    params = list(model.parameters())
    assert_parts([*params, *state_of(optimizer)], 1 / 4)
    assert_parts([p.grad for p in params], 1 / 4)
    logits = model(torch.zeros(8, LENGTH, dtype=torch.int64, device="cuda:0"))
    cut = logits._value().read().addressable_shards[0].data.shape
    assert cut[0] == 4, cut  # the batch of 8 lies over the mesh dimension "data"
    assert len(state_of(optimizer)) == 2 * len(params)
    for (name, a), b in zip(alone.named_parameters(), params, strict=True):
        np.testing.assert_allclose(
            b.detach().cpu().numpy(), a.detach().cpu().numpy(), rtol=0, atol=1e-4, err_msg=name
        )


def check_fully_shard():
    alone, model = gpt(), fully_shard(gpt())
    want, _ = train(alone, torch.optim.AdamW(alone.parameters(), lr=1e-2), 4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    got, compiled = train(model, optimizer, 4)
    np.testing.assert_allclose(got, want, rtol=1e-4)
    assert compiled[2:] == [0, 0], compiled
    assert_parts([*model.parameters(), *state_of(optimizer)], 1 / 8)


def check_checkpoint_comes_back_in_parts():
    model = shard(gpt(), mesh24(), RULES)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    train(model, optimizer, 2)
    saved = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    want, _ = train(model, optimizer, 2)
    again = shard(gpt(), mesh24(), RULES)
    other = torch.optim.Adam(again.parameters(), lr=1e-2)
    again.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    got, _ = train(again, other, 2)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert_parts([*again.parameters(), *state_of(other)], 1 / 4)


def check_writes_keep_the_layout():
    model = shard(gpt(), mesh24(), RULES)
    weight = model.head.weight
    want = weight.detach().cpu().numpy() * 2 + 1
    want[0] = 3.0
    with torch.no_grad():
        weight.mul_(2).add_(1)
        weight[0] = 3.0
        weight.copy_(weight.cpu() + 1)
    assert_parts([weight], 1 / 4)
    assert weight.device == torch.device("cuda:0")
    np.testing.assert_array_equal(weight.detach().cpu().numpy(), want + 1)


def check_a_copied_module_can_be_sharded():
    model = shard(copy.deepcopy(gpt()), mesh24(), RULES)
    assert_parts(list(model.parameters()), 1 / 4)


def check_errors():
    raises(RuntimeError, "this process has 8", lambda: init_device_mesh("cuda", (4, 4)))
    raises(RuntimeError, "mesh_shape and mesh_dim_names should have same length!",
           lambda: init_device_mesh("cuda", (2, 4), mesh_dim_names=("data",)))  # fmt: skip
    net = nn.Linear(6, 4)
    mesh = mesh24()
    raises(RuntimeError, "found one of them on device: cpu", lambda: shard(net, mesh))
    net = net.to("cuda:0")
    raises(ValueError, "weight: a dimension of length 6 cannot be cut into 4 equal parts",
           lambda: shard(net, mesh, {"weight": (None, "model")}))  # fmt: skip
    raises(ValueError, "no dimension 'modle'", lambda: shard(net, mesh, {"weight": ("modle",)}))
    raises(ValueError, "longer than the shape", lambda: shard(net, mesh, {"bias": (None, "data")}))
    assert net.weight._storage.placement is None  # nothing was changed
    assert repr(mesh) == "DeviceMesh((data=2, model=4), 'cuda')"
    assert DeviceMesh("cuda", [1, 3], mesh_dim_names=["x"]).home == torch.device("cuda:1")


if __name__ == "__main__":
    main(checks_of(globals()))
