"""Code of users, with what type checkers should say: `# is T` of a revealed type, `# wrong` of a
line that must be refused. Every other line must pass `mypy --strict` and pyright."""

from collections.abc import Iterator
from typing import Any, reveal_type

import torchish as torch
import torchish.nn as nn
import torchish.nn.functional as F
from torchish import Tensor
from torchish.utils.data import DataLoader, Dataset, TensorDataset

x = torch.ones(2, 3, dtype=torch.float32)
y = torch.randn((2, 3), requires_grad=True)
labels = torch.randint(0, 3, (2,))

# Functions.
reveal_type(x)  # is Tensor
reveal_type(torch.add(x, 1))  # is Tensor
reveal_type(torch.tensor([1.0, 2.0]))  # is Tensor
reveal_type(torch.zeros(3, device="cpu"))  # is Tensor
reveal_type(torch.cat([x, y], dim=0))  # is Tensor
reveal_type(torch.stack((x, y)))  # is Tensor
reveal_type(torch.max(x))  # is Tensor
reveal_type(torch.max(x, 1).indices)  # is Tensor
reveal_type(torch.topk(x, 2).values)  # is Tensor
reveal_type(torch.where(x > 0, x, y))  # is Tensor
reveal_type(torch.allclose(x, y))  # is bool
reveal_type(torch.linalg.norm(x))  # is Tensor
reveal_type(torch.einsum("ij,ij->i", x, y))  # is Tensor
reveal_type(F.relu(x))  # is Tensor
reveal_type(F.softmax(x, dim=-1))  # is Tensor
reveal_type(F.cross_entropy(x, labels, reduction="sum"))  # is Tensor
reveal_type(torch.is_tensor(x))  # is bool
torch.add(x, foo=1)  # wrong
torch.zeros(3, dtype="float32")  # wrong
torch.cat(x, dimension=0)  # wrong
torch.stack(3)  # wrong
torch.arange(3, stop=4, stepp=1)  # wrong
torch.no_such_function(x)  # wrong
F.conv2d(x)  # wrong
F.softmax(x, axis_name="i")  # wrong
F.cross_entropy(x)  # wrong

# Methods and attributes.
reveal_type(x.abs().sum(0))  # is Tensor
reveal_type(x.mean())  # is Tensor
reveal_type(x.max(dim=1).values)  # is Tensor
reveal_type(x.argmax(1))  # is Tensor
reveal_type(x.view(3, -1))  # is Tensor
reveal_type(x.reshape((6,)))  # is Tensor
reveal_type(x.permute(1, 0))  # is Tensor
reveal_type(x.to("cpu"))  # is Tensor
reveal_type(x.to(torch.float64))  # is Tensor
reveal_type(x.numel())  # is int
reveal_type(x.dim())  # is int
reveal_type(x.size(0))  # is int
reveal_type(x.size())  # is Size
reveal_type(x.shape)  # is Size
reveal_type(x.shape[0])  # is int
reveal_type(x.dtype)  # is dtype
reveal_type(x.device)  # is device
reveal_type(x.requires_grad)  # is bool
reveal_type(x.T)  # is Tensor
reveal_type(x.grad)  # is Tensor | None
reveal_type(x.chunk(2))  # is tuple[Tensor, ...]
reveal_type(x.item())  # is int | float
reveal_type(x.is_contiguous())  # is bool
reveal_type(x.detach().cpu().numpy().sum(axis=0).shape)  # is Any
reveal_type(x.backward())  # is None
x.no_such_method()  # wrong
x.sum(dimension=0)  # wrong
x.view("3")  # wrong
x.shape = (3, 2)  # wrong
x.grad.zero_()  # wrong
x.to(device=3.5)  # wrong
x.transpose(0)  # wrong

# Operators, indexing, iteration.
reveal_type(-x @ x[0] + 1)  # is Tensor
reveal_type(2 * x - 1 / x)  # is Tensor
reveal_type(x**2 >= y)  # is Tensor
reveal_type(~(x > 0) & (y < 1))  # is Tensor
reveal_type(x[..., None, :2])  # is Tensor
reveal_type(x[x > 0])  # is Tensor
x[0, 1] = 3.0
x += y
for row in x:
    reveal_type(row)  # is Tensor
x @ "text"  # wrong


class Net(nn.Module):
    """A module as users write them."""

    count: Tensor

    def __init__(self, width: int, *, bias: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, width, bias=bias), nn.Linear(width, 2)])
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, value: Tensor) -> Tensor:
        hidden = value
        for layer in self.layers:
            hidden = F.gelu(layer(hidden))
        self.count += 1
        return hidden * self.scale


net = Net(8)
reveal_type(net.scale)  # is Parameter
reveal_type(net.count)  # is Tensor
reveal_type(net.train())  # is Net
reveal_type(net.to("cpu"))  # is Net
reveal_type(list(net.parameters()))  # is list[Parameter]
reveal_type(nn.Sequential(net, nn.ReLU()))  # is Sequential
Net("8")  # wrong
Net(8, biass=True)  # wrong
nn.Linear(3)  # wrong
nn.Conv2d(1, 2, kernel=3)  # wrong
net.forward(3)  # wrong


# Training.
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.1)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
torch.optim.SGD(net.parameters(), learning_rate=0.1)  # wrong


class Squares(Dataset[tuple[Tensor, Tensor]]):
    """A dataset as users write them."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        value = torch.tensor(float(index))
        return value, value**2


def batches() -> Iterator[Any]:
    """A loader's batches."""
    yield from DataLoader(Squares(), batch_size=2, shuffle=True)
    yield from DataLoader(TensorDataset(x, labels), batch_size=2)


@torch.no_grad()
def evaluate(model: nn.Module, value: Tensor) -> float:
    """The decorator keeps the signature."""
    model.eval()
    return float(model(value).mean())


reveal_type(evaluate(net, x))  # is float
evaluate(net)  # wrong

with torch.autocast("cpu", dtype=torch.bfloat16), torch.enable_grad():
    loss = F.mse_loss(net(x), y[:, :2])
loss.backward()
optimizer.step()
optimizer.zero_grad(set_to_none=True)
schedule.step()
torch.save(net.state_dict(), "net.pt")
net.load_state_dict(torch.load("net.pt", weights_only=True))
reveal_type(torch.device("cuda", 1).index)  # is int | None
