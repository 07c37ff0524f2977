"""Language models on cheaper attention: Performer, linear, local, and rotary embeddings."""

import contextlib
import io

import torch
from linear_attention_transformer import LinearAttentionTransformerLM
from local_attention import LocalAttention
from local_attention.transformer import LocalTransformer
from performer_pytorch import PerformerLM, SelfAttention
from rotary_embedding_torch import RotaryEmbedding, apply_rotary_emb

torch.manual_seed(0)
tokens = torch.randint(0, 20, (2, 33))
makers = (
    lambda: PerformerLM(num_tokens=20, max_seq_len=32, dim=16, depth=1, heads=2, dim_head=8, causal=True),
    lambda: LinearAttentionTransformerLM(num_tokens=20, dim=16, heads=2, depth=2, max_seq_len=32, causal=True),
    lambda: LocalTransformer(num_tokens=20, max_seq_len=32, dim=16, depth=2, heads=2, dim_head=8, local_attn_window_size=8, num_residual_streams=1),
)  # fmt: skip
for make in makers:
    torch.manual_seed(1)
    with contextlib.redirect_stdout(io.StringIO()):  # Performer says that it finds no CUDA kernels
        model = make()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(3):
        out = model(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(out.transpose(1, 2), tokens[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(loss.item())
    print(*model.eval()(tokens[:1, :32]).flatten()[:8].tolist())
attention = SelfAttention(dim=16, heads=2, dim_head=8, causal=False).eval()
print(*attention(torch.randn(1, 6, 16)).flatten()[:8].tolist())
local = LocalAttention(dim=8, window_size=4, causal=True, autopad=True)
q, k, v = (torch.randn(2, 2, 10, 8) for _ in range(3))
mask = torch.ones(2, 10, dtype=torch.bool)
print(*local(q, k, v, mask=mask).flatten()[:8].tolist())
rotary = RotaryEmbedding(dim=4)
print(*rotary.rotate_queries_or_keys(q).flatten()[:12].tolist())
axial = RotaryEmbedding(dim=4, freqs_for="pixel", max_freq=10)
print(apply_rotary_emb(axial.get_axial_freqs(3, 5), torch.randn(1, 3, 5, 8)).abs().sum().item())
stretched = RotaryEmbedding(dim=4, use_xpos=True)
print(*(x.sum().item() for x in stretched.rotate_queries_and_keys(q, k)))
