"""A small GPT (decoder-only transformer) that learns to write English about Python.

Picture: the loss, where each head of the last block looks, and what it writes.
"""

import textwrap

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import options, progress, save, smooth, text

opt = options(__doc__, "gpt.png", steps=2000, batch=16, length=64, width=128, blocks=3)
codes, characters = text()
HEADS = 4


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.again = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def heads(self, x):
        n, length, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(n, length, 3, HEADS, width // HEADS)
        return qkv.permute(2, 0, 3, 1, 4)  # 3, n, heads, length, width of a head

    def forward(self, x):
        q, k, v = self.heads(x)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.again(x))


class GPT(nn.Module):
    def __init__(self, vocabulary, width, blocks, length):
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        for embedding in (self.token, self.place):
            embedding.weight.data.normal_(0, 0.02)
        self.head.weight = self.token.weight  # tied

    def embed(self, x):
        return self.token(x) + self.place(torch.arange(x.shape[1]))

    def forward(self, x):
        h = self.embed(x)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


net = GPT(len(characters), opt.width, opt.blocks, opt.length)
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=opt.steps + 1)
offsets = torch.arange(opt.length + 1)
losses = []
for step in (bar := progress(range(opt.steps), opt.steps, "gpt")):
    starts = torch.randint(0, len(codes) - opt.length - 1, (opt.batch, 1))
    window = codes[starts + offsets]
    loss = F.cross_entropy(net(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.detach())
    if step % 20 == 0:
        bar.set_postfix(loss=f"{loss.item():.3f}")
losses = torch.stack(losses).numpy()


@torch.no_grad()
def write(start, count, temperature=0.5):
    """Go on from a text; the window always has one length, so that one program serves all."""
    drawn = [characters.index(c) for c in start]
    for _ in range(count):
        kept = drawn[-opt.length :]
        x = torch.tensor([kept + [0] * (opt.length - len(kept))])
        chances = F.softmax(net(x)[0, len(kept) - 1] / temperature, dim=-1)
        drawn.append(torch.multinomial(chances, 1).item())
    return "".join(characters[i] for i in drawn)


written = write("If the class ", min(260, opt.steps))
print(f"cross entropy {losses[:5].mean():.2f} at first, {losses[-20:].mean():.2f} at the end")
print(written)

with torch.no_grad():  # what the heads of the last block look at
    sample = codes[1000 : 1000 + 32]
    h = net.embed(sample[None])
    for block in net.blocks[:-1]:
        h = block(h)
    q, k, _ = net.blocks[-1].heads(h)
    scores = (q @ k.mT)[0] / q.shape[-1] ** 0.5
    looks = scores.masked_fill(torch.ones(32, 32).triu(1).bool(), -torch.inf).softmax(-1)

figure = plt.figure(figsize=(13, 7), layout="constrained")
spaces = figure.add_gridspec(2, 4, height_ratios=(1, 1.2))
curve, words = figure.add_subplot(spaces[0, :2]), figure.add_subplot(spaces[0, 2:])
curve.plot(smooth(losses, 50))
curve.set(title="cross entropy of the next character", xlabel="step")
words.axis("off")
words.set_title("what it writes")
words.text(0, 0.95, "\n".join(textwrap.wrap(" ".join(written.split()), 58)), family="monospace",
           fontsize=10, va="top")  # fmt: skip
letters = [characters[i].replace("\n", "\u21b5") for i in sample.tolist()]
for head in range(HEADS):
    axes = figure.add_subplot(spaces[1, head])
    axes.imshow(looks[head].numpy(), cmap="magma")
    axes.set_xticks(range(32), letters, fontsize=6, family="monospace")
    axes.set_yticks(range(32), letters, fontsize=6, family="monospace")
    axes.set_title(f"head {head + 1} looks at")
save(figure, opt.out)
