"""`data_ptr()` is an address: memory that can be read and written while the storage lives."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest
import torch as oracle

import torchish as torch


def floats(tensor: Any, count: int) -> Any:
    """The floats at a tensor's address."""
    return (ctypes.c_float * count).from_address(tensor.data_ptr())


def file_of(folder: Any) -> str:
    path = folder / "numbers"
    path.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    return str(path)


def test_memory_holds_the_values() -> None:
    x = torch.arange(4.0) + 1
    assert list(floats(x, 4)) == [1, 2, 3, 4]


def test_writes_show_on_both_sides() -> None:
    x = torch.arange(4.0)
    view = x[1:]
    memory = floats(x, 4)
    x.mul_(2)
    assert list(memory) == [0, 2, 4, 6]
    view.add_(1)
    assert list(memory) == [0, 3, 5, 7]
    memory[1] = 50
    assert x.tolist() == [0, 50, 5, 7] and view.tolist() == [50, 5, 7]
    assert (x * 2).tolist() == [0, 100, 10, 14]


def test_address_stays_while_the_storage_lives() -> None:
    x = torch.ones(1000)
    address = x.data_ptr()
    for _ in range(3):
        x.add_(1)
        gc.collect()
        assert x.data_ptr() == address
    assert floats(x, 1)[0] == 4
    assert address % 64 == 0


def test_training_goes_on_at_a_fixed_address() -> None:
    w = torch.ones(3, requires_grad=True)
    memory = floats(w, 3)
    optimizer = torch.optim.SGD([w], 0.5)
    for _ in range(2):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert list(memory) == w.tolist() == [0.0, 0.0, 0.0]


def test_views_lie_within_their_storage() -> None:
    for library in (torch, oracle):
        x = library.arange(12.0).reshape(3, 4)
        start = x.data_ptr()
        assert x[1].data_ptr() - start == 16
        assert x.t()[1:].data_ptr() - start == 4
        assert x[:, 2:].untyped_storage().data_ptr() == start
        assert x.detach().data_ptr() == start and x.clone().data_ptr() != start
        assert library.empty(0).data_ptr() == 0 == x[3:].data_ptr()
        assert library.empty(3, device="meta").data_ptr() == 0


def test_memory_in_memory_order() -> None:
    x = torch.arange(6.0).reshape(2, 3).contiguous()
    y = (x + 0).t() * 1  # an elementwise result keeps the order of its operand
    assert y.stride() == (1, 3)
    assert list(floats(y, 6)) == [0, 1, 2, 3, 4, 5]


def test_numpy_shares_the_same_memory() -> None:
    x = torch.zeros(3)
    address, array = x.data_ptr(), x.numpy()
    assert array.__array_interface__["data"][0] == address
    array[0] = 5
    del array
    gc.collect()
    assert x.tolist() == [5, 0, 0] and x.data_ptr() == address


def test_storage_of_bytes_keeps_its_address() -> None:
    storage = torch.UntypedStorage(16)
    address = storage.data_ptr()
    ctypes.memset(address, 1, 4)
    x = torch.empty(0, dtype=torch.int32).set_(storage)
    assert x.tolist() == [0x01010101, 0, 0, 0] and x.data_ptr() == address
    x[1] = 7
    assert storage.tolist()[4] == 7


# --- set_ ----------------------------------------------------------------------------------------


def test_set_to_a_storage() -> None:
    for library in (torch, oracle):
        y = library.arange(6.0)
        x = library.empty(0)
        assert x.set_(y.untyped_storage()).tolist() == y.tolist()
        assert x.set_(y.untyped_storage(), 1, (2, 2), (2, 1)).tolist() == [[1, 2], [3, 4]]
        y[1] = 9
        assert x[0, 0].item() == 9 and x.is_set_to(x)
        assert x.set_().shape == (0,) and x.data_ptr() == 0
        bits = library.empty(0, dtype=library.int32).set_(y.untyped_storage())
        assert bits[1].item() == 0x41100000


@pytest.mark.parametrize("wrong", ["dtype", "leaf"])
def test_set_refuses_as_torch_does(wrong: str) -> None:
    def attempt(library: Any) -> str:
        y = library.arange(4.0)
        try:
            if wrong == "dtype":
                library.arange(4).set_(y)
            else:
                library.ones(4, requires_grad=True).set_(y)
        except RuntimeError as error:
            return str(error).split("\n")[0]
        return "ran"

    assert attempt(torch) == attempt(oracle)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_from_file(tmp_path: Any, shared: bool) -> None:
    for library in (torch, oracle):
        path = file_of(tmp_path)
        storage = library.UntypedStorage.from_file(path, shared, 16)
        x = library.empty(0).set_(storage)
        assert x.tolist() == [0, 1, 2, 3] and storage.nbytes() == 16
        x[0] = 7
        del x, storage
        gc.collect()
        with open(path, "rb") as file:
            assert np.frombuffer(file.read(), np.float32)[0] == (7 if shared else 0)


def test_from_file_makes_a_shared_file_long_enough(tmp_path: Any) -> None:
    path = str(tmp_path / "new")
    storage = torch.UntypedStorage.from_file(path, True, 8)
    assert storage.tolist() == [0] * 8 and storage.filename == path


@pytest.mark.parametrize("case", ["short", "absent"])
def test_from_file_errors(tmp_path: Any, case: str) -> None:
    path = file_of(tmp_path) if case == "short" else str(tmp_path / "absent")

    def said(library: Any) -> str:
        with pytest.raises(RuntimeError) as caught:
            library.UntypedStorage.from_file(path, False, 64)
        return str(caught.value)

    assert said(torch) == said(oracle)


def test_asarray_of_a_storage() -> None:
    storage = torch.arange(4, dtype=torch.int32).untyped_storage()
    assert torch.asarray(storage[4:8], dtype=torch.uint8).tolist() == [1, 0, 0, 0]
    assert torch.asarray(storage, dtype=torch.int32).tolist() == [0, 1, 2, 3]
