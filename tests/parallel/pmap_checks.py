"""`torchish.func.pmap` on four simulated GPUs; `python -m` runs them all."""

from __future__ import annotations

import jax
import numpy as np

import torchish as torch
from tests.agreement import same
from tests.parallel.comparing import raises
from tests.parallel.processes import checks_of, main
from torchish import nn
from torchish._basics.stats import stats
from torchish.func._pmap import all_gather, axis_index, pmap, pmax, pmean, pmin, psum


def check_equals_jax_pmap():
    x = torch.randn(4, 3)

    def ours(x):
        return (x.sin() + psum(x, "i"), pmean(x, "i"), all_gather(x, "i"), axis_index("i"),
                pmax(x, "i"), pmin(x, "i"), psum(x > 0, "i"))  # fmt: skip

    def theirs(x):
        lax = jax.lax
        return (jax.numpy.sin(x) + lax.psum(x, "i"), lax.pmean(x, "i"), lax.all_gather(x, "i"),
                lax.axis_index("i"), lax.pmax(x, "i"), lax.pmin(x, "i"),
                lax.psum((x > 0).astype("int64"), "i"))  # fmt: skip

    got = pmap(ours, axis_name="i")(x)
    want = jax.pmap(theirs, axis_name="i")(x.numpy())
    assert len(got) == len(want) == 7
    for a, b in zip(got, want, strict=True):
        assert a.device == torch.device("cuda:0") and tuple(a.shape) == b.shape
        np.testing.assert_allclose(a.cpu().numpy(), np.asarray(b), rtol=1e-6, atol=1e-6)
    assert got[3].dtype == got[6].dtype == torch.int64


def check_dims_and_structures():
    x, w, b = torch.randn(3, 4, 2), torch.randn(2, 5), torch.randn(4, 5)

    def fn(x, params, *, bias, scale=2.0):
        return {"y": x @ params["w"] * scale + bias, "n": ["text", x.sum()]}

    got = pmap(fn, in_dims=(1, None), out_dims={"y": 1, "n": 0})(x, {"w": w}, bias=b)
    same(got["y"], x @ w * 2 + b)
    assert got["n"][0] == "text"
    same(got["n"][1], x.sum((0, 2)))
    same(pmap(lambda x: psum(x, "devices"), out_dims=None)(b), b.sum(0))
    same(pmap(lambda x: x.sum(), in_dims=-1)(x[0].t()), x[0].sum(1))


def check_gradients():
    """Through every collective, against the same computed with stacked tensors."""
    x, w = torch.randn(4, 3), torch.randn(3)

    def mapped(x, w):
        def fn(x, w):
            g = all_gather(x * w, "i", dim=1)
            return x.tanh() * psum(x * w, "i") + pmean(x, "i").exp() + (g * g).sum(1)

        return pmap(fn, in_dims=(0, None), axis_name="i")(x, w)

    def stacked(x, w):
        return x.tanh() * (x * w).sum(0) + x.mean(0).exp() + ((x * w) ** 2).sum(0)

    weights = torch.randn(4, 3)
    grads = []
    for fn in (mapped, stacked):
        leaves = [t.clone().requires_grad_() for t in (x, w)]
        out = fn(*leaves)
        first = torch.autograd.grad((out * weights.to(out.device)).sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum((g**2).sum() for g in first), leaves)
        grads.append((*first, *second))
    for a, b in zip(*grads, strict=True):
        same(a, b, 1e-4)


def check_training_step_inside():
    """Gradients are taken on each device and averaged, as a JAX user writes it."""
    torch.manual_seed(0)
    x, y = torch.randn(4, 6, 5), torch.randn(4, 6, 1)
    w = torch.randn(5, 1, requires_grad=True)

    def step(w, x, y):
        loss = (x @ w - y).pow(2).mean()
        (grad,) = torch.autograd.grad(loss, w)
        grad = pmean(grad, "i")
        return w.detach() - 0.1 * grad, pmean(loss.detach(), "i")

    run = pmap(step, in_dims=(None, 0, 0), out_dims=None, axis_name="i")
    alone, many = w, w.detach().to("cuda:0").requires_grad_()
    for k in range(4):
        before = stats.compiled
        many, loss = run(many, x, y)
        many.requires_grad_()
        want = (x @ alone - y).pow(2).mean()
        assert abs(loss.item() - want.item()) < 1e-5
        if k > 1:
            assert stats.compiled == before
        (grad,) = torch.autograd.grad(want, alone)
        alone = (alone - 0.1 * grad).detach().requires_grad_()
        same(many, alone)


def check_modules_and_random_numbers():
    net = nn.Linear(3, 2).to("cuda:0")
    x = torch.randn(4, 5, 3)
    out = pmap(net)(x)
    same(out, net(x.to("cuda:0")))
    out.sum().backward()
    same(net.weight.grad, x.sum((0, 1)).expand(2, 3))
    drawn = pmap(lambda x: torch.rand_like(x))(torch.zeros(4, 9, device="cuda:0"))
    assert len({tuple(row) for row in drawn.tolist()}) == 4


def check_devices():
    x = torch.arange(2.0)
    assert pmap(lambda x: x + 1, devices=["cuda:2", "cuda:1"])(x).device == torch.device("cuda:2")
    assert pmap(lambda x: x + 1, devices=[1, 3])(x).tolist() == [1.0, 2.0]


def check_writes_to_what_was_not_given():
    """Devices do not share a tensor that they write to; what a function made is its own."""
    seen = torch.zeros(3, device="cuda:0")

    def writes(x):
        seen.add_(1)
        return x

    raises(RuntimeError, r"writes in place \(add_\)", lambda: pmap(writes)(torch.ones(2, 3)))
    assert seen.tolist() == [0, 0, 0]
    same(
        pmap(lambda x: torch.zeros(3, device="cuda:0").add_(x))(torch.ones(2, 3)), torch.ones(2, 3)
    )


def check_hooks_that_ask_for_a_number():
    """A replica's gradient has no number of its own."""
    x = torch.ones(2, 3, requires_grad=True)

    def hooked(x):
        y = x * 2
        y.register_hook(lambda g: g * g.sum().item())
        return y

    out = pmap(hooked)(x)
    raises(RuntimeError, "a hook reads the value", lambda: out.sum().backward())
    assert (torch.ones(2) + 1).tolist() == [2, 2]


def check_errors():
    x = torch.zeros(4, 2)
    raises(ValueError, "size 5, but only 4 cuda devices", lambda: pmap(abs)(torch.zeros(5)))
    raises(ValueError, "2 devices were given", lambda: pmap(abs, devices=[0, 1])(x))
    raises(ValueError, r"got sizes \[2, 4\]",
           lambda: pmap(lambda x, y: x)(x, torch.zeros(2)))  # fmt: skip
    raises(ValueError, "dimensionality 2", lambda: pmap(abs, in_dims=2)(x))
    raises(ValueError, "at least one tensor", lambda: pmap(abs, in_dims=None)(x))
    raises(ValueError, "does not have the structure", lambda: pmap(abs, in_dims=(0, 0))(x))
    raises(NameError, "unbound axis name: j", lambda: pmap(lambda x: psum(x, "j"))(x))
    raises(NameError, "unbound axis name: i", lambda: psum(x, "i"))
    raises(RuntimeError, "reads the value", lambda: pmap(lambda x: x * x.sum().item())(x))
    raises(RuntimeError, "within pmap", lambda: pmap(lambda x: pmap(abs)(x))(x))
    raises(RuntimeError, "mean: needs a floating", lambda: pmap(lambda x: pmean(x, "devices"))(
        torch.zeros(4, dtype=torch.int64)))  # fmt: skip
    same(pmap(abs)(x), x)  # and nothing is left behind


if __name__ == "__main__":
    main(checks_of(globals()))
