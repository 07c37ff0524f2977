"""Random programs about aliasing: making one from a number, running it, cutting it down.

After every step all tensors are described: values, strides, offsets, what requires grad, versions;
at the end come which tensors share memory, what backward does and the gradients.
"""

from __future__ import annotations

import math
import random
from typing import Any

from .steps import STEPS

SHAPES = [(6,), (2, 3), (2, 2, 3), (4, 1), (1, 3), (3, 3)]
_NAMES = list(STEPS)
_WEIGHTS = [STEPS[name].weight for name in _NAMES]
REFUSED = ("refused", "")
CAUGHT = (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError)


def program(number: int) -> dict[str, Any]:
    """Program `number`: leaves, steps, and which tensors go into the loss."""
    r = random.Random(number)
    leaves = [
        (r.choice(SHAPES), r.choice(["none", "none", "grad", "grad", "grown"]), r.random() < 0.1)
        for _ in range(r.randint(1, 3))
    ]
    steps = []
    for _ in range(r.randint(2, 9)):
        name = r.choices(_NAMES, _WEIGHTS)[0]
        chosen = STEPS[name]
        steps.append((name, [r.randint(0, 7) for _ in range(chosen.inputs)], chosen.make(r)))
    loss = [r.randint(0, 9) for _ in range(r.randint(0, 3))]
    return {"leaves": leaves, "steps": steps, "loss": loss, "again": r.random() < 0.3}


def run(T: Any, program: dict[str, Any]) -> list[Any]:
    """Run a program; the log holds the state after each step, errors included."""
    tensors, roots = [], []
    for shape, kind, double in program["leaves"]:
        leaf = T.arange(1.0, 1.0 + math.prod(shape), dtype=T.float64 if double else T.float32)
        leaf = leaf.reshape(shape).clone().requires_grad_(kind != "none")
        roots.append(leaf)
        tensors.append(leaf * 1.0 if kind == "grown" else leaf)
    log: list[Any] = []
    for name, inputs, extra in program["steps"]:
        log.append(_step(T, name, inputs, extra, tensors))
    log.append(aliases(T, tensors))
    chosen = [tensors[i % len(tensors)] for i in program["loss"]]
    for _ in range(2 if program["again"] else 1):
        log.append(_backward(chosen))
        if log[-1] != "ran":
            break  # how much of it was done before is left open
        log.append([None if x.grad is None else _gradient(x.grad) for x in roots])
    return log


def _step(T: Any, name: str, inputs: list[int], extra: Any, tensors: list[Any]) -> Any:
    given = [tensors[i % len(tensors)] for i in inputs]
    try:
        if name.endswith("_out") and len({other.shape for other in given}) > 1:
            given[1:] = [other.clone() for other in given[1:]]  # an output is resized while read
        given = [given[0], *(_apart(T, name, given[0], other) for other in given[1:])]
        got = STEPS[name].act(T, extra, *given)
    except CAUGHT as error:
        found: Any = (type(error).__name__, str(error).split("\n")[0])
        if "view" in found[1] and "modified inplace" in found[1]:
            found = REFUSED  # which of several errors comes first is left open
    else:
        found = "ran"
        if isinstance(got, T.Tensor) and not any(got is x for x in tensors):
            tensors.append(got)
    return name, found, [describe(t) for t in tensors]


def _apart(T: Any, name: str, target: Any, other: Any) -> Any:
    """The other operand; copied if it overlaps the target in a way that torch leaves undefined."""
    if name in ("sum_out", "cat_out"):
        return other.clone()
    if other is target or not _same_memory(T, target, other):
        return other
    if (other.shape, other.stride(), other.storage_offset()) == (
        target.shape, target.stride(), target.storage_offset(),
    ):  # fmt: skip
        return other
    if other.is_contiguous() and target.is_contiguous() and other.shape == target.shape:
        return other  # torch sees that they overlap
    return other.clone()


def describe(tensor: Any) -> Any:
    """Everything that must agree about a tensor."""
    try:
        leaf = tensor.is_leaf
    except RuntimeError as error:  # a view that may not be rebased
        return {"refused": str(error).split("\n")[0], "values": tensor.detach().tolist()}
    return {
        "values": tensor.detach().tolist(),
        "shape": tuple(tensor.shape),
        "stride": tensor.stride() if tensor.numel() else None,
        "offset": tensor.storage_offset(),
        "dtype": str(tensor.dtype),
        "requires_grad": tensor.requires_grad,
        "leaf": leaf,
        "version": tensor._version,
        "view": tensor._base is not None,
    }


def _memory(T: Any, tensor: Any) -> Any:
    """What identifies the memory behind a tensor (asking for an address would pin it)."""
    if T.__name__ == "torch":
        return tensor.untyped_storage()._cdata
    return id(tensor._storage)


def _same_memory(T: Any, a: Any, b: Any) -> bool:
    return bool(_memory(T, a) == _memory(T, b))


def aliases(T: Any, tensors: list[Any]) -> list[list[bool]]:
    """Which tensors share memory."""
    return [[_same_memory(T, a, b) for b in tensors] for a in tensors]


def _gradient(grad: Any) -> Any:
    """Values and strides; strides of dims of size one are left free by the layout contract."""
    return grad.tolist(), [s for s, n in zip(grad.stride(), grad.shape, strict=True) if n != 1]


def _backward(chosen: list[Any]) -> Any:
    try:
        loss = sum((t.double() * 1.5).sum() for t in chosen)
        if not isinstance(loss, int):
            loss.backward()
    except RuntimeError as error:
        return (type(error).__name__, str(error).split("\n")[0])
    return "ran"
