"""Addresses, storages, exchange with others, memory that runs out, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import oracle
from tests.oracle import part, tries

case = CASES = oracle.Cases()


@case
def ptrs(torch: Any) -> Any:
    import ctypes

    x = torch.arange(6, dtype=torch.float64).view(2, 3)
    y = x[1:]

    def f(p: int, n: int) -> list[float]:
        return (ctypes.c_double * n).from_address(p)[:]

    a = f(x.data_ptr(), 6)
    x.mul_(2)
    b = f(y.data_ptr(), 3)
    z = x * 3
    c = f(z.data_ptr(), 6)
    (ctypes.c_double * 6).from_address(z.data_ptr())[0] = 42.0
    return (
        a,
        b,
        c,
        z,
        y.data_ptr() - x.data_ptr(),
        x.untyped_storage().data_ptr() == x.data_ptr(),
        x.untyped_storage().nbytes(),
        x.element_size(),
        torch.empty(0).data_ptr(),
        x.t().data_ptr() == x.data_ptr(),
        (x + 0).data_ptr() != x.data_ptr(),
    )


@case
def ptr_in_training(torch: Any) -> Any:
    import ctypes

    w = torch.nn.Parameter(torch.ones(3))
    p = w.data_ptr()
    o = torch.optim.SGD([w], 0.5)
    out = []
    for _ in range(3):
        o.zero_grad()
        (w * torch.arange(3.0)).sum().backward()
        o.step()
        out.append((ctypes.c_float * 3).from_address(p)[:])
    return out, p == w.data_ptr(), w.grad.data_ptr() != p


@case
def storage(torch: Any) -> Any:
    s = torch.UntypedStorage(8)
    s.fill_(1)
    t = torch.empty(0, dtype=torch.int16).set_(s)
    t[0] = 5
    u = torch.arange(4, dtype=torch.uint8).untyped_storage()
    return (
        t,
        list(s),
        len(s),
        u[1],
        list(u[1:3]),
        tries(
            lambda: u[10],
            lambda: torch.empty(0).set_(u, 0, (2,)).shape,
            lambda: torch.empty(0, dtype=torch.float32).set_(torch.UntypedStorage(6)).shape,
            lambda: u.is_shared(),
            lambda: u.copy_(torch.UntypedStorage(2)).nbytes(),
        ),
    )


@case
def dlpack(torch: Any) -> Any:
    import numpy as np

    d = part(torch, "utils.dlpack")
    x = torch.arange(4.0)
    y = d.from_dlpack(d.to_dlpack(x))
    y[0] = 9
    n = np.from_dlpack(x)
    m = torch.from_dlpack(np.arange(3))
    return (
        x,
        y,
        n.tolist(),
        m,
        tries(
            lambda: type(d.to_dlpack(torch.ones(1, requires_grad=True))).__name__,
            lambda: torch.from_dlpack(3),
            lambda: np.from_dlpack(torch.ones(2, dtype=torch.bool)).dtype.name,
            lambda: x.__dlpack_device__()[1],
            lambda: np.from_dlpack(torch.ones(2, 2).t()).strides,
            lambda: torch.ones(2, dtype=torch.complex64).conj().__dlpack__(),
        ),
    )


@case
def oom(torch: Any) -> Any:
    n = 2**45
    return (
        tries(
            *[
                lambda f=f: f()
                for f in (
                    lambda: torch.empty(n),
                    lambda: torch.ones(n, 2),
                    lambda: torch.ones(1).expand(n).clone(),
                    lambda: torch.ones(2**22, 1) @ torch.ones(1, 2**22),
                    lambda: torch.ones(2**23)[:, None] + torch.ones(2**23),
                    lambda: torch.ones(1).repeat(n),
                    lambda: torch.arange(n),
                    lambda: torch.randn(n),
                    lambda: torch.nn.Linear(2**23, 2**23),
                    lambda: torch.zeros(2**62, 4),
                    lambda: torch.empty(-1),
                    lambda: torch.eye(2**22),
                    lambda: torch.UntypedStorage(2**46),
                    lambda: torch.ones(1).resize_(2**44),
                    lambda: torch.cartesian_prod(torch.ones(2**22), torch.ones(2**22)),
                    lambda: torch.cdist(torch.ones(2**22, 1), torch.ones(2**22, 1)),
                )
            ]
        ),
        issubclass(torch.OutOfMemoryError, RuntimeError),
        torch.cuda.OutOfMemoryError is torch.OutOfMemoryError,
    )


@case
def last_line(torch: Any) -> Any:
    try:
        torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(2, 2))(torch.ones(1, 2))
    except RuntimeError as e:
        return str(e), e.__cause__ is None, getattr(e, "__notes__", [])


@case
def kinds(torch: Any) -> Any:
    return tries(
        lambda: torch.ones(2).view(3),
        lambda: torch.ones(2)[3],
        lambda: torch.cat([]),
        lambda: torch.ones(2, 3).softmax(5),
        lambda: torch.nn.functional.nll_loss(torch.ones(2, 3), torch.tensor([0, 7])),
        lambda: torch.gather(torch.ones(2), 0, torch.tensor([5])),
        lambda: torch.ones(3).index_select(0, torch.tensor([9])),
        lambda: torch.bmm(torch.ones(2, 2), torch.ones(2, 2)),
        lambda: torch.randint(3, 1, (2,)),
        lambda: torch.multinomial(torch.zeros(2), 1),
        lambda: torch.ones(2).scatter_(0, torch.tensor([4]), 1.0),
        lambda: torch.nn.functional.embedding(torch.tensor([9]), torch.ones(2, 2)),
        lambda: torch.nn.functional.one_hot(torch.tensor([3]), 2),
        lambda: torch.as_strided(torch.ones(2), (4,), (1,)),
        lambda: torch.ones(2).expand(3),
        lambda: torch.einsum("ij,jk", torch.ones(2, 2), torch.ones(3, 3)),
        lambda: torch.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 3, 3)),
        lambda: torch.ones(2).unsqueeze(4),
        lambda: torch.ones(1, 2).squeeze(3),
        lambda: torch.full((2,), "a"),
        lambda: torch.tensor(object()),
        lambda: torch.arange(0, 5, -1),
        lambda: torch.linspace(0, 1, -1),
        lambda: torch.ones(2) @ torch.ones(3),
        lambda: torch.ones(2).to("nowhere"),
    )


@case
def bad_input_changes_nothing(torch: Any) -> Any:
    x = torch.ones(2, 2)
    o = torch.optim.SGD([x.requires_grad_()], 0.1)
    s = torch.get_rng_state().sum()
    r = tries(
        lambda: x.data.add_(torch.ones(3)),
        lambda: x.data.copy_(torch.ones(3)),
        lambda: x.data.index_copy_(0, torch.tensor([5]), torch.ones(1, 2)),
        lambda: x.data.scatter_(0, torch.tensor([[9]]), 1.0),
        lambda: x.data.normal_(0, -1),
        lambda: x.data.resize_(-1),
        lambda: x.data.view(3).zero_(),
        lambda: x.data.__setitem__((5, 0), 1.0),
        lambda: x.data.uniform_(2, 1),
        lambda: x.data.put_(torch.tensor([7]), torch.tensor([1.0])),
        lambda: x.data.index_put_((torch.tensor([7]),), torch.tensor(1.0)),
        lambda: x.data.addmm_(torch.ones(3, 3), torch.ones(2, 2)),
        lambda: x.data.bernoulli_(2.0),
        lambda: x.data.random_(5, 3),
        lambda: o.load_state_dict({"a": 1}),
        lambda: o.add_param_group({"params": [x]}),
        lambda: torch.nn.Linear(2, 2).load_state_dict(
            {"weight": torch.ones(3, 3), "bias": torch.ones(2)}
        ),
    )
    return r, x, x._version, (torch.get_rng_state().sum() == s).item()


@case
def jax(torch: Any) -> Any:
    import jax.numpy as jnp
    import numpy as np

    make = (lambda a: jnp.asarray(a)) if torch.__name__ != "torch" else (lambda a: np.asarray(a))
    a = make(np.arange(3, dtype=np.float32))
    b = make(np.array([[1, 2]], dtype=np.int32))
    c = make(np.array(True))
    e = make(np.array([1j], np.complex64))
    return [
        torch.tensor(a),
        torch.as_tensor(b),
        torch.tensor(c),
        torch.tensor(e),
        torch.tensor(list(np.asarray(b)[0])),
        torch.tensor(a, dtype=torch.int64),
        torch.as_tensor(b, dtype=torch.float64),
        torch.ones(3) + torch.as_tensor(a),
        torch.tensor([a[0].item(), 1.0]),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_corner(case: Callable[[Any], Any]) -> None:
    oracle.agree(lambda m: oracle.described(case(m)), 0.0, lines=2)
