"""Sparse relatives of softmax, their losses and gradients."""

import torch
from entmax import (
    Entmax15Loss,
    SparsemaxLoss,
    entmax15,
    entmax_bisect,
    normmax_bisect,
    sparsemax,
)

torch.manual_seed(0)
x = torch.randn(3, 6, requires_grad=True)
y = torch.tensor([0, 4, 2])
alpha = torch.tensor(1.3, requires_grad=True)
for f in (sparsemax, entmax15, lambda t, dim: entmax_bisect(t, alpha, dim=dim),
          lambda t, dim: normmax_bisect(t, dim=dim)):  # fmt: skip
    out = f(x, dim=-1)
    x.grad = None
    (out * torch.arange(6.0)).sum().backward()
    print(*out.flatten().tolist(), *x.grad.flatten().tolist())
print(alpha.grad.item())
for loss in (SparsemaxLoss(), Entmax15Loss(reduction="sum")):
    x.grad = None
    value = loss(x, y)
    value.sum().backward()
    print(value.sum().item(), x.grad.norm().item())
