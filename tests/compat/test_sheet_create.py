"""The summary sheet, "Tensor initialize" and "Tensor iteration": every code block, as today."""

from __future__ import annotations

import pytest


def test_empty_has_the_shape_and_ones_are_ones(both):
    """The sheet's `empty` shows zeros; today its numbers are whatever memory held."""
    both("""
        torch.empty(5, 3).shape
        torch.empty(5, 3).dtype
        torch.zeros(5, 3)
        torch.ones(2, 3)
    """)


def test_new_ones_reuses_dtype(both):
    both(
        """
        x = torch.ones(2, 3, dtype=torch.int8)
        x.dtype
        x.new_ones()
        x.new_ones(1, 3)
        x.new_ones(1, 3, dtype=torch.double)
        """,
        raises=1,
    )


def test_new_ones_without_size_says_what_is_missing(script):
    [error] = script("torch.ones(2, 3, dtype=torch.int8).new_ones()").errors
    assert error == 'TypeError: new_ones() missing 1 required positional arguments: "size"'


def test_tensor_from_list_and_array(both):
    both("""
        torch.tensor([5.5, 3])
        torch.tensor([[1, 2], [3, 4]])
        torch.tensor(np.arange(6.0).reshape(2, 3))
        torch.tensor(np.float32([1, 2]))
        torch.tensor(3.5)
        torch.tensor(True)
        torch.tensor([])
    """)


@pytest.mark.parametrize("seed", [0, 1, 2, 2019])
def test_rand(both, seed):
    both("torch.rand(2, 3)\ntorch.rand(4)\ntorch.rand(5, 7)", seed=seed)


@pytest.mark.parametrize("seed", [0, 1, 2, 2019])
def test_randn(both, seed):
    both(
        """
        torch.randn(4)
        torch.randn(2, 3)
        torch.randn(2, 2, 3)
        torch.randn(2, 1, 3)
        torch.randn(1, 2, 3)
        torch.randn(4, 5)
        """,
        seed=seed,
    )


def test_randn_like_keeps_size_and_dtype(both):
    both("""
        x = torch.ones(2, 3)
        x.dtype
        y = torch.randn_like(x)
        y
        y.dtype
        z = torch.randn_like(x, dtype=torch.double)
        z
        z.dtype
        z.size()
        z.shape
        rows, columns = z.size()
        rows, columns, z.size(0), z.shape[-1], len(z.size()), z.size() + (1,)
    """)


def test_manual_seed_repeats(both):
    both("""
        torch.manual_seed(2)
        print(torch.rand(2))
        torch.manual_seed(2)
        torch.rand(2)
        torch.rand(2)
    """)


def test_manual_seed_beside_pythons_own(both):
    """`print(torch.manual_seed(...))` shows the generator, at some address."""
    transcript = both("""
        import random
        Seed = random.randint(1, 10000)
        print(Seed)
        print(random.seed(Seed))
        print(torch.manual_seed(Seed))
        print(random.random())
        print(torch.randn(1))
    """)
    assert "<torch._C.Generator object at 0x>" in transcript.printed


def test_two_draws_after_one_seed(both):
    both(
        """
        torch.manual_seed(Seed)
        torch.rand(2)
        torch.rand(2)
        """,
        Seed=6895,
    )


def test_arange(both):
    both("""
        torch.arange(5)
        torch.arange(1, 4)
        torch.arange(1, 2.5, 0.5)
        np.arange(5)
        torch.arange(5, 11, 2)
        torch.arange(5., 11, 2)
        torch.arange(5).dtype, torch.arange(5.).dtype
    """)


def test_range_includes_its_end(both):
    """Deprecated, with a warning, and still there."""
    both("""
        torch.range(1, 4)
        torch.range(0, 1, 0.25)
        torch.range(1, 4).dtype
    """)


@pytest.mark.parametrize("seed", [0, 3])
def test_randperm(both, seed):
    both("torch.randperm(4)\ntorch.randperm(4).dtype\ntorch.randperm(40)", seed=seed)


def test_cat(both):
    both("""
        a = torch.tensor([1, 2])
        b = torch.tensor([4, 3])
        torch.cat((a, b, a))
    """)


def test_cat_along_each_dimension(both):
    """The two pictures of the sheet: joining matrices by rows and by columns."""
    both("""
        x = torch.randn(2, 3)
        torch.cat((x, x, x), 0)
        torch.cat((x, x, x), 1)
        torch.cat((x, x), dim=-1).shape
    """)


def test_detach_shares_data_without_gradient(both):
    both("""
        x = torch.ones(2, requires_grad=True)
        y = x * 2
        z = y.detach()
        z.requires_grad, torch.detach(y).requires_grad, y.requires_grad
        z
        z[0] = 7
        y
        z.data_ptr() == y.data_ptr()
    """)


def test_numel(both):
    both("""
        a = torch.randn(1, 2, 3, 4, 5)
        torch.numel(a)
        a.numel()
        a = torch.zeros(4, 4)
        torch.numel(a)
        a.nelement()
    """)
