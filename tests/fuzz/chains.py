"""Random programs of views, in-place writes, detach/data/clone and backward, run in both libraries.

A program is a list of steps; each step names tensors by number, so the same program runs anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

SHAPES = [(6,), (2, 3), (2, 2, 3), (4, 1), (1, 3)]
dims = st.integers(-3, 2)
small = st.integers(-3, 4)

# name -> (strategy of arguments, function of (torch, tensor, *args))
VIEWS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "view": (
        st.sampled_from([(-1,), (3, 2), (2, 3), (2, -1), (6,), (1, -1), (3, 4), (2, 2, -1)]),
        lambda T, t, s: t.view(s),
    ),
    "reshape": (
        st.sampled_from([(-1,), (3, 2), (2, 3), (6, 1), (3, -1), (4, 3)]),
        lambda T, t, s: t.reshape(s),
    ),
    "transpose": (st.tuples(dims, dims), lambda T, t, a: t.transpose(*a)),
    "t": (st.just(None), lambda T, t, _: t.t()),
    "T": (st.just(None), lambda T, t, _: t.permute(tuple(range(t.dim()))[::-1])),
    "select": (st.tuples(dims, small), lambda T, t, a: t.select(*a)),
    "narrow": (
        st.tuples(dims, st.integers(-1, 2), st.integers(0, 2)),
        lambda T, t, a: t.narrow(*a),
    ),
    "slice": (
        st.tuples(st.integers(-3, 3), st.integers(-2, 6), st.integers(1, 3)),
        lambda T, t, a: t[slice(*a)],
    ),
    "slice_last": (
        st.tuples(st.integers(-2, 2), st.integers(0, 4), st.integers(1, 2)),
        lambda T, t, a: t[..., slice(*a)],
    ),
    "squeeze": (
        st.one_of(st.none(), dims),
        lambda T, t, d: t.squeeze() if d is None else t.squeeze(d),
    ),
    "unsqueeze": (dims, lambda T, t, d: t.unsqueeze(d)),
    "expand": (
        st.sampled_from([(2, -1, -1), (3, -1), (4, 3), (2, 2, 3), (-1, 3)]),
        lambda T, t, s: t.expand(s),
    ),
    "diagonal": (st.integers(-1, 1), lambda T, t, k: t.diagonal(k)),
    "unfold": (st.tuples(dims, st.integers(1, 2), st.integers(1, 2)), lambda T, t, a: t.unfold(*a)),
    "flatten": (st.just(None), lambda T, t, _: t.flatten()),
    "unbind": (st.just(None), lambda T, t, _: t.unbind(0)[0]),
    "split": (st.integers(1, 2), lambda T, t, n: t.split(n)[-1]),
    "chunk": (st.integers(1, 3), lambda T, t, n: t.chunk(n, -1)[0]),
    "as_strided": (
        st.sampled_from([((2, 2), (1, 2), 0), ((2,), (2,), 1), ((3, 2), (2, 1), 0)]),
        lambda T, t, a: t.as_strided(*a),
    ),
    "movedim": (st.tuples(dims, dims), lambda T, t, a: t.movedim(*a)),
    "no_grad_view": (st.just(None), lambda T, t, _: _under_no_grad(T, lambda: t.view(-1))),
}
WRITES: dict[str, tuple[Any, Callable[..., Any]]] = {
    "add_": (st.sampled_from([1.0, 2, -0.5]), lambda T, t, x: t.add_(x)),
    "mul_": (st.sampled_from([2.0, -1, 0.5]), lambda T, t, x: t.mul_(x)),
    "fill_": (st.sampled_from([0.0, 3]), lambda T, t, x: t.fill_(x)),
    "zero_": (st.just(None), lambda T, t, _: t.zero_()),
    "setitem": (st.integers(-3, 3), lambda T, t, i: t.__setitem__(i, 7.0)),
    "setitem_slice": (
        st.tuples(st.integers(0, 2), st.integers(1, 3)),
        lambda T, t, a: t.__setitem__(slice(*a), -1.0),
    ),
    "no_grad_add_": (st.just(None), lambda T, t, _: _under_no_grad(T, lambda: t.add_(1.0))),
    "exp_": (st.just(None), lambda T, t, _: t.exp_()),
}
PAIRS: dict[str, Callable[..., Any]] = {
    "copy_": lambda T, a, b: a.copy_(b),
    "add_tensor_": lambda T, a, b: a.add_(b),
    "mul_tensor_": lambda T, a, b: a.mul_(b),
    "mul": lambda T, a, b: a * b,
    "add": lambda T, a, b: a + b,
}
FRESH: dict[str, Callable[..., Any]] = {
    "detach": lambda T, t: t.detach(),
    "data": lambda T, t: t.data,
    "clone": lambda T, t: t.clone(),
    "contiguous": lambda T, t: t.contiguous(),
    "square": lambda T, t: t * t,
    "double": lambda T, t: t * 2,
    "plus": lambda T, t: t + 1,
}


def _under_no_grad(T: Any, action: Callable[[], Any]) -> Any:
    with T.no_grad():
        return action()


@st.composite
def programs(draw: Any) -> dict[str, Any]:
    """A random program: leaves, steps, and which tensors go into the loss."""
    leaf = st.tuples(st.sampled_from(SHAPES), st.booleans())
    leaves = draw(st.lists(leaf, min_size=1, max_size=2))
    steps = []
    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["view", "view", "view", "write", "write", "pair", "fresh"]))
        i = draw(st.integers(0, 5))
        if kind == "view":
            name = draw(st.sampled_from(sorted(VIEWS)))
            steps.append((kind, name, i, draw(VIEWS[name][0])))
        elif kind == "write":
            name = draw(st.sampled_from(sorted(WRITES)))
            steps.append((kind, name, i, draw(WRITES[name][0])))
        elif kind == "pair":
            steps.append((kind, draw(st.sampled_from(sorted(PAIRS))), i, draw(st.integers(0, 5))))
        else:
            steps.append((kind, draw(st.sampled_from(sorted(FRESH))), i, None))
    return {
        "leaves": leaves,
        "steps": steps,
        "loss": draw(st.lists(st.integers(0, 7), max_size=3)),
        "again": draw(st.booleans()),
    }


def describe(tensor: Any) -> Any:
    """Everything that must agree about a tensor."""
    try:
        leaf = tensor.is_leaf
    except RuntimeError as error:  # a view that may not be rebased
        return {"refused": str(error).split("\n")[0], "values": tensor.tolist()}
    return {
        "values": tensor.detach().tolist(),
        "shape": tuple(tensor.shape),
        "stride": tensor.stride(),
        "offset": tensor.storage_offset(),
        "requires_grad": tensor.requires_grad,
        "leaf": leaf,
        "version": tensor._version,
        "contiguous": tensor.is_contiguous(),
    }


def aliases(tensors: list[Any]) -> list[list[bool]]:
    """Which tensors share memory."""
    roots = [t.untyped_storage().data_ptr() if t.numel() else id(t) for t in tensors]
    return [[a == b for b in roots] for a in roots]


def run(T: Any, program: dict[str, Any]) -> list[Any]:
    """Run a program; the log holds the state after each step, errors included."""
    import math

    tensors = []
    for shape, needs in program["leaves"]:
        leaf = T.arange(1.0, 1.0 + math.prod(shape)).reshape(shape).clone()
        tensors.append(leaf.requires_grad_(needs))
    leaves = list(tensors)
    log: list[Any] = []
    for step in program["steps"]:
        log.append(_step(T, step, tensors))
    log.append([describe(t) for t in tensors])
    log.append(aliases(tensors))
    chosen = [tensors[i % len(tensors)] for i in program["loss"]]
    for _ in range(2 if program["again"] else 1):
        log.append(_backward(T, chosen))
        log.append([None if x.grad is None else _gradient(x.grad) for x in leaves])
    return log


def _source(target: Any, other: Any) -> Any:
    """The other operand; copied if it overlaps the target in a way that torch leaves undefined."""
    if other is target or other.is_contiguous():
        return other
    return other.clone() if aliases([target, other])[0][1] else other


def _gradient(grad: Any) -> Any:
    """Values and strides; strides of dims of size one are left free by the layout contract."""
    return grad.tolist(), [s for s, n in zip(grad.stride(), grad.shape, strict=True) if n != 1]


def _step(T: Any, step: Any, tensors: list[Any]) -> Any:
    kind, name, i, extra = step
    t = tensors[i % len(tensors)]
    try:
        if kind == "pair":
            got = PAIRS[name](T, t, _source(t, tensors[extra % len(tensors)]))
        elif kind == "fresh":
            got = FRESH[name](T, t)
        else:
            got = (VIEWS if kind == "view" else WRITES)[name][1](T, t, extra)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        return (name, type(error).__name__, str(error).split("\n")[0])
    if got is not None and not any(got is x for x in tensors):
        tensors.append(got)
    return (name, describe(tensors[-1]), describe(t))


def _backward(T: Any, chosen: list[Any]) -> Any:
    try:
        loss = sum((t * 1.5).sum() for t in chosen)
        if not isinstance(loss, int):
            loss.backward()
    except RuntimeError as error:
        return (type(error).__name__, str(error).split("\n")[0])
    return "ran"
