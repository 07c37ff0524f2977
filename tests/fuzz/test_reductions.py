"""Reductions: any dim (tuples, out of range, twice), keepdim, dtype, empty and 0-dim tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given, strategies as st

from .both import agree, cases, node_by_node as node_by_node

Shape = tuple[int, ...]
SHAPES = st.sampled_from([(), (3,), (0,), (2, 3), (2, 0), (2, 3, 2)])
DTYPES = st.sampled_from(["float32", "int64", "bool", "float64", "uint8", "complex64", "float16"])
DIMS = st.one_of(st.none(), st.integers(-3, 2), st.lists(st.integers(-3, 2), max_size=3).map(tuple))
ONE = st.integers(-3, 2)
MANY = (
    "sum", "mean", "amax", "amin", "any", "all", "std", "var", "logsumexp", "count_nonzero",
    "nansum", "nanmean", "std_mean", "var_mean",
)  # fmt: skip
SINGLE = ("max", "min", "prod", "argmax", "argmin", "median", "mode", "aminmax", "kthvalue")
RUNNING = ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "softmax", "log_softmax")
WHOLE = ("sum", "prod", "max", "min", "median", "argmax", "any", "all", "std", "aminmax", "norm")


def tensor(library: Any, shape: Shape, dtype: str, turned: bool = False) -> Any:
    """Different numbers (no two equal) in a tensor, transposed in memory if `turned`."""
    count = int(np.prod(shape))
    values = (np.arange(count) * 5 % max(count + (count % 5 == 0), 1)).reshape(shape) * 1.0
    made = library.tensor(values.T if turned else values).to(getattr(library, dtype))
    return made.permute(tuple(reversed(range(made.dim())))) if turned else made


def options(dim: Any, keepdim: bool | None, dtype: str | None, library: Any) -> dict[str, Any]:
    """Keyword arguments, those that are not given left out."""
    found: dict[str, Any] = {} if dim is None else {"dim": dim}
    if keepdim is not None:
        found["keepdim"] = keepdim
    if dtype is not None:
        found["dtype"] = getattr(library, dtype)
    return found


@cases(550)
@given(st.sampled_from(MANY), SHAPES, DTYPES, DIMS, st.sampled_from([None, False, True]),
       st.booleans())  # fmt: skip
def test_over_dims(
    name: str, shape: Shape, dtype: str, dim: Any, keepdim: bool | None, turned: bool
) -> None:
    assume(dim != () or name != "logsumexp")  # PyTorch fails on its own result's shape
    if name == "count_nonzero" or dim is None:
        keepdim = None
    agree(
        lambda lib: getattr(lib, name)(
            tensor(lib, shape, dtype, turned), **options(dim, keepdim, None, lib)
        )
    )


@cases(300)
@given(st.sampled_from(SINGLE), SHAPES, DTYPES, ONE, st.sampled_from([None, False, True]))
def test_over_one_dim(name: str, shape: Shape, dtype: str, dim: int, keepdim: bool | None) -> None:
    first = (1,) if name == "kthvalue" else ()
    agree(
        lambda lib: getattr(lib, name)(
            tensor(lib, shape, dtype), *first, **options(dim, keepdim, None, lib)
        )
    )


@cases(200)
@given(st.sampled_from(["sum", "mean", "prod", "nansum", "cumsum", "softmax"]), SHAPES, DTYPES,
       ONE, DTYPES)  # fmt: skip
def test_dtype(name: str, shape: Shape, dtype: str, dim: int, wanted: str) -> None:
    assume((name, wanted) != ("nansum", "complex64"))  # what PyTorch says depends on the size
    agree(
        lambda lib: getattr(lib, name)(tensor(lib, shape, dtype), **options(dim, None, wanted, lib))
    )


@cases(150)
@given(st.sampled_from(RUNNING), SHAPES, DTYPES, ONE)
def test_running(name: str, shape: Shape, dtype: str, dim: int) -> None:
    agree(lambda lib: getattr(lib, name)(tensor(lib, shape, dtype), dim))


@cases(100)
@given(st.sampled_from(WHOLE), SHAPES, DTYPES)
def test_whole(name: str, shape: Shape, dtype: str) -> None:
    assume((name, dtype) != ("median", "bool"))  # what PyTorch says depends on the size
    agree(lambda lib: getattr(lib, name)(tensor(lib, shape, dtype)))
