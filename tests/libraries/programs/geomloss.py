"""Distances between clouds of points by five formulas, their gradients, a flow of points."""

import torch
from geomloss import SamplesLoss

torch.manual_seed(0)
x, y = torch.rand(7, 2), torch.rand(9, 2) + 0.3
weights = torch.rand(7).softmax(0)
for loss in (
    SamplesLoss("sinkhorn", p=2, blur=0.1, backend="tensorized"),
    SamplesLoss("sinkhorn", p=1, blur=0.1, reach=0.5, debias=False, backend="tensorized"),
    SamplesLoss("gaussian", blur=0.3, backend="tensorized"),
    SamplesLoss("laplacian", blur=0.3, backend="tensorized"),
    SamplesLoss("energy", backend="tensorized"),
):
    z = x.clone().requires_grad_()
    value = loss(z, y)
    (grad,) = torch.autograd.grad(value, [z])
    print(value.item(), *grad.flatten().tolist())
    print(loss(weights, x, torch.full((9,), 1 / 9), y).item())
flow = x.clone().requires_grad_()
loss = SamplesLoss("sinkhorn", p=2, blur=0.05, backend="tensorized")
for _ in range(3):
    (grad,) = torch.autograd.grad(loss(flow, y), [flow])
    flow.data -= 2 * grad
print(*flow.flatten().tolist())
