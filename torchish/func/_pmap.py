"""`pmap`: a function over devices, one slice each, with collectives between them.

The function runs once, on placeholders of one slice; what it recorded becomes one SPMD program
(`shard_map` under `jit`), and its gradient another (see `_parallel/replicas.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .._autograd.apply import apply_kernel
from .._autograd.capture import DataDependent, on_stand_ins
from .._autograd.tensor_base import TensorBase, from_value, from_values
from .._basics.devices import device as Device, jax_devices, resolve
from .._basics.dtypes import bool_, int64
from .._basics.memo import memoised
from .._core.kernels import VjpKernel
from .._core.trace import record_on
from .._core.values import Aval, aval_of
from .._parallel.mapped import Result
from .._parallel.nested import at_home, filled, map_tensors, outline, replaced
from .._parallel.replicas import ReplicaCall, lane_of

__all__ = ["all_gather", "axis_index", "pmap", "pmax", "pmean", "pmin", "psum"]


class CollectiveKernel(VjpKernel):
    """An exchange between the devices of a mapped axis; its gradient is one, too."""

    __slots__ = ("back",)

    back: Callable[[], CollectiveKernel] | None

    def vjp(self, wanted: tuple[int, ...], given: tuple[int, ...]) -> VjpKernel:
        """The exchange that the gradient goes through."""
        if self.back is None:
            raise RuntimeError(f"the derivative of {self.name} is not implemented")
        return self.back()


_BACK = {"psum": "psum", "pmean": "pmean", "all_gather": "psum_scatter",
         "psum_scatter": "all_gather"}  # fmt: skip


@memoised(1024)
def _collective(kind: str, aval: Aval, axis: str, count: int, dim: int) -> CollectiveKernel:
    shape, dt = list(aval.shape), aval.dtype
    if kind == "all_gather":
        shape.insert(dim, count)
    elif kind == "psum_scatter":
        del shape[dim]
    if kind == "pmean" and not (dt.is_floating_point or dt.is_complex):
        raise RuntimeError(f"pmean: needs a floating point or complex tensor, got {dt}")
    if dt is bool_ and kind == "psum":
        dt = int64
    out = aval_of(tuple(shape), dt)

    def fn(x: Any) -> tuple[Any, ...]:
        if kind == "all_gather":
            return (jax.lax.all_gather(x, axis, axis=dim),)
        if kind == "psum_scatter":
            return (jax.lax.psum_scatter(x, axis, scatter_dimension=dim),)
        if kind in ("pmax", "pmin"):
            return (_EXTREMES[kind](x, axis),)
        total = jax.lax.psum(x.astype(dt.np), axis)
        return ((total / count).astype(dt.np) if kind == "pmean" else total,)

    kernel = CollectiveKernel(kind, fn, (aval,), (out,), grad_name=f"{kind.title()}Backward0")
    kernel.saved = ()
    back = _BACK.get(kind)
    kernel.back = functools.partial(_collective, back, out, axis, count, dim) if back else None
    return kernel


_EXTREMES: dict[str, Any] = {"pmax": jax.lax.pmax, "pmin": jax.lax.pmin}


@memoised(64)
def _index_kernel(axis: str) -> CollectiveKernel:
    def fn() -> tuple[Any, ...]:
        return (jax.lax.axis_index(axis).astype(jnp.int64),)

    kernel = CollectiveKernel("axis_index", fn, (), (aval_of((), int64),))
    kernel.saved, kernel.back = (), None
    return kernel


def _apply(kind: str, x: Any, axis_name: str, dim: int = 0) -> Any:
    if not isinstance(x, TensorBase):
        return map_tensors(lambda t: _apply(kind, t, axis_name, dim), x)
    count = lane_of(axis_name).count
    if kind == "all_gather":
        dim = dim % (x.dim() + 1)
    return apply_kernel(_collective(kind, x._aval, axis_name, count, dim), (x,))[0]


def psum(x: Any, axis_name: str) -> Any:
    """Sum over the devices of a mapped axis; every device gets it. Takes nested tensors."""
    return _apply("psum", x, axis_name)


def pmean(x: Any, axis_name: str) -> Any:
    """Mean over the devices of a mapped axis."""
    return _apply("pmean", x, axis_name)


def pmax(x: Any, axis_name: str) -> Any:
    """Elementwise maximum over the devices of a mapped axis (without gradient)."""
    return _apply("pmax", x, axis_name)


def pmin(x: Any, axis_name: str) -> Any:
    """Elementwise minimum over the devices of a mapped axis (without gradient)."""
    return _apply("pmin", x, axis_name)


def all_gather(x: Any, axis_name: str, dim: int = 0) -> Any:
    """Every device's tensor, stacked along a new dimension `dim`."""
    return _apply("all_gather", x, axis_name, dim)


def axis_index(axis_name: str) -> Any:
    """This device's place along a mapped axis, an int64 scalar."""
    return from_value(record_on(lane_of(axis_name).device, _index_kernel(axis_name), ())[0])


def _leaves(tree: Any, dims: Any, what: str) -> list[tuple[Any, int | None]]:
    """The tensors of a nested structure, each with its entry of `dims` (a prefix of it)."""
    if dims is None or isinstance(dims, int):
        found: list[Any] = []
        map_tensors(found.append, tree)
        return [(t, dims) for t in found]
    if isinstance(tree, dict) and isinstance(dims, dict) and tree.keys() == dims.keys():
        pairs = [(tree[k], dims[k]) for k in tree]
    elif (isinstance(tree, (tuple, list)) and isinstance(dims, (tuple, list))
          and len(tree) == len(dims)):  # fmt: skip
        pairs = list(zip(tree, dims, strict=True))
    else:
        raise ValueError(
            f"pmap: {what} {dims!r} does not have the structure of what it is for, "
            f"{type(tree).__name__}"
        )
    return [leaf for part, d in pairs for leaf in _leaves(part, d, what)]


def _size(leaves: Sequence[tuple[Any, int | None]]) -> int:
    sizes = set()
    for tensor, dim in leaves:
        if dim is None:
            continue
        if not -tensor.dim() <= dim < tensor.dim():
            raise ValueError(
                f"pmap: in_dims has {dim} for a tensor of dimensionality {tensor.dim()}"
            )
        sizes.add(tensor.shape[dim])
    if not sizes:
        raise ValueError("pmap: at least one tensor has to be mapped over (in_dims all None)")
    if len(sizes) > 1:
        raise ValueError(
            "pmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sorted(sizes)} for the mapped dimension"
        )
    return int(sizes.pop())


def _devices(devices: Sequence[Any] | None, size: int) -> list[Device]:
    if devices is None:
        kind = next((k for k in ("cuda", "xla") if jax_devices(k)), "cpu")
        there = len(jax_devices(kind))
        if size > there:
            raise ValueError(
                f"pmap: the mapped dimension has size {size}, but only {there} {kind} devices are "
                "there"
            )
        return [resolve(Device(kind, k) if kind != "cpu" else Device("cpu")) for k in range(size)]
    if len(devices) != size:
        raise ValueError(
            f"pmap: the mapped dimension has size {size}, but {len(devices)} devices were given"
        )
    return [resolve(d if not isinstance(d, int) else Device("cuda", d)) for d in devices]


def _enter(call: ReplicaCall, tensor: Any, dim: int | None) -> Any:
    tensor = at_home(tensor, call.home)
    if dim is None:
        return call.take(tensor, "shared", 0, [tensor._aval])[0]
    dim %= tensor.dim()
    shape = list(tensor.shape)
    del shape[dim]
    return call.take(tensor, "row", dim, [aval_of(tuple(shape), tensor._aval.dtype)])[0]


def _run(
    call: ReplicaCall, fn: Callable[..., Any], args: Any, kwargs: Any, dims: Any, outs: Any
) -> Any:
    inside = [_enter(call, t, d) for t, d in dims]
    args, kwargs = replaced((args, kwargs), inside)
    del inside
    try:
        with call.lane(0):
            made = fn(*args, **kwargs)
            del args, kwargs
            results, history = [], []
            for tensor, dim in _leaves(made, outs, "out_dims"):
                kind = "first" if dim is None else "stacked"
                at = 0 if dim is None else dim % (tensor.dim() + 1)
                results.append(Result(kind, at, [tensor._value()]))
                history.append((kind, at, [tensor._edge()]))
                del tensor
    except DataDependent as error:
        raise RuntimeError(
            f"pmap: the function reads the value of a tensor while it is mapped ({error}); "
            "torch.where chooses without reading"
        ) from None
    marks = outline(made)
    del made
    values = call.emit(results)
    edges = call.link(history, values, "GatherBackward")
    return filled(marks, iter(from_values(values, edges)))


def _refused(name: str) -> BaseException:
    return RuntimeError(
        f"pmap: the function writes in place ({name}) to a tensor that it was not given, which "
        "devices do not share; pass the tensor as an argument and return the new one"
    )


def pmap(
    fn: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    axis_name: str = "devices",
    devices: Sequence[Any] | None = None,
) -> Callable[..., Any]:
    """`fn` on several devices at once, each with one slice of the mapped arguments.

    Args:
        fn: takes and returns tensors and containers of them; it must not read values.
        in_dims: the dimension of each argument that is mapped, None for all of it on every
            device; keyword arguments are mapped along 0.
        out_dims: where the results are stacked; None takes the first device's.
        axis_name: what `psum`, `pmean`, `all_gather` and `axis_index` inside refer to.
        devices: as many as the mapped dimension is long; the first GPUs if None.

    Raises: ValueError for sizes that differ or more slices than devices, RuntimeError for a
        function that reads values.

    Example:
        >>> pmap(lambda x: x / psum(x, "i"), axis_name="i")(torch.rand(4, 3))
    """

    @functools.wraps(fn)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims = _leaves(args, in_dims, "in_dims") + _leaves(kwargs, 0, "in_dims")
        places = _devices(devices, _size(dims))
        if on_stand_ins(places[0]):
            raise RuntimeError("pmap: cannot be called within pmap or DataParallel")
        name = getattr(fn, "__name__", type(fn).__name__)
        call = ReplicaCall(name, places, axis_name, (len(places),), _refused, True)
        return _run(call, fn, args, kwargs, dims, out_dims)

    return mapped
