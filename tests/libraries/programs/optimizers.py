"""Other people's optimizers: ten steps of each on one small problem."""

import torch
import torch_optimizer
from lion_pytorch import Lion
from madgrad import MADGRAD
from prodigyopt import Prodigy
from schedulefree import AdamWScheduleFree, RAdamScheduleFree, SGDScheduleFree

OLDER = ("AccSGD", "AdaBelief", "AdaBound", "AdaMod", "Adafactor", "AggMo", "Apollo", "DiffGrad",
         "Lamb", "NovoGrad", "PID", "QHAdam", "QHM", "RAdam", "Ranger", "RangerQH", "RangerVA",
         "SGDP", "SGDW", "SWATS", "Yogi", "AdamP", "A2GradExp")  # fmt: skip


def run(make):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    x = torch.randn(16, 4)
    y = x.prod(1, keepdim=True)
    optimizer = make(net.parameters())
    if hasattr(optimizer, "train"):
        optimizer.train()

    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward(create_graph=make is hessian)
        optimizer.step()
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    print(loss.item(), *[p.norm().item() for p in net.parameters()])


def hessian(params):
    return torch_optimizer.Adahessian(params, lr=0.05, seed=1)


for name in OLDER:
    run(lambda params, name=name: getattr(torch_optimizer, name)(params))
run(lambda params: torch_optimizer.Lookahead(torch_optimizer.Yogi(params, lr=0.01), k=3))
run(hessian)
run(lambda params: Lion(params, lr=1e-3, weight_decay=0.1))
run(lambda params: MADGRAD(params, lr=1e-2))
run(lambda params: Prodigy(params, d_coef=10.0, safeguard_warmup=True))
run(lambda params: AdamWScheduleFree(params, lr=0.01, warmup_steps=3))
run(lambda params: RAdamScheduleFree(params, lr=0.01))
run(lambda params: SGDScheduleFree(params, lr=0.1, momentum=0.9))
