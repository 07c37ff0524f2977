import torch
import tempfile
from diffusers import DDPMScheduler, UNet2DModel

torch.manual_seed(0)
config = dict(
    sample_size=8,
    in_channels=1,
    out_channels=1,
    layers_per_block=1,
    block_out_channels=(8, 16),
    norm_num_groups=4,
    attention_head_dim=4,
    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D"),
)
model = UNet2DModel(**config)
scheduler = DDPMScheduler(num_train_timesteps=100)
opt = torch.optim.AdamW(model.parameters(), 1e-3)
images = torch.rand(4, 1, 8, 8) * 2 - 1
for _ in range(3):
    noise = torch.randn_like(images)
    t = torch.randint(0, 100, (4,))
    noisy = scheduler.add_noise(images, noise, t)
    loss = torch.nn.functional.mse_loss(model(noisy, t).sample, noise)
    loss.backward()
    opt.step()
    opt.zero_grad()
    print(loss.item())
model.eval()
scheduler.set_timesteps(4)
x = torch.randn(1, 1, 8, 8)
with torch.no_grad():
    for t in scheduler.timesteps:
        x = scheduler.step(
            model(x, t).sample, t, x, generator=torch.Generator().manual_seed(1)
        ).prev_sample
print(*x.flatten()[:6].tolist())
with tempfile.TemporaryDirectory() as d:
    model.save_pretrained(d)
    again = UNet2DModel.from_pretrained(d).eval()
with torch.no_grad():
    print(again(x, 3).sample.abs().mean().item(), model(x, 3).sample.abs().mean().item())
