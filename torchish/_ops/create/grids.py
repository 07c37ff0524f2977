"""Tensors made by arranging others: grids, products, triangles."""

import itertools
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.numpy import ndarray as Array

from ..call.warning import user_level
from ..registry import Tensor, composite, op, ops
from .filled import finish


def _triangular(name: str, x: Array) -> None:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


@op("none", inplace=True, expanded="write")
def tril(input: Tensor, diagonal: int = 0) -> Array:
    """The lower triangle of the last two dims, 0 above `diagonal`."""
    _triangular("tril", input)
    return jnp.tril(input, diagonal)


@op("none", inplace=True, expanded="write")
def triu(input: Tensor, diagonal: int = 0) -> Array:
    """The upper triangle of the last two dims, 0 below `diagonal`."""
    _triangular("triu", input)
    return jnp.triu(input, diagonal)


def _listed(tensors: Any) -> list[Any]:
    """The tensors given one by one or as one sequence."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        return list(tensors[0])
    return list(tensors)


@composite(into=("torch",))
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Any, ...]:
    """Coordinate grids of vectors; "xy" swaps the first two dims of "ij"."""
    vectors = _listed(tensors)
    if not vectors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument. (Triggered internally at torchish/_ops/create/grids.py.)",
            stacklevel=user_level(),
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            'torch.meshgrid: indexing must be one of "xy" or "ij", but received: ' + indexing
        )
    for v in vectors:
        if v.dim() > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"{len(vectors)}"
            )
        if v.dtype is not vectors[0].dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(vectors) >= 2
    if swap:
        vectors[0], vectors[1] = vectors[1], vectors[0]
    shape = [v.numel() for v in vectors]
    grids = []
    for k, v in enumerate(vectors):
        along = [1] * len(vectors)
        along[k] = shape[k]
        grids.append(v.view(along).expand(shape))
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


@composite(into=("torch",))
def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of one element of each vector, a row each."""
    vectors = _listed(tensors)
    for v in vectors:
        if v.dim() != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(v.shape)}")
    if len(vectors) == 1:
        return vectors[0]
    grids = meshgrid(vectors, indexing="ij")
    return ops.stack([g.flatten() for g in grids], 1)


@composite(into=("torch",))
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All subsets of `r` elements of a vector, a row each."""
    if input.dim() != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(input.numel()), r))
    index = np.array(rows, np.int64).reshape(len(rows), r)
    flat = ops.index_select(input, 0, finish(index.reshape(-1), input.device, False))
    return flat.reshape(len(rows), r)


@composite(into=("torch",))
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix of powers of a vector, highest first unless `increasing`."""
    if x.dim() != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.numel() if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    powers = np.arange(count) if increasing else np.arange(count)[::-1].copy()
    exponent = finish(powers.astype(np.int64), x.device, False)
    if x.dtype.is_floating_point or x.dtype.is_complex:
        exponent = exponent.to(x.dtype)
    elif x.dtype.name != "int64":
        x = x.to(exponent.dtype)
    return ops.pow(x.unsqueeze(1), exponent)
