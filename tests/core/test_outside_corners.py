"""Raw addresses, memory that runs out, errors from within, arrays of JAX: more of each."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests import oracle
from tests.oracle import tries

case = CASES = oracle.Cases()


def read(tensor: Any, count: int, kind: Any = ctypes.c_float) -> list[Any]:
    """What lies at the address of a tensor."""
    return list((kind * count).from_address(tensor.data_ptr()))


def write(tensor: Any, *values: float) -> None:
    (ctypes.c_float * len(values)).from_address(tensor.data_ptr())[:] = values


# --- addresses ---


@case
def writes_show_at_an_address_that_stays(torch: Any) -> Any:
    x = torch.arange(6.0).reshape(2, 3)
    address, found = x.data_ptr(), []
    for work in (
        lambda: x.add_(1), lambda: x[1].zero_(), lambda: x.t()[0].fill_(9), lambda: x.exp_(),
        lambda: x.copy_(torch.ones(3)), lambda: x.clamp_(0, 0.5), lambda: x.data.mul_(4),
        lambda: x.__setitem__((slice(None), 1), 7.0), lambda: torch.add(x, 1, out=x),
        lambda: x.index_fill_(0, torch.tensor([1]), -1), lambda: x.masked_fill_(x < 0, 3),
    ):  # fmt: skip
        work()
        found.append((read(x, 6), x.data_ptr() == address))
    return found


@case
def what_c_writes_is_seen(torch: Any) -> Any:
    x = torch.zeros(4)
    view, flat = x[1:3], x.view(2, 2)
    write(x, 1, 2, 3, 4)
    first = view + 0, flat.sum(), x.tolist()
    write(view, 8, 9)
    w = torch.ones(2, requires_grad=True)
    loss = (w * view).sum()
    write(view, 5, 5)
    loss.backward()
    return first, x, flat, loss, x.clone(), torch.cat([x, x])


@case
def addresses_of_parts(torch: Any) -> Any:
    x = torch.zeros(3, 4, dtype=torch.float64)
    views = [
        x[1], x[:, 1], x.t(), x[1:, 2:], x.view(-1)[5:], x.unfold(1, 2, 1)[0, 1], x.detach(),
        x.data, x.view(torch.int64), x.unsqueeze(0), x.expand(2, 3, 4), x[3:], x[:, :0],
    ]  # fmt: skip
    return [(v.data_ptr() - x.data_ptr()) * (v.numel() > 0) for v in views], [
        v.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for v in views
    ]


@case
def results_lie_elsewhere(torch: Any) -> Any:
    x = torch.arange(4.0)
    others = [x + 0, x.clone(), x.contiguous(), x.reshape(2, 2), x.to(torch.float32), x.double(),
              x.float(), x.cpu(), x.flip(0), x.t().contiguous() if x.ndim > 1 else x]  # fmt: skip
    found = [t.data_ptr() == x.data_ptr() for t in others]
    write(others[0], 42)
    return found, others[0], x


@case
def addresses_of_parameters_stay(torch: Any) -> Any:
    net = torch.nn.Linear(3, 2)
    addresses = [p.data_ptr() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    for _ in range(4):
        optimizer.zero_grad()
        net(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    kept = [p.data_ptr() for p in net.parameters()] == addresses
    values = read(net.bias, 2) == net.bias.tolist()
    net.load_state_dict(torch.nn.Linear(3, 2).state_dict())
    return kept, values, [p.data_ptr() for p in net.parameters()] == addresses


@case
def empty_and_numpy(torch: Any) -> Any:
    shared = np.arange(3, dtype=np.float32)
    x = torch.from_numpy(shared)
    write(x[1:], -1)
    y = torch.ones(3)
    array = y.numpy()
    write(y, 6)
    return (
        torch.empty(0).data_ptr(), torch.zeros(2, 0).data_ptr(),
        torch.zeros(2, device="meta").data_ptr(),
        x.data_ptr() == shared.__array_interface__["data"][0], shared.tolist(), array.tolist(), y,
    )  # fmt: skip


# --- memory that runs out ---


@case
def more_than_there_is(torch: Any) -> Any:
    n, x = 2**45, torch.ones(2**22)
    f = torch.nn.functional
    return tries(
        lambda: torch.zeros(n, dtype=torch.uint8), lambda: torch.full((n, 2), 1.0),
        lambda: torch.full((n,), 1), lambda: torch.rand(n), lambda: torch.randint(5, (n,)),
        lambda: torch.linspace(0, 1, n), lambda: torch.logspace(0, 1, n), lambda: torch.eye(n, 2),
        lambda: x.new_zeros(n), lambda: x.new_empty((n, 3)), lambda: x.new_full((n,), 2.0),
        lambda: torch.empty_strided((n,), (1,)), lambda: torch.outer(x, x),
        lambda: x.tile(2**24), lambda: x.repeat_interleave(2**24), lambda: torch.kron(x, x),
        lambda: torch.diag(x), lambda: f.pad(x, (n, 0)), lambda: f.one_hot(torch.tensor([n - 1])),
        lambda: x.expand(2**24, -1).contiguous(), lambda: x.expand(2**24, -1) + 1,
        lambda: torch.meshgrid(x, x)[0].clone(),
        lambda: torch.empty(n, dtype=torch.complex128), lambda: torch.nn.Embedding(n, 4),
        lambda: torch.nn.Conv2d(2**22, 2**22, 3), lambda: torch.empty(2**61, 2**3),
        lambda: torch.ones(2**31, 2**31, 4), lambda: torch.tril_indices(2**23, 2**23),
    )  # fmt: skip


@case
def work_goes_on_after_it_ran_out(torch: Any) -> Any:
    w = torch.ones(2, requires_grad=True)
    y = w * 3
    failed = tries(lambda: torch.zeros(2**46), lambda: y.expand(2**44, 2) + 1)
    y.sum().backward()
    return failed, w.grad, torch.rand(2)


# --- errors from within ---


def shown(error: BaseException) -> Any:
    text = str(error)
    return (type(error).__name__, text, getattr(error, "__notes__", []), error.__cause__ is None,
            "jax" in text.lower(), "XLA" in text)  # fmt: skip


def caught(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return shown(error)


@case
def errors_inside_backward(torch: Any) -> Any:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, how: int) -> Any:
            ctx.how = how
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            if ctx.how == 0:
                return grad @ torch.ones(5), None
            if ctx.how == 1:
                return grad.reshape(7), None
            if ctx.how == 2:
                return torch.ones(9), None
            return grad

    found = []
    for how in range(4):
        x = torch.ones(3, requires_grad=True)
        found.append(caught(lambda x=x, how=how: Wrong.apply(x, how).sum().backward()))
        found.append(x.grad is None)
    return found


@case
def errors_inside_hooks(torch: Any) -> Any:
    x = torch.ones(3, requires_grad=True)
    net = torch.nn.Linear(3, 2)

    def bad(*_: Any) -> Any:
        return torch.ones(2) + torch.ones(3)

    def of_tensor() -> None:
        y = x * 2
        y.register_hook(bad)
        y.sum().backward()

    def of_module(add: str) -> None:
        handle = getattr(net, add)(bad)
        try:
            net(x[None]).sum().backward()
        finally:
            handle.remove()

    def packed() -> None:
        with torch.autograd.graph.saved_tensors_hooks(bad, lambda t: t):
            x.exp()

    kinds = ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook")
    return [caught(of_tensor), caught(packed), *[caught(lambda k=k: of_module(k)) for k in kinds],
            net(x[None]).shape]  # fmt: skip


@case
def errors_of_what_runs_again_and_again(torch: Any) -> Any:
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    optimizer = torch.optim.Adam(net.parameters())
    found = []
    for step in range(6):
        x = torch.ones(3, 4 if step != 4 else 5)
        optimizer.zero_grad()
        found.append(caught(lambda x=x: float(net(x).sum().detach() * 0)))
        if step != 4:
            net(x).sum().backward()
            optimizer.step()
    return found


@case
def errors_of_transforms(torch: Any) -> Any:
    x = torch.ones(3, 2)
    return [
        caught(work)
        for work in (
            lambda: torch.func.grad(lambda a: (a @ torch.ones(5)).sum())(x),
            lambda: torch.func.jacrev(lambda a: a.reshape(7))(x),
            lambda: torch.utils.checkpoint.checkpoint(lambda a: a.view(7), x, use_reentrant=False),
        )
    ]


# --- arrays of JAX ---


def arrays(torch: Any) -> Callable[[Any], Any]:
    """JAX's arrays for torchish; PyTorch is given numpy's, row by row in memory as JAX's are."""
    if torch.__name__ == "torch":
        return lambda a: np.ascontiguousarray(a).reshape(np.shape(a))
    import jax.numpy as jnp

    return jnp.asarray


@case
def arrays_of_every_dtype(torch: Any) -> Any:
    make = arrays(torch)
    names = "bool uint8 int8 int16 int32 int64 float16 float32 float64 complex64 complex128".split()
    found = []
    for name in names:
        a = make(np.array([[0, 1], [2, 3]]).astype(name))
        found.append((torch.tensor(a), torch.as_tensor(a), torch.asarray(a), torch.tensor(a[1, 1])))
    return found


@case
def arrays_of_odd_shapes(torch: Any) -> Any:
    make, base = arrays(torch), np.arange(12, dtype=np.float32).reshape(3, 4)
    odd = [base.T, base[::2], base[:0], base[1, 2], np.float32(3), base[None, :, 1]]
    return [torch.tensor(make(a)) * 2 for a in odd], torch.as_tensor(make(base.T)).sum(1)


@case
def arrays_with_options(torch: Any) -> Any:
    a = arrays(torch)(np.arange(4, dtype=np.int32))
    x = torch.tensor(a, dtype=torch.float64, requires_grad=True)
    (x * x).sum().backward()
    made = torch.tensor(a)
    made += 1
    return x.grad, made, np.asarray(a).tolist(), torch.asarray(a, copy=True), tries(
        lambda: torch.tensor(a, requires_grad=True), lambda: torch.tensor(a, device="nowhere"),
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0)


def test_arrays_of_bfloat16_and_arrays_that_are_committed() -> None:
    """PyTorch has no like of these: by value, and back."""
    import jax
    import jax.numpy as jnp

    import torchish

    half = jnp.asarray([1.5, -2.0], jnp.bfloat16)
    committed = jax.device_put(jnp.arange(3.0), jax.devices()[0])
    for array, dtype in (
        (half, torchish.bfloat16),
        (committed, None),
        (half[0], torchish.bfloat16),
    ):
        for made in (
            torchish.tensor(array),
            torchish.as_tensor(array),
            torchish.from_dlpack(array),
        ):
            assert dtype is None or made.dtype is dtype
            assert made.double().tolist() == np.asarray(array).astype(np.float64).tolist()
            assert (made + made).shape == array.shape
    assert torchish.tensor(half).sum().item() == float(ml_dtypes.bfloat16(-0.5))
