"""grad, vjp, jvp, Jacobians: alone, nested, with errors; against torch.func."""

from __future__ import annotations

from typing import Any

import pytest

import torchish
from tests.oracle import Work, agree


def v(m: Any, n: int = 3) -> Any:
    """A vector."""
    return m.arange(1.0, n + 1.0)


def _net(m: Any) -> Any:
    net = m.nn.Sequential(m.nn.Linear(3, 4), m.nn.Tanh(), m.nn.Linear(4, 1))
    params = {k: p.detach() for k, p in net.named_parameters()}

    def loss(params: Any, x: Any) -> Any:
        return m.func.functional_call(net, params, (x,)).pow(2).sum()

    return m.func.grad(loss)(params, m.ones(2, 3))


def _step(m: Any) -> Any:
    w = v(m).requires_grad_(True)

    def inner(x: Any) -> Any:
        return (x * w * x).sum()

    updated = v(m) - 0.1 * m.func.grad(inner)(v(m))
    updated.sum().backward()
    return w.grad


def _quiet(m: Any) -> Any:
    x = v(m).requires_grad_(True)
    with m.no_grad():
        g = m.func.grad(lambda y: (y * y).sum())(x)
    return g, g.requires_grad, m.func.grad(lambda y: (y * y).sum())(v(m)).requires_grad


def _pull(m: Any) -> Any:
    out, pull = m.func.vjp(lambda x, y: {"a": x * y, "b": x.sum()}, v(m), v(m) + 1)
    return out, pull({"a": v(m), "b": m.tensor(2.0)}), pull({"a": v(m), "b": m.tensor(0.0)})


def _written(m: Any) -> Any:
    def f(x: Any) -> Any:
        y = x.clone()
        y[0] = 5.0
        y.mul_(x)
        return y.sum()

    return m.func.grad(f)(v(m))


WORKS: dict[str, Work] = {
    "grad": lambda m: m.func.grad(lambda x: x.sin().sum())(v(m)),
    "grad thrice": lambda m: m.func.grad(m.func.grad(m.func.grad(m.sin)))(m.tensor(1.0)),
    "inner level": lambda m: m.func.grad(lambda x: x * m.func.grad(lambda y: x * y * y)(x * 2))(
        m.tensor(3.0)
    ),
    "aux": lambda m: m.func.grad(lambda x: ((x * x).sum(), {"y": x}), has_aux=True)(v(m)),
    "both": lambda m: m.func.grad_and_value(lambda x, y: (x * y).sum(), argnums=(1, 0))(
        v(m), v(m) + 1
    ),
    "dict": lambda m: m.func.grad(lambda d: (d["b"] * d["a"][0]).sum())({"b": v(m), "a": [v(m)]}),
    "unused": lambda m: m.func.grad(lambda x, y: (y * y).sum())(v(m), v(m)),
    "control flow": lambda m: m.func.grad(lambda x: x.exp() if x.item() > 0 else x)(m.tensor(1.0)),
    "network": _net,
    "a step that is differentiated": _step,
    "no_grad outside": _quiet,
    "written": _written,
    "vjp": _pull,
    "vjp aux": lambda m: m.func.vjp(lambda x: (x * 2, x + 1), v(m), has_aux=True)[2],
    "grad of vjp": lambda m: m.func.grad(lambda x: m.func.vjp(m.exp, x)[1](v(m))[0].sum())(v(m)),
    "jvp": lambda m: m.func.jvp(lambda x, y: (x * y, x.sin()), (v(m), v(m)), (v(m), v(m) * 2)),
    "jvp of nothing": lambda m: m.func.jvp(lambda x: m.ones(2), (v(m),), (v(m),)),
    "jvp of grad": lambda m: m.func.jvp(m.func.grad(lambda x: (x**3).sum()), (v(m),), (m.ones(3),)),
    "jvp aux": lambda m: m.func.jvp(lambda x: (x * 2, x + 1), (v(m),), (v(m),), has_aux=True),
    "grad of jvp": lambda m: m.func.grad(
        lambda x: m.func.jvp(lambda y: y.sin(), (x,), (v(m),))[1].sum()
    )(v(m)),
    "linearize": lambda m: m.func.linearize(lambda x: x.sin(), v(m))[1](v(m)),
    "jacrev": lambda m: m.func.jacrev(lambda x: m.outer(x, x.sin()))(v(m)),
    "jacfwd": lambda m: m.func.jacfwd(lambda x: m.outer(x, x.sin()))(v(m)),
    "jacrev of several": lambda m: m.func.jacrev(
        lambda x, y: {"p": x * y.sum(), "q": y.cos()}, argnums=(0, 1)
    )(v(m), v(m, 2)),
    "jacfwd of several": lambda m: m.func.jacfwd(
        lambda x, y: (x * y.sum(), y.cos()), argnums=(0, 1)
    )(v(m), v(m, 2)),
    "jacrev in chunks": lambda m: m.func.jacrev(lambda x: x * x.sum(), chunk_size=2)(v(m)),
    "jacrev aux": lambda m: m.func.jacrev(lambda x: (x * x, x.sum()), has_aux=True)(v(m)),
    "hessian": lambda m: m.func.hessian(lambda x: (x**3).sum() * x[0])(v(m)),
    "jacrev twice": lambda m: m.func.jacrev(m.func.jacrev(lambda x: x**3))(v(m, 2)),
    "jacfwd twice": lambda m: m.func.jacfwd(m.func.jacfwd(lambda x: x**3))(v(m, 2)),
    "functionalize": lambda m: m.func.functionalize(lambda x: x.clone().add_(1))(v(m)),
    # errors
    "not scalar": lambda m: m.func.grad(lambda x: x)(v(m)),
    "no tensor": lambda m: m.func.grad(lambda x: 1.0)(v(m)),
    "argnums": lambda m: m.func.grad(lambda x: x.sum(), argnums=2)(v(m)),
    "argnums text": lambda m: m.func.grad(lambda x: x.sum(), argnums="a")(v(m)),
    "integers": lambda m: m.func.grad(lambda x: x.sum())(m.ones(2, dtype=m.int64)),
    "no aux": lambda m: m.func.grad(lambda x: x.sum(), has_aux=True)(v(m)),
    "number": lambda m: m.func.grad(lambda x: x.sum())(3.0),
    "vjp of number": lambda m: m.func.vjp(lambda x: 3, v(m)),
    "cotangents": lambda m: m.func.vjp(lambda x: (x, x * 2), v(m))[1](v(m)),
    "cotangent shape": lambda m: m.func.vjp(lambda x: x, v(m))[1](v(m, 2)),
    "primals": lambda m: m.func.jvp(lambda x: x, v(m), v(m)),
    "strict": lambda m: m.func.jvp(lambda x: m.ones(2), (v(m),), (v(m),), strict=True),
    "tangent shape": lambda m: m.func.jvp(lambda x: x, (v(m),), (v(m, 2),)),
    "chunk": lambda m: m.func.jacrev(lambda x: x, chunk_size=0)(v(m)),
}


@pytest.mark.parametrize("name", WORKS)
def test_transform(name: str) -> None:
    agree(WORKS[name], 2e-5, 1e-5, lines=1, warned=False)


def test_a_function_stays_usable_as_before() -> None:
    x = v(torchish)
    torchish.func.grad(lambda y: y.sum())(x)
    assert not x.requires_grad
    assert x.grad is None
