"""Second-order quantities beside the gradient."""

import torch
from backpack import backpack, extend, extensions

torch.manual_seed(0)
net = extend(torch.nn.Sequential(
    torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32, 3)
))  # fmt: skip
loss = extend(torch.nn.CrossEntropyLoss())
x, y = torch.randn(5, 1, 6, 6), torch.tensor([0, 1, 2, 1, 0])
value = loss(net(x), y)
with backpack(extensions.BatchGrad(), extensions.Variance(), extensions.BatchL2Grad(),
              extensions.DiagGGNExact(), extensions.KFAC(mc_samples=2), extensions.DiagHessian()):  # fmt: skip
    value.backward()
print(value.item())
for p in net.parameters():
    print(p.grad_batch.norm().item(), p.variance.norm().item(), p.batch_l2.sum().item(),
          p.diag_ggn_exact.norm().item(), p.diag_h.norm().item(),
          *[f.norm().item() for f in p.kfac])  # fmt: skip
