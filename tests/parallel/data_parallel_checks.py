"""Checks of DataParallel on four simulated GPUs; `python -m` runs them all."""

from __future__ import annotations

import collections
import copy

import torchish as torch
from tests.agreement import same
from tests.parallel.comparing import raises
from tests.parallel.processes import checks_of, main
from torchish import nn
from torchish._basics.stats import stats
from torchish.nn import functional as F

IDS = [0, 1, 2, 3]


def pair(net):
    """The same module on the CPU and over four devices."""
    return net, nn.DataParallel(copy.deepcopy(net).to("cuda:0"), IDS)


def apart(net, x, ids=IDS):
    """What PyTorch's DataParallel computes, on one device: the module on each slice."""
    return torch.cat([net(part) for part in torch.chunk(x, len(ids))])


def same_gradients(net, dp, tol=1e-5):
    for a, b in zip(net.parameters(), dp.parameters(), strict=True):
        same(a.grad, b.grad, tol)


def check_training_equals_one_device():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    net, dp = pair(net)
    opts = [torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (net, dp)]
    compiled = []
    for batch in (8, 8, 8, 11, 11, 8, 11):  # 11 over 4 devices: 3, 3, 3, 2
        x = torch.randn(batch, 5)
        before = stats.compiled
        opts[1].zero_grad()
        got = dp(x)
        assert got.device == torch.device("cuda:0") and got.grad_fn is not None
        loss = (got**2).mean()
        loss.backward()
        opts[1].step()
        value = loss.item()
        compiled.append(stats.compiled - before)
        opts[0].zero_grad()
        first, *rest = torch.chunk(x, 4)
        outs = [net(first)]
        kept = [b.clone() for b in net.buffers()]  # statistics: those of the first device
        outs = torch.cat(outs + [net(part) for part in rest])
        for buffer, first in zip(net.buffers(), kept, strict=True):
            buffer.copy_(first)
        ref = (outs**2).mean()
        ref.backward()
        opts[0].step()
        assert abs(value - ref.item()) < 1e-5
        same_gradients(net, dp)
    for a, b in zip(net.state_dict().values(), dp.state_dict().values(), strict=True):
        same(a, b)
    assert compiled[2:3] == [0] and compiled[4:] == [0, 0, 0], compiled
    same(dp.module.eval()(x.to("cuda:0")), net.eval()(x))  # and alone on the first device
    same(dp.eval()(x), net(x))


class Nested(nn.Module):
    Pair = collections.namedtuple("Pair", "a b")

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)

    def forward(self, x, extra, *, scale=1.0, named=None):
        y = self.lin(x) * scale + extra["y"][0]
        assert x.device == torch.device("cuda:0")
        return {"out": y, "pair": self.Pair(y.sum(1), None), "list": [named * 2, y.mean()]}


Pair = Nested.Pair


def check_nested_arguments_and_results():
    import warnings

    torch.manual_seed(0)
    net, dp = pair(Nested())
    x, y, z = torch.randn(8, 3), torch.randn(8, 3), torch.arange(8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = dp(x, {"y": (y,), "n": "text"}, scale=2.0, named=z)
    assert any("all input tensors were scalars" in str(w.message) for w in caught)
    ref = net.lin(x) * 2.0 + y
    same(got["out"], ref)
    assert type(got["pair"]) is Nested.Pair and got["pair"].b is None
    same(got["pair"].a, ref.sum(1))
    assert got["list"][0].tolist() == (z * 2).tolist()
    same(got["list"][1], torch.stack([p.mean() for p in ref.chunk(4)]))
    (got["out"].sum() + got["list"][1].sum()).backward()
    (ref.sum() + torch.stack([p.mean() for p in ref.chunk(4)]).sum()).backward()
    same_gradients(net, dp)


class Cuts(nn.Module):
    """Everything that a plain vjp of the forward would get wrong."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)
        self.unused = nn.Linear(2, 2)
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

    def forward(self, x):
        y = self.a(x)
        with torch.no_grad():
            z = self.b(x)
        return Doubled.apply(y) * z * self.frozen + y.detach() + self.a(x).tanh()


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 10 * x  # not the derivative: shows whose rule ran


def check_gradient_rules_inside_replicas():
    torch.manual_seed(0)
    net, dp = pair(Cuts())
    x = torch.randn(8, 3)
    xs = [x.clone().requires_grad_() for _ in range(2)]
    (net(xs[0]) ** 2).sum().backward()
    (dp(xs[1]) ** 2).sum().backward()
    same(net.a.weight.grad, dp.module.a.weight.grad, 1e-4)
    same(xs[0].grad, xs[1].grad, 1e-4)
    assert dp.module.frozen.grad is None
    # PyTorch broadcasts all parameters in one function: those that no replica used get zeros.
    assert dp.module.unused.weight.grad.abs().sum().item() == 0
    seen = []
    dp.module.a.weight.register_hook(lambda g: seen.append(g) or g * 0)
    dp.zero_grad()
    dp(x).sum().backward()
    assert len(seen) == 1 and dp.module.a.weight.grad.abs().sum().item() == 0


def check_tensors_from_outside_get_gradients():
    outside = torch.ones(3, device="cuda:0", requires_grad=True)

    class Net(nn.Module):
        def forward(self, x):
            return x * outside

    x = torch.randn(8, 3)
    nn.DataParallel(Net(), IDS)(x).sum().backward()
    same(outside.grad, x.sum(0))


class FromOutside(nn.Module):
    """Uses tensors that it was not given, one computed from another, one of several results."""

    def __init__(self, tensors):
        super().__init__()
        self.tensors = tensors

    def forward(self, x):
        a, b, c = (t.to(x.device) for t in self.tensors)
        return x * a + b * c


def check_tensors_from_outside_that_depend_on_each_other():
    found = []
    for parallel in (False, True):
        leaf = torch.tensor([1.0, 2.0, 3.0, 4.0], device="cuda:0", requires_grad=True)
        a, b = (leaf * 1).chunk(2)
        net = FromOutside([a, b, a * 3])
        net = nn.DataParallel(net, [0, 1]) if parallel else net
        net(torch.ones(4, 2, device="cuda:0")).sum().backward()
        found.append(leaf.grad)
    same(*found)


def check_second_derivatives():
    torch.manual_seed(0)
    net, dp = pair(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)))
    x = torch.randn(8, 3)
    for m in (net, dp):
        inp = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(m(inp).sum(), inp, create_graph=True)
        ((g.norm(2, dim=1) - 1) ** 2).mean().backward()
    for a, b in list(zip(net.parameters(), dp.parameters(), strict=True))[:3]:
        same(a.grad, b.grad)


def check_gradient_accumulates_and_graph_is_kept():
    net, dp = pair(nn.Linear(3, 2))
    x = torch.randn(8, 3)
    for m in (net, dp):
        loss = m(x).pow(2).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        raises(RuntimeError, "second time", loss.backward)
    same_gradients(net, dp)


class Square(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.w * self.w * x


def check_write_between_forward_and_backward():
    _, dp = pair(Square())
    out = dp(torch.ones(8, 3)).sum()
    with torch.no_grad():
        dp.module.w.mul_(2)
    raises(RuntimeError, "modified by an inplace operation", out.backward)


def check_loss_read_between_forward_and_backward():
    net, dp = pair(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)))
    x = torch.randn(11, 3)
    a, b = net(x).mean(), dp(x).mean()
    assert abs(a.item() - b.item()) < 1e-6
    a.backward()
    b.backward()
    same_gradients(net, dp)


def check_dropout_differs_between_replicas():
    dp = nn.DataParallel(nn.Dropout(0.5), IDS)
    x = torch.ones(4, 64)
    torch.manual_seed(3)
    a = dp(x)
    b = dp(x)
    torch.manual_seed(3)
    c = dp(x)
    assert (a == c).all() and (a != b).any()
    assert all((a[i] != a[j]).any() for i in range(4) for j in range(i))


class Looks(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 2)

    def forward(self, x):
        y = self.lin(x)
        return y * 2 if y.sum() > 0 else y


def check_forward_that_looks_at_values():
    torch.manual_seed(1)
    net, dp = pair(Looks())
    for _ in range(2):
        x = torch.randn(8, 3)
        a, b = apart(net, x), dp(x)
        same(a, b)
        a.sum().backward()
        b.sum().backward()
    same_gradients(net, dp)


def check_replicas_that_write_to_what_they_share_run_one_by_one():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = torch.zeros(1, device="cuda:0")

        def forward(self, x):
            self.calls += 1
            return x * 2

    net = Counting()
    x = torch.ones(8, 3, device="cuda:0")
    same(nn.DataParallel(net, IDS)(x), x * 2)
    assert net.calls.tolist() == [4]


def check_what_a_replica_made_is_not_to_be_had_outside():
    kept = []

    class Keeping(nn.Module):
        def forward(self, x):
            kept.append(x + 1)
            return x * 2

    x = torch.ones(8, 3, device="cuda:0")
    same(nn.DataParallel(Keeping(), IDS)(x), x * 2)
    raises(RuntimeError, "inside Keeping is used outside of it", lambda: kept[0].tolist())


def check_python_of_the_forward_runs_at_every_call():
    class Net(nn.Module):
        factor = 1.0
        calls = []

        def forward(self, x):
            self.calls.append(tuple(x.shape))
            self.lost = 1
            return x * self.factor

    net = Net()
    dp = nn.DataParallel(net, IDS)
    x = torch.ones(8, 2)
    assert dp(x).sum().item() == 16
    net.factor = 3.0
    assert dp(x).sum().item() == 48
    assert net.calls == [(2, 2)] * 2 and not hasattr(net, "lost")


def check_contract():
    net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    dp = nn.DataParallel(net.to("cuda:0"))
    assert dp.device_ids == IDS and dp.output_device == 0 and dp.module is net and dp.dim == 0
    assert list(dp.state_dict()) == ["module.0.weight", "module.0.bias"]
    assert repr(dp).startswith("DataParallel(\n  (module): Sequential(\n    (0): Linear(")
    assert dp(torch.ones(1, 3)).shape == (1, 2)  # one device is enough
    assert dp(torch.ones(5, 3)).shape == (5, 2)  # 2, 2, 1: three are
    out = nn.DataParallel(net, [0, 2], output_device=2)(torch.ones(4, 3))
    assert out.device == torch.device("cuda:2")
    out.sum().backward()
    assert net[0].weight.grad.device == torch.device("cuda:0")
    wide = nn.DataParallel(nn.Linear(3, 2).to("cuda:0"), IDS, dim=1)
    assert wide(torch.ones(2, 8, 3)).shape == (2, 8, 2)
    raises(
        RuntimeError,
        r"module must have its parameters and buffers on device cuda:0 \(device_ids\[0\]\) but "
        "found one of them on device: cpu",
        lambda: nn.DataParallel(nn.Linear(3, 2), IDS)(torch.ones(8, 3)),
    )
    raises(
        RuntimeError,
        "Caught RuntimeError in replica 0 on device 0.\nOriginal Traceback",
        lambda: dp(torch.ones(8, 4)),
    )
    raises(TypeError, "not iterable", lambda: nn.DataParallel(Size(), IDS)(torch.ones(8, 4)))
    with torch.no_grad():
        assert dp(torch.ones(8, 3)).grad_fn is None
    functional = nn.parallel.data_parallel(net, torch.ones(8, 3), IDS)
    same(functional, net(torch.ones(8, 3, device="cuda:0")))


class Size(nn.Module):
    def forward(self, x):
        return x.size(0)


def check_bad_index_raises_at_the_read():
    dp = nn.DataParallel(nn.Embedding(4, 2).to("cuda:0"), IDS)
    out = dp(torch.tensor([0, 1, 2, 9]))
    raises(IndexError, "index out of range", lambda: out.sum().item())
    same(dp(torch.tensor([0, 1, 2, 3])), dp.module.weight)


def check_the_four_steps():
    net = nn.Linear(3, 2).to("cuda:0")
    x = torch.randn(6, 3, device="cuda:0")
    parts = nn.parallel.scatter(x, IDS)
    assert [tuple(p.shape) for p in parts] == [(2, 3)] * 3
    assert [p.device.index for p in parts] == [0, 1, 2]
    replicas = nn.parallel.replicate(net, IDS[:3])
    outs = nn.parallel.parallel_apply(replicas, parts)
    assert [o.device.index for o in outs] == [0, 1, 2]
    joined = nn.parallel.gather(outs, 1)
    assert joined.device.index == 1
    same(joined, net(x))
    joined.sum().backward()
    same(net.weight.grad, x.sum(0).expand(2, 3))


def check_two_networks_take_turns():
    torch.manual_seed(0)
    gen, gen_dp = pair(nn.Linear(2, 3))
    dis, dis_dp = pair(nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.2), nn.Linear(4, 1)))
    opts = [torch.optim.Adam(m.parameters(), lr=1e-2) for m in (gen, dis, gen_dp, dis_dp)]
    for step in range(4):
        noise, real = torch.randn(8, 2), torch.randn(8, 3)
        before = stats.compiled
        for g, d, (og, od) in ((gen, dis, opts[:2]), (gen_dp, dis_dp, opts[2:])):
            dev = next(g.parameters()).device
            d.zero_grad()
            F.softplus(-d(real.to(dev))).mean().backward()
            fake = g(noise.to(dev))
            F.softplus(d(fake.detach())).mean().backward()
            od.step()
            g.zero_grad()
            loss = F.softplus(-d(fake)).mean()
            loss.backward()
            og.step()
            loss.item()
        if step > 1:
            assert stats.compiled == before
    same_gradients(gen, gen_dp)
    same_gradients(dis, dis_dp)


if __name__ == "__main__":
    main(checks_of(globals()))
