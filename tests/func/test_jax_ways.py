"""What a user of JAX does with tensors and modules, and what must not go wrong on the way."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental import pallas as pl

import torchish as torch
from tests.e2e.programs import ROOT
from tests.oracle import close
from torchish import nn
from torchish.func import from_jax, to_jax

RNG = np.random.default_rng(0)


def data(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


# --- memory ---------------------------------------------------------------------------------------

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
          "bool", "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_of_every_dtype_and_layout(dtype: str) -> None:
    values = np.arange(24).reshape(4, 6) % 2
    array = jnp.asarray(values, dtype)
    tensor = torch.from_dlpack(array)
    assert str(tensor.dtype) == f"torch.{dtype}" and tensor.jax().dtype == dtype
    close(tensor.jax().astype("complex128"), values)
    assert tensor.jax().unsafe_buffer_pointer() == array.unsafe_buffer_pointer()
    assert jnp.from_dlpack(tensor).dtype == dtype
    for part in (tensor.t(), tensor[1:, ::2], tensor[2], tensor[:, 3]):
        close(
            jnp.from_dlpack(part.contiguous()).astype("complex128"), part.jax().astype("complex128")
        )
    if dtype != "bfloat16":  # numpy has no such number
        shared = values.astype(dtype)
        for view in (shared, shared.T, shared[1:, ::2]):
            close(torch.from_dlpack(view).jax().astype("complex128"), view)
        mine = torch.from_dlpack(shared)
        mine[0, 0] = 1
        assert shared[0, 0] == 1
        assert np.from_dlpack(mine[1:]).__array_interface__["data"][0] == shared[1:].ctypes.data


def test_memory_at_odd_addresses_is_copied_once() -> None:
    block = np.zeros(1025, np.float32)
    start = next(k for k in range(16) if (block.ctypes.data + 4 * k) % 64)
    tensor = torch.from_numpy(block)[start : start + 8] + 0
    first = tensor.jax()
    assert tensor.jax() is first or tensor.jax().tolist() == first.tolist()
    shared = torch.from_numpy(block[start : start + 8])
    array = shared.jax()
    block[:] = 3
    assert array.tolist() == [0] * 8 and shared.jax().tolist() == [3] * 8


def test_arrays_in_the_user_s_hands_survive_training() -> None:
    """Programs take over the memory of what they replace, but not of what JAX code holds."""
    net = nn.Linear(64, 64)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    @torch.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    x = torch.ones(8, 64)
    held = [net.weight.jax(force=True)]
    copies = [np.array(held[0])]
    for _ in range(8):
        step(x)
        held.append(net.weight.jax(force=True))
        copies.append(np.array(held[-1]))
    assert step._torchish_whole.replayed
    for array, copy in zip(held, copies, strict=True):
        close(array, copy, 0)
    assert not np.array_equal(copies[-1], copies[-2])


def test_donated_parameters_come_back_by_load_state_dict() -> None:
    net = nn.Linear(3, 2)
    apply, params = to_jax(net)
    x = jnp.ones((4, 3), jnp.float32)

    def step(params: Any) -> Any:
        grads = jax.grad(lambda p: (apply(p, x) ** 2).mean())(params)
        return jax.tree_util.tree_map(lambda p, g: p - 0.1 * g, params, grads)

    jitted = jax.jit(step, donate_argnums=0)
    want = step(dict(params))
    for _ in range(2):
        params = jitted(params)
    close(params["bias"], step(want)["bias"])
    assert net.load_state_dict(torch.from_jax(params)).missing_keys == []
    close(net.weight.detach(), params["weight"])
    assert net(torch.ones(1, 3)).shape == (1, 2)


def test_arithmetic_of_tensors_with_arrays() -> None:
    tensor, array = torch.arange(3.0), jnp.arange(3.0)
    assert (array + tensor).tolist() == [0, 2, 4]
    assert jnp.where(tensor > 0, array, -1).tolist() == [-1, 1, 2]
    assert jnp.take(array, torch.tensor([2, 0])).tolist() == [2, 0]
    assert array[torch.tensor([2, 0]).jax()].tolist() == [2, 0]
    assert jax.device_put(tensor).tolist() == [0, 1, 2]
    assert jax.eval_shape(jnp.sin, tensor).shape == (3,)
    state = nn.Linear(2, 1).state_dict()
    arrays = jax.tree_util.tree_map(lambda t: t.jax(), dict(state))
    assert jax.tree_util.tree_map(jnp.shape, arrays) == {"weight": (1, 2), "bias": (1,)}


# --- to_jax under the transformations -------------------------------------------------------------


class Noisy(nn.Module):
    """Statistics, dropout and a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm, self.drop = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        return self.drop(torch.tanh(self.norm(self.fc(x)))).sum(1)


def test_checkpointed_modules_have_the_same_gradients() -> None:
    apply, params = to_jax(Noisy())
    x, key = jnp.asarray(data(6, 3)), jax.random.key(0)

    def loss(params: Any, buffers: Any, wrap: Any) -> Any:
        call = wrap(lambda p, b: apply(p, x, buffers=b, rngs=key, train=True))
        out, buffers = call(params, buffers)
        return (out**2).sum(), buffers

    plain = jax.value_and_grad(loss, has_aux=True)(params, apply.buffers, lambda f: f)
    saving = jax.jit(
        lambda p, b: jax.value_and_grad(loss, has_aux=True)(p, b, jax.checkpoint)
    )(params, apply.buffers)  # fmt: skip
    jax.tree_util.tree_map(lambda a, b: close(a, b, 1e-5), plain, saving)


def test_vmap_over_parameters_buffers_and_keys() -> None:
    torch.manual_seed(0)
    nets = [Noisy() for _ in range(3)]
    apply, _ = to_jax(nets[0])
    stack = lambda trees: jax.tree_util.tree_map(lambda *a: jnp.stack(a), *trees)  # noqa: E731
    params = stack([to_jax(n)[1] for n in nets])
    buffers = stack([to_jax(n)[0].buffers for n in nets])
    keys, x = jax.random.split(jax.random.key(1), 3), jnp.asarray(data(6, 3))

    def call(params: Any, buffers: Any, key: Any) -> Any:
        return apply(params, x, buffers=buffers, rngs=key, train=True)

    out, new = jax.jit(jax.vmap(call))(params, buffers, keys)
    assert out.shape == (3, 6) and new["norm.running_mean"].shape == (3, 4)
    for k, net in enumerate(nets):
        mine, theirs = to_jax(net)
        want, after = mine(theirs, x, buffers=mine.buffers, rngs=keys[k], train=True)
        close(out[k], want, 1e-5)
        close(new["norm.running_var"][k], after["norm.running_var"], 1e-5)


def test_loops_branches_and_abstract_values() -> None:
    cell = nn.GRUCell(2, 3)
    apply, params = to_jax(cell)
    xs = jnp.asarray(data(5, 1, 2))

    def run(params: Any, xs: Any) -> Any:
        def body(h: Any, x: Any) -> Any:
            h = jax.lax.cond(x.sum() > 0, lambda h: apply(params, x, h), lambda h: h, h)
            return h, h

        return jax.lax.scan(body, jnp.zeros((1, 3), jnp.float32), xs)[0]

    h = torch.zeros(1, 3)
    for x in torch.from_jax(xs):
        if x.sum() > 0:
            h = cell(x, h)
    close(jax.jit(run)(params, xs), h.detach(), 1e-5)
    h.sum().backward()
    grads = jax.jit(jax.grad(lambda p: run(p, xs).sum()))(params)
    for name, p in cell.named_parameters():
        close(grads[name], p.grad, 1e-5)
    assert jax.eval_shape(run, params, xs).shape == (1, 3)
    out, (h, c) = jax.jit(to_jax(nn.LSTM(2, 3))[0])(to_jax(nn.LSTM(2, 3))[1], xs)
    assert out.shape == (5, 1, 3) and h.shape == c.shape == (1, 1, 3)


def test_second_derivatives_of_a_module() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    apply, params = to_jax(net)
    x = RNG.standard_normal(3)
    hessian = jax.jit(jax.hessian(lambda x: apply(params, x)[0]))(x)
    want = torch.autograd.functional.hessian(lambda x: net(x)[0], torch.from_numpy(x))
    close(hessian, want)
    point = torch.from_numpy(x).requires_grad_()
    (slope,) = torch.autograd.grad(net(point)[0], point, create_graph=True)
    (slope**2).sum().backward()
    penalty = jax.grad(lambda p: (jax.grad(lambda x: apply(p, x)[0])(x) ** 2).sum())(params)
    for name, p in net.named_parameters():
        close(penalty[name], np.zeros(p.shape) if p.grad is None else p.grad)


def test_forward_mode_is_refused_by_jax_where_history_was_cut() -> None:
    apply, _ = to_jax(lambda x: (x * x.detach()).sum())
    x = jnp.ones(3)
    close(jax.grad(lambda x: apply({}, x))(x), np.ones(3))
    with pytest.raises(TypeError, match="can't apply forward-mode"):
        jax.jvp(lambda x: apply({}, x), (x,), (x,))


def test_half_precision_modules() -> None:
    net = nn.Linear(4, 4).to(torch.bfloat16)
    apply, params = to_jax(net)
    x = jnp.ones((2, 4), jnp.bfloat16)
    assert params["weight"].dtype == jnp.bfloat16 and apply(params, x).dtype == jnp.bfloat16
    grads = jax.grad(lambda p: apply(p, x).sum().astype(jnp.float32))(params)
    assert grads["bias"].dtype == jnp.bfloat16 and grads["bias"].tolist() == [2] * 4


PARALLEL = """
import jax, jax.numpy as jnp, numpy as np
from functools import partial
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import torchish as torch
from torchish import nn
from torchish.func import to_jax

assert len(jax.devices()) == 4
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.0), nn.Linear(8, 1))
apply, params = to_jax(net)
mesh = Mesh(np.array(jax.devices()), ("data",))
x = jnp.asarray(np.random.default_rng(0).standard_normal((8, 3)), jnp.float32)

def loss(p, x):
    return (apply(p, x) ** 2).mean()

@jax.jit
@partial(jax.shard_map, mesh=mesh, in_specs=(P(), P("data")), out_specs=(P(), P()))
def step(p, x):
    return jax.value_and_grad(lambda p: jax.lax.pmean(loss(p, x), "data"))(p)

value, grads = step(params, x)
want, theirs = jax.value_and_grad(loss)(params, x)
print(np.allclose(value, want, 1e-5), all(
    np.allclose(grads[k], theirs[k], 1e-4, 1e-5) for k in grads))
# the same by the partitioner: arrays that lie in parts go in as they are
cut = jax.device_put(x, NamedSharding(mesh, P("data")))
print(np.allclose(jax.jit(loss)(params, cut), want, 1e-5))
print(torch.from_jax(cut).sum().item() == torch.from_jax(x).sum().item())
"""


def test_shard_map_over_four_devices() -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]),
           "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PARALLEL], capture_output=True, text=True, timeout=300, env=env
    )
    assert done.stdout.split() == ["True"] * 4, done.stderr


# --- from_jax -------------------------------------------------------------------------------------


def test_a_pallas_kernel_trains_in_a_module() -> None:
    def kernel(x: Any, scale: Any, out: Any) -> None:
        out[...] = x[...] * scale[...]

    def scaled(x: Any, scale: Any) -> Any:
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return pl.pallas_call(kernel, out_shape=shape, interpret=True)(x, scale)

    own = jax.custom_vjp(scaled)
    own.defvjp(
        lambda x, s: (scaled(x, s), (x, s)), lambda kept, g: (scaled(g, kept[1]), g * kept[0])
    )

    operator = from_jax(own)

    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(8))

        def forward(self, x: Any) -> Any:
            return operator(x, self.weight.expand_as(x))

    net = Scale()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    x = torch.linspace(-1, 1, 32).reshape(4, 8)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = (net(x) - 3 * x).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.8 * losses[0]
    apply, params = to_jax(net)  # and back under JAX
    close(jax.jit(apply)(params, x.jax()), net(x).detach())


def test_jitted_donating_and_auxiliary_functions() -> None:
    give = from_jax(jax.jit(lambda x: x * 2, donate_argnums=0))
    x = torch.ones(4, requires_grad=True)
    assert give(x).tolist() == [2] * 4 and x.tolist() == [1] * 4, "nothing of ours is given away"
    give(x).sum().backward()
    assert x.grad.tolist() == [2] * 4

    @from_jax
    def several(x: Any) -> Any:
        top = jnp.argmax(x)
        return x.max(), top, x > 0, jnp.zeros((0, 3)), x.astype(jnp.bfloat16)

    value, place, mask, nothing, half = several(torch.tensor([1.0, 5.0, -2.0], requires_grad=True))
    assert value.requires_grad and half.requires_grad and not place.requires_grad
    assert (place.item(), mask.tolist(), tuple(nothing.shape)) == (1, [True, True, False], (0, 3))
    (value + half.float().sum()).backward()


def test_a_loss_of_optax_under_grad_of_grad() -> None:
    loss = from_jax(optax.sigmoid_binary_cross_entropy)
    x, y = torch.zeros(3, requires_grad=True), torch.tensor([0.0, 1.0, 1.0])
    (first,) = torch.autograd.grad(loss(x, y).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    close(first.detach(), [0.5, -0.5, -0.5])
    close(second, [0.25] * 3)
    close(torch.func.hessian(lambda x: loss(x, y).sum())(torch.zeros(3)).diagonal(), [0.25] * 3)


# --- export ---------------------------------------------------------------------------------------


def test_programs_of_64_bits_say_what_they_want() -> None:
    program = torch.export.export(nn.Linear(2, 1).double(), (torch.ones(1, 2).double(),))
    file = io.BytesIO()
    torch.export.save(program, file)
    loaded = jax.export.deserialize(bytearray(zipfile.ZipFile(file).read("program")))
    weights = {k: np.asarray(v) for k, v in to_jax(nn.Linear(2, 1).double())[1].items()}
    with jax.enable_x64(False), pytest.raises(ValueError, match="float64"):
        loaded.call(weights, np.ones((1, 2)))
    assert loaded.call(weights, np.ones((1, 2))).dtype == np.float64
