"""`autograd.Function` inside transformations: `vmap`, `jvp` and generated rules as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.autograd.agreement import agree


def x(m: Any, *shape: int, seed: int = 0) -> Any:
    drawn = m.rand(shape, generator=m.Generator().manual_seed(seed), dtype=m.float64)
    return drawn + 0.1


def with_rule(m: Any, log: list[Any]) -> Any:
    """a * b, whose rule for many samples gives ten times as much."""

    class Product(m.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return a * b

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            a, b = ctx.saved_tensors
            return g * b, g * a

        @staticmethod
        def jvp(ctx: Any, s: Any, t: Any) -> Any:
            a, b = ctx.saved_tensors
            return s * b + a * t

        @staticmethod
        def vmap(info: Any, dims: Any, a: Any, b: Any) -> Any:
            log.append((tuple(info), type(info).__name__, dims, tuple(a.shape), tuple(b.shape)))
            a = a if dims[0] is None else a.movedim(dims[0], 0)
            b = b if dims[1] is None else b.movedim(dims[1], 0)
            return Product.apply(a, b) * 10, 0

    return Product


def reverse_through(m: Any, f: Any) -> Any:
    a, b = x(m, 3, 2).requires_grad_(), x(m, 2, seed=1).requires_grad_()
    y = m.vmap(lambda u: f(u.sin(), b).exp())(a)
    return y, m.autograd.grad(y.sum(), [a, b])


def with_jvp(m: Any, f: Any) -> Any:
    pairs = [(x(m, 3, 2, seed=k), x(m, 3, 2, seed=k + 1)) for k in (0, 2)]
    return m.func.jvp(m.vmap(f), *pairs)


RULES: dict[str, Callable[[Any, Any], Any]] = {
    "plain": lambda m, f: m.vmap(f)(x(m, 3, 2), x(m, 3, 2, seed=1)),
    "dims": lambda m, f: m.vmap(f, in_dims=(1, None))(x(m, 2, 3), x(m, 2, seed=1)),
    "randomness": lambda m, f: m.vmap(f, randomness="same")(x(m, 3, 2), x(m, 3, 2)),
    "reverse": reverse_through,
    "grad inside": lambda m, f: m.vmap(m.func.grad(lambda u: f(u, u * 2).sum()))(x(m, 3, 2)),
    "grad outside": lambda m, f: m.func.grad(lambda u: m.vmap(f)(u, u * 2).sum())(x(m, 3, 2)),
    "nested": lambda m, f: m.vmap(m.vmap(f))(x(m, 4, 3, 2), x(m, 4, 3, 2, seed=1)),
    "the same for all": lambda m, f: m.vmap(lambda u: f(x(m, 2), x(m, 2)) * u)(x(m, 3, 2)),
    "jvp": with_jvp,
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_of_its_own(name: str) -> None:
    def work(m: Any) -> Any:
        log: list[Any] = []
        return RULES[name](m, with_rule(m, log).apply), log

    agree(work)


@pytest.mark.parametrize(
    "rule",
    [
        lambda info, dims, a, b: a * b,
        lambda info, dims, a, b: (a * b, 0, 1),
        lambda info, dims, a, b: ((a * b, a.new_ones(5)), (0, None)),
    ],
)
def test_what_a_rule_returns(rule: Any) -> None:
    def work(m: Any) -> Any:
        class Other(with_rule(m, [])):  # type: ignore[misc]
            vmap = staticmethod(rule)

        def body(a: Any, b: Any) -> Any:
            found = Other.apply(a, b)
            return found[0] * found[1].sum() if isinstance(found, tuple) else found

        return m.vmap(body)(x(m, 3, 2), x(m, 3, 2, seed=1))

    agree(work)


def power(m: Any) -> Any:
    class Power(m.autograd.Function):  # type: ignore[name-defined, misc]
        generate_vmap_rule = True

        @staticmethod
        def forward(a: Any, k: int) -> Any:
            return a**k, a * k

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.k = inputs[1]
            ctx.save_for_backward(inputs[0])
            ctx.save_for_forward(inputs[0])

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            (a,) = ctx.saved_tensors
            return g * ctx.k * a ** (ctx.k - 1) + h * ctx.k, None

        @staticmethod
        def jvp(ctx: Any, t: Any, _: Any) -> Any:
            (a,) = ctx.saved_tensors
            return t * ctx.k * a ** (ctx.k - 1), t * ctx.k * 100  # told apart from the gradient

    return lambda a: Power.apply(a, 3)


def test_a_generated_rule() -> None:
    def work(m: Any) -> Any:
        f, a = power(m), x(m, 3, 2).requires_grad_()
        y = m.vmap(f)(a)
        return (
            y, m.autograd.grad(y[0].sum() + y[1].sum(), a),
            m.func.jacrev(lambda a: f(a)[0])(x(m, 3)), m.func.jacfwd(f)(x(m, 3)),
            m.vmap(m.func.grad(lambda a: f(a)[0].sum()))(x(m, 3, 2)),
        )  # fmt: skip

    agree(work)


NESTED: dict[str, Callable[[Any], Any]] = {
    "twice": lambda m: m.func.jvp(
        lambda a: m.func.jvp(lambda b: (b**3 * a).sum(), (a,), (x(m, 3, seed=2),))[1],
        (x(m, 3),), (x(m, 3, seed=1),),
    ),
    "hessian": lambda m: m.func.hessian(lambda a: (a**3).sum() * a[0])(x(m, 3)),
    "forward twice": lambda m: m.func.jacfwd(m.func.jacfwd(lambda a: a**3))(x(m, 2)),
    "of grad": lambda m: m.func.jvp(
        m.func.grad(lambda a: (a**3).sum()), (x(m, 3),), (x(m, 3, seed=1),)
    ),
    "grad of": lambda m: m.func.grad(
        lambda a: m.func.jvp(lambda b: (b**3).sum(), (a,), (x(m, 3, seed=1),))[1]
    )(x(m, 3)),
    "captured": lambda m: m.func.jvp(
        lambda w: m.vmap(lambda a: (a * w).sum())(x(m, 3, 2)), (x(m, 2),), (x(m, 2, seed=1),)
    ),
    "integers": lambda m: m.func.jvp(lambda a: a * 2.0, (m.ones(2).long(),), (m.ones(2).long(),)),
    "aux": lambda m: m.func.jvp(
        lambda a: (a * 2, a * 3), (x(m, 2),), (x(m, 2, seed=1),), has_aux=True
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_nested_tangents(name: str) -> None:
    agree(NESTED[name])
