"""A U-Net with full and linear attention, trained on its diffusion loss, sampled two ways."""

import torch
from denoising_diffusion_pytorch import GaussianDiffusion, Unet

torch.manual_seed(0)
net = Unet(dim=8, dim_mults=(1, 2), channels=1, attn_dim_head=4, attn_heads=2, flash_attn=False)
diffusion = GaussianDiffusion(net, image_size=8, timesteps=10, sampling_timesteps=4)
optimizer = torch.optim.Adam(diffusion.parameters(), lr=1e-3)
pictures = torch.rand(4, 1, 8, 8)
for _ in range(3):
    optimizer.zero_grad()
    loss = diffusion(pictures)
    loss.backward()
    optimizer.step()
    print(loss.item())
torch.manual_seed(1)
print(*diffusion.sample(batch_size=1).flatten()[:12].tolist())
every = GaussianDiffusion(
    net, image_size=8, timesteps=6, beta_schedule="cosine", objective="pred_noise"
)
torch.manual_seed(2)
print(*every.sample(batch_size=1).flatten()[:12].tolist())
