"""Torch code under JAX: `to_jax`, and arrays both ways."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch as oracle
from jax.sharding import Mesh, PartitionSpec as P

import torchish as torch
from tests.oracle import close
from torchish import nn
from torchish.func import to_jax

RNG = np.random.default_rng(0)


def data(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


# --- arrays both ways -----------------------------------------------------------------------------


def test_jnp_takes_tensors() -> None:
    assert jnp.sin(torch.ones(3)).tolist() == jnp.sin(jnp.ones(3, jnp.float32)).tolist()
    assert jnp.asarray(torch.arange(3)).dtype == jnp.int64
    assert jax.jit(lambda x, y: x @ y)(torch.eye(2), torch.ones(2, 3)).shape == (2, 3)
    captured = torch.ones(3)
    assert jax.jit(lambda x: x + jnp.cos(captured))(jnp.zeros(3)).shape == (3,)
    assert float(jax.grad(lambda x: (x * captured.jax()).sum())(jnp.ones(3))[0]) == 1
    assert jax.tree_util.tree_leaves({"a": captured}) == [captured]
    assert jnp.stack([torch.zeros(2), torch.ones(2)]).tolist() == [[0, 0], [1, 1]]


def test_memory_is_shared_both_ways() -> None:
    array = jnp.arange(64.0) + 1
    pointer = array.unsafe_buffer_pointer()
    tensor = torch.from_jax(array)
    assert tensor.jax() is array
    computed = torch.compile(lambda x: x * 2)(tensor).jax()
    assert computed is torch.from_jax(computed).jax()
    view = tensor.view(8, 8)
    tensor.add_(1)  # the array never changes
    assert array[0] == 1 and tensor[0] == 2 and view[0, 0] == 2
    assert array.unsafe_buffer_pointer() == pointer
    # What numpy computed, at an address that XLA takes: the same memory.
    host = torch.zeros(1 << 18)
    first = host.jax()
    assert first.unsafe_buffer_pointer() == host.jax().unsafe_buffer_pointer()
    host.zero_().add_(3)
    assert first[0] == 0 and host.jax()[0] == 3


def test_memory_that_numpy_writes_is_copied() -> None:
    shared = np.zeros(4, np.float32)
    tensor = torch.from_numpy(shared)
    array = tensor.jax()
    shared[0] = 5
    assert array[0] == 0 and tensor.jax()[0] == 5


def test_dlpack_both_ways() -> None:
    array = jnp.arange(4.0)
    tensor = torch.from_dlpack(array)
    assert tensor.jax().unsafe_buffer_pointer() == array.unsafe_buffer_pointer()
    assert jnp.from_dlpack(torch.arange(4.0)).tolist() == [0, 1, 2, 3]
    aligned = torch.arange(1024.0)
    address = aligned.data_ptr()  # memory stays there from now on
    assert jnp.from_dlpack(aligned).unsafe_buffer_pointer() == address


def test_trees_and_dtypes() -> None:
    tree = {"a": jnp.ones(2, jnp.bfloat16), "b": (jnp.arange(2), None)}
    made = torch.from_jax(tree)
    assert made["a"].dtype is torch.bfloat16 and made["b"][1] is None
    assert made["b"][0].tolist() == [0, 1]
    assert torch.ones(2, 3).t().jax().shape == (3, 2)
    assert torch.ones(2, dtype=torch.complex64).conj().jax().dtype == jnp.complex64


def test_refusals_name_the_way() -> None:
    with pytest.raises(RuntimeError, match=r"Use tensor.detach\(\).jax\(\) instead"):
        jnp.sin(torch.ones(3, requires_grad=True))
    assert torch.ones(2, requires_grad=True).jax(force=True).tolist() == [1, 1]
    with pytest.raises(TypeError, match="torchish.func.to_jax"):
        jax.jit(torch.from_jax)(jnp.ones(2))
    with pytest.raises(TypeError, match=r"needs a jax.Array.*not ndarray"):
        torch.from_jax(np.ones(2))
    with pytest.raises(TypeError, match="key_data"):
        torch.from_jax(jax.random.key(0))
    for run in (torch.func.vmap(jnp.sin), lambda x: to_jax(jnp.sin)[0]({}, x.jax())):
        with pytest.raises(RuntimeError, match="torchish.func.from_jax"):
            run(torch.ones(3))
    with pytest.raises(NotImplementedError, match="no data"):
        torch.ones(2, device="meta").jax()


# --- modules as functions -------------------------------------------------------------------------


class Net(nn.Module):
    """Convolution, statistics, dropout, a frozen layer, a tied weight, a dict of results."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(64, 8)
        self.again = nn.Linear(8, 8)
        self.again.weight = nn.Parameter(torch.eye(8))
        self.tied = nn.Linear(8, 8, bias=False)
        self.tied.weight = self.again.weight
        self.fc.bias.requires_grad_(False)

    def forward(self, x: Any, scale: float = 1.0) -> Any:
        x = self.drop(nn.functional.relu_(self.norm(self.conv(x))))
        x = self.fc(x.flatten(1)) * scale
        return {"out": self.tied(self.again(x)), "size": x.shape[0]}


def make() -> tuple[Any, Any]:
    torch.manual_seed(0)
    net = Net()
    return net, data(5, 1, 6, 6)


def test_forward_and_gradients_are_the_module_s() -> None:
    net, x = make()
    net.eval()
    apply, params = to_jax(net)
    assert list(params) == [k for k, _ in net.named_parameters()]
    out = jax.jit(lambda p, x: apply(p, x, 2.0)["out"])(params, x)
    want = net(torch.from_numpy(x), 2.0)["out"]
    close(out, want.detach())
    assert apply(params, x)["size"] == 5
    grads = jax.jit(jax.grad(lambda p: (apply(p, x, 2.0)["out"] ** 2).mean()))(params)
    (want**2).mean().backward()
    for name, p in net.named_parameters():
        close(grads[name], np.zeros(p.shape) if p.grad is None else p.grad)


def test_buffers_are_state() -> None:
    net, x = make()
    apply, params = to_jax(net)
    key = jax.random.key(1)
    with pytest.raises(RuntimeError, match=r"writes its buffers \(norm.running_mean"):
        apply(params, x, rngs=key)
    step = jax.jit(lambda p, b, k: apply(p, x, buffers=b, rngs=k, train=True))
    (_, new) = step(params, apply.buffers, key)
    assert int(new["norm.num_batches_tracked"]) == 1 and int(net.norm.num_batches_tracked) == 0
    net.drop.eval()
    net(torch.from_numpy(x))
    close(new["norm.running_var"], net.norm.running_var)
    assert net.training and not net.drop.training, "modes are put back"


def test_random_numbers_come_from_the_key() -> None:
    drop, _ = to_jax(nn.Dropout(0.5))
    x = jnp.ones(1000, jnp.float32)
    first = drop({}, x, rngs=jax.random.key(0))
    assert first.tolist() == drop({}, x, rngs=jax.random.key(0)).tolist()
    assert first.tolist() == drop({}, x, rngs=jax.random.PRNGKey(0)).tolist()
    assert first.tolist() != drop({}, x, rngs=jax.random.key(1)).tolist()
    assert 400 < int((first == 0).sum()) < 600 and set(first.tolist()) == {0.0, 2.0}
    two = to_jax(lambda: (torch.rand(4), torch.rand(4), torch.randn(3), torch.randperm(5)))[0]
    a, b, _, order = two({}, rngs=jax.random.key(0, impl="rbg"))
    assert a.tolist() != b.tolist() and sorted(order.tolist()) == [0, 1, 2, 3, 4]
    samples = jax.vmap(lambda k: drop({}, x, rngs=k))(jax.random.split(jax.random.key(0), 3))
    assert len({tuple(s) for s in samples.tolist()}) == 3
    with pytest.raises(RuntimeError, match=r"give rngs=jax.random.key"):
        drop({}, x)
    with pytest.raises(TypeError, match="rngs must be one key"):
        drop({}, x, rngs=0)
    state = torch.get_rng_state()
    drop({}, x, rngs=jax.random.key(0))
    assert torch.equal(state, torch.get_rng_state())


def test_under_the_transformations() -> None:
    layer = nn.Linear(3, 2)
    apply, params = to_jax(layer)
    x = jnp.asarray(data(4, 3))

    def loss(p: Any, x: Any) -> Any:
        return (jnp.tanh(apply(p, x)) ** 2).sum()

    w, b = params["weight"], params["bias"]
    plain = lambda x: (jnp.tanh(x @ w.T + b) ** 2).sum()  # noqa: E731
    close(jax.vmap(lambda x: loss(params, x))(x), jax.vmap(plain)(x))
    close(jax.hessian(lambda x: loss(params, x))(x[0]), jax.hessian(plain)(x[0]), 1e-5)
    for a, b_ in zip(
        jax.jvp(lambda x: loss(params, x), (x,), (x,)), jax.jvp(plain, (x,), (x,)), strict=True
    ):
        close(a, b_, 1e-5)
    close(jax.grad(jax.checkpoint(lambda x: loss(params, x)))(x), jax.grad(plain)(x), 1e-5)
    total, _ = jax.lax.scan(lambda c, x: (c + loss(params, x), None), jnp.float32(0), x)
    close(total, plain(x), 1e-5)
    mesh = Mesh(np.array(jax.devices()[:1]), ("i",))
    mapped = jax.shard_map(apply, mesh=mesh, in_specs=(P(), P("i")), out_specs=P("i"))
    close(jax.jit(mapped)(params, x), apply(params, x))


def cut_by_detach(x: Any) -> Any:
    return (x * x.detach()).sum() + (x**2).detach().sum()


def cut_by_no_grad(x: Any) -> Any:
    with torch.no_grad():
        w = x * 2
    return (w.exp() * x**2).sum()


def cut_view(x: Any) -> Any:
    with torch.no_grad():
        w = x.view(1, -1)
    return (w * x**3).sum()


class Clipped(torch.autograd.Function):
    """Rounds; its gradient is clamped."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.round()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g.clamp(-1, 1) * ctx.saved_tensors[0] ** 2


def own_backward(x: Any) -> Any:
    return (Clipped.apply(x) * 3 * x).sum()


def hooked(x: Any) -> Any:
    y = x * 2
    y.register_hook(lambda g: g * 10)
    return (y**2).sum()


def inner_gradient(x: Any) -> Any:
    x = x * 1.0
    (g,) = torch.autograd.grad((x**3).sum(), x)
    return (g * x).sum()


CUTS = [cut_by_detach, cut_by_no_grad, cut_view, own_backward, hooked, inner_gradient]


@pytest.mark.parametrize("function", CUTS, ids=lambda f: f.__name__)
def test_gradients_are_autograd_s_where_jax_s_would_differ(function: Any) -> None:
    values = np.array([0.3, 1.2, -0.7], np.float64)
    x = torch.tensor(values, requires_grad=True)
    (first,) = torch.autograd.grad(function(x), x, create_graph=True)
    apply, _ = to_jax(function)
    f = lambda x: apply({}, x)  # noqa: E731
    close(jax.grad(f)(values), first.detach())
    close(jax.jit(jax.grad(f))(values), first.detach())
    second = np.zeros(3)
    if first.requires_grad:
        (second,) = torch.autograd.grad((first**2).sum(), x)
    close(jax.jit(jax.grad(lambda x: (jax.grad(f)(x) ** 2).sum()))(values), second)
    close(jax.vmap(jax.grad(f))(np.stack([values, values])), [first.tolist()] * 2)


def test_complex_gradients_follow_jax() -> None:
    apply, _ = to_jax(lambda z: (z * z.conj().detach()).real.sum() + (z**2).imag.sum())
    z = jnp.asarray([1 + 2j, 3 - 1j])
    want = jax.grad(lambda z: (z * jax.lax.stop_gradient(z.conj())).real.sum() + (z**2).imag.sum())(
        z
    )
    close(jax.grad(lambda z: apply({}, z))(z), want)


def test_what_cannot_be_a_function_says_so() -> None:
    outside = torch.zeros(3)
    kept: list[Any] = []
    cases = {
        "asks for the value": lambda x: x if x.sum() > 0 else -x,
        "writes in place": lambda x: outside.add_(x),
    }
    for text, function in cases.items():
        with pytest.raises(RuntimeError, match=text):
            to_jax(function)[0]({}, jnp.ones(3))
    to_jax(lambda x: kept.append(x * 2))[0]({}, jnp.ones(3))
    with pytest.raises(RuntimeError, match="is used outside of it"):
        print(kept[0])
    with pytest.raises(ValueError, match=r"missing \['bias', 'weight'\]|missing"):
        to_jax(nn.Linear(1, 1))[0]({}, jnp.ones(1))
    with pytest.raises(ValueError, match="has no parameters"):
        to_jax(torch.sin)[0]({"a": jnp.ones(1)}, jnp.ones(1))
    with pytest.raises(TypeError, match="module or function"):
        to_jax(3)  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="out of range"):
        to_jax(nn.Embedding(3, 2))[0](to_jax(nn.Embedding(3, 2))[1], jnp.array([5]))


def test_a_torch_module_trains_in_a_loop_of_optax() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    theirs = oracle.nn.Sequential(
        oracle.nn.Linear(3, 16), oracle.nn.Tanh(), oracle.nn.Linear(16, 1)
    )
    theirs.load_state_dict({k: oracle.tensor(v.numpy()) for k, v in net.state_dict().items()})
    x, y = data(32, 3), data(32, 1)
    apply, params = to_jax(net)
    rule = optax.adam(1e-2)
    state = rule.init(params)

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda p: ((apply(p, x) - y) ** 2).mean())(params)
        updates, state = rule.update(grads, state)
        return optax.apply_updates(params, updates), state, loss

    optimizer = oracle.optim.Adam(theirs.parameters(), 1e-2)
    for _ in range(10):
        params, state, loss = step(params, state)
        optimizer.zero_grad()
        want = ((theirs(oracle.tensor(x)) - oracle.tensor(y)) ** 2).mean()
        want.backward()
        optimizer.step()
        close(loss, want.item(), 1e-5)
    net.load_state_dict(torch.from_jax(params))
    for p, q in zip(net.parameters(), theirs.parameters(), strict=True):
        close(p.detach(), q.detach(), 1e-4)


def test_tensors_are_data_inside_a_trace_of_jax() -> None:
    pending = torch.ones(3) * 2
    moved = torch.ones(3)

    @jax.jit
    def function(x: Any) -> Any:
        later = pending + 1  # recorded and run while JAX traces
        return x * later.jax() + moved.jax()

    assert function(jnp.ones(3)).tolist() == [4, 4, 4]
    assert pending.tolist() == [2, 2, 2] and (pending * moved).jax().tolist() == [2, 2, 2]
    assert jax.grad(lambda x: function(x).sum())(jnp.ones(3)).tolist() == [3, 3, 3]


@pytest.mark.parametrize(("randomness", "rows"), [("same", 1), ("different", 4)])
def test_samples_inside_draw_from_the_key_of_the_call(randomness: str, rows: int) -> None:
    def drawn(x: Any) -> Any:
        return torch.vmap(lambda t: t + torch.rand(3), randomness=randomness)(x)

    apply, _ = to_jax(drawn)
    x, key = jnp.zeros((4, 3), jnp.float32), jax.random.key(1)
    first, again = (np.asarray(apply({}, x, rngs=key)) for _ in range(2))
    assert np.array_equal(first, again) and len(np.unique(first, axis=0)) == rows
    assert not np.array_equal(first, apply({}, x, rngs=jax.random.key(2)))


def test_samples_inside_are_asked_whether_they_may_draw() -> None:
    apply, _ = to_jax(lambda x: torch.vmap(lambda t: t + torch.rand(3))(x))
    with pytest.raises(RuntimeError, match="randomness error mode"):
        apply({}, jnp.zeros((4, 3), jnp.float32), rngs=jax.random.key(1))
