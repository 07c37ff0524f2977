"""Vision transformers of three kinds: training steps, with dropout, and an evaluation."""

import torch
from vit_pytorch import ViT
from vit_pytorch.cct import CCT
from vit_pytorch.simple_vit import SimpleViT

torch.manual_seed(0)
size = {"image_size": 16, "patch_size": 4, "dim": 32, "depth": 2, "heads": 2, "mlp_dim": 48}
vit = ViT(num_classes=5, dropout=0.1, emb_dropout=0.1, **size)
models = [
    vit, SimpleViT(num_classes=5, **size),
    CCT(img_size=16, embedding_dim=32, n_conv_layers=1, num_layers=2, num_heads=2, mlp_ratio=2,
        num_classes=5),
]  # fmt: skip
x, y = torch.randn(4, 3, 16, 16), torch.randint(0, 5, (4,))
for model in models:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        print(loss.item())
    print(*model.eval()(x).flatten().tolist())
