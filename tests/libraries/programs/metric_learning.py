"""pytorch_metric_learning: losses, miners, and accuracies of neighbours."""

import torch
from pytorch_metric_learning import distances, losses, miners, reducers

torch.manual_seed(0)
net = torch.nn.Linear(6, 4)
x, y = torch.randn(12, 6), torch.arange(12) % 3
chosen = {
    "triplet": losses.TripletMarginLoss(distance=distances.CosineSimilarity(),
                                        reducer=reducers.ThresholdReducer(low=0)),
    "contrastive": losses.ContrastiveLoss(),
    "ntxent": losses.NTXentLoss(temperature=0.2),
    "multi": losses.MultiSimilarityLoss(),
    "supcon": losses.SupConLoss(),
    "arc": losses.ArcFaceLoss(3, 4),
    "proxy": losses.ProxyAnchorLoss(3, 4),
    "circle": losses.CircleLoss(),
}  # fmt: skip
for loss in chosen.values():
    net.zero_grad()
    value = loss(net(x), y)
    value.backward()
    print(value.item(), net.weight.grad.norm().item())
for miner in (miners.MultiSimilarityMiner(), miners.TripletMarginMiner(0.2, type_of_triplets="hard"),
              miners.BatchHardMiner()):  # fmt: skip
    found = miner(net(x), y)
    print(*[len(part) for part in found], chosen["triplet"](net(x), y, found).item())
