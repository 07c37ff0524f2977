"""Forward-mode derivatives (`torch.autograd.forward_ad`): what PyTorch gives and refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .agreement import agree

CASES: dict[str, Callable[[Any], Any]] = {}


def case(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    CASES[work.__name__] = work
    return work


def x(m: Any, *shape: int, seed: int = 0) -> Any:
    drawn = m.rand(shape, generator=m.Generator().manual_seed(seed), dtype=m.float64)
    return drawn + 0.1


def dual(m: Any, *shape: int) -> Any:
    return m.autograd.forward_ad.make_dual(x(m, *shape), x(m, *shape, seed=1))


def parts(m: Any, tensor: Any) -> Any:
    return tuple(m.autograd.forward_ad.unpack_dual(tensor))


def level(m: Any) -> Any:
    return m.autograd.forward_ad.dual_level()


@case
def composition(m: Any) -> Any:
    with level(m):
        d = dual(m, 3)
        y = d.exp() * d.sin() + 2 * d
        return parts(m, y), y.requires_grad, y.grad_fn is None, d.is_leaf, y.is_leaf


@case
def after_the_level(m: Any) -> Any:
    with level(m):
        y = dual(m, 3) * 2
    return parts(m, y), parts(m, y * 3)


@case
def no_tangent(m: Any) -> Any:
    with level(m):
        a = x(m, 2)
        return parts(m, a), parts(m, a > 0), m.autograd.forward_ad.unpack_dual(a).primal is a


@case
def under_no_grad_and_detached(m: Any) -> Any:
    with level(m), m.no_grad():
        d = dual(m, 3)
        return parts(m, (d * d).sum()), parts(m, d * d.detach()), parts(m, d.detach())


@case
def written_in_place(m: Any) -> Any:
    with level(m):
        d = dual(m, 3)
        y = d * 1
        y.mul_(d)
        y[0] = 5
        view = y[1:]
        view.add_(d[1:] ** 2)
        base = m.zeros(3, dtype=m.float64)
        part, before = base[:2], base[1:]
        part.copy_(d[:2])
        return [parts(m, t) for t in (y, view, base, part, before)]


@case
def the_dual_written(m: Any) -> Any:
    with level(m):
        a = x(m, 3)
        d = m.autograd.forward_ad.make_dual(a, x(m, 3, seed=1))
        d.mul_(3)
        return a, parts(m, d), parts(m, a), d._version


@case
def reverse_over_forward(m: Any) -> Any:
    with level(m):
        a, tangent = x(m, 3).requires_grad_(), x(m, 3, seed=1).requires_grad_()
        d = m.autograd.forward_ad.make_dual(a, tangent)
        y = (d**3).sum()
        t = parts(m, y)[1]
        return t, y, d.grad_fn.name(), m.autograd.grad(t, [a, tangent])


@case
def forward_over_reverse(m: Any) -> Any:
    with level(m):
        a = x(m, 3).requires_grad_()
        d = m.autograd.forward_ad.make_dual(a, x(m, 3, seed=1))
        (g,) = m.autograd.grad((d**3).sum() * d[0], d)
        (h,) = m.autograd.grad((d**3).sum() * d[0], d, create_graph=True)
        return parts(m, g), parts(m, h), m.autograd.grad((d**2).sum(), a)


@case
def a_dual_leaf(m: Any) -> Any:
    with level(m):
        d = dual(m, 3).requires_grad_()
        (g,) = m.autograd.grad((d**3).sum(), d)
        return d.is_leaf, parts(m, g)


@case
def accumulated(m: Any) -> Any:
    with level(m):
        a = x(m, 3).requires_grad_()
        (m.autograd.forward_ad.make_dual(a, x(m, 3, seed=1)) ** 3).sum().backward()
        return a.grad, parts(m, a.grad)


@case
def modules(m: Any) -> Any:
    nn = m.nn
    m.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(8, 3),
    ).double()  # fmt: skip
    with level(m):
        loss = nn.functional.cross_entropy(net(dual(m, 2, 1, 6, 6)), m.tensor([0, 1]))
        return parts(m, loss), parts(m, nn.LSTM(3, 2).double()(dual(m, 4, 1, 3))[0])


@case
def parameters(m: Any) -> Any:
    m.manual_seed(0)
    net = m.nn.Linear(3, 2).double()
    with level(m):
        for name, p in list(net.named_parameters()):
            delattr(net, name)
            setattr(net, name, m.autograd.forward_ad.make_dual(p, x(m, *p.shape, seed=3)))
        return [tuple(t.detach() for t in parts(m, net(x(m, 4, 3))))]


@case
def matrices(m: Any) -> Any:
    with level(m):
        d = dual(m, 3, 3) + 3 * m.eye(3, dtype=m.float64)
        functions = [
            m.linalg.inv, m.logdet, lambda a: m.linalg.solve(a, a.sum(1)), m.linalg.svdvals,
            lambda a: m.linalg.cholesky(a @ a.mT), m.linalg.norm, lambda a: a.cumsum(0),
            lambda a: a.sort(1)[0], lambda a: a.max(1)[0], lambda a: a.softmax(0),
            lambda a: a[[0, 2]], lambda a: m.where(a > 1, a, a * 2), lambda a: a.float(),
            lambda a: m.einsum("ij,kj->ik", a, a), lambda a: m.nn.functional.layer_norm(a, (3,)),
        ]  # fmt: skip
        return [parts(m, f(d))[1] for f in functions]


@case
def complex_numbers(m: Any) -> Any:
    z, t = (m.complex(x(m, 3, seed=k), x(m, 3, seed=k + 1)) for k in (0, 2))
    with level(m):
        d = m.autograd.forward_ad.make_dual(z, t)
        found = [f(d) for f in (m.exp, m.conj, lambda a: a * a, m.fft.fft)]
        return [m.view_as_real(parts(m, y)[1].resolve_conj()) for y in found], parts(m, d.abs())


@case
def decorated(m: Any) -> Any:
    @level(m)
    def derivative(a: Any, b: Any) -> Any:
        return parts(m, m.autograd.forward_ad.make_dual(a, b) ** 2)[1]

    return derivative(x(m, 2), x(m, 2, seed=1))


@case
def mapped(m: Any) -> Any:
    with level(m):
        y = m.vmap(lambda a: a.exp().sum())(dual(m, 3, 2))
        return parts(m, y * 2), parts(m, m.func.grad(lambda a: (a**3).sum())(dual(m, 3)))


REFUSED: dict[str, Callable[[Any], Any]] = {
    "twice": lambda m: m.autograd.forward_ad.make_dual(dual(m, 3), x(m, 3)),
    "size": lambda m: m.autograd.forward_ad.make_dual(x(m, 3), x(m, 4)),
    "integers": lambda m: m.autograd.forward_ad.make_dual(m.ones(3, dtype=m.int64), x(m, 3)),
    "nested": lambda m: m.autograd.forward_ad.enter_dual_level(),
    "out": lambda m: m.add(dual(m, 3), 1, out=m.zeros(3, dtype=m.float64)),
}


@pytest.mark.parametrize("name", CASES)
def test_tangents(name: str) -> None:
    agree(CASES[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_inside(name: str) -> None:
    def work(m: Any) -> Any:
        with level(m):
            return REFUSED[name](m)

    agree(work)


def test_what_is_refused_outside() -> None:
    agree(lambda m: dual(m, 3))
    agree(lambda m: m.autograd.forward_ad.exit_dual_level())


# --- custom functions ----------------------------------------------------------------------------


def product(m: Any, materialize: bool, seen: list[Any]) -> Any:
    class Product(m.autograd.Function):  # type: ignore[name-defined, misc]
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any, k: float) -> Any:
            ctx.save_for_forward(a, b)
            ctx.save_for_backward(a, b)
            ctx.k = k
            ctx.set_materialize_grads(materialize)
            return a * b * k, a + b

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            a, b = ctx.saved_tensors
            return g * b * ctx.k, g * a * ctx.k, None

        @staticmethod
        def jvp(ctx: Any, s: Any, t: Any, k: Any) -> Any:
            a, b = ctx.saved_tensors
            seen.append((s is None, t is None, k))
            made = sum(u for u in (None if s is None else s * b, None if t is None else t * a) if u
                       is not None)  # fmt: skip
            return made * ctx.k * 10, made * 2

    return Product


@pytest.mark.parametrize("materialize", [True, False])
def test_jvp_of_a_function(materialize: bool) -> None:
    def work(m: Any) -> Any:
        seen: list[Any] = []
        function = product(m, materialize, seen)
        with level(m):
            d = m.autograd.forward_ad.make_dual(x(m, 3).requires_grad_(), x(m, 3, seed=1))
            y, z = function.apply(d, x(m, 3, seed=2), 4.0)
            grads = m.autograd.grad(y.sum(), d)
            return parts(m, y), parts(m, z), grads, seen

    agree(work)


@pytest.mark.parametrize("jvp", [None, lambda *t: (t[1], t[1]), lambda *t: t[1][:1], lambda *t: 3])
def test_jvps_that_are_wrong(jvp: Any) -> None:
    def work(m: Any) -> Any:
        class Wrong(m.autograd.Function):  # type: ignore[name-defined, misc]
            @staticmethod
            def forward(ctx: Any, a: Any) -> Any:
                return a * 2

        if jvp is not None:
            Wrong.jvp = staticmethod(jvp)
        with level(m):
            return Wrong.apply(dual(m, 3))

    agree(work, lines=1)


def test_gradcheck_of_both_modes() -> None:
    def work(m: Any) -> Any:
        a = x(m, 3).requires_grad_()
        check = m.autograd.gradcheck
        wrong = product(m, True, [])
        found = [
            check(
                lambda a: a.sin() * a, a, check_forward_ad=True, check_batched_grad=True,
                check_batched_forward_grad=True,
            ),
            check(lambda a: a * a, a, check_forward_ad=True, check_backward_ad=False),
            m.autograd.gradgradcheck(lambda a: a.sin() * a, a, check_fwd_over_rev=True),
        ]  # fmt: skip
        with pytest.raises(RuntimeError, match="forward mode mismatch for output 0"):
            check(lambda a: wrong.apply(a, x(m, 3, seed=2), 1.0)[0], a, check_forward_ad=True)
        return found

    agree(work)


def test_many_cotangents_at_once() -> None:
    def work(m: Any) -> Any:
        grad = m.autograd.grad
        a, b = x(m, 3).requires_grad_(), x(m, 2).requires_grad_()
        y, z, eye = a**3, a.sum(), m.eye(3, dtype=m.float64)
        options: Any = {"is_grads_batched": True, "retain_graph": True}
        both = grad([y, z], [a, b], [eye, x(m, 3)], allow_unused=True, **options)
        (g,) = grad(y, a, eye, create_graph=True, **options)
        errors = []
        for call in (
            lambda: grad(y, a, x(m, 3), **options),
            lambda: grad(z, a, None, **options),
            lambda: grad(y, [a, b], eye, **options),
        ):
            with pytest.raises((RuntimeError, ValueError)) as caught:
                call()
            errors.append((type(caught.value).__name__, str(caught.value)))
        return both, g, grad(g.sum(), a), [(n, t.replace("torchish", "torch")) for n, t in errors]

    agree(work)
