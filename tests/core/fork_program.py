"""A program whose children compute after the parent has: prints what each gave."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import Any

import torchish as torch
import torchish.multiprocessing as mp
from torchish import nn
from torchish._basics.forking import xla_has_started


def in_child(function: Any) -> int:
    """The exit code of a child that calls `function`."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def leave() -> None:
    """A child that ends as a script does, through every exit handler."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        (torch.ones(2) * 2).sum().item()
        sys.exit(0)
    print("sys.exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def doubled(x: Any) -> float:
    return float((x * 2 + 1).sum())


def add_five(shared: Any) -> None:
    shared += 5


def algebra(x: Any) -> list[Any]:
    """Results whose signs and phases do not depend on who computes them."""
    linalg = torch.linalg
    s = x @ x.t() + torch.eye(len(x))
    q, r = linalg.qr(x)
    u, d, vh = linalg.svd(x)
    return [
        linalg.inv(x), linalg.solve(x, s), linalg.det(x), linalg.slogdet(x)[1], q, r, u, d, vh,
        linalg.eigvalsh(s), linalg.eigh(s)[0], linalg.eig(x)[0].abs(), linalg.cholesky(s),
        linalg.lstsq(x, s).solution, linalg.pinv(x), linalg.cond(x), linalg.matrix_rank(x),
        linalg.lu_factor(x)[0], linalg.matrix_norm(x, 2), linalg.matrix_exp(x),
        torch.pow(torch.complex(x, x), x), torch.stack(torch.unbind(x.tile(2, 1))),
        torch.searchsorted(torch.arange(5.0), x),
    ]  # fmt: skip


def put(queue: Any, event: Any) -> None:
    queue.put(torch.arange(3.0))
    queue.put(nn.Parameter(torch.ones(1)))
    event.wait(30)


def write(queue: Any, done: Any) -> None:
    queue.get()[1] = 9
    done.set()


def train(model: nn.Module, seed: int) -> None:
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(40):
        x = torch.randn(8, 4)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).pow(2).mean().backward()
        optimizer.step()


def queues(context: Any) -> None:
    """Tensors through queues keep their memory."""
    queue, event, done = context.SimpleQueue(), context.Event(), context.Event()
    sender = context.Process(target=put, args=(queue, event))
    sender.start()
    arrived, parameter = queue.get(), queue.get()
    receiver = context.Process(target=write, args=(queue, done))
    receiver.start()
    queue.put(arrived)
    done.wait(30)
    event.set()
    sender.join()
    receiver.join()
    kind = type(parameter).__name__.lower()
    try:
        queue.put(torch.ones(1, requires_grad=True) * 2)
    except RuntimeError:
        print("queue", arrived.tolist(), kind, parameter.requires_grad, "non-leaf refused")


def main() -> None:
    x = torch.ones(2, 3)
    (torch.fft.fft(x).abs() @ x.t()).sum().item()
    torch._basics.devices.jax_device(torch._basics.devices.CPU)  # type: ignore[attr-defined]
    assert xla_has_started()
    pending = x * 4  # recorded, not run

    code = in_child(lambda: None if doubled(x) == 18 else sys.exit(1))
    print("os.fork", code, doubled(x) - 6)
    leave()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("Pool", pool.map(doubled, [torch.full((1,), float(k)) for k in (1, 2, 3)]))
    said = subprocess.run(
        ["cat"], input="6.0", text=True, capture_output=True, preexec_fn=lambda: x.sum().item()
    )
    print("preexec_fn", said.stdout)
    code = in_child(lambda: print("pending", float(pending.sum()) - 4))
    assert code == 0

    def gradient() -> None:
        leaf = torch.ones(2, requires_grad=True)
        (leaf * 2).sum().backward()
        print("gradient", leaf.grad.tolist())

    assert in_child(gradient) == 0
    square = torch.tensor([[2.0, 1.0, 0.5], [-1.0, 3.0, 0.2], [0.3, -0.7, 1.5]])
    expected = [t.tolist() for t in algebra(square)]

    def algebraic() -> None:
        for mine, theirs in zip(algebra(square), expected, strict=True):
            torch.testing.assert_close(mine, torch.tensor(theirs, dtype=mine.dtype))
        leaf = square.clone().requires_grad_()
        torch.linalg.inv(leaf).sum().backward()
        print("linalg", len(expected), leaf.grad is not None)

    assert in_child(algebraic) == 0
    context: Any = mp.get_context("fork")
    shared = torch.zeros(2).share_memory_()
    process = context.Process(target=add_five, args=(shared,))
    process.start()
    process.join()
    print("shared", shared.tolist(), shared.is_shared())
    queues(context)
    plain = multiprocessing.SimpleQueue()
    sent = torch.ones(2)
    plain.put(sent)
    plain.get()[0] = 3
    print("plain multiprocessing", sent.is_shared() and sent.tolist() == [3, 1])
    model = nn.Linear(4, 1)
    model.share_memory()
    processes = [context.Process(target=train, args=(model, seed)) for seed in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("hogwild", bool(((model.weight - 1).abs() < 0.3).all()))
    print("parent", float((torch.ones(3) * 3).sum()))


if __name__ == "__main__":
    main()
