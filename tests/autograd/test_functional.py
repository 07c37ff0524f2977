"""`torch.autograd.functional` against PyTorch: values, structure, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import torchish


def flat(value: Any) -> Any:
    """Nested tuples of tensors as nested tuples of (shape, values, requires_grad)."""
    if isinstance(value, tuple):
        return tuple(flat(v) for v in value)
    return tuple(value.shape), value.detach().numpy().round(9).tolist(), value.requires_grad


def outcome(lib: Any, call: Any) -> Any:
    try:
        return flat(call(lib, lib.autograd.functional))
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        return type(error).__name__, str(error).replace(" ", "")


def x(lib: Any, n: int = 2, grad: bool = False) -> Any:
    values = np.linspace(0.5, 1.5, n)
    return lib.tensor(values.tolist(), dtype=lib.float64, requires_grad=grad)


def pair(a: Any, b: Any) -> Any:
    return a * b.sum(), a.exp()


CALLS = {
    "jacobian": lambda t, f: f.jacobian(lambda a: a.exp() * a.sum(), x(t)),
    "jacobian of pairs": lambda t, f: f.jacobian(pair, (x(t), x(t, 3))),
    "jacobian graph": lambda t, f: f.jacobian(pair, (x(t, grad=True), x(t)), create_graph=True),
    "jacobian graph of a constant": lambda t, f: f.jacobian(pair, (x(t), x(t)), create_graph=True),
    "jacobian strict": lambda t, f: f.jacobian(pair, (x(t), x(t)), strict=True),
    "jacobian strict graph": lambda t, f: f.jacobian(
        lambda a: a * 2, x(t), strict=True, create_graph=True
    ),
    "jacobian detached": lambda t, f: f.jacobian(lambda a: a.detach(), x(t)),
    "jacobian strict detached": lambda t, f: f.jacobian(lambda a: a.detach(), x(t), strict=True),
    "jacobian vectorize": lambda t, f: f.jacobian(pair, (x(t), x(t)), vectorize=True),
    "jacobian bad strategy": lambda t, f: f.jacobian(pair, x(t), strategy="sideways"),
    "jacobian forward": lambda t, f: f.jacobian(pair, x(t), strategy="forward-mode"),
    "jacobian strict vectorize": lambda t, f: f.jacobian(
        pair, (x(t), x(t)), strict=True, vectorize=True
    ),
    "jacobian of a list": lambda t, f: f.jacobian(lambda a: 3, x(t)),
    "hessian": lambda t, f: f.hessian(lambda a: (a**3).sum() * a[0], x(t)),
    "hessian of pairs": lambda t, f: f.hessian(lambda a, b: (a.exp() * b).sum(), (x(t), x(t))),
    "hessian strict linear": lambda t, f: f.hessian(lambda a: a.sum(), x(t), strict=True),
    "hessian of a vector": lambda t, f: f.hessian(lambda a: a * 2, x(t)),
    "hessian graph": lambda t, f: f.hessian(
        lambda a: (a**4).sum(), x(t, grad=True), create_graph=True
    ),
    "vjp": lambda t, f: f.vjp(lambda a: a.sin(), x(t), x(t)),
    "vjp of pairs": lambda t, f: f.vjp(pair, (x(t), x(t)), (x(t), x(t)), create_graph=True),
    "vjp no v": lambda t, f: f.vjp(lambda a: a.sin(), x(t)),
    "vjp wrong v": lambda t, f: f.vjp(lambda a: a.sin(), x(t), x(t, 3)),
    "vjp wrong number": lambda t, f: f.vjp(pair, (x(t), x(t)), (x(t),)),
    "vjp strict": lambda t, f: f.vjp(lambda a, b: a.sin(), (x(t), x(t)), x(t), strict=True),
    "vjp unused": lambda t, f: f.vjp(lambda a, b: a.sin(), (x(t), x(t)), x(t)),
    "jvp": lambda t, f: f.jvp(lambda a: a.sin() * a.sum(), x(t), x(t)),
    "jvp strict": lambda t, f: f.jvp(lambda a, b: a.sin(), (x(t), x(t)), (x(t), x(t)), strict=True),
    "jvp no v": lambda t, f: f.jvp(lambda a: a.sin(), x(t)),
    "jvp graph": lambda t, f: f.jvp(lambda a: a.sin(), x(t, grad=True), x(t), create_graph=True),
    "vhp": lambda t, f: f.vhp(lambda a: (a**3).sum() * a[0], x(t), x(t)),
    "vhp strict": lambda t, f: f.vhp(lambda a: a.sum(), x(t), x(t), strict=True),
    "vhp vector": lambda t, f: f.vhp(lambda a: a * 2, x(t), x(t)),
    "hvp": lambda t, f: f.hvp(lambda a: (a**3).sum() * a[0], x(t), x(t)),
    "hvp pairs": lambda t, f: f.hvp(lambda a, b: (a**3 * b).sum(), (x(t), x(t)), (x(t), x(t))),
    "hvp no v": lambda t, f: f.hvp(lambda a: (a**3).sum(), x(t)),
    "no tensor": lambda t, f: f.vjp(lambda a: a, 3.0),
    "no tensors": lambda t, f: f.hvp(lambda a: a, (3.0,)),
}


@pytest.mark.parametrize("name", CALLS)
def test_functional(name: str) -> None:
    assert outcome(torchish, CALLS[name]) == outcome(torch, CALLS[name])


# --- gradcheck -----------------------------------------------------------------------------------


def wrong_square(lib: Any) -> Any:
    class Wrong(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a)
            return a * a

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0] * 3

    return Wrong.apply


def test_gradcheck_accepts_right_gradients() -> None:
    t = torchish
    a, b = x(t, grad=True), x(t, grad=True)
    assert t.autograd.gradcheck(lambda p, q: (p * q.exp(), p.sum()), (a, b))
    assert t.autograd.gradgradcheck(lambda p, q: p * q.exp(), (a, b))
    z = t.tensor([1 + 2j, 0.5 - 1j], dtype=t.complex128, requires_grad=True)
    assert t.autograd.gradcheck(lambda c: c * c.conj() + c.exp(), z)
    assert a.tolist() == x(t).tolist()


def test_gradcheck_refuses_wrong_ones() -> None:
    for lib in (torch, torchish):
        with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0 with respect to in"):
            lib.autograd.gradcheck(wrong_square(lib), x(lib, grad=True))
        assert not lib.autograd.gradcheck(
            wrong_square(lib), x(lib, grad=True), raise_exception=False
        )
        with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
            lib.autograd.gradcheck(lambda a: a, x(lib))
        with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double"):
            lib.autograd.gradcheck(
                lambda a: a * 2, lib.ones(1, requires_grad=True), eps=1e-2, atol=1e-2
            )


# --- graph ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["all", "any"])
def test_hooks_over_several_tensors(mode: str) -> None:
    calls = []
    for lib in (torch, torchish):
        seen: list[Any] = []
        a, b, c = x(lib, grad=True), x(lib, grad=True), x(lib, grad=True)
        mid = a * b

        def note(grads: Any, seen: list[Any] = seen) -> None:
            many = grads if isinstance(grads, list) else [grads]
            seen.append([None if g is None else g.tolist() for g in many])

        handle = lib.autograd.graph.register_multi_grad_hook((a, mid, c), note, mode=mode)
        (mid.sum() * 2).backward(retain_graph=True)
        (mid.sum() * 3 + c.sum()).backward(retain_graph=True)
        handle.remove()
        mid.sum().backward()
        calls.append(seen)
    assert calls[0] == calls[1]
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        torchish.autograd.graph.register_multi_grad_hook((), print, mode="some")


def test_gradient_edges_stand_for_tensors() -> None:
    found = []
    for lib in (torch, torchish):
        a = x(lib, grad=True)
        mid = a * 2
        edge = lib.autograd.graph.get_gradient_edge(mid)
        leaf = lib.autograd.graph.get_gradient_edge(a)
        out = (mid * mid).sum()
        grads = lib.autograd.grad(out, (edge, leaf), retain_graph=True)
        (one,) = lib.autograd.grad(out, edge, retain_graph=True)
        (two,) = lib.autograd.grad(edge, a, lib.ones_like(mid))
        found.append([g.tolist() for g in (*grads, one, two)])
        assert isinstance(edge.node, lib.autograd.graph.Node)
        with pytest.raises(RuntimeError, match="does not require gradients"):
            lib.autograd.graph.get_gradient_edge(x(lib))
    assert found[0] == found[1]


def test_what_is_refused() -> None:
    graph = torchish.autograd.graph
    with graph.disable_saved_tensors_hooks("not here"):
        with pytest.raises(RuntimeError, match="not here"), graph.saved_tensors_hooks(id, id):
            pass
