"""The summary sheet, "Reductions", first half: reductions proper."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_argmax(both, name):
    both(f"""
        a = torch.randn(3, 4)
        a
        torch.{name}(a)
        torch.{name}(a, dim=0)
        torch.{name}(a, dim=1)
        torch.{name}(a, dim=1, keepdim=True)
    """)


def test_prod(both):
    both(
        """
        a = torch.randn(2, 3)
        torch.prod(a)
        torch.prod(a, dim=0)
        torch.prod(a, 1, True)
        torch.prod(torch.arange(1, 6))
        """,
        rtol=2e-4,
    )


def test_cumprod(both):
    both(
        """
        a = torch.randn(7)
        a
        torch.cumprod(a, dim=0)
        a[5] = 0.0
        torch.cumprod(a, dim=0)
        """,
        rtol=2e-4,
    )


def test_cumprod_of_a_matrix(both):
    both(
        """
        a = torch.randn(3, 4)
        a[0,2] = 0
        a[2,1] = 0
        a
        torch.cumprod(a,dim=0)
        torch.cumprod(a,dim=1)
        torch.cumprod(a, 1, dtype=torch.float64).dtype
        """,
        rtol=2e-4,
    )


def test_cumsum(both):
    both(
        """
        a = torch.randn(3, 4)
        torch.cumsum(a, 0)
        torch.cumsum(a, dim=1)
        torch.cumsum(torch.arange(5), 0, dtype=torch.float32)
        """,
        rtol=2e-4,
    )


def test_dist(both):
    both(
        """
        x, y = torch.randn(4), torch.randn(4)
        torch.dist(x, y)
        torch.dist(x, y, 3.5)
        torch.dist(x, y, 1)
        torch.dist(x, y, 0)
        """,
        rtol=2e-4,
    )


@pytest.mark.parametrize("name", ["mean", "median", "std", "var", "sum"])
def test_one_reduction_in_all_its_forms(both, name):
    """The sheet's block is `mean`; "similarly" the others."""
    both(
        f"""
        a = torch.rand(3,2)
        a
        torch.{name}(a)
        torch.{name}(a,dim=1)
        torch.{name}(a,1)
        torch.{name}(a, 1, keepdim=True)
        torch.{name}(a,dim=0)
        a.{name}()
        """,
        rtol=2e-4,
    )


def test_mean_with_positional_keepdim(both):
    both("a = torch.rand(3, 2)\ntorch.mean(a, 1, True)", rtol=2e-4)


def test_sum_over_several_dimensions(both):
    both(
        """
        a = torch.randn(4, 5, 6)
        torch.sum(a, (2, 1))
        torch.sum(a, dim=[0, 1], keepdim=True).shape
        a.sum(-1).shape
        """,
        rtol=2e-4,
    )


def test_norm(both):
    both(
        """
        a = torch.arange(9, dtype=torch.float) - 4
        b = a.reshape((3, 3))
        torch.norm(a)
        torch.norm(b)
        torch.norm(b, p='fro')
        torch.norm(b, 1)
        torch.norm(b, dim=0)
        torch.norm(b, p=3, dim=1, keepdim=True)
        torch.norm(a, float('inf'))
        """,
        rtol=2e-4,
    )


def test_unique(both):
    """Unsorted results come sorted today."""
    both("""
        output = torch.unique(torch.tensor([1, 3, 2, 3], dtype=torch.long))
        output
        torch.unique(torch.tensor([1, 3, 2, 3]), sorted=False).sort().values
        a = torch.tensor([[1, 3], [2, 3]])
        output, inverse_indices = torch.unique(a, sorted=True, return_inverse=True)
        output
        inverse_indices
        torch.unique(torch.tensor([[1, 2], [1, 2], [0, 3]]), dim=0)
    """)
