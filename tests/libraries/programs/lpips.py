"""Perceptual distances over random features, and their gradient."""

import lpips
import torch

torch.manual_seed(0)
for net in ("alex", "squeeze"):
    loss = lpips.LPIPS(
        net=net, pretrained=False, pnet_rand=True, verbose=False, spatial=net == "alex"
    )
    a = torch.rand(1, 3, 64, 64, requires_grad=True)
    b = torch.rand(1, 3, 64, 64)
    value = loss(a, b).mean()
    value.backward()
    print(value.item(), a.grad.norm().item())
