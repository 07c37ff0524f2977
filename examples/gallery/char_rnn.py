"""A recurrent network that predicts the next character (an LSTM on English about Python).

Picture: the loss, and how likely it found each character of a sentence it had not seen.
"""

import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import options, progress, save, smooth, text

opt = options(__doc__, "char_rnn.png", steps=1500, batch=32, length=48, width=192)
codes, characters = text()
train, held_out = codes[:-2000], codes[-2000:]


class CharRNN(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 64)
        self.rnn = nn.LSTM(64, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, x, state=None):
        h, state = self.rnn(self.embedding(x), state)
        return self.head(h), state


net = CharRNN(len(characters), opt.width)
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, opt.steps, eta_min=3e-4)
offsets = torch.arange(opt.length + 1)
losses = []
for step in (bar := progress(range(opt.steps), opt.steps, "char-rnn")):
    starts = torch.randint(0, len(train) - opt.length - 1, (opt.batch, 1))
    window = train[starts + offsets]
    logits, _ = net(window[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    losses.append(loss.detach())
    if step % 20 == 0:
        bar.set_postfix(loss=f"{loss.item():.3f}")
losses = torch.stack(losses).numpy()


@torch.no_grad()
def write(start, count, temperature=0.6):
    """Go on from a text, character by character."""
    state, drawn = None, [characters.index(c) for c in start]
    x = torch.tensor([drawn])
    for _ in range(count):
        logits, state = net(x, state)
        x = torch.multinomial(F.softmax(logits[0, -1:] / temperature, dim=-1), 1)
        drawn.append(x.item())
    return "".join(characters[i] for i in drawn)


with torch.no_grad():
    sentence = held_out[300:420]
    chances = F.softmax(net(sentence[None, :-1])[0][0], dim=-1)
likely = chances.gather(1, sentence[1:, None]).flatten().numpy()
written = write("The ", min(300, opt.steps))
print(f"cross entropy {losses[:5].mean():.2f} at first, {losses[-20:].mean():.2f} at the end")
print(written)

figure, (curve, shown) = plt.subplots(
    2, 1, figsize=(12, 6.4), height_ratios=(1, 1.25), layout="constrained"
)
curve.plot(smooth(losses, 50))
curve.set(title="cross entropy of the next character", xlabel="step")
shown.axis("off")
shown.set(xlim=(0, 60), ylim=(6.4, 0), title="how likely each character of an unseen text was")
for place, (code, chance) in enumerate(zip(sentence[1:].tolist(), likely, strict=True)):
    color = plt.cm.RdYlGn(float(chance) ** 0.5)
    letter = characters[code].replace("\n", "\u21b5")
    shown.text(place % 60 + 0.5, place // 60 + 0.6, letter, family="monospace", fontsize=12,
               ha="center", va="center", backgroundcolor=color)  # fmt: skip
lines = " ".join(written.split())
for row in range(3):
    shown.text(0, 3.4 + row, lines[row * 95 : row * 95 + 95], family="monospace", fontsize=10)
shown.text(0, 2.6, "what it writes:", fontsize=11)
save(figure, opt.out)
