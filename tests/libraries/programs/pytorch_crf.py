"""A conditional random field: likelihoods, training, the best paths."""

import torch
from torchcrf import CRF

torch.manual_seed(0)
model, scores = CRF(5, batch_first=True), torch.nn.Linear(6, 5)
x, tags = torch.randn(3, 7, 6), torch.randint(0, 5, (3, 7))
mask = torch.arange(7) < torch.tensor([[7], [4], [5]])
params = [*model.parameters(), *scores.parameters()]
optimizer = torch.optim.Adam(params, lr=0.05)
for reduction in ("mean", "token_mean", "sum"):
    optimizer.zero_grad()
    loss = -model(scores(x), tags, mask=mask, reduction=reduction)
    loss.backward()
    optimizer.step()
    print(loss.item())
for path in model.decode(scores(x), mask=mask):
    print(*path)
