"""Checks of collectives, run by every rank of a job."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

import torchish as torch
import torchish.distributed as dist
from tests.agreement import same
from tests.parallel.comparing import raises
from tests.parallel.processes import checks_of, main

DTYPES = [torch.float32, torch.int64, torch.bool, torch.bfloat16]


def data(rank, dtype, shape=(2, 3)):
    """What a rank brings: known to all."""
    rng = np.random.default_rng(rank)
    numbers = torch.tensor(rng.integers(-3, 4, shape).tolist())
    return numbers > 0 if dtype is torch.bool else numbers.to(dtype)


def everybody(dtype, shape=(2, 3)):
    return [data(r, dtype, shape) for r in range(dist.get_world_size())]


REDUCTIONS = {
    "SUM": lambda a, b: a + b if a.dtype is not torch.bool else a | b,
    "PRODUCT": lambda a, b: a * b if a.dtype is not torch.bool else a & b,
    "MIN": lambda a, b: torch.where(a < b, a, b) if a.dtype is not torch.bool else a & b,
    "MAX": lambda a, b: torch.where(a > b, a, b) if a.dtype is not torch.bool else a | b,
}


def folded(name, tensors):
    total = tensors[0]
    for t in tensors[1:]:
        total = REDUCTIONS[name](total, t)
    return total


def check_all_reduce():
    for dtype in DTYPES:
        for name in REDUCTIONS:
            x = data(dist.get_rank(), dtype)
            assert dist.all_reduce(x, getattr(dist.ReduceOp, name)) is None
            same(x, folded(name, everybody(dtype)), 0)
    x = data(dist.get_rank(), torch.float32)
    dist.all_reduce(x, dist.ReduceOp.AVG)
    same(x, folded("SUM", everybody(torch.float32)) / dist.get_world_size(), 0)


def check_reduce():
    root = dist.get_world_size() - 1
    for dtype in DTYPES:
        x = data(dist.get_rank(), dtype)
        dist.reduce(x, root)
        if dist.get_rank() == root:
            same(x, folded("SUM", everybody(dtype)), 0)
        else:
            same(x, data(dist.get_rank(), dtype), 0)


def check_broadcast():
    for dtype in DTYPES:
        x = data(dist.get_rank(), dtype)
        dist.broadcast(x, src=1)
        same(x, data(1, dtype), 0)


def check_gathers():
    size, me = dist.get_world_size(), dist.get_rank()
    for dtype in DTYPES:
        mine, want = data(me, dtype), everybody(dtype)
        got = [torch.zeros(2, 3, dtype=dtype) for _ in range(size)]
        dist.all_gather(got, mine)
        for a, b in zip(got, want, strict=True):
            same(a, b, 0)
        joined = torch.zeros(2 * size, 3, dtype=dtype)
        dist.all_gather_into_tensor(joined, mine)
        same(joined, torch.cat(want), 0)
        got = [torch.zeros(2, 3, dtype=dtype) for _ in range(size)] if me == 1 else None
        dist.gather(mine, got, dst=1)
        if got is not None:
            for a, b in zip(got, want, strict=True):
                same(a, b, 0)


def check_scatters():
    size, me = dist.get_world_size(), dist.get_rank()
    for dtype in DTYPES:
        out = torch.zeros(2, 3, dtype=dtype)
        dist.scatter(out, everybody(dtype) if me == 0 else None, src=0)
        same(out, data(me, dtype), 0)
        rows = [data(10 * me + k, dtype) for k in range(size)]
        want = folded("SUM", [data(10 * r + me, dtype) for r in range(size)])
        dist.reduce_scatter(out, rows)
        same(out, want, 0)
        dist.reduce_scatter_tensor(out, torch.cat(rows))
        same(out, want, 0)


def check_all_to_all():
    size, me = dist.get_world_size(), dist.get_rank()
    for dtype in DTYPES:
        rows = [data(10 * me + k, dtype) for k in range(size)]
        got = [torch.zeros(2, 3, dtype=dtype) for _ in range(size)]
        dist.all_to_all(got, rows)
        for r, a in enumerate(got):
            same(a, data(10 * r + me, dtype), 0)
    # uneven: rank r sends k + 1 numbers to rank k
    given = torch.arange(size * (size + 1) // 2) + 100 * me
    out = torch.zeros((me + 1) * size, dtype=torch.int64)
    dist.all_to_all_single(out, given, [me + 1] * size, [k + 1 for k in range(size)])
    start = me * (me + 1) // 2
    same(out, torch.cat([torch.arange(start, start + me + 1) + 100 * r for r in range(size)]), 0)


def check_messages():
    size, me = dist.get_world_size(), dist.get_rank()
    for dtype in DTYPES:
        if me == 0:
            dist.send(data(7, dtype), dst=1)
        elif me == 1:
            x = torch.zeros(2, 3, dtype=dtype)
            assert dist.recv(x, src=0) == 0
            same(x, data(7, dtype), 0)
    got = torch.zeros(1)
    handles = [
        dist.isend(torch.tensor([float(me)]), (me + 1) % size),
        dist.irecv(got, (me - 1) % size),
    ]
    for handle in handles:
        assert handle.wait()
    assert got.item() == (me - 1) % size
    if me == 0:
        x = torch.zeros(1)
        senders = {dist.recv(x) for _ in range(size - 1)}
        assert senders == set(range(1, size))
    else:
        dist.send(torch.ones(1), 0)
    dist.barrier()


def check_objects():
    size, me = dist.get_world_size(), dist.get_rank()
    got = [None] * size
    dist.all_gather_object(got, {"rank": me, "long": "x" * (1000 * me)})
    assert [g["rank"] for g in got] == list(range(size)) and len(got[1]["long"]) == 1000
    box = [None, None] if me else ["first", {"n": 1}]
    dist.broadcast_object_list(box, src=0)
    assert box == ["first", {"n": 1}]
    out = [None]
    dist.scatter_object_list(out, [f"for {r}" for r in range(size)] if me == 0 else None, src=0)
    assert out == [f"for {me}"]
    got = [None] * size if me == 0 else None
    dist.gather_object(me * 10, got, dst=0)
    assert got is None or got == [10 * r for r in range(size)]


def check_groups():
    size, me = dist.get_world_size(), dist.get_rank()
    last = dist.new_group([size - 1, size - 2])
    other = dist.new_group([0])
    x = torch.tensor([me])
    if me >= size - 2:
        dist.all_reduce(x, group=last)
        assert x.item() == 2 * size - 3
        assert dist.get_process_group_ranks(last) == [size - 2, size - 1]
        assert dist.get_world_size(last) == 2 and dist.get_rank(last) == me - size + 2
        y = torch.tensor([me])
        dist.broadcast(y, src=size - 1, group=last)
        assert y.item() == size - 1
    else:
        assert last == dist.GroupMember.NON_GROUP_MEMBER and dist.get_rank(last) == -1
    assert dist.get_rank(other) == (0 if me == 0 else -1)
    dist.barrier()


def check_handles():
    x = torch.ones(3)
    work = dist.all_reduce(x, async_op=True)
    assert work.wait() and work.is_completed() and work.is_success()
    assert x.tolist() == [dist.get_world_size()] * 3


def check_history_is_left_alone():
    w = torch.ones(2, requires_grad=True)
    dist.broadcast(w.data, 0)
    dist.all_reduce(w.detach())
    (w * 2).sum().backward()
    assert w.grad.tolist() == [2, 2]


def check_errors():
    one = torch.ones(1)
    raises(ValueError, "trying to initialize the default process group twice!",
           lambda: dist.init_process_group("gloo"))  # fmt: skip
    raises(TypeError, "Expected parameter `tensor` of type torch.Tensor",
           lambda: dist.all_reduce([1]))  # fmt: skip
    raises(RuntimeError, "invalid root rank: 9", lambda: dist.broadcast(one, src=9))
    raises(ValueError, "Rank 99 is out of range", lambda: dist.new_group([0, 99]))
    raises(ValueError, "must not contain duplicate", lambda: dist.new_group([0, 0]))
    raises(RuntimeError, r"invalid output tensor list .*got 0", lambda: dist.all_gather([], one))
    raises(ValueError, "different dtypes",
           lambda: dist.all_gather([torch.ones(1, dtype=torch.int64)], one))  # fmt: skip
    raises(ValueError, "destination rank should not be the same",
           lambda: dist.send(one, dist.get_rank()))  # fmt: skip
    assert dist.is_initialized() and dist.get_backend() == "gloo" and dist.is_available()


def check_zz_shapes_that_differ():
    """Last: the group is broken afterwards."""
    x = torch.ones(2 + dist.get_rank())
    raises(dist.DistBackendError, "differ", lambda: dist.all_reduce(x))
    raises(dist.DistBackendError, "broken", lambda: dist.barrier())


if __name__ == "__main__":
    dist.init_process_group("gloo", timeout=timedelta(seconds=120))
    main(checks_of(globals()))
    dist.destroy_process_group()
    assert not dist.is_initialized()
