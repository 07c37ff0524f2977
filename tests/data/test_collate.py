"""`default_collate` and `default_convert` agree with PyTorch's, and do not start JAX."""

from __future__ import annotations

from collections import OrderedDict, UserDict, UserList, defaultdict, namedtuple
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
import torch.utils.data as theirs

from torchish._autograd import interop
from torchish._basics.stats import stats
from torchish._tensor.tensor import Tensor
from torchish.utils import data as ours

Point = namedtuple("Point", ["x", "y"])


class Named(tuple):
    """Stands for a tensor while samples are written down."""


def tensors(value: Any, library: str) -> Any:
    """The sample with its `("T", array)` leaves made into tensors of a library."""
    if isinstance(value, Named):
        array = np.asarray(value[0])
        return torch.tensor(array) if library == "torch" else interop.wrap_host(array.copy())
    if isinstance(value, list):
        return [tensors(v, library) for v in value]
    if type(value) is tuple:
        return tuple(tensors(v, library) for v in value)
    if type(value) is dict:
        return {k: tensors(v, library) for k, v in value.items()}
    return value


def T(array: Any) -> Named:
    return Named((array,))


def plain(value: Any) -> Any:
    """A batch with every tensor as (dtype, shape, strides, values)."""
    if isinstance(value, torch.Tensor):
        return "tensor", str(value.dtype), tuple(value.shape), value.stride(), value.tolist()
    if isinstance(value, Tensor):
        array = interop.host_array(value)
        return "tensor", str(value.dtype), tuple(value.shape), value.stride(), array.tolist()
    if isinstance(value, (dict, UserDict, MappingProxyType)):
        return type(value), {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, UserList)):
        return type(value), [plain(v) for v in value]
    return value


BATCHES = {
    "ints": [1, 2, 3],
    "bools": [True, False],
    "mixed numbers": [1, 2.5],
    "int and bool": [True, 3],
    "floats": [1.0, 2.5],
    "strings": ["a", "bc"],
    "bytes": [b"a", b"bc"],
    "tensors": [T(np.ones((2, 3), np.float32)), T(np.zeros((2, 3), np.float32))],
    "0-d tensors": [T(np.array(1)), T(np.array(2))],
    "empty tensors": [T(np.zeros((0, 3))), T(np.zeros((0, 3)))],
    "one": [T(np.arange(3))],
    "pairs": [(T(np.ones(2, np.float32)), 0), (T(np.zeros(2, np.float32)), 1)],
    "lists": [[1, 2], [3, 4], [5, 6]],
    "nested": [{"a": [1, (2.0, "x")]}, {"a": [3, (4.0, "y")]}],
    "named": [Point(1, 2.0), Point(3, 4.0)],
    "ordered": [OrderedDict(a=1, b=2), OrderedDict(a=3, b=4)],
    "defaultdict": [defaultdict(int, a=1), defaultdict(int, a=2)],
    "userdict": [UserDict(a=1), UserDict(a=2)],
    "userlist": [UserList([1, 2]), UserList([3, 4])],
    "proxy": [MappingProxyType({"a": 1}), MappingProxyType({"a": 2})],
    "ranges": [range(3), range(3, 6)],
    "arrays": [np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)],
    "transposed": [np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T],
    "float16": [np.ones(2, np.float16)] * 2,
    "complex": [np.ones(2, np.complex64)] * 2,
    "bool arrays": [np.array([True, False])] * 2,
    "numpy scalars": [np.float32(1), np.float32(2)],
    "numpy float64": [np.float64(1), np.float64(2)],
    "numpy ints": [np.int32(1), np.int32(2)],
    "numpy bools": [np.bool_(True), np.bool_(False)],
}


@pytest.mark.parametrize("name", BATCHES)
def test_collate(name: str) -> None:
    got = ours.default_collate(tensors(BATCHES[name], "torchish"))
    assert plain(got) == plain(theirs.default_collate(tensors(BATCHES[name], "torch")))


@pytest.mark.parametrize("name", [n for n in BATCHES if n != "empty tensors"])
def test_convert(name: str) -> None:
    for mine, other in zip(
        tensors(BATCHES[name], "torchish"), tensors(BATCHES[name], "torch"), strict=True
    ):
        assert plain(ours.default_convert(mine)) == plain(theirs.default_convert(other))


@pytest.mark.parametrize(
    "batch",
    [
        [object()],
        [None, None],
        [{1}, {2}],
        [[1, 2], [3]],
        [(1, 2), (3,)],
        [T(np.ones(2)), T(np.ones(3))],
        [np.array(["a"]), np.array(["b"])],
        [np.array([None]), np.array([None])],
        [{"a": 1}, {"b": 1}],
    ],
)
def test_errors_are_pytorchs(batch: Any) -> None:
    raised = []
    for library, function in (("torch", theirs.default_collate), ("ours", ours.default_collate)):
        with pytest.raises(Exception) as caught:
            function(tensors(batch, library))
        raised.append((caught.type, str(caught.value)))
    assert raised[0] == raised[1]


def test_bfloat16_is_stacked_by_numpy() -> None:
    samples = [interop.wrap_host(np.ones(2, ml_dtypes.bfloat16)) for _ in range(2)]
    batch = ours.default_collate(samples)
    assert str(batch.dtype) == "torch.bfloat16" and tuple(batch.shape) == (2, 2)


def test_collating_host_tensors_runs_nothing() -> None:
    before = (stats.nodes, stats.flushes, stats.kernels_run)
    pixels = [interop.wrap_host(np.ones((3, 8, 8), np.float32)) for _ in range(4)]
    dataset = ours.TensorDataset(
        interop.wrap_host(np.ones((4, 3), np.float32)), interop.wrap_host(np.arange(4))
    )
    batch = ours.default_collate([(p, 1, 0.5) for p in pixels])
    batch += ours.default_collate([dataset[i] for i in range(4)])
    assert all(interop.is_host(part) for part in batch)
    assert (stats.nodes, stats.flushes, stats.kernels_run) == before


def test_own_types_by_the_table() -> None:
    from torchish.utils.data._utils.collate import collate, default_collate_fn_map

    def merge(batch: Any, *, collate_fn_map: Any = None) -> Any:
        return "merged", len(batch)

    table = {**default_collate_fn_map, Exception: merge, Tensor: merge}
    assert collate([ValueError(), ValueError()], collate_fn_map=table) == ("merged", 2)
    assert collate([interop.wrap_host(np.ones(1))], collate_fn_map=table) == ("merged", 1)
