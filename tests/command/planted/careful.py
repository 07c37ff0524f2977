"""A library's module, which asks before it uses; only what is marked can go wrong."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch as th
from torch import nn, optim as opt
from torch.nn import *  # noqa: F403

try:
    import torch.nonsense  # note torch.nonsense
except ImportError:
    nonsense = None

try:
    from torch import nested_tensor_of_tensors as nested  # note torch.nested_tensor_of_tensors
except (ImportError, AttributeError):
    nested = None

if TYPE_CHECKING:
    from torch.nowhere import Something

HAS_CHALF = hasattr(th, "quantized_gru")
if hasattr(th, "quantized_gru"):
    DTYPES = [th.float32, th.quantized_gru]  # note torch.quantized_gru


def rpc_of(worker: th.distributed.rpc.RRef) -> Any:  # note torch.distributed.rpc.RRef
    if isinstance(worker, th.distributed.rpc.RRef):  # note torch.distributed.rpc.RRef
        return worker.to_here()
    with contextlib.suppress(NotImplementedError):
        return th.distributed.rpc.RRef(worker)  # note torch.distributed.rpc.RRef
    return th.distributed.rpc.rpc_sync("b", print)  # raises torch.distributed.rpc.rpc_sync


def step(parameters, loss: th.Tensor | None):
    optimizer = opt.SGD(parameters, lr=0.1)
    if loss is not None:
        loss.backward()
    optimizer.step()
    return Linear(2, 3), LinearCrossEntropyOptions()  # raises torch.nn.LinearCrossEntropyOptions


def both_ways(flag):
    value = th.ones(3) if flag else "text"
    again = th.zeros(2)
    again = again.view(-1)
    again += 1
    print(again.T.mT.absolutely)  # raises torch.Tensor.absolutely
    return value.upper(), (again > 0).summm()  # raises torch.Tensor.summm


class Quantised(th.ao.nn.quantized.Linear):  # raises torch.ao.nn.quantized.Linear
    weight: nn.Parameter
