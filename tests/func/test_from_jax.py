"""JAX code as operators, models as modules, transformations of optax as optimizers."""

from __future__ import annotations

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.experimental import pallas as pl

import torchish as torch
from tests.oracle import close
from torchish import nn
from torchish.func import from_jax, module_from_jax

RNG = np.random.default_rng(0)


def double(*shape: int) -> Any:
    return torch.tensor(RNG.standard_normal(shape), requires_grad=True)


def test_gradients_of_first_and_second_order() -> None:
    function = lambda x, w: jnp.tanh(x @ w).sum(-1)  # noqa: E731
    operator = from_jax(function)
    x, w = double(4, 3), double(3, 2)
    out = operator(x, w)
    close(out.detach(), function(x.detach().jax(), w.detach().jax()))
    (first,) = torch.autograd.grad(out.sum(), w, create_graph=True)
    (second,) = torch.autograd.grad((first**2).sum(), x)
    gradient = jax.grad(lambda w, x: function(x, w).sum())
    close(first.detach(), gradient(w.detach().jax(), x.detach().jax()))
    want = jax.grad(lambda x, w: (gradient(w, x) ** 2).sum())(x.detach().jax(), w.detach().jax())
    close(second, want)
    assert torch.autograd.gradcheck(operator, (x, w))
    assert type(out.grad_fn).__name__ == "lambdaBackward0"


def test_custom_derivatives_are_kept() -> None:
    @jax.custom_vjp
    def clip(x: Any) -> Any:
        return x

    clip.defvjp(lambda x: (x, None), lambda _, g: (jnp.clip(g, -1, 1),))
    x = torch.ones(3, requires_grad=True)
    (from_jax(clip)(x) * 5).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_trees_static_arguments_and_keys() -> None:
    @from_jax
    def function(tree: Any, scale: float, *, flag: bool, key: Any) -> Any:
        noise = jax.random.normal(key, (2,), jnp.float32)
        return {"a": tree["x"] * scale, "b": (tree["n"], noise if flag else -noise)}

    tree = {"x": torch.ones(2), "n": np.arange(2)}
    one = function(tree, 2.0, flag=True, key=jax.random.key(0))
    other = function(tree, 2, flag=False, key=jax.random.key(0))
    assert one["a"].tolist() == [2, 2] and one["b"][0].tolist() == [0, 1]
    assert one["a"].dtype is torch.float32
    assert torch.equal(one["b"][1], -other["b"][1])
    assert len(function.kernels) == 2
    function(tree, 2.0, flag=True, key=jax.random.key(1))
    assert len(function.kernels) == 2, "a kind of arguments is traced once"
    assert from_jax(lambda: jnp.ones(2))().tolist() == [1, 1]


def test_inside_programs_vmap_and_compile() -> None:
    sine = from_jax(jnp.sin)
    x = torch.ones(3, 2)
    assert torch.func.vmap(sine)(x).shape == (3, 2)
    close(torch.func.grad(lambda x: sine(x).sum())(x), jnp.cos(jnp.ones((3, 2))))
    assert torch.compile(sine, fullgraph=True)(x).shape == (3, 2)
    graphs = []

    def backend(module: Any, inputs: Any) -> Any:
        graphs.append(module)
        return module.forward

    assert torch.compile(lambda x: sine(x * 2) * 2, backend=backend)(x).shape == (3, 2)
    assert len(graphs) == 2, "a JAX function stands between two graphs"
    apply, _ = torch.func.to_jax(lambda x: sine(x) * 2)
    assert apply({}, jnp.ones(2)).shape == (2,)

    class Layer(nn.Module):
        act = from_jax(jax.nn.gelu)

        def forward(self, x: Any) -> Any:
            return self.act(x)

    assert Layer.act is not None
    assert from_jax(jax.lax.cond)(torch.tensor(True), jnp.sin, jnp.cos, x).shape == (3, 2)


def test_pallas_kernels() -> None:
    def kernel(x: Any, y: Any, out: Any) -> None:
        out[...] = x[...] + 2 * y[...]

    def add(x: Any, y: Any) -> Any:
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return pl.pallas_call(kernel, out_shape=shape, interpret=True)(x, y)

    plain = from_jax(add)
    assert plain(torch.ones(4), torch.arange(4.0)).tolist() == [1, 3, 5, 7]
    x = torch.ones(4, requires_grad=True)
    out = plain(x, x)
    with pytest.raises(RuntimeError, match=r"Give it a derivative with jax.custom_vjp"):
        out.sum().backward()
    custom = jax.custom_vjp(add)
    custom.defvjp(lambda x, y: (add(x, y), None), lambda _, g: (g, 2 * g))
    from_jax(custom)(x, x).sum().backward()
    assert x.grad.tolist() == [3, 3, 3, 3]


def test_refusals() -> None:
    with pytest.raises(TypeError, match=r"becomes a tensor by torchish.from_jax"):
        from_jax(jnp.ones(2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has to be hashable"):
        from_jax(lambda x, s: x)(torch.ones(1), {1})
    with pytest.raises(TypeError, match="which is no array"):
        from_jax(lambda x: "text")(torch.ones(1))
    with pytest.raises(TypeError, match="key_data"):
        from_jax(jax.random.key)(torch.tensor(0))
    with pytest.raises(TypeError, match="needs an NNX module"):
        module_from_jax(jnp.sin)


# --- models ---------------------------------------------------------------------------------------


def mlp(params: Any, x: Any) -> Any:
    for layer in params[:-1]:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def start() -> Any:
    rng = np.random.default_rng(1)
    sizes = [(3, 8), (8, 1)]
    return [
        {"w": jnp.asarray(rng.standard_normal(s), jnp.float32), "b": jnp.zeros(s[1], jnp.float32)}
        for s in sizes
    ]


def test_a_function_and_its_params_train_as_a_module() -> None:
    params = start()
    net = module_from_jax(mlp, params)
    assert [k for k, _ in net.named_parameters()] == ["0.b", "0.w", "1.b", "1.w"]
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((16, 3), np.float32), rng.standard_normal((16, 1), np.float32)
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    rule = optax.sgd(0.05, 0.9)
    state = rule.init(params)
    loss_of = jax.jit(jax.value_and_grad(lambda p: ((mlp(p, x) - y) ** 2).mean()))
    for _ in range(8):
        optimizer.zero_grad()
        loss = ((net(torch.from_numpy(x)) - torch.from_numpy(y)) ** 2).mean()
        loss.backward()
        want, grads = loss_of(params)
        for name, p in net.named_parameters():
            number, key = name.split(".")
            close(p.grad, grads[int(number)][key])
        optimizer.step()
        updates, state = rule.update(grads, state)
        params = optax.apply_updates(params, updates)
        close(loss.item(), want)
    jax.tree_util.tree_map(lambda a, b: close(a, b, 1e-5), net.to_model(), params)
    other = module_from_jax(mlp, start())
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(torch.from_numpy(x)), net(torch.from_numpy(x)))
    assert torch.equal(copy.deepcopy(net)(torch.from_numpy(x)), net(torch.from_numpy(x)))


@jax.tree_util.register_pytree_node_class
class Affine:
    """A callable pytree: what an Equinox module is."""

    def __init__(self, w: Any, steps: Any) -> None:
        self.w, self.steps = w, steps

    def __call__(self, x: Any) -> Any:
        return x * self.w + self.steps

    def tree_flatten(self) -> Any:
        return (self.w, self.steps), None

    @classmethod
    def tree_unflatten(cls, _: Any, children: Any) -> Affine:
        return cls(*children)


def test_a_callable_tree_as_a_module() -> None:
    net = module_from_jax(Affine(jnp.ones(2), jnp.arange(2)))
    assert len(list(net.parameters())) == 1 and len(list(net.buffers())) == 1
    net(torch.ones(2, dtype=torch.float64)).sum().backward()
    assert next(net.parameters()).grad.tolist() == [1, 1]
    assert isinstance(net.to_model(), Affine)
    assert repr(net) == "JaxModule(Affine)"


# --- optax ----------------------------------------------------------------------------------------


def trained(optimizer: Any, net: Any, steps: int = 6, closure: bool = False) -> list[float]:
    x = torch.linspace(-1, 1, 12).reshape(4, 3)
    losses = []

    def evaluate() -> Any:
        optimizer.zero_grad()
        loss = (net(x) ** 2).sum()
        loss.backward()
        return loss

    for _ in range(steps):
        if closure:
            losses.append(optimizer.step(evaluate).item())
        else:
            losses.append(evaluate().item())
            optimizer.step()
    return losses


def layer() -> Any:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


PAIRS = {
    "adamw": (optax.adamw(0.1, weight_decay=0.01), lambda p: torch.optim.AdamW(p, 0.1)),
    "sgd": (optax.sgd(0.01, 0.9), lambda p: torch.optim.SGD(p, 0.01, momentum=0.9)),
    "rmsprop": (
        optax.rmsprop(0.01, 0.99, 1e-8, eps_in_sqrt=False),
        lambda p: torch.optim.RMSprop(p, 0.01),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_transformation_is_an_optimizer(name: str) -> None:
    rule, make = PAIRS[name]
    ours, theirs = layer(), layer()
    got = trained(torch.optim.Optax(ours.parameters(), rule), ours)
    want = trained(make(theirs.parameters()), theirs)
    np.testing.assert_allclose(got, want, 1e-4)
    assert ours.weight._version > 0


def test_injected_numbers_are_options_of_the_group() -> None:
    net = layer()
    rule = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    optimizer = torch.optim.Optax(net.parameters(), rule)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    for lr in (0.1, 0.01):
        before = net.weight.detach().clone()
        net.zero_grad()
        net(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        schedule.step()
        close((before - net.weight.detach()) / net.weight.grad, np.full((2, 3), lr), 1e-4)
    optimizer.param_groups[0]["lr"] = 0.0
    before = net.weight.detach().clone()
    optimizer.step()
    assert torch.equal(before, net.weight)


def test_state_dict_groups_and_missing_gradients() -> None:
    first, second = layer(), layer()
    optimizer = torch.optim.Optax(
        [
            {"params": [("w", first.weight)], "transformation": optax.adam(0.1)},
            {"params": [("b", first.bias)], "transformation": optax.sgd(0.1)},
        ]
    )
    trained(optimizer, first)
    saved = copy.deepcopy(optimizer.state_dict())
    assert "transformation" not in saved["param_groups"][0]
    assert int(saved["state"]["group0"]["leaves"][0]) == 6
    second.load_state_dict(first.state_dict())
    other = torch.optim.Optax(
        [
            {"params": [("w", second.weight)], "transformation": optax.adam(0.1)},
            {"params": [("b", second.bias)], "transformation": optax.sgd(0.1)},
        ]
    )
    other.load_state_dict(saved)
    assert trained(other, second) == trained(optimizer, first)
    with pytest.raises(ValueError, match="another transformation"):
        torch.optim.Optax(second.parameters(), optax.sgd(0.1)).load_state_dict(saved)
    bias = second.bias.detach().clone()
    every = torch.optim.Optax(second.parameters(), optax.adamw(0.1, weight_decay=0.5))
    second.zero_grad()
    second.weight.grad = torch.ones(2, 3)
    every.step()
    assert torch.equal(bias, second.bias)
    with pytest.raises(TypeError, match="needs a gradient transformation"):
        torch.optim.Optax(second.parameters(), torch.optim.Adam)


def test_closures_give_the_value() -> None:
    net = layer()
    losses = trained(torch.optim.Optax(net.parameters(), optax.polyak_sgd()), net, closure=True)
    assert losses[-1] < 0.1 * losses[0]


def test_a_step_repeats_without_compiling() -> None:
    net = layer()
    optimizer = torch.optim.Optax(net.parameters(), optax.adam(0.1))
    trained(optimizer, net, 3)
    from torchish._basics.stats import stats

    before = stats.kernels_traced
    trained(optimizer, net, 3)
    assert stats.kernels_traced == before


# --- checkpoints ----------------------------------------------------------------------------------


def test_safetensors_carries_modules_to_jax_and_back(tmp_path: Any) -> None:
    flax = pytest.importorskip("safetensors.flax")
    net = layer()
    apply, params = torch.func.to_jax(net)
    flax.save_file(params, tmp_path / "net.safetensors")
    loaded = flax.load_file(tmp_path / "net.safetensors")
    x = jnp.ones((2, 3), jnp.float32)
    close(apply(loaded, x), net(torch.ones(2, 3)).detach())
    other = nn.Linear(3, 2)
    other.load_state_dict(torch.from_jax(loaded))
    assert torch.equal(other.weight, net.weight)
