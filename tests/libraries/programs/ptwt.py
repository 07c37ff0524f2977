"""Wavelets with gradients: transforms of signals and pictures, there and back, and packets."""

import ptwt
import pywt
import torch

torch.manual_seed(0)
signal = torch.randn(2, 32, dtype=torch.float64, requires_grad=True)
for name, mode in (("haar", "zero"), ("db3", "reflect"), ("sym4", "periodic")):
    parts = ptwt.wavedec(signal, pywt.Wavelet(name), mode=mode, level=2)
    (grad,) = torch.autograd.grad(sum(p.abs().sum() for p in parts), [signal])
    back = ptwt.waverec(parts, pywt.Wavelet(name))
    print(
        *parts[0].flatten()[:6].tolist(),
        grad.sum().item(),
        float((back[..., :32] - signal).abs().max() < 1e-8),
    )
picture = torch.randn(1, 16, 16, dtype=torch.float64)
low, *details = ptwt.wavedec2(picture, pywt.Wavelet("db2"), level=2)
print(low.sum().item(), *(d.sum().item() for level in details for d in level))
print(ptwt.waverec2((low, *details), pywt.Wavelet("db2")).sum().item())
packets = ptwt.WaveletPacket(signal.detach(), pywt.Wavelet("haar"), mode="zero", maxlevel=2)
print(*packets["ad"].flatten()[:8].tolist())
coefficients, frequencies = ptwt.cwt(signal.detach(), torch.arange(1.0, 5), "mexh")
print(coefficients.abs().sum().item(), *frequencies)
print(*(p.sum().item() for p in ptwt.swt(signal.detach(), pywt.Wavelet("haar"), level=2)))
matrix = ptwt.MatrixWavedec(pywt.Wavelet("haar"), level=2)
parts = matrix(signal.detach())
print(*parts[0].flatten().tolist(), ptwt.MatrixWaverec(pywt.Wavelet("haar"))(parts).sum().item())
