"""The summary sheet, "Reductions", second half: matrix products and changes of shape."""

from __future__ import annotations


def test_matmul_of_vectors_and_matrices(both):
    both(
        """
        a = torch.rand(3)
        b = torch.rand(3)
        torch.matmul(a,b)
        torch.matmul(a,b).size()
        a = torch.rand(3,4)
        b = torch.rand(4)
        torch.matmul(a,b).size()
        a = torch.rand(3)
        b = torch.rand(3,4)
        torch.matmul(a,b)
        torch.tensor([[1,2,3]]).size()
        torch.tensor([1,2,3]).size()
        """,
        rtol=2e-4,
    )


def test_matmul_of_vector_or_row_matrix(both):
    """The sheet prints these two results the wrong way round."""
    both("""
        from torch import tensor
        a = tensor([ 1,  2,  3])
        b = tensor([[ 1,  2], [ 3,  4],[ 4,  5]])
        torch.matmul(a,b)
        a = tensor([[ 1,  2,  3]])
        torch.matmul(a,b)
    """)


def test_matmul_in_batches(both):
    both("""
        a = torch.rand(3,4)
        b = torch.rand(4,5)
        torch.matmul(a,b).size()
        tensor1 = torch.randn(10, 3, 4)
        tensor2 = torch.randn(4)
        torch.matmul(tensor1, tensor2).size()
        tensor2 = torch.randn(10, 4, 5)
        torch.matmul(tensor1, tensor2).size()
        tensor2 = torch.randn(4, 5)
        torch.matmul(tensor1, tensor2).size()
    """)


def test_mm_and_mv(both):
    both(
        """
        a, b, v = torch.randn(2, 3), torch.randn(3, 3), torch.randn(3)
        torch.mm(a, b)
        torch.mv(a, v)
        torch.mm(a, v)
        torch.mv(a, b)
        torch.mm(a, a)
        """,
        rtol=2e-4,
        raises=3,
    )


def test_addmm(both):
    both(
        """
        a = torch.rand(2,4)
        b = torch.rand(4,3)
        torch.addmm(torch.zeros(a.shape[0],b.shape[1]), a, b)
        torch.addmm(torch.ones(2, 3), a, b, beta=0.5, alpha=2)
        torch.addmm(0.5, torch.ones(2, 3), 2, a, b)
        """,
        rtol=2e-4,
    )


def test_addmv(both):
    both(
        """
        a, v = torch.rand(2, 4), torch.rand(4)
        torch.addmv(torch.ones(2), a, v)
        torch.addmv(0.5, torch.ones(2), 2, a, v)
        """,
        rtol=2e-4,
    )


def test_addr(both):
    both(
        """
        a = torch.arange(1,4)
        b = torch.arange(1,3)
        torch.addr(torch.zeros(3,2), a, b)
        a = torch.rand(1,4)
        b = torch.rand(1,3)
        torch.addr(torch.zeros(4,3), a, b)
        """,
        raises=1,
    )


def test_dot(both):
    both("torch.dot(torch.tensor([2, 3]), torch.tensor([2, 1]))")


def test_squeeze_and_view(both):
    both("""
        a = torch.randn(1,2,2,2)
        a
        a.view(-1, 1)
        a.view(-1, 1).shape
        a.view(-1, 1).squeeze(1)
        torch.squeeze(a).shape
        torch.squeeze(a, 0).shape, torch.squeeze(a, 1).shape
        torch.zeros(2, 1, 2, 1, 2).squeeze().size()
    """)


def test_item_and_tolist(both):
    both(
        """
        x = torch.tensor([1.0])
        x.item()
        torch.tensor([[1, 2], [3, 4]]).tolist()
        torch.tensor(2.5).tolist()
        torch.tensor([True, False]).tolist()
        torch.tensor([1.0, 2.0]).item()
        """,
        raises=1,
    )


def test_expand(both):
    both(
        """
        x = torch.Tensor([[1], [2], [3]])
        x.size()
        x.expand(3, 4)
        x.expand(-1, 4)
        x.expand(2,3,4)
        y = torch.tensor([1,2,3,4])
        y
        y.expand(3,3,-1)
        x.expand(3, 4).stride()
        x.expand(-1, 3, 4)
        """,
        raises=1,
    )


def test_transpose(both):
    both(
        """
        x = torch.randn(2, 3)
        x
        torch.transpose(x, 0, 1)
        x.transpose(0, 1).is_contiguous()
        x.transpose(0, 1).view(6)
        x.transpose(0, 1).contiguous().view(6)
        """,
        raises=1,
    )


def test_contiguous(both):
    both(
        """
        x = torch.Tensor([[1], [2], [3]])
        x
        y = x.expand(2,3,4)
        y
        y.is_contiguous()
        y.view(3,-1)
        y.contiguous().view(3,-1)
        """,
        raises=1,
    )


def test_numel(both):
    both("a = torch.randn(1, 2, 3, 4, 5)\ntorch.numel(a)\na.nelement()")


def test_stack(both):
    both("""
        a = torch.tensor([1,2])
        b = torch.tensor([2,3])
        torch.stack((a,b))
        torch.cat((a,b))
        torch.stack((a, b), dim=1)
    """)
