"""A training script as people write them; what torchish lacks is planted and marked."""

import argparse
import functools

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.package  # its module is there, its classes are placeholders
from torch.ao.quantization import QuantStub
from torch.ao.quantization import get_default_qconfig  # note torch.ao.quantization.get_default_qconfig
from torch.utils.data import DataLoader, TensorDataset

Conv = nn.Conv2d
half = torch.quantized_gru  # raises torch.quantized_gru


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.quant = QuantStub()  # raises torch.ao.quantization.QuantStub
        self.conv = Conv(1, width, 3)
        self.head = nn.LazyLinear(10)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.conv(x)).flatten(1)
        x = x.quantise_me()  # raises torch.Tensor.quantise_me
        return self.head(x) * self.scale


def data(count):
    images = torch.rand(count, 1, 8, 8)
    labels = torch.randint(0, 10, (count,))
    images.note = "user attributes are no methods of torch's"
    print(images.note, images.mean(), images.meen())  # raises torch.Tensor.meen
    return TensorDataset(images, labels)


def train(net, loader, device):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=False)
    scaler = torch.amp.GradScaler(device, enabled=False)
    for images, labels in loader:
        images.whatever()  # not certain to be a tensor
        loss = F.cross_entropy(net(images), labels)
        loss = loss + torch.quantize_per_tensor(  # raises torch.quantize_per_tensor
            loss,
            0.1,
            0,
            torch.quint8,
        )
        scaler.scale(loss).backward()
        optimizer.step()


def shadowed(torch, F):
    return torch.nonsense(F.nonsense)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()
    square = functools.partial(torch.pow, exponent=2)
    weights = [torch.zerros(n) for n in range(options.epochs)]  # raises torch.zerros
    total = sum(w.sum() for w in weights)
    print(square(total), getattr(torch, "chalf", None), nn.functional.silu(total))
    train(Net(), DataLoader(data(64), batch_size=8), "cpu")


if __name__ == "__main__":
    main()
