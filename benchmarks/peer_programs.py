"""Programs in PyTorch's API that `peers.py` runs on each library that has it.

Each is a function of the library and of the device that its tensors go to. Data and weights are
drawn on the CPU, so that libraries with random streams of their own are given the same numbers.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

Program = Callable[[Any, Any], list[float]]
PROGRAMS: dict[str, Program] = {}
ALIASING: dict[str, Program] = {}


def _into(table: dict[str, Program]) -> Callable[[Program], Program]:
    def enter(function: Program) -> Program:
        table[function.__name__] = function
        return function

    return enter


program, aliasing = _into(PROGRAMS), _into(ALIASING)


def _numbers(*tensors: Any) -> list[float]:
    """Every element of some tensors."""
    return [float(x) for t in tensors for x in t.detach().cpu().double().flatten().tolist()]


def _perceptron(torch: Any, device: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).to(device)


# --- programs -------------------------------------------------------------------------------------


@program
def training(torch: Any, device: Any) -> list[float]:
    """Ten steps of Adam on a perceptron."""
    net = _perceptron(torch, device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x, y = torch.randn(32, 6).to(device), torch.randint(0, 3, (32,)).to(device)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return _numbers(*losses)


@program
def convolutions(torch: Any, device: Any) -> list[float]:
    """Three steps of SGD with momentum on a network with batch norm; its statistics."""
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    x = torch.randn(4, 3, 16, 16).to(device)
    for _ in range(3):
        optimizer.zero_grad()
        loss = net(x).square().mean()
        loss.backward()
        optimizer.step()
    return _numbers(loss, net[1].running_mean, net[1].running_var)


@program
def recurrent(torch: Any, device: Any) -> list[float]:
    """An LSTM over three lengths, gradients clipped."""
    cell, head = torch.nn.LSTM(5, 8, batch_first=True), torch.nn.Linear(8, 1)
    cell, head = cell.to(device), head.to(device)
    parameters = [*cell.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    losses = []
    for length in (7, 4, 9):
        out, _ = cell(torch.randn(3, length, 5).to(device))
        loss = head(out[:, -1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()
        losses.append(loss.detach())
    return _numbers(*losses)


@program
def attention(torch: Any, device: Any) -> list[float]:
    """A transformer encoder with a causal mask: two steps of AdamW."""
    nn = torch.nn
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    net = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    x = torch.randn(2, 6, 16).to(device)
    mask = nn.Transformer.generate_square_subsequent_mask(6).to(device)
    for _ in range(2):
        optimizer.zero_grad()
        loss = (net(x, mask=mask) - x).square().mean()
        loss.backward()
        optimizer.step()
    return _numbers(loss)


@program
def tied_weights(torch: Any, device: Any) -> list[float]:
    """An embedding whose weight is the output layer's too."""
    table = torch.nn.Embedding(9, 6).to(device)
    head = torch.nn.Linear(6, 9, bias=False).to(device)
    head.weight = table.weight
    optimizer = torch.optim.SGD(table.parameters(), lr=0.5)
    tokens = torch.randint(0, 9, (12,)).to(device)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(head(table(tokens)), tokens)
        loss.backward()
        optimizer.step()
    return _numbers(loss, head.weight)


@program
def hooks(torch: Any, device: Any) -> list[float]:
    """Grad-CAM's hooks on a layer, and one on a tensor that changes its gradient."""
    net = _perceptron(torch, device)
    kept: dict[str, Any] = {}
    net[1].register_forward_hook(lambda m, args, out: kept.update(out=out.detach()))
    net[1].register_full_backward_hook(lambda m, into, out: kept.update(grad=out[0]))
    x = torch.randn(4, 6).to(device).requires_grad_()
    x.register_hook(lambda g: 2 * g)
    net(x)[:, 1].sum().backward()
    return _numbers(kept["out"] * kept["grad"], x.grad)


@program
def gradient_penalty(torch: Any, device: Any) -> list[float]:
    """A second derivative through a module."""
    net = _perceptron(torch, device)
    x = torch.randn(5, 6).to(device).requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    ((slope.norm(dim=1) - 1) ** 2).mean().backward()
    return _numbers(net[0].weight.grad, net[2].weight.grad)


@program
def own_function(torch: Any, device: Any) -> list[float]:
    """An `autograd.Function` with a gradient of its own."""

    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.round()

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return grad * x.cos()

    x = torch.randn(7).to(device).requires_grad_()
    (Rounded.apply(3 * x) * x).sum().backward()
    return _numbers(x.grad)


@program
def checkpoint(torch: Any, device: Any) -> list[float]:
    """Training that is stored, loaded elsewhere and gone on with."""
    x = torch.randn(8, 6).to(device)

    def train(net: Any, optimizer: Any, steps: int) -> Any:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimizer.step()
        return loss

    first = _perceptron(torch, device)
    rule = torch.optim.Adam(first.parameters(), lr=0.01)
    train(first, rule, 2)
    file = io.BytesIO()
    torch.save({"net": first.state_dict(), "rule": rule.state_dict()}, file)
    file.seek(0)
    stored = torch.load(file)
    second = _perceptron(torch, device)
    second.load_state_dict(stored["net"])
    other = torch.optim.Adam(second.parameters(), lr=0.5)
    other.load_state_dict(stored["rule"])
    return _numbers(train(second, other, 2))


@program
def branches(torch: Any, device: Any) -> list[float]:
    """Newton's method with a line search: Python asks for values at every step."""
    x = torch.full((4,), 2.0).to(device)
    for _ in range(20):
        x = x.detach().requires_grad_()
        value = (x**4 - 3 * x).sum()
        (slope,) = torch.autograd.grad(value, x)
        rate = 0.2
        while ((x - rate * slope) ** 4 - 3 * (x - rate * slope)).sum() > value:
            rate /= 2
        x = x - rate * slope
        if slope.norm() < 1e-3:
            break
    return _numbers(x)


@program
def loader(torch: Any, device: Any) -> list[float]:
    """A shuffling DataLoader, dropout off, an evaluation without gradients."""
    data = torch.utils.data.TensorDataset(torch.randn(20, 6), torch.arange(20))
    shuffled = torch.Generator().manual_seed(3)
    net = _perceptron(torch, device).eval()
    seen = []
    with torch.no_grad():
        for x, k in torch.utils.data.DataLoader(data, 8, shuffle=True, generator=shuffled):
            seen += [net(x.to(device)).sum(1), k.float()]
    return _numbers(*seen)


@program
def selection(torch: Any, device: Any) -> list[float]:
    """Sorting, indexing, scattering, masks."""
    x = torch.randn(6, 5).to(device)
    values, places = x.topk(2, dim=1)
    made = torch.zeros(6, 5).to(device).scatter_(1, places, values)
    made[x < -1] = 9.0
    made.index_add_(0, torch.tensor([0, 2]).to(device), torch.ones(2, 5).to(device))
    order = x.sum(1).argsort()
    return _numbers(made[order], torch.where(x > 0, x, -x).cumsum(0))


# --- memory that tensors share --------------------------------------------------------------------


def _grid(torch: Any, device: Any) -> Any:
    return torch.arange(12.0).reshape(3, 4).to(device)


@aliasing
def view_is_written(torch: Any, device: Any) -> list[float]:
    """A write to a view is in its base."""
    x = _grid(torch, device)
    x.view(-1)[5] = 50.0
    return _numbers(x)


@aliasing
def base_is_written(torch: Any, device: Any) -> list[float]:
    """A write to the base is in a view made before."""
    x = _grid(torch, device)
    y = x.t()
    x.add_(1)
    return _numbers(y)


@aliasing
def view_of_a_view(torch: Any, device: Any) -> list[float]:
    """A row of a transposed slice."""
    x = _grid(torch, device)
    x[:, 1:].t()[1].mul_(10)
    return _numbers(x)


@aliasing
def diagonal(torch: Any, device: Any) -> list[float]:
    """The diagonal is filled."""
    x = _grid(torch, device)
    x.diagonal().fill_(-1)
    return _numbers(x)


@aliasing
def parts(torch: Any, device: Any) -> list[float]:
    """Rows in a loop, each written."""
    x = _grid(torch, device)
    for k, row in enumerate(x.unbind()):
        row.mul_(k)
    return _numbers(x)


@aliasing
def overlapping_windows(torch: Any, device: Any) -> list[float]:
    """`as_strided` windows that share elements are read after a write."""
    x = _grid(torch, device)
    windows = x.as_strided((3, 2), (4, 1))
    x[1, 1] = 7.0
    return _numbers(windows)


@aliasing
def gradient_through_a_write(torch: Any, device: Any) -> list[float]:
    """Autograd follows a write to a view of an intermediate result."""
    x = _grid(torch, device).requires_grad_()
    y = x * 2
    y[1] = x[0] ** 2
    (y * y).sum().backward()
    return _numbers(x.grad)


@aliasing
def parameter_data(torch: Any, device: Any) -> list[float]:
    """`.data` and views of it are the parameter."""
    p = torch.nn.Parameter(_grid(torch, device))
    p.data[0].zero_()
    with torch.no_grad():
        p[1:].add_(1)
    return _numbers(p)


@aliasing
def detached(torch: Any, device: Any) -> list[float]:
    """`detach` shares memory."""
    x = _grid(torch, device).requires_grad_()
    x.detach().zero_()
    return _numbers(x)


@aliasing
def module_buffers(torch: Any, device: Any) -> list[float]:
    """`state_dict` holds the module's own memory."""
    net = torch.nn.Linear(2, 2).to(device)
    net.state_dict()["weight"].fill_(3.0)
    return _numbers(net.weight)


def _refused(function: Callable[[], Any]) -> list[float]:
    try:
        function()
    except RuntimeError:
        return [1.0]
    return [0.0]


@aliasing
def write_to_a_saved_tensor(torch: Any, device: Any) -> list[float]:
    """Backward refuses a saved tensor that was written."""
    x = _grid(torch, device).requires_grad_()
    y = x.exp()
    z = y.sum() + (y * y).sum()
    with torch.no_grad():
        y.add_(1)
    return _refused(z.backward)


@aliasing
def write_to_an_expanded_tensor(torch: Any, device: Any) -> list[float]:
    """A write where several elements are one is refused."""
    x = torch.ones(3, 1).to(device)
    return _refused(lambda: x.expand(3, 4).add_(1))


@aliasing
def write_to_a_leaf(torch: Any, device: Any) -> list[float]:
    """A leaf that requires grad is not written in place."""
    x = _grid(torch, device).requires_grad_()
    return _refused(lambda: x.mul_(2))


# --- operators ------------------------------------------------------------------------------------

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "matmul": lambda torch, x: x @ x.t(),
    "conv2d": lambda torch, x: torch.nn.functional.conv2d(
        x.reshape(4, 4, 32, 32), x[:4, :36].reshape(4, 4, 3, 3), padding=1
    ),
    "softmax": lambda torch, x: torch.softmax(x, -1),
    "layer_norm": lambda torch, x: torch.nn.functional.layer_norm(x, (256,)),
    "gelu": lambda torch, x: torch.nn.functional.gelu(x),
    "logsumexp": lambda torch, x: torch.logsumexp(x, 0),
    "cumsum": lambda torch, x: x.cumsum(1),
    "sort": lambda torch, x: x.sort(1)[0],
    "einsum": lambda torch, x: torch.einsum("ij,kj->ik", x, x),
    "erf": lambda torch, x: torch.erf(x),
}  # of a matrix of 64 x 256


def matrix(torch: Any, device: Any) -> Any:
    """What the operators are given."""
    return torch.randn(64, 256).to(device)


def training_step(torch: Any, device: Any) -> Callable[[], float]:
    """A step of a three-layer perceptron (784-512-512-10, batch 128, Adam) that reads its loss."""
    nn = torch.nn
    net = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    ).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    x, y = torch.randn(128, 784).to(device), torch.randint(0, 10, (128,)).to(device)

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step
