"""Views by themselves: what a storage shows through strides, and what a write leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import torchish  # noqa: F401 - the engine is complete
from torchish._basics import dtypes
from torchish._basics.settings import settings as engine
from torchish._core.storage import Storage
from torchish._core.values import aval_of, host_value
from torchish._core.view import View

SIZE = 24


@pytest.fixture(autouse=True, scope="module")
def interpreted() -> Any:
    """Hundreds of layouts: nothing is worth a compilation."""
    before, engine.eager = engine.eager, True
    yield
    engine.eager = before


def fresh(dtype: Any = np.float32) -> Storage:
    return Storage(host_value(np.arange(SIZE, dtype=dtype) + 1))


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shape, strides and offset of a layout that a storage of SIZE elements has room for."""
    rank = draw(st.integers(0, 3))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=rank, max_size=rank)))
    strides = tuple(draw(st.lists(st.integers(0, 7), min_size=rank, max_size=rank)))
    reach = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if n)
    if 0 in shape or reach > SIZE:
        strides, reach = tuple(min(s, 1) for s in strides), 10
    return shape, strides, draw(st.integers(0, max(0, SIZE - reach)))


def shown(flat: Any, shape: Any, strides: Any, offset: int) -> Any:
    """numpy's own look through the same strides."""
    steps = [s * flat.itemsize for s in strides]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(layouts())
def test_a_read_is_what_numpy_shows(layout: Any) -> None:
    shape, strides, offset = layout
    view = View(fresh(), aval_of(shape, dtypes.float32), (strides, offset, False))
    got = view.read().host()
    assert got.shape == shape
    np.testing.assert_array_equal(got, shown(np.arange(SIZE, dtype=np.float32) + 1, *layout))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(layouts())
def test_a_write_goes_there_and_nowhere_else(layout: Any) -> None:
    shape, strides, offset = layout
    places = shown(np.arange(SIZE), *layout).reshape(-1)
    if len(set(places.tolist())) != len(places):
        return  # elements that share memory are written by `overlap`
    storage = fresh()
    value = -np.arange(1, len(places) + 1, dtype=np.float32).reshape(shape)
    View(storage, aval_of(shape, dtypes.float32), (strides, offset, False)).write(host_value(value))
    wanted = np.arange(SIZE, dtype=np.float32) + 1
    wanted[places] = value.reshape(-1)
    np.testing.assert_array_equal(storage.value.host(), wanted)


def test_the_whole_base_is_the_storages_own_value() -> None:
    storage = fresh()
    view = View(storage, storage.aval, None)
    assert view.read() is storage.value
    new = host_value(np.zeros(SIZE, np.float32))
    view.write(new)
    assert storage.value is new and storage.writes == 1


def test_elements_are_read_conjugated() -> None:
    flat = np.arange(4) + 1j * np.arange(4, 8)
    storage = Storage(host_value(flat))
    view = View(storage, aval_of((2,), dtypes.complex128), ((2,), 1, True))
    np.testing.assert_array_equal(view.read().host(), flat[1::2].conj())
    view.write(host_value(np.array([1j, 2j])))
    np.testing.assert_array_equal(storage.value.host(), [flat[0], -1j, flat[2], -2j])


def test_bytes_are_seen_as_other_elements() -> None:
    storage = fresh(np.int32)
    view = View(storage, aval_of((3, 2), dtypes.int16), ((4, 1), 2, False))
    wanted = shown((np.arange(SIZE, dtype=np.int32) + 1).view(np.int16), (3, 2), (4, 1), 2)
    np.testing.assert_array_equal(view.read().host(), wanted)


def test_a_view_of_shared_memory_sees_what_numpy_writes() -> None:
    flat = np.zeros(6, np.float32)
    storage = Storage.over(flat)
    view = View(storage, aval_of((2, 2), dtypes.float32), ((3, 1), 1, False))
    flat[4] = 5
    np.testing.assert_array_equal(view.read().host(), [[0, 0], [5, 0]])
    view.write(host_value(np.full((2, 2), 7, np.float32)))
    np.testing.assert_array_equal(flat, [0, 7, 7, 0, 7, 7])
