"""vector_quantize_pytorch: codebooks of four kinds, trained."""

import torch
from vector_quantize_pytorch import FSQ, LFQ, ResidualVQ, VectorQuantize

torch.manual_seed(0)
net = torch.nn.Linear(8, 8)
kinds = [
    VectorQuantize(dim=8, codebook_size=16, decay=0.8, commitment_weight=1.0),
    VectorQuantize(dim=8, codebook_size=16, kmeans_init=True, kmeans_iters=3, use_cosine_sim=True),
    ResidualVQ(dim=8, num_quantizers=2, codebook_size=16),
    FSQ([8, 5, 5], dim=8), LFQ(codebook_size=16, dim=8),
]  # fmt: skip
for kind in kinds:
    for _ in range(2):
        x = torch.randn(2, 10, 8)
        net.zero_grad()
        out, indices, *rest = kind(net(x))
        loss = (out - x).pow(2).mean() + (rest[0].sum() if rest else 0.0)
        loss.backward()
        print(loss.item(), net.weight.grad.norm().item(), indices.sum().item())
