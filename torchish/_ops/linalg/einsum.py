"""einsum and tensordot: contractions spelled by subscripts or dimension lists.

einsum's subscripts, in either spelling, are first read into integers (one list per operand, one for
the result), with every ellipsis written out; JAX then contracts along the cheapest path.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import jax.numpy as jnp

from ..call.composites import Out
from ..call.describe import scalar_name
from ..registry import Tensor, Tensors, composite, op, ops, wrap_dim
from ..shared.subscripts import ELLIPSIS, LETTERS, numbers
from .product_checks import not_bool


def _fail(text: str) -> None:
    raise RuntimeError(f"einsum(): {text}")


def _read(term: str, where: str, start: int) -> list[int]:
    """Subscripts of one comma-separated term as numbers 0..51, `ELLIPSIS` for three dots."""
    labels: list[int] = []
    position = 0
    while position < len(term):
        char = term[position]
        if char == ".":
            if ELLIPSIS in labels:
                _fail(f"found '.' for {where} for which an ellipsis was already found")
            if term[position : position + 3] != "...":
                _fail(f"found '.' for {where} that is not part of any ellipsis (...)")
            labels.append(ELLIPSIS)
            position += 3
            continue
        if char != " ":
            if char not in LETTERS:
                _fail(
                    f"invalid subscript given at index {start + position} in the equation string, "
                    "subscripts must be in [a-zA-Z]"
                )
            labels.append(LETTERS.index(char))
        position += 1
    return labels


def parse(equation: str) -> tuple[list[list[int]], list[int] | None]:
    """Read `"ij,jk->ik"`: the operands' subscripts and the result's (None when not given)."""
    left, arrow, right = equation.partition("->")
    inputs, start = [], 0
    for number, term in enumerate(left.split(",")):
        inputs.append(_read(term, f"operand {number}", start))
        start += len(term) + 1
    return inputs, _read(right, "output", len(left) + 2) if arrow else None


def _spell_out(
    inputs: list[list[int]], output: list[int] | None, shapes: list[tuple[int, ...]]
) -> tuple[list[list[int]], list[int]]:
    """Replace every ellipsis by labels from 52 on (aligned at the right), and fill in `output`."""
    covered = []
    for number, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        named = len(labels) - (ELLIPSIS in labels)
        if named > len(shape) or (named < len(shape) and ELLIPSIS not in labels):
            tail = "" if ELLIPSIS in labels else " and no ellipsis was given"
            relation = "is more than" if ELLIPSIS in labels else "does not match"
            _fail(
                f"the number of subscripts in the equation ({named}) {relation} the number of "
                f"dimensions ({len(shape)}) for operand {number}{tail}"
            )
        covered.append(len(shape) - named)
    widest = max(
        (c for c, labels in zip(covered, inputs, strict=True) if ELLIPSIS in labels), default=0
    )
    dots = list(range(52, 52 + widest))

    def spell(labels: list[int], width: int) -> list[int]:
        if ELLIPSIS not in labels:
            return labels
        at = labels.index(ELLIPSIS)
        return labels[:at] + dots[widest - width :] + labels[at + 1 :]

    spelled = [spell(labels, width) for labels, width in zip(inputs, covered, strict=True)]
    if output is None:
        counts = Counter(label for labels in inputs for label in labels)
        output = [ELLIPSIS] if any(ELLIPSIS in labels for labels in inputs) else []
        output += sorted(label for label, n in counts.items() if n == 1 and label != ELLIPSIS)
    for position, label in enumerate(output):
        if label in output[:position]:
            _fail(f"output subscript {_name(label)} appears more than once in the output")
        if label != ELLIPSIS and not any(label in labels for labels in inputs):
            _fail(
                f"output subscript {_name(label)} does not appear in the equation for any input "
                "operand"
            )
    return spelled, spell(output, widest)


def _name(label: int) -> str:
    return LETTERS[label] if 0 <= label < 52 else "..."


def _sizes(inputs: list[list[int]], shapes: list[tuple[int, ...]]) -> dict[int, int]:
    """The size of every label; a size of 1 broadcasts."""
    sizes: dict[int, int] = {}
    for number, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        seen: dict[int, int] = {}
        for label, size in zip(labels, shape, strict=True):
            if seen.setdefault(label, size) != size:
                _fail(
                    f"subscript {_name(label)} is repeated for operand {number} but the sizes "
                    f"don't match, {size} != {seen[label]}"
                )
        for label, size in seen.items():
            known = sizes.get(label, 1)
            if size not in (known, 1) and known != 1:
                _fail(
                    f"subscript {_name(label)} has size {size} for operand {number} which does "
                    f"not broadcast with previously seen size {known}"
                )
            sizes[label] = max(size, known) if size and known else min(size, known)
    return sizes


@op("none", into=("internal",), name="_einsum", grad_name="ViewBackward0")
def _einsum(operands: Tensors, inputs: Any, output: Any):
    shapes = [array.shape for array in operands]
    labels, out = _spell_out(
        [list(term) for term in inputs], None if output is None else list(output), shapes
    )
    sizes = _sizes(labels, shapes)
    for array in operands:
        if array.dtype != operands[0].dtype:
            raise RuntimeError(
                f"expected scalar type {scalar_name(operands[0])} but found {scalar_name(array)}"
            )
    arguments: list[Any] = []
    kept: set[int] = set()
    for array, term in zip(operands, labels, strict=True):
        # A label of size 1 that is larger elsewhere broadcasts: leaving it out says the same.
        drop = [i for i, label in enumerate(term) if array.shape[i] == 1 and sizes[label] != 1]
        term = [label for i, label in enumerate(term) if i not in drop]
        arguments += [jnp.squeeze(array, tuple(drop)), term]
        kept.update(term)
    if len(operands) > 1:
        not_bool(operands[0], "bmm")
    return jnp.einsum(*arguments, out, optimize="optimal" if len(operands) < 6 else "auto")


@composite(into=("torch",))
def einsum(*args) -> Tensor:
    """Sum of products over the named subscripts that the result does not have.

    `einsum("bij,bjk->bik", x, y)`, or with numbers 0..51: `einsum(x, [0, 1], y, [1, 2], [0, 2])`.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least "
            "one operand and its subscripts list"
        )
    if isinstance(args[0], str):
        inputs, output = parse(args[0])
        operands = list(args[1]) if isinstance(args[1], (list, tuple)) else list(args[1:])
    else:
        operands = list(args[0 : len(args) // 2 * 2 : 2])
        inputs = [numbers(term) for term in args[1::2]]
        output = numbers(args[-1]) if len(args) % 2 else None
    if len(inputs) > len(operands):
        _fail("fewer operands were provided than specified in the equation")
    if len(inputs) < len(operands):
        _fail("more operands were provided than specified in the equation")
    found = _without_contraction(operands, inputs, output)
    if found is not None:
        return found
    return _einsum(operands, tuple(map(tuple, inputs)), None if output is None else tuple(output))


def _without_contraction(
    operands: list[Any], inputs: list[list[int]], output: list[int] | None
) -> Any:
    """A view of one operand, summed if need be, or the product of several of which none is summed.

    As in torch, a view shares the operand's memory, and a product lies in memory as its factors do.
    """
    if not all(hasattr(x, "_aval") for x in operands):
        return None
    shapes = [tuple(x.shape) for x in operands]
    labels, out = _spell_out(inputs, output, shapes)
    if len(operands) > 1 and not set().union(*labels) <= set(out):
        return None
    _sizes(labels, shapes)
    aligned = [_aligned(x, term, out) for x, term in zip(operands, labels, strict=True)]
    return functools.reduce(ops.mul, aligned)


def _aligned(x: Any, labels: list[int], out: list[int]) -> Any:
    """`x` with the dims of the result, of size one where it has none; other dims are summed."""
    labels = list(labels)
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = x.diagonal(0, first, second).movedim(-1, first)
            del labels[second]
    order = [label for label in out if label in labels]
    rest = [label for label in labels if label not in out]
    x = x.permute([labels.index(label) for label in order + rest])
    if rest:
        x = x.sum(tuple(range(len(order), len(labels))))
    for place, label in enumerate(out):
        if label not in labels:
            x = x.unsqueeze(place)
    return x


@op("none", into=("internal",), name="_tensordot", grad_name="ViewBackward0")
def _tensordot(a: Tensor, b: Tensor, dims_a: Any, dims_b: Any):
    if len(dims_a) != len(dims_b):
        raise RuntimeError("both dimension lists should have same length")
    if a.dtype != b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    dims_a = [wrap_dim(dim, a.ndim) for dim in dims_a]
    dims_b = [wrap_dim(dim, b.ndim) for dim in dims_b]
    for i, j in zip(dims_a, dims_b, strict=True):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                "contracted dimensions need to match, but first has size "
                f"{a.shape[i]} in dim {i} and second has size {b.shape[j]} in dim {j}"
            )
    # A contracted size of 1 against a larger one broadcasts: sum the larger first.
    for i, j in zip(dims_a, dims_b, strict=True):
        if a.shape[i] != b.shape[j]:
            small_a = a.shape[i] == 1
            a = a if small_a else a.sum(i, keepdims=True, dtype=a.dtype)
            b = b.sum(j, keepdims=True, dtype=b.dtype) if small_a else b
    return jnp.tensordot(a, b, axes=(dims_a, dims_b))


@composite(into=("torch",), out=Out("tensordot", at=3))
def tensordot(a, b, dims=2) -> Tensor:
    """Sum of products over `dims` dimensions (the last of `a`, the first of `b`), or over lists.

    Raises: RuntimeError when the contracted sizes differ.
    """
    if hasattr(dims, "tolist"):
        dims = dims.tolist()
    if isinstance(dims, (list, tuple)):
        dims_a, dims_b = dims
        dims_a = (dims_a,) if isinstance(dims_a, int) else tuple(dims_a)
        dims_b = (dims_b,) if isinstance(dims_b, int) else tuple(dims_b)
    else:
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims_a, dims_b = tuple(range(-dims, 0)), tuple(range(dims))
    return _tensordot(a, b, dims_a, dims_b)
