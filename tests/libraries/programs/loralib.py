"""Low-rank updates of frozen layers: trained, merged, saved; and a warm-up of the rate beside them."""

import loralib as lora
import pytorch_warmup as warmup
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(
    lora.Embedding(9, 6, r=2), lora.MergedLinear(6, 12, r=2, enable_lora=[True, False, True]),
    nn.ReLU(), lora.Linear(12, 4, r=3, lora_alpha=6, lora_dropout=0.1),
)  # fmt: skip
conv = lora.Conv2d(1, 2, 3, r=2)
lora.mark_only_lora_as_trainable(net, bias="lora_only")
print(sum(p.numel() for p in net.parameters() if p.requires_grad))
optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.05)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=6)
start = warmup.LinearWarmup(optimizer, 3)
tokens, labels = torch.randint(0, 9, (8,)), torch.randint(0, 4, (8,))
for _ in range(5):
    loss = nn.functional.cross_entropy(net(tokens), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with start.dampening():
        schedule.step()
    print(loss.item(), optimizer.param_groups[0]["lr"])
merged = net.eval()(tokens)
print(*merged.flatten()[:8].tolist(), net[3].weight.sum().item())
net.train()
print(net[3].weight.sum().item())
state = lora.lora_state_dict(net)
print(len(state), *(v.sum().item() for v in state.values()))
print(conv(torch.randn(1, 1, 5, 5)).sum().item())
for make in (warmup.UntunedLinearWarmup, warmup.UntunedExponentialWarmup, warmup.RAdamWarmup):
    other = torch.optim.Adam(net.parameters(), lr=0.1)
    ramp = make(other)
    for _ in range(3):
        with ramp.dampening():
            pass
        print(other.param_groups[0]["lr"])
