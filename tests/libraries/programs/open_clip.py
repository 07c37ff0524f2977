import torch
from open_clip.model import CLIP
from open_clip.loss import ClipLoss

torch.manual_seed(0)
model = CLIP(
    embed_dim=16,
    vision_cfg=dict(image_size=16, layers=2, width=32, head_width=8, patch_size=8),
    text_cfg=dict(context_length=8, vocab_size=40, width=32, heads=4, layers=2),
)
opt = torch.optim.AdamW(model.parameters(), 1e-3)
images, text = torch.randn(4, 3, 16, 16), torch.randint(0, 40, (4, 8))
loss_of = ClipLoss()
for _ in range(3):
    i, t, s = model(images, text)
    loss = loss_of(i, t, s)
    loss.backward()
    opt.step()
    opt.zero_grad()
    print(loss.item())
model.eval()
with torch.no_grad():
    print(
        *(model.encode_image(images, normalize=True) @ model.encode_text(text, normalize=True).T)
        .flatten()
        .tolist()
    )
