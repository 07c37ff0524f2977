"""`vmap`: arguments and results of a mapped function, as torch takes and gives them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .._autograd.tensor_base import TensorBase
from .._ops.registry import ops
from ._tree import broadcast, flatten, unflatten
from ._vmap import VariesError, map_tensors


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that applies `func` to every slice of its inputs at once.

    Args:
        in_dims: which dim of each input is mapped; None for an input that all samples share.
        out_dims: where the mapped dim goes in each result.
        randomness: "error", "different" or "same" random numbers for the samples.
        chunk_size: how many samples run at once.
    Raises: RuntimeError when `func` needs the value of a tensor.
    Differs from torch: `different` numbers are drawn sample after sample.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return _Call(func, in_dims, out_dims, randomness).run(args, kwargs, chunk_size)

    return wrapper


class _Call:
    """One call of a mapped function."""

    def __init__(
        self, func: Callable[..., Any], in_dims: Any, out_dims: Any, randomness: str
    ) -> None:
        self.func, self.in_dims, self.out_dims = func, in_dims, out_dims
        self.randomness = randomness
        self.name = getattr(func, "__name__", repr(func))

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], chunk: int | None) -> Any:
        """Check the arguments, map, and put the results together."""
        self.leaves, self.shape = flatten(args)
        dims = self._dims(args)
        sizes = [x.shape[d] for x, d in zip(self.leaves, dims, strict=True) if d is not None]
        if not sizes:
            raise ValueError(
                f"{self._lead(self.in_dims)}: in_dims must name a dim of at least one input"
            )
        if len(set(sizes)) > 1:
            raise ValueError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got "
                f"sizes {sizes} for the mapped dimension"
            )
        if chunk is None or chunk >= sizes[0]:
            return unflatten(*self._one(self.leaves, dims, kwargs, sizes[0])[::-1])
        parts = []
        for start in range(0, sizes[0], chunk):
            n = min(chunk, sizes[0] - start)
            some = [
                x if d is None else x.narrow(d, start, n)
                for x, d in zip(self.leaves, dims, strict=True)
            ]
            parts.append(self._one(some, dims, kwargs, n))
        joined = [
            column[0] if d is None else ops.cat(list(column), d)
            for d, column in zip(self.places, zip(*[p[0] for p in parts], strict=True), strict=True)
        ]
        return unflatten(parts[0][1], joined)

    def _lead(self, in_dims: Any) -> str:
        return f"vmap({self.name}, in_dims={in_dims}, ...)(<inputs>)"

    def _dims(self, args: tuple[Any, ...]) -> list[int | None]:
        lead = self._lead(self.in_dims)
        if not isinstance(self.in_dims, int | tuple | list):
            raise ValueError(
                f"{lead}: expected `in_dims` to be int or a (potentially nested) tuple matching "
                f"the structure of inputs, got: {type(self.in_dims)}."
            )
        if not args:
            raise ValueError(
                f"vmap({self.name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or "
                "you are trying to vmap over a function with no inputs. The latter is unsupported."
            )
        found = broadcast(self.in_dims, self.shape)
        if found is None:
            raise ValueError(
                f"{lead}: in_dims is not compatible with the structure of `inputs`. in_dims has "
                f"structure {flatten(self.in_dims)[1].long()} but inputs has structure "
                f"{self.shape.long()}."
            )
        dims: list[int | None] = []
        for x, d in zip(self.leaves, found, strict=True):
            if d is None:
                dims.append(None)
                continue
            if not isinstance(d, int):
                raise ValueError(
                    f"{lead}: Got in_dim={d} for an input but in_dim must be either an integer "
                    "dimension or None."
                )
            if not isinstance(x, TensorBase):
                raise ValueError(
                    f"{lead}: Got in_dim={d} for an input but the input is of type {type(x)}. We "
                    "cannot vmap over non-Tensor arguments, please use None as the respective "
                    "in_dim"
                )
            ndim = x._aval.ndim
            if not -ndim <= d < ndim:
                raise ValueError(
                    f"{lead}: Got in_dim={d} for some input, but that input is a Tensor of "
                    f"dimensionality {ndim} so expected in_dim to satisfy -{ndim} <= in_dim < "
                    f"{ndim}."
                )
            dims.append(d % ndim)
        return dims

    def _one(
        self, leaves: Sequence[Any], dims: Sequence[int | None], kwargs: Any, size: int
    ) -> tuple[list[Any], Any]:
        """The mapped results of these inputs, flat, and their structure."""
        mapped = [(x, d) for x, d in zip(leaves, dims, strict=True) if d is not None]
        shape: Any = None

        def body(samples: list[Any]) -> list[tuple[Any, int | None]]:
            nonlocal shape
            stream = iter(samples)
            given = [x if d is None else next(stream) for x, d in zip(leaves, dims, strict=True)]
            outs = self.func(*unflatten(self.shape, given), **kwargs)
            tensors, shape = flatten(outs)
            places = self._out_dims(shape)
            for t, d in zip(tensors, places, strict=True):
                if not isinstance(t, TensorBase):
                    if d is None:
                        continue
                    raise ValueError(
                        f"vmap({self.name}, ...): `{self.name}` must only return Tensors, got type "
                        f"{type(t)}. Did you mean to set out_dims= to None for output?"
                    )
                n = t._aval.ndim + 1
                if d is not None and not -n <= d < n:
                    raise IndexError(
                        f"Dimension out of range (expected to be in range of [-{n}, {n - 1}], but "
                        f"got {d})"
                    )
            self.places, self.plain = places, tensors
            return [(t, d) for t, d in zip(tensors, places, strict=True)
                    if isinstance(t, TensorBase)]  # fmt: skip

        try:
            made = iter(map_tensors(body, mapped, size, self.randomness))
        except VariesError:
            raise ValueError(
                f"vmap({self.name}, ...): `{self.name}` can not return a BatchedTensor when "
                "out_dim is None"
            ) from None
        found = [next(made) if isinstance(t, TensorBase) else t for t in self.plain]
        del self.plain
        return found, shape

    def _out_dims(self, shape: Any) -> list[Any]:
        found = broadcast(self.out_dims, shape)
        if found is None and isinstance(self.out_dims, tuple) and len(self.out_dims) == 1:
            found = broadcast(self.out_dims[0], shape)
        if found is None:
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not "
                f"compatible with the structure of `outputs`. out_dims has structure "
                f"{flatten(self.out_dims)[1].long()} but outputs has structure {shape.long()}."
            )
        return found
