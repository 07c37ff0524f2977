"""Rewriting traced graphs, and modules decorated for TorchScript."""

import copy
import os
import tempfile
from typing import Dict, List, Optional, Tuple  # noqa: UP035

import torch
import torch.fx as fx
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.wrapped = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        x = F.relu(self.wrapped(x) + x)
        return self.fc(torch.flatten(x, 1))


def fuse(model):
    """Convolutions and the norms after them as one layer."""
    model = copy.deepcopy(model)
    fx_model = fx.symbolic_trace(model)
    modules = dict(fx_model.named_modules())
    for node in fx_model.graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if len(before.users) > 1:
            continue
        fused = fuse_conv_bn_eval(modules[before.target], modules[node.target])
        parent, _, name = before.target.rpartition(".")
        setattr(modules[parent], name, fused)
        node.replace_all_uses_with(before)
        fx_model.graph.erase_node(node)
    fx_model.graph.lint()
    fx_model.recompile()
    return fx_model


class ShapeProp(fx.Interpreter):
    def run_node(self, n):
        found = super().run_node(n)
        if isinstance(found, torch.Tensor):
            n.meta["shape"] = tuple(found.shape)
        return found


def rewriting():
    torch.manual_seed(0)
    net, x = Net().eval(), torch.randn(2, 1, 4, 4)
    fused = fuse(net)
    print("fx fused", torch.allclose(net(x), fused(x), atol=1e-5), len(list(fused.graph.nodes)))
    traced = fx.symbolic_trace(net)
    for node in list(traced.graph.nodes):
        if node.op == "call_function" and node.target in (torch.relu, F.relu):
            with traced.graph.inserting_after(node):
                new = traced.graph.call_function(torch.tanh, (node.args[0],))
                node.replace_all_uses_with(new)
            traced.graph.erase_node(node)
    traced.recompile()
    print("fx code", traced.code.count("tanh"), traced.code.count("relu"))
    print("fx out", *(f"{v:.5f}" for v in traced(x).flatten().tolist()))
    ShapeProp(traced).run(x)
    print("fx shapes", *(n.meta.get("shape") for n in traced.graph.nodes))
    matches = fx.replace_pattern(
        traced, lambda a, b: torch.tanh(a + b), lambda a, b: torch.sigmoid(a - b)
    )
    print("fx matches", len(matches), traced.code.count("sigmoid"))


@torch.jit.script
def clipped(x, low: float, high: Optional[float] = None):  # noqa: UP045
    if high is None:
        return torch.clamp(x, min=low)
    return torch.clamp(x, low, high)


class Cell(torch.jit.ScriptModule):
    __constants__ = ["size"]

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.randn(size, size) * 0.1)

    @torch.jit.script_method
    def forward(self, x: torch.Tensor, h: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:  # noqa: UP006
        y = torch.tanh(x.mm(self.weight) + h)
        return y, y


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = nn.ModuleList([Cell(3), Cell(3)])

    @torch.jit.export
    def names(self) -> List[str]:  # noqa: UP006
        return ["a", "b"]

    @torch.jit.ignore
    def unused(self, x):
        return x + 1

    def forward(self, x: torch.Tensor) -> Dict[str, torch.Tensor]:  # noqa: UP006
        h = torch.zeros_like(x)
        for cell in self.cells:
            x, h = cell(x, h)
        return {"out": x, "hidden": h}


def scripting():
    torch.manual_seed(0)
    x = torch.randn(2, 3)
    print("jit clipped", clipped(x, 0.0, 1.0).sum().item() > 0, clipped(x, 0.0).shape)
    stack = torch.jit.script(Stack())
    print("jit out", *(f"{v:.5f}" for v in stack(x)["out"].flatten().tolist()), stack.names())
    traced = torch.jit.trace(nn.Linear(3, 2), x)
    path = os.path.join(tempfile.mkdtemp(), "traced.pt")
    torch.jit.save(traced, path)
    print("jit loaded", torch.equal(torch.jit.load(path)(x), traced(x)))


def main():
    rewriting()
    scripting()
