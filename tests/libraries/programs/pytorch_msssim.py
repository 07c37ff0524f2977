"""Structural similarity at one scale and at several, as a loss."""

import torch
from pytorch_msssim import MS_SSIM, SSIM, ms_ssim, ssim

torch.manual_seed(0)
a = torch.rand(2, 3, 192, 192, requires_grad=True)
b = (a.detach() + 0.1 * torch.randn(2, 3, 192, 192)).clamp(0, 1)
for value in (ssim(a, b, data_range=1.0), ms_ssim(a, b, data_range=1.0),
              SSIM(data_range=1.0, size_average=False, nonnegative_ssim=True)(a, b).sum(),
              MS_SSIM(data_range=1.0, win_size=7)(a, b)):  # fmt: skip
    a.grad = None
    (1 - value).backward()
    print(value.item(), a.grad.norm().item())
