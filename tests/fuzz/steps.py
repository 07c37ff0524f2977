"""The steps that random programs about aliasing are made of.

A step is a name, the numbers of the tensors it is applied to and arguments made of numbers, so the
same step runs in both libraries. `STEPS` maps a name to how often it comes, to its arguments and
to what it does; what it returns, if anything, is one more tensor of the program.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

Make = Callable[[random.Random], Any]
Act = Callable[..., Any]


class Step(NamedTuple):
    """`inputs` counts the tensors: the first is the one that the step is about."""

    weight: int
    inputs: int
    make: Make
    act: Act


STEPS: dict[str, Step] = {}
LAYOUTS = [
    ((2, 2), (1, 2), 0), ((2,), (2,), 1), ((3, 2), (2, 1), 0), ((2, 2), (1, 1), 0),
    ((3,), (0,), 1), ((2, 3), (0, 1), 0), ((4, 2), (1, 1), 0), ((2, 2), (2, 2), 1),
    ((2, 1, 2), (2, 5, 1), 1), ((), (), 2), ((3, 2), (1, 2), 0), ((0,), (1,), 0),
]  # fmt: skip


def _dim(r: random.Random) -> int:
    return r.randint(-3, 2)


def _nothing(r: random.Random) -> None:
    return None


def _one_of(*values: Any) -> Make:
    return lambda r: r.choice(values)


def _tuple(*makes: Make) -> Make:
    return lambda r: tuple(make(r) for make in makes)


def _ints(low: int, high: int) -> Make:
    return lambda r: r.randint(low, high)


def step(name: str, weight: int, inputs: int, make: Make, act: Act) -> None:
    """Register a step."""
    STEPS[name] = Step(weight, inputs, make, act)


def no_grad(T: Any, action: Callable[[], Any]) -> Any:
    """What `action` gives under `no_grad`."""
    with T.no_grad():
        return action()


# --- views ---------------------------------------------------------------------------------------

_SIZES = [(-1,), (3, 2), (2, 3), (2, -1), (6,), (1, -1), (3, 4), (2, 2, -1), (6, 1), (4, 3), ()]
step("view", 4, 1, _one_of(*_SIZES), lambda T, a, t: t.view(a))
step("reshape", 3, 1, _one_of(*_SIZES), lambda T, a, t: t.reshape(a))
step("view_as", 1, 2, _nothing, lambda T, a, t, u: t.view_as(u))
step("transpose", 4, 1, _tuple(_dim, _dim), lambda T, a, t: t.transpose(*a))
step("t", 2, 1, _nothing, lambda T, a, t: t.t())
step("mT", 1, 1, _nothing, lambda T, a, t: t.mT)
step("permute", 3, 1, _nothing, lambda T, a, t: t.permute(tuple(range(t.dim()))[::-1]))
step("select", 3, 1, _tuple(_dim, _ints(-3, 4)), lambda T, a, t: t.select(*a))
step("index", 2, 1, _ints(-3, 3), lambda T, a, t: t[a])
step("index_none", 1, 1, _nothing, lambda T, a, t: t[..., None])
step("index_pair", 2, 1, _tuple(_ints(-2, 2), _ints(-2, 2)), lambda T, a, t: t[a])
step(
    "narrow", 2, 1, _tuple(_dim, _ints(-1, 2), _ints(0, 2)), lambda T, a, t: t.narrow(*a)
)  # fmt: skip
step(
    "slice", 4, 1, _tuple(_ints(-3, 3), _ints(-2, 6), _ints(1, 3)),
    lambda T, a, t: t[slice(*a)],
)  # fmt: skip
step(
    "slice_last", 3, 1, _tuple(_ints(-2, 2), _ints(0, 4), _ints(1, 2)),
    lambda T, a, t: t[..., slice(*a)],
)  # fmt: skip
step(
    "squeeze", 2, 1, _one_of(None, 0, 1, -1),
    lambda T, a, t: t.squeeze() if a is None else t.squeeze(a),
)  # fmt: skip
step("unsqueeze", 2, 1, _dim, lambda T, a, t: t.unsqueeze(a))
step(
    "expand", 4, 1, _one_of((2, -1, -1), (3, -1), (4, 3), (2, 2, 3), (-1, 3), (3,)),
    lambda T, a, t: t.expand(a),
)  # fmt: skip
step("expand_as", 1, 2, _nothing, lambda T, a, t, u: t.expand_as(u))
step("broadcast_to", 1, 1, _one_of((2, 3), (3, 2, 3), (4, 6)), lambda T, a, t: t.broadcast_to(a))
step("diagonal", 3, 1, _ints(-1, 1), lambda T, a, t: t.diagonal(a))
step(
    "unfold", 4, 1, _tuple(_dim, _ints(1, 3), _ints(1, 2)), lambda T, a, t: t.unfold(*a)
)  # fmt: skip
step("flatten", 2, 1, _nothing, lambda T, a, t: t.flatten())
step(
    "unflatten", 3, 1, _tuple(_dim, _one_of((2, -1), (3, 2), (-1, 1), (1, 3), (2, 2))),
    lambda T, a, t: t.unflatten(*a),
)  # fmt: skip
step("unbind", 2, 1, _dim, lambda T, a, t: t.unbind(a)[-1])
step("split", 2, 1, _tuple(_ints(1, 2), _dim), lambda T, a, t: t.split(*a)[-1])
step("chunk", 1, 1, _ints(1, 3), lambda T, a, t: t.chunk(a, -1)[0])
step("tensor_split", 1, 1, _ints(1, 3), lambda T, a, t: t.tensor_split(a)[0])
step("hsplit", 1, 1, _nothing, lambda T, a, t: t.hsplit(2)[1])
step("as_strided", 6, 1, _one_of(*LAYOUTS), lambda T, a, t: t.as_strided(*a))
step("movedim", 3, 1, _tuple(_dim, _dim), lambda T, a, t: t.movedim(*a))
step("view_dtype", 1, 1, _one_of("int32", "float32", "float64"),
     lambda T, a, t: t.view(getattr(T, a)))  # fmt: skip
step("alias", 1, 1, _nothing, lambda T, a, t: t[...])
step("no_grad_view", 2, 1, _nothing, lambda T, a, t: no_grad(T, lambda: t.view(-1)))
step("detach", 2, 1, _nothing, lambda T, a, t: t.detach())
step("data", 3, 1, _nothing, lambda T, a, t: t.data)

# --- in place: the shape -------------------------------------------------------------------------

step("squeeze_", 1, 1, _nothing, lambda T, a, t: t.squeeze_())
step("unsqueeze_", 1, 1, _dim, lambda T, a, t: t.unsqueeze_(a))
step("transpose_", 1, 1, _tuple(_dim, _dim), lambda T, a, t: t.transpose_(*a))
step("t_", 1, 1, _nothing, lambda T, a, t: t.t_())
step("detach_", 1, 1, _nothing, lambda T, a, t: t.detach_())
step("requires_grad_", 3, 1, _one_of(True, True, False), lambda T, a, t: t.requires_grad_(a))
step(
    "set_", 1, 2, _nothing, lambda T, a, t, u: t.set_(u) if _may_set(t, u) else None
)  # fmt: skip


def _may_set(t: Any, u: Any) -> bool:
    """Whether histories go on as they were (else the first backward through them fails)."""
    return not (u.requires_grad or t.grad_fn is not None)


def _set_past_end(T: Any, a: Any, t: Any, u: Any) -> None:
    if _may_set(t, u):
        t.set_(u, a, (14,), (1,))
        t.fill_(2.0)


step("set_past_end", 1, 2, _ints(0, 3), _set_past_end)


def _fits(t: Any, u: Any) -> bool:
    """Whether `t.data = u` leaves history and memory of one shape (torch lets them part)."""
    return not (t.requires_grad or u.requires_grad) or t.shape == u.shape


def _swap_data(T: Any, a: Any, t: Any, u: Any) -> None:
    if _fits(t, u):
        t.data, u.data = u.data, t.data


def _set_data(T: Any, a: Any, t: Any, u: Any) -> None:
    if _fits(t, u):
        t.data = u


step("swap_data", 2, 2, _nothing, _swap_data)
step("set_data", 1, 2, _nothing, _set_data)

# --- in place: the elements ----------------------------------------------------------------------

_NUMBERS = _one_of(1.0, 2, -0.5)
step("add_", 4, 1, _NUMBERS, lambda T, a, t: t.add_(a))
step("mul_", 4, 1, _NUMBERS, lambda T, a, t: t.mul_(a))
step("sub_data", 2, 1, _NUMBERS, lambda T, a, t: t.data.sub_(a) if a else None)
step("fill_", 3, 1, _one_of(0.0, 3), lambda T, a, t: t.fill_(a))
step("zero_", 2, 1, _nothing, lambda T, a, t: t.zero_())
step("neg_", 1, 1, _nothing, lambda T, a, t: t.neg_())
step("relu_", 1, 1, _nothing, lambda T, a, t: t.relu_())
step("sigmoid_", 1, 1, _nothing, lambda T, a, t: t.sigmoid_())
step("clamp_", 1, 1, _nothing, lambda T, a, t: t.clamp_(0, 3))
step("pow_", 1, 1, _nothing, lambda T, a, t: t.pow_(2))
step("fill_diagonal_", 1, 1, _nothing, lambda T, a, t: t.fill_diagonal_(5))
step("tril_", 1, 1, _nothing, lambda T, a, t: t.tril_())
step("cumsum_", 1, 1, _dim, lambda T, a, t: t.cumsum_(a))
step("setitem", 2, 1, _ints(-3, 3), lambda T, a, t: t.__setitem__(a, 7.0))
step(
    "setitem_slice", 2, 1, _tuple(_ints(0, 2), _ints(1, 3)),
    lambda T, a, t: t.__setitem__(slice(*a), -1.0),
)  # fmt: skip
step("setitem_mask", 2, 1, _nothing, lambda T, a, t: t.__setitem__(t > 2, 9.0))
step("setitem_list", 2, 1, _nothing, lambda T, a, t: t.__setitem__([0, -1], 4.0))
step("setitem_tensor", 2, 2, _nothing, lambda T, a, t, u: t.__setitem__(slice(None, 1), u))
step("no_grad_add_", 2, 1, _nothing, lambda T, a, t: no_grad(T, lambda: t.add_(1.0)))
step("masked_fill_", 4, 1, _nothing, lambda T, a, t: t.masked_fill_(t > 2, -3.0))
step(
    "masked_fill_row", 2, 1, _nothing,
    lambda T, a, t: t.masked_fill_(T.arange(t.shape[-1]) % 2 == 0, 0.5),
)  # fmt: skip
step(
    "masked_scatter_", 3, 1, _nothing,
    lambda T, a, t: t.masked_scatter_(t > 2, T.arange(24.0).to(t.dtype)),
)  # fmt: skip


def _index(T: Any, kind: str) -> Any:
    return T.tensor([0, 1, 0] if kind == "twice" else [1, 0])


def _within(T: Any, t: Any, positions: list[int]) -> Any:
    """Positions along the first dim (outside of it torch may have written before it raises)."""
    return T.tensor(positions) % max(t.shape[0] if t.dim() else 1, 1)


_INDEXED = _tuple(_dim, _one_of("twice", "once"))


def _size(t: Any, dim: int) -> int:
    """The size of a dim, at least 1 (outside of it torch may have written before it raises)."""
    return max(t.shape[dim], 1) if -t.dim() <= dim < t.dim() else 1


def _source(T: Any, t: Any, dim: int, index: Any) -> Any:
    shape = list(t.shape)
    if shape:
        shape[dim] = len(index)
    count = 1
    for n in shape:
        count *= n
    return T.arange(1.0, 1.0 + count).reshape(shape).to(t.dtype)


def _index_write(name: str) -> Act:
    def act(T: Any, a: Any, t: Any) -> Any:
        index = _index(T, a[1] if name != "index_copy_" else "once") % _size(t, a[0])
        return getattr(t, name)(a[0], index, _source(T, t, a[0], index))

    return act


step("index_add_", 4, 1, _INDEXED, _index_write("index_add_"))
step("index_copy_", 2, 1, _INDEXED, _index_write("index_copy_"))
step(
    "index_fill_",
    2,
    1,
    _INDEXED,
    lambda T, a, t: t.index_fill_(a[0], _index(T, a[1]) % _size(t, a[0]), 8.0),
)
step(
    "scatter_", 2, 1, _dim,
    lambda T, a, t: t.scatter_(a, T.zeros_like(t, dtype=T.int64)[..., :1], 6.0),
)  # fmt: skip
step(
    "scatter_add_", 2, 1, _dim,
    lambda T, a, t: t.scatter_add_(a, T.zeros_like(t, dtype=T.int64), T.ones_like(t)),
)  # fmt: skip
step(
    "put_", 1, 1, _one_of(True, False),
    lambda T, a, t: t.put_(
        T.tensor([0, 1]) % max(t.numel(), 1), T.tensor([5.0, 6.0]).to(t.dtype), a
    ),
)  # fmt: skip
step(
    "index_put_", 1, 1, _one_of(True, False),
    lambda T, a, t: t.index_put_((_within(T, t, [0, 0, 1]),), T.tensor(2.0).to(t.dtype), a),
)  # fmt: skip

# --- two and three tensors -----------------------------------------------------------------------

step("copy_", 4, 2, _nothing, lambda T, a, t, u: t.copy_(u))
step("add_tensor_", 4, 2, _nothing, lambda T, a, t, u: t.add_(u))
step("mul_tensor_", 3, 2, _nothing, lambda T, a, t, u: t.mul_(u))
step("iadd", 1, 2, _nothing, lambda T, a, t, u: t.__iadd__(u))
step("addcmul_", 3, 3, _nothing, lambda T, a, t, u, v: t.addcmul_(u, v, value=0.5))
step("lerp_", 1, 2, _nothing, lambda T, a, t, u: t.lerp_(u, T.tensor(0.25).to(t.dtype)))
step("lerp_number", 1, 2, _nothing, lambda T, a, t, u: t.lerp_(u, 0.25))
step("masked_fill_u", 1, 2, _nothing, lambda T, a, t, u: t.masked_fill_(u > 2, 1.5))
step("mul", 2, 2, _nothing, lambda T, a, t, u: t * u)
step("add", 2, 2, _nothing, lambda T, a, t, u: t + u)
step("where", 1, 2, _nothing, lambda T, a, t, u: T.where(t > 2, t, u))
step("cat", 1, 2, _nothing, lambda T, a, t, u: T.cat([t, u]))
step("stack", 1, 2, _nothing, lambda T, a, t, u: T.stack([t, u], -1))
step("add_out", 3, 3, _nothing, lambda T, a, t, u, v: T.add(u, v, out=t))
step("mul_out", 2, 3, _nothing, lambda T, a, t, u, v: T.mul(u, v, out=t))
step("sum_out", 1, 2, _nothing, lambda T, a, t, u: T.sum(u, 0, True, out=t))
step("cat_out", 1, 3, _nothing, lambda T, a, t, u, v: T.cat([u, v], out=t))

# --- fresh memory --------------------------------------------------------------------------------

step("clone", 2, 1, _nothing, lambda T, a, t: t.clone())
step("contiguous", 2, 1, _nothing, lambda T, a, t: t.contiguous())
step("square", 2, 1, _nothing, lambda T, a, t: t * t)
step("double", 2, 1, _nothing, lambda T, a, t: t * 2)
step("sum_dim", 1, 1, _dim, lambda T, a, t: t.sum(a))
step("masked_select", 1, 1, _nothing, lambda T, a, t: t[t > 2])
step("index_select", 1, 1, _nothing, lambda T, a, t: t.index_select(0, _index(T, "twice")))
