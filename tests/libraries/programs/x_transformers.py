"""A small language model with rotary positions, grouped heads and a cache: training, generation."""

import torch
from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper, XTransformer

torch.manual_seed(0)
model = TransformerWrapper(
    num_tokens=32, max_seq_len=16,
    attn_layers=Decoder(
        dim=32, depth=2, heads=4, attn_kv_heads=2, rotary_pos_emb=True, ff_glu=True,
        use_rmsnorm=True, attn_qk_norm=True,
    ),
)  # fmt: skip
model = AutoregressiveWrapper(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
tokens = torch.randint(0, 32, (4, 17))
for _ in range(3):
    optimizer.zero_grad()
    loss = model(tokens)
    loss.backward()
    optimizer.step()
    print(loss.item())
print(*model.generate(tokens[:1, :4], 6, temperature=0.0).flatten().tolist())
pair = XTransformer(
    dim=16, enc_num_tokens=16, enc_depth=1, enc_heads=2, enc_max_seq_len=8,
    dec_num_tokens=16, dec_depth=1, dec_heads=2, dec_max_seq_len=8,
)  # fmt: skip
source, target = torch.randint(0, 16, (2, 8)), torch.randint(0, 16, (2, 8))
loss = pair(source, target, mask=torch.ones_like(source).bool())
loss.backward()
print(loss.item(), sum(p.grad.norm().item() for p in pair.parameters() if p.grad is not None))
