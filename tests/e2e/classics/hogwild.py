"""Processes that train one network in shared memory, without locks."""

import torch
import torch.multiprocessing as mp
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 12), nn.Linear(12, 4)

    def forward(self, x):
        return F.log_softmax(self.fc2(F.relu(self.fc1(x.view(-1, 16)))), dim=1)


def dataset():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(64, 4, 4, generator=generator)
    return TensorDataset(x, x.flatten(1)[:, :4].argmax(1))


def train(rank, model, epochs):
    torch.manual_seed(1 + rank)
    loader = DataLoader(dataset(), batch_size=16, shuffle=True)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    model.train()
    for _ in range(epochs):
        for data, target in loader:
            optimizer.zero_grad()
            F.nll_loss(model(data), target).backward()
            optimizer.step()


def test(model):
    model.eval()
    with torch.no_grad():
        x, y = dataset()[:]
        return F.nll_loss(model(x), y, reduction="sum").item()


def run(count, epochs):
    torch.manual_seed(1)
    model = Net()
    model.share_memory()
    before, processes = test(model), []
    for rank in range(count):
        p = mp.Process(target=train, args=(rank, model, epochs))
        p.start()
        processes.append(p)
    for p in processes:
        p.join()
        assert p.exitcode == 0
    return before, test(model)


def main():
    mp.set_start_method("fork", force=True)
    before, after = run(1, 3)
    print(f"hogwild one {before:.4f} {after:.4f}")
    before, after = run(2, 3)
    print("hogwild two", after < before)
