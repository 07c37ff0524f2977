"""The summary sheet, "Tensor math": every code block, as today; old call forms included."""

from __future__ import annotations

import pytest


def test_add_two_tensors(both):
    """Different dtypes were an error once; today they promote."""
    both("""
        x = torch.ones(2, 3)
        y = torch.randn(2, 3)
        x + y
        torch.add(x, y)
        z = torch.rand(2, 3, dtype=torch.double)
        z + x
        torch.add(x, z)
    """)


def test_add_broadcasts(both):
    both("""
        a = torch.randn(4)
        a
        torch.add(a, 20)
        b = torch.randn(4)
        b
        torch.add(a, b)
        torch.add(a, 10, b)
        torch.add(a, b, alpha=10)
        c = torch.randn(2, 1)
        c
        torch.add(a, c)
    """)


def test_more_broadcasts(both):
    both("""
        t1 = torch.randn(1, 3)
        t2 = torch.randn(3, 1)
        print(t1)
        print(t2)
        print('###')
        print(t1+t2)
        print('###')
        t3 = torch.randn(3,3)
        print(t3)
        print(t1+t3)
    """)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.add(t, 10, u)", "torch.add(t, u, alpha=10)"),
        ("t.add(10, u)", "t.add(u, alpha=10)"),
        ("t.clone().add_(10, u)", "t.clone().add_(u, alpha=10)"),
        ("torch.sub(t, 10, u)", "torch.sub(t, u, alpha=10)"),
        ("torch.addcmul(t, 2, u, v)", "torch.addcmul(t, u, v, value=2)"),
        ("torch.addcmul(t, 0.5, u, v)", "torch.addcmul(t, u, v, value=0.5)"),
        ("t.clone().addcmul_(2, u, v)", "t.clone().addcmul_(u, v, value=2)"),
        ("torch.addcdiv(t, 2, u, v)", "torch.addcdiv(t, u, v, value=2)"),
        ("t.addcdiv(0.1, u, v)", "t.addcdiv(u, v, value=0.1)"),
        ("t.clone().addcdiv_(-0.1, u, v)", "t.clone().addcdiv_(u, v, value=-0.1)"),
        ("torch.addmm(2, m, 3, m, m)", "torch.addmm(m, m, m, beta=2, alpha=3)"),
        ("torch.addmm(2, m, m, m)", "torch.addmm(m, m, m, beta=2)"),
        ("m.addmm(2, 3, m, m)", "m.addmm(m, m, beta=2, alpha=3)"),
        ("m.clone().addmm_(2, 3, m, m)", "m.clone().addmm_(m, m, beta=2, alpha=3)"),
        ("torch.addmv(2, t, 3, m, u)", "torch.addmv(t, m, u, beta=2, alpha=3)"),
        ("torch.addr(2, m, 3, t, u)", "torch.addr(m, t, u, beta=2, alpha=3)"),
        ("torch.addbmm(2, m, 3, k, k)", "torch.addbmm(m, k, k, beta=2, alpha=3)"),
        ("torch.baddbmm(2, k, 3, k, k)", "torch.baddbmm(k, k, k, beta=2, alpha=3)"),
    ],
)
def test_old_forms_with_the_factor_in_front(both, old, new):
    """PyTorch still takes these, warning; the result is the keyword form's."""
    setup = """
        t, u, v = torch.randn(3, 4)
        m = torch.randn(4, 4)
        k = torch.randn(2, 4, 4)
    """
    both(f"{setup}\n        {old}", modern=f"{setup}\n        {new}", rtol=2e-4)
    both(f"{setup}\n        {old}", rtol=2e-4)


ELEMENTWISE = """
    abs sin cos tan asin acos atan ceil floor round exp frac log log10 log2 neg reciprocal sqrt
    rsqrt sigmoid sign trunc
""".split()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(both, name):
    both(
        f"""
        a = torch.randn(6)
        a
        torch.{name}(a)
        a.{name}()
        torch.{name}(a.abs())
        torch.{name}(torch.tensor([0., -0., 1., -1., 0.5, 2.5, -2.5]))
        """,
        rtol=2e-4,
    )


def test_clamp(both):
    both("""
        a = torch.randn(4)
        torch.clamp(a, min=-0.5, max=0.5)
        torch.clamp(a, min=0.5)
        torch.clamp(a, max=0.5)
        a.clamp(-1, 1)
        torch.clamp(a, 0.1, -0.1)
    """)


def test_mul_and_div(both):
    both("""
        a, b = torch.randn(3), torch.randn(4, 1)
        torch.mul(a, 100)
        torch.mul(a, b)
        torch.div(a, 2)
        torch.div(a, b)
        torch.div(torch.arange(5), 2)
        a * b / 3
    """)


def test_fmod_and_remainder(both):
    """fmod keeps the sign of the dividend, remainder that of the divisor."""
    both("""
        torch.fmod(torch.tensor([-3., -2, -1, 1, 2, 3]), 2)
        torch.fmod(torch.tensor([1., 2, 3, 4, 5]), 1.5)
        torch.remainder(torch.tensor([-3., -2, -1, 1, 2, 3]), 2)
        torch.remainder(torch.tensor([1, 2, 3, 4, 5]), torch.tensor([2, 3, -2, 3, -4]))
    """)


def test_frac(both):
    both("torch.frac(torch.tensor([1, 2.5, -3.2]))")


def test_lerp(both):
    both("""
        start = torch.arange(1., 5.)
        end = torch.empty(4).fill_(10)
        start
        end
        torch.lerp(start, end, 0.5)
        torch.lerp(start, end, torch.full_like(start, 0.25))
    """)


def test_pow(both):
    """The sheet writes `torch.power`; the function is and was `torch.pow`."""
    both(
        """
        a = torch.arange(1., 5.)
        torch.pow(a, 2)
        torch.pow(a, a)
        torch.pow(2, a)
        a ** 0.5
        """,
        rtol=2e-4,
    )


@pytest.mark.parametrize("name", ["power", "reminder", "nelement"])
def test_names_that_never_were(both, name):
    """Slips of the sheet: absent there and here, with the same exception class."""
    both(f"torch.{name}", errors="class", raises=1)


def test_trunc(both):
    both("""
        a = torch.tensor([3.4742, 0.5466, -0.8008, -0.9079])
        torch.trunc(a)
        torch.trunc(torch.randn(4))
    """)
