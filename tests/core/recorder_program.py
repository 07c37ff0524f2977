"""What a thread records, call by call, printed: the same with the recorder in C and without it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torchish as torch
from torchish._autograd.forward import dual_level
from torchish._core.structures import place_of
from torchish._core.trace import current_trace, flush_all
from torchish.nn import functional as F


def recorded(run: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What `run` gives, and the nodes that it recorded with their operands and the user's lines."""
    run()  # the first call makes the kernels
    flush_all()
    made = run()
    trace = current_trace(torch.device("cpu"))
    nodes: list[str] = []
    for entry in trace.entries:
        if isinstance(entry, int):
            nodes[-1] += f" {entry}"
        else:
            nodes.append(entry.name)
    lines = [place_of(site).rpartition("/")[2] for site in trace.sites]
    numbers = (trace.floats, trace.ints, trace.complexes, len(trace.externals), trace.bytes)
    assert len(trace.outs) >= len(nodes) == len(lines)
    return made, [*map(" @ ".join, zip(nodes, lines, strict=True)), str(numbers)]


def shown(made: Any) -> str:
    """A result with what autograd knows of it."""
    node = made.grad_fn
    text = f"{made.dtype} {tuple(made.shape)} {made.stride()} {made.is_inference()}"
    if node is not None:
        text += f" {node.name()} {[n and n.name() for n, _ in node.next_functions]}"
        for kept in ("self", "other", "result", "weight"):
            found = getattr(node, f"_saved_{kept}", None)
            text += f" {kept}: {found.tolist() if isinstance(found, torch.Tensor) else found}"
    return f"{text} {made.tolist()}"


X = torch.arange(6.0).view(2, 3).clone()
W = torch.full((2, 3), 2.0, requires_grad=True)
EXPANDED = torch.ones(3).expand(2, 3)
CALLS: dict[str, Callable[[], Any]] = {
    "two tensors": lambda: X * X.add(1),
    "a number": lambda: X * 2 + 1.5 * (X + True),
    "complex": lambda: X * 2j,
    "one operand twice": lambda: X * X,
    "keywords": lambda: torch.add(X, X, alpha=3).sum(dim=1, keepdim=True),
    "static": lambda: torch.sum(X, [0, 1]) + torch.sum(X, (1,), dtype=torch.float64).sum(),
    "scalars": lambda: torch.clamp(X, 1, 4),
    "optional": lambda: F.layer_norm(X, (3,), torch.ones(3), None),
    "transposed": lambda: X.t() * X.t(),
    "expanded": lambda: EXPANDED * X,
    "several results": lambda: torch.aminmax(X.max(dim=1).values)[1],
    "leaf": lambda: W * X,
    "leaf twice": lambda: (W * W).exp(),
    "view of a leaf": lambda: W[0] * X[1],
    "no gradient": lambda: W.detach() * X,
    "integers": lambda: (W > 1) * W,
    "saves its result": lambda: torch.sigmoid(W).tanh(),
    "linear": lambda: F.linear(X, W),
    "where": lambda: torch.where(X > 2, W, X),
    "written": lambda: (W * 2).mul_(X).relu_() + 1,
}


def _inference() -> Any:
    with torch.inference_mode():
        return X * 3


def _tangent() -> Any:
    with torch.autograd.forward_ad.dual_level():
        y = torch.autograd.forward_ad.make_dual(X, torch.ones(2, 3)) * W
        assert dual_level(y) is not None
        return torch.autograd.forward_ad.unpack_dual(y).tangent.detach()


def _packed() -> Any:
    seen: list[Any] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        y = W * X
    assert len(seen) == 1  # X: the gradient of W takes no more
    return y


CALLS |= {"inference": _inference, "forward mode": _tangent, "packed": _packed}


SOURCES: dict[str, Callable[[], Any]] = {
    "plain": lambda: torch.arange(24.0).view(2, 3, 4).clone(),
    "leaf": lambda: torch.arange(24.0).view(2, 3, 4).clone().requires_grad_(),
    "made": lambda: torch.arange(24.0).view(2, 3, 4).clone().requires_grad_() * 2,
    "view of another base": lambda: torch.arange(24.0).clone().view(2, 3, 4),
    "view with a history": lambda: (torch.arange(24.0).requires_grad_() * 2).view(2, 3, 4),
    "turned": lambda: torch.arange(24.0).view(4, 3, 2).clone().permute(2, 1, 0),
    "part": lambda: torch.arange(48.0).view(2, 2, 3, 4).clone()[1],
    "one of several": lambda: (torch.ones(2, 2, 3, 4, requires_grad=True) * 1).unbind()[1],
    "channels last": lambda: torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last)[0],
    "detached": lambda: torch.ones(2, 3, 4, requires_grad=True).detach(),
    "without elements": lambda: torch.ones(0, 3, 4),
}
VIEWS: dict[str, Callable[[Any], Any]] = {
    "view": lambda x: x.view(x.shape[0] * 3, 4),
    "back": lambda x: x.transpose(0, 1).transpose(0, 1),
    "all in a row": lambda x: x.view(-1),
    "reshape": lambda x: x.reshape(3, -1, 4) if x.numel() else x.reshape(3, 0),
    "flatten": lambda x: x.flatten(1),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "permute": lambda x: x.permute(2, 0, 1),
    "transpose": lambda x: x.transpose(-1, 0),
    "t": lambda x: x.select(1, 0).t(),
    "movedim": lambda x: x.movedim(0, 2),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "squeeze": lambda x: x.unsqueeze(0).squeeze(0).squeeze(),
    "expand": lambda x: x.unsqueeze(0).expand(2, -1, -1, -1),
    "select": lambda x: x.select(1, -1),
    "narrow": lambda x: x.narrow(2, 1, 2),
    "split": lambda x: x.split(2, 1),
    "sections": lambda x: x.split_with_sizes((1, 2), 1),
    "chunk": lambda x: x.chunk(2, -1),
    "unbind": lambda x: x.unbind(1),
    "diagonal": lambda x: x.diagonal(0, 1, 2),
}


def view_of(source: Any, view: Callable[[Any], Any]) -> str:
    """What a view is, what it reads, where its gradient goes, and what a write to it says."""
    told: list[Any] = []
    try:
        made = view(source)
        for v in made if isinstance(made, tuple) else (made,):
            root = None if v._base is None else tuple(v._base.shape)
            told += [tuple(v.shape), v.stride(), v.storage_offset(), v._layout, root]
            node = v.grad_fn
            while node is not None:
                told.append(node.name())
                node = node.next_functions[0][0] if node.next_functions else None
            told += [v.output_nr, v._creation, v.is_inference(), (v * 3).tolist()]
            if v.requires_grad and torch.is_grad_enabled():
                (v * 2 + v.cos()).sum().backward(retain_graph=True)
                told.append(source.grad if source.is_leaf else None)
            v.mul_(2)
            told += [v._version, (v + 1).sum().item(), source.sum().item()]
    except RuntimeError as error:
        told.append(error)
    return " ".join(map(str, told))


def all_views() -> list[str]:
    """Each view of each source in each mode, three times: made, made again, with what was kept."""
    modes = {"": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}
    found = []
    for name, view in VIEWS.items():
        for kind, source in SOURCES.items():
            for _ in range(3):
                for mode, manager in modes.items():
                    x = source()
                    with manager():
                        found.append(f"{name} of {kind} {mode}: {view_of(x, view)}")
    x = torch.arange(6.0).view(2, 3)
    for wrong in ((True, 0), (1.0, 0), (0, 5), ("a", 0)):
        try:
            found.append(f"{x.transpose(0, 1).shape} {x.transpose(*wrong).shape}")
        except (TypeError, IndexError, RuntimeError) as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


def errors() -> list[str]:
    """Texts of errors that a call raises, or its way back."""
    found = []

    def note(run: Callable[[], Any]) -> None:
        try:
            run()
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
        else:
            found.append("no error")

    with torch.inference_mode():
        inferred = torch.ones(2, 3)
    y = W.exp()
    z = y * 2
    with torch.no_grad():
        y.add_(1)
    note(lambda: inferred * W)
    note(lambda: z.sum().backward())
    note(lambda: X * torch.ones(4))
    note(lambda: X * "a")
    note(lambda: torch.add(X))
    note(lambda: torch.add(X, X, 3, 4))
    note(lambda: torch.sum(X, keepdim=2))
    note(lambda: torch.mul(2, 3))
    note(lambda: X * torch.ones(2, 3, device="meta"))
    return found


def across_threads() -> float:
    """One thread goes on recording while another reads what the first has pending."""
    shared: list[Any] = []
    totals: list[float] = []

    def read() -> None:
        while not shared or shared[-1] is not None:
            if shared and shared[-1] is not None:
                totals.append(shared[-1].sum().item())

    reader = threading.Thread(target=read)
    reader.start()
    z = torch.zeros(4)
    for _ in range(3000):
        z = z + 1
        shared.append(z)
    shared.append(None)
    reader.join()
    assert all(t == int(t) and 4 <= t <= 12000 for t in totals)
    return float(z.sum().item())


def training() -> list[float]:
    """Losses of a small net, and what a hook saw."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    seen: list[float] = []
    net[0].weight.register_hook(lambda g: seen.append(g.sum().item()))
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss = (net(X) - X.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses + seen


def main() -> None:
    for name, run in CALLS.items():
        made, nodes = recorded(run)
        print(name, *nodes, shown(made), sep="\n  ")
    print(*errors(), sep="\n")
    print(*all_views(), sep="\n")
    print(across_threads(), training())


if __name__ == "__main__":
    main()
