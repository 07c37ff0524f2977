"""Spiking neurons of five kinds, a net of them trained through surrogate gradients."""

import snntorch as snn
import torch
from snntorch import functional as SF
from snntorch import spikegen, surrogate, utils
from torch import nn

torch.manual_seed(0)
current = torch.rand(6, 2, 4)
for neuron in (snn.Leaky(beta=0.8), snn.Lapicque(beta=0.7), snn.RLeaky(beta=0.8, all_to_all=False)):
    state = neuron.reset_mem()
    state = state if isinstance(state, tuple) else (state,)
    for step in current:
        spikes, *state = neuron(step, *state)
        print(spikes.sum().item(), state[-1].sum().item())
for neuron in (snn.Synaptic(alpha=0.9, beta=0.8), snn.Alpha(alpha=0.9, beta=0.8)):
    state = neuron.reset_mem()
    for step in current:
        spikes, *state = neuron(step, *state)
        print(spikes.sum().item(), *(s.sum().item() for s in state))
net = nn.Sequential(
    nn.Linear(4, 10), snn.Leaky(beta=0.9, init_hidden=True, spike_grad=surrogate.fast_sigmoid()),
    nn.Linear(10, 3), snn.Leaky(beta=0.9, init_hidden=True, output=True, learn_beta=True,
                                spike_grad=surrogate.atan()),
)  # fmt: skip
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
data, labels = torch.rand(8, 4), torch.randint(0, 3, (8,))
for loss in (SF.ce_rate_loss(), SF.mse_count_loss(0.8, 0.2), SF.ce_count_loss()):
    utils.reset(net)
    train = spikegen.rate(data, num_steps=5)
    spikes = torch.stack([net(step)[0] for step in train])
    value = loss(spikes, labels)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    print(value.item(), spikes.sum().item(), SF.accuracy_rate(spikes, labels))
print(*spikegen.latency(data[:1], num_steps=5, normalize=True).flatten().tolist())
