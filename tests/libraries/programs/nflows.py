"""Flows of splines and couplings: densities, training, samples."""

import torch
from nflows.distributions.normal import StandardNormal
from nflows.flows import Flow
from nflows.nn.nets import ResidualNet
from nflows.transforms import (
    CompositeTransform,
    LULinear,
    MaskedAffineAutoregressiveTransform,
    PiecewiseRationalQuadraticCouplingTransform,
    RandomPermutation,
)

torch.manual_seed(0)
net = lambda a, b: ResidualNet(a, b, hidden_features=16, num_blocks=1)
flow = Flow(
    CompositeTransform([
        RandomPermutation(4), LULinear(4), MaskedAffineAutoregressiveTransform(4, 16),
        PiecewiseRationalQuadraticCouplingTransform(
            torch.tensor([1, 0, 1, 0]), net, num_bins=4, tails="linear", tail_bound=3.0
        ),
    ]),
    StandardNormal([4]),
)  # fmt: skip
optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
x = torch.randn(32, 4)
for _ in range(3):
    optimizer.zero_grad()
    loss = -flow.log_prob(x).mean()
    loss.backward()
    optimizer.step()
    print(loss.item())
print(*flow.sample(2).flatten().tolist(), *flow.transform_to_noise(x[:2]).flatten().tolist())
