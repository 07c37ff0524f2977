"""The collectives of `torch.distributed` on tensors.

A tensor is read when the call is made; the result is written into the output tensors when the call
returns, or for `async_op=True` when the handle is waited for. Every collective first compares what
the ranks are about to do, so that calls that differ raise instead of hanging.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from .._autograd.interop import host_array, wrap_host
from .._tensor.tensor import Tensor
from ..autograd import no_grad
from ._group import GroupMember, ProcessGroup, ReduceOp, _ReduceOp, resolve
from ._wire import Array


class Work:
    """A collective under way."""

    __module__ = "torch.distributed.distributed_c10d"

    def __init__(
        self, pg: ProcessGroup, what: str, future: Any, finish: Callable[[Any], None],
        outputs: Sequence[Any] = (),
    ) -> None:  # fmt: skip
        self._outputs = list(outputs)
        self._pg = pg
        self._what = what
        self._future = future
        self._finish: Callable[[Any], None] | None = finish

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until the outputs are there.

        Raises: DistBackendError when it failed or took too long.
        """
        if self._finish is not None:
            found = self._pg.wire.wait(self._future, self._what, timeout)
            finish, self._finish = self._finish, None
            with no_grad():
                finish(found)
        return True

    def is_completed(self) -> bool:
        """Whether it has ended (the outputs are then written)."""
        if not self._future.done():
            return False
        if self._future.exception() is None:
            self.wait()
        return True

    def is_success(self) -> bool:
        """Whether it has ended well."""
        return bool(self._future.done() and self._future.exception() is None)

    def exception(self) -> Any:
        """What it failed with."""
        return self._future.exception() if self._future.done() else None

    def synchronize(self) -> None:
        """`wait`."""
        self.wait()

    def result(self) -> list[Any]:
        """The output tensors, once they are there."""
        self.wait()
        return list(self._outputs)

    def get_future(self) -> Any:
        """A `torch.futures.Future` of the list of output tensors."""
        from ..futures import Future

        return Future._from(self.result, self._future.done)


def _start(
    pg: ProcessGroup, what: str, job: Callable[[], Any], finish: Callable[[Any], None],
    async_op: bool, description: str = "", outputs: Sequence[Any] = (),
) -> Work | None:  # fmt: skip
    """Run a collective in its group's thread."""
    pg.wire.check()

    def agreed() -> Any:
        pg.wire.agree(f"{what} {description}")
        return job()

    work = Work(pg, what, pg.wire.submit(agreed), finish, outputs)
    if async_op:
        return work
    work.wait()
    return None


def _tensor(x: Any, name: str) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(x)} instead."
        )
    return x


def _tensors(xs: Any, name: str) -> list[Tensor]:
    if not isinstance(xs, list):
        what = "instead"
    elif not all(isinstance(x, Tensor) for x in xs):
        what = f"with elements of type {[type(x) for x in xs]}"
    else:
        return list(xs)
    raise TypeError(
        f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n"
        f"             but got {type(xs)} {what}."
    )


def _one_dtype(*tensors: Tensor) -> None:
    for t in tensors[1:]:
        if t.dtype != tensors[0].dtype:
            raise ValueError(
                f"Invalid usage of tensors with different dtypesFound {tensors[0].dtype} and  "
                f"{t.dtype}"
            )


def _describe(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"


def _array(tensor: Tensor) -> Array:
    return host_array(tensor.detach())


def _put(target: Tensor, array: Array) -> None:
    target.copy_(wrap_host(np.array(array)).reshape(target.shape))


def _op(op: Any, what: str, *tensors: Tensor) -> str:
    if not isinstance(op, _ReduceOp):
        raise TypeError(f"op must be a torch.distributed.ReduceOp, not {type(op).__name__}")
    for t in tensors:
        if t.is_complex() and op.name not in ("SUM", "AVG"):
            raise ValueError(f"{what} does not support RedOpType.{op.name} on complex tensors")
        if op.name in ("BAND", "BOR", "BXOR") and t.is_floating_point():
            raise RuntimeError(f"Cannot use ReduceOp.{op.name} with non-integral dtype")
    return op.name


def _outside(group: Any) -> bool:
    """Whether this process is not in the group (torch warns and does nothing)."""
    if group == GroupMember.NON_GROUP_MEMBER:
        import warnings

        warnings.warn("Running collective on global rank which does not belong to the given group.",
                      stacklevel=3)  # fmt: skip
        return True
    return False


def _root(pg: ProcessGroup, root: int | None, group_root: int | None, what: str) -> int:
    """A root's rank in the group."""
    if group_root is not None:
        if root is not None:
            raise ValueError(f"Can't specify both group_{what} and {what}")
        return group_root
    root = 0 if root is None else root
    if pg.ranks == list(range(pg.size())):
        return root
    if root not in pg.ranks:
        raise ValueError(f"Global rank {root} is not part of group {pg}")
    return pg.ranks.index(root)


def _check_root(pg: ProcessGroup, root: int, what: str) -> None:
    if not 0 <= root < pg.size():
        raise RuntimeError(f"ProcessGroupGloo::{what}: invalid root rank: {root}")


def all_reduce(
    tensor: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """Replace the tensor by the reduction over all ranks."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    pg, kind, mine = resolve(group), _op(op, "all_reduce", tensor), _array(tensor)
    return _start(
        pg, "all_reduce", lambda: pg.wire.reduce(kind, [mine])[0],
        lambda got: _put(tensor, got), async_op, f"{kind} {_describe(tensor)}",
        [tensor],
    )  # fmt: skip


def all_reduce_coalesced(
    tensors: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """`all_reduce` of several tensors in one program."""
    given = _tensors(tensors, "tensors")
    if _outside(group):
        return None
    pg, kind = resolve(group), _op(op, "all_reduce", *given)
    mine = [_array(t) for t in given]

    def finish(got: list[Array]) -> None:
        for t, array in zip(given, got, strict=True):
            _put(t, array)

    described = ", ".join(map(_describe, given))
    return _start(pg, "all_reduce", lambda: pg.wire.reduce(kind, mine), finish, async_op,
                  f"{kind} {described}", given)  # fmt: skip


def reduce(
    tensor: Any, dst: int | None = None, op: Any = ReduceOp.SUM, group: Any = None,
    async_op: bool = False, group_dst: int | None = None,
) -> Any:  # fmt: skip
    """Replace the tensor of rank `dst` by the reduction over all ranks."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    pg, kind, mine = resolve(group), _op(op, "reduce", tensor), _array(tensor)
    root = _root(pg, dst, group_dst, "dst")
    _check_root(pg, root, "reduce")

    def finish(got: Array) -> None:
        if pg.rank() == root:
            _put(tensor, got)

    return _start(pg, "reduce", lambda: pg.wire.reduce(kind, [mine])[0], finish, async_op,
                  f"{kind} to {root} {_describe(tensor)}", [tensor])  # fmt: skip


def broadcast(
    tensor: Any, src: int | None = None, group: Any = None, async_op: bool = False,
    group_src: int | None = None,
) -> Any:  # fmt: skip
    """Replace the tensor by that of rank `src`."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    pg, mine = resolve(group), _array(tensor)
    root = _root(pg, src, group_src, "src")
    _check_root(pg, root, "broadcast")
    return _start(pg, "broadcast", lambda: pg.wire.broadcast(mine, root),
                  lambda got: _put(tensor, got), async_op,
                  f"from {root} {_describe(tensor)}", [tensor])  # fmt: skip


def all_gather(tensor_list: Any, tensor: Any, group: Any = None, async_op: bool = False) -> Any:
    """Fill the list with the tensors of all ranks."""
    outs = _tensors(tensor_list, "tensor_list")
    _tensor(tensor, "tensor")
    _one_dtype(*outs, tensor)
    if _outside(group):
        return None
    pg, mine = resolve(group), _array(tensor)
    if len(outs) != pg.size():
        raise RuntimeError(
            "ProcessGroupGloo::allgather: invalid output tensor list at index 0 (expected length "
            f"{pg.size()}, got {len(outs)})"
        )
    _sizes(outs, tensor, "allgather")

    def finish(got: Array) -> None:
        for out, array in zip(outs, got, strict=True):
            _put(out, array)

    return _start(
        pg, "all_gather", lambda: pg.wire.move(mine), finish, async_op, _describe(tensor), outs
    )


def _sizes(tensors: Sequence[Tensor], like: Tensor, what: str) -> None:
    for k, t in enumerate(tensors):
        if t.shape != like.shape:
            raise RuntimeError(
                f"ProcessGroupGloo::{what}: invalid tensor size at index {k} (expected "
                f"{_size_text(like)}, got {_size_text(t)})"
            )


def _size_text(tensor: Tensor) -> str:
    return "(" + ", ".join(map(str, tensor.shape)) + ")"


def all_gather_into_tensor(
    output_tensor: Any, input_tensor: Any, group: Any = None, async_op: bool = False
) -> Any:
    """Fill a tensor with those of all ranks, joined (or stacked) along dim 0."""
    _tensor(output_tensor, "output_tensor")
    _tensor(input_tensor, "input_tensor")
    _one_dtype(input_tensor, output_tensor)
    if _outside(group):
        return None
    pg, mine = resolve(group), _array(input_tensor)
    if output_tensor.numel() != input_tensor.numel() * pg.size():
        raise RuntimeError(
            "output tensor size must be equal to world_size times input tensor size: "
            f"got {tuple(output_tensor.shape)} for {tuple(input_tensor.shape)}"
        )
    return _start(pg, "all_gather", lambda: pg.wire.move(mine),
                  lambda got: _put(output_tensor, got), async_op,
                  _describe(input_tensor), [output_tensor])  # fmt: skip


def gather(
    tensor: Any, gather_list: Any = None, dst: int | None = None, group: Any = None,
    async_op: bool = False, group_dst: int | None = None,
) -> Any:  # fmt: skip
    """Fill the list of rank `dst` with the tensors of all ranks."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    pg, mine = resolve(group), _array(tensor)
    root = _root(pg, dst, group_dst, "dst")
    _check_root(pg, root, "gather")
    outs: list[Tensor] = []
    if pg.rank() == root:
        if not gather_list:
            raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
        outs = _tensors(gather_list, "gather_list")
        _one_dtype(tensor, *outs)
        if len(outs) != pg.size():
            raise RuntimeError(
                "ProcessGroupGloo::gather: Incorrect output list size "
                f"{len(outs)}. Output list should be {pg.size()}, same as size of the process "
                "group."
            )
        _sizes(outs, tensor, "gather")
    elif gather_list:
        raise ValueError("Argument ``gather_list`` must NOT be specified on non-destination ranks.")

    def finish(got: Array) -> None:
        for out, array in zip(outs, got, strict=False):
            _put(out, array)

    return _start(pg, "gather", lambda: pg.wire.move(mine), finish, async_op,
                  f"to {root} {_describe(tensor)}", outs)  # fmt: skip


def scatter(
    tensor: Any, scatter_list: Any = None, src: int | None = None, group: Any = None,
    async_op: bool = False, group_src: int | None = None,
) -> Any:  # fmt: skip
    """Replace the tensor by this rank's entry of the list of rank `src`."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    pg = resolve(group)
    root = _root(pg, src, group_src, "src")
    _check_root(pg, root, "scatter")
    rows = np.broadcast_to(_array(tensor), (pg.size(), *tensor.shape))
    if pg.rank() == root:
        if not scatter_list:
            raise ValueError("Argument ``scatter_list`` must be specified on source rank.")
        given = _tensors(scatter_list, "scatter_list")
        _one_dtype(tensor, *given)
        if len(given) != pg.size():
            raise RuntimeError(
                "ProcessGroupGloo::scatter: Incorrect input list size "
                f"{len(given)}. Input list size should be {pg.size()}, same as size of the process "
                "group."
            )
        _sizes(given, tensor, "scatter")
        rows = np.stack([_array(t) for t in given])
    elif scatter_list:
        raise ValueError("Argument ``scatter_list`` must NOT be specified on non-source ranks.")
    return _start(pg, "scatter", lambda: pg.wire.exchange(rows)[root],
                  lambda got: _put(tensor, got), async_op,
                  f"from {root} {_describe(tensor)}", [tensor])  # fmt: skip


def reduce_scatter(
    output: Any, input_list: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """Replace `output` by this rank's entry of the reduction of the lists."""
    _tensor(output, "output")
    given = _tensors(input_list, "input_list")
    _one_dtype(output, *given)
    if _outside(group):
        return None
    pg = resolve(group)
    if len(given) != pg.size():
        raise RuntimeError(
            f"ProcessGroupGloo::reduce_scatter: invalid input tensor list size {len(given)} "
            f"(expected {pg.size()})"
        )
    _sizes(given, output, "reduce_scatter")
    return _reduce_rows(pg, output, np.stack([_array(t) for t in given]), op, async_op)


def reduce_scatter_tensor(
    output: Any, input: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Any:
    """`reduce_scatter` of one tensor, cut along dim 0."""
    _tensor(output, "output")
    _tensor(input, "input")
    _one_dtype(output, input)
    if _outside(group):
        return None
    pg = resolve(group)
    if input.numel() != output.numel() * pg.size():
        raise RuntimeError("input tensor must be the same size as output size times world size")
    rows = _array(input).reshape(pg.size(), *output.shape)
    return _reduce_rows(pg, output, rows, op, async_op)


def _reduce_rows(pg: ProcessGroup, output: Tensor, rows: Array, op: Any, async_op: bool) -> Any:
    kind, me = _op(op, "reduce_scatter", output), pg.rank()
    return _start(pg, "reduce_scatter", lambda: pg.wire.reduce(kind, [rows])[0][me],
                  lambda got: _put(output, got), async_op,
                  f"{kind} {_describe(output)}", [output])  # fmt: skip


def all_to_all(
    output_tensor_list: Any, input_tensor_list: Any, group: Any = None, async_op: bool = False
) -> Any:
    """Entry i of the outputs becomes this rank's entry of the list of rank i."""
    outs = _tensors(output_tensor_list, "output_tensor_list")
    given = _tensors(input_tensor_list, "input_tensor_list")
    _one_dtype(*outs, *given)
    if _outside(group):
        return None
    pg = resolve(group)
    for side, tensors in (("output", outs), ("input", given)):
        if len(tensors) != pg.size():
            raise RuntimeError(
                f"ProcessGroupGloo::alltoall: {side} tensor list size {len(tensors)} does not "
                f"match world size {pg.size()}"
            )
    pieces = [_array(t).reshape(-1) for t in given]

    def finish(rows: list[Array]) -> None:
        for out, row in zip(outs, rows, strict=True):
            _put(out, row[: out.numel()])

    return _start(pg, "all_to_all", lambda: _swap(pg, pieces, [t.numel() for t in outs]), finish,
                  async_op, str(outs[0].dtype), outs)  # fmt: skip


def _swap(pg: ProcessGroup, pieces: Sequence[Array], wanted: Sequence[int]) -> list[Array]:
    """Exchange pieces of different sizes: padded to the longest."""
    sizes = pg.wire.move(np.array([p.size for p in pieces], np.int64))
    arriving = sizes[:, pg.rank()]
    if list(arriving) != list(wanted):
        raise TypeError(f"all_to_all: outputs of {list(wanted)} elements cannot take the "
                        f"{arriving.tolist()} that arrive")  # fmt: skip
    rows = np.zeros((pg.size(), int(sizes.max())), pieces[0].dtype)
    for row, piece in zip(rows, pieces, strict=True):
        row[: piece.size] = piece
    return list(pg.wire.exchange(rows)) if rows.size else list(rows)


def all_to_all_single(
    output: Any, input: Any, output_split_sizes: Any = None, input_split_sizes: Any = None,
    group: Any = None, async_op: bool = False,
) -> Any:  # fmt: skip
    """`all_to_all` of one tensor, cut along dim 0 into equal parts or the given sizes."""
    _tensor(output, "output")
    _tensor(input, "input")
    _one_dtype(output, input)
    if _outside(group):
        return None
    pg = resolve(group)
    outs = _cut(output, output_split_sizes, pg.size())
    return all_to_all(outs, _cut(input, input_split_sizes, pg.size()), group, async_op)


def _cut(tensor: Tensor, sizes: Any, count: int) -> list[Tensor]:
    if not sizes:
        if tensor.shape[0] % count:
            raise RuntimeError("Tensor's dim 0 does not divide equally across group size")
        sizes = [tensor.shape[0] // count] * count
    if len(sizes) != count or sum(sizes) != tensor.shape[0]:
        raise RuntimeError("Split sizes doesn't match total dim 0 size")
    with no_grad():
        return list(tensor.detach().split(list(sizes)))


def barrier(
    group: Any = None, async_op: bool = False, device_ids: Any = None,
    timeout: timedelta | None = None,
) -> Any:  # fmt: skip
    """Wait until all ranks of the group are here."""
    if _outside(group):
        return None
    pg = resolve(group)
    pg.wire.check()
    work = Work(pg, "barrier", pg.wire.submit(lambda: pg.wire.agree("barrier")), lambda _: None)
    if async_op:
        return work
    work.wait(timeout)
    return None


def monitored_barrier(
    group: Any = None, timeout: timedelta | None = None, wait_all_ranks: bool = False
) -> None:
    """`barrier` with a timeout of its own."""
    barrier(group, timeout=timeout)
