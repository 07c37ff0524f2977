"""Checkpoints go both ways between torchish and PyTorch, and are the same bytes."""

from __future__ import annotations

import copy
import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import torchish
from torchish import serialization
from torchish._autograd import interop
from torchish._basics import dtypes
from torchish.nn.parameter import Parameter
from torchish.storage import UntypedStorage, class_name_of

NAMES = [d.name for d in dtypes.ALL]


def ours(tensor: torch.Tensor) -> Any:
    """The torchish tensor with the contents of a contiguous torch tensor."""
    array = tensor.detach().contiguous().view(torch.uint8).numpy() if tensor.numel() else None
    np_dtype = dtypes.BY_NAME[str(tensor.dtype).removeprefix("torch.")].np
    if array is None:
        return interop.wrap_host(np.empty(tuple(tensor.shape), np_dtype))
    return interop.wrap_host(array.view(np_dtype).reshape(tuple(tensor.shape)).copy())


def example(name: str) -> torch.Tensor:
    """A 2x3 torch tensor of a dtype."""
    return torch.arange(6).reshape(2, 3).to(getattr(torch, name))


def saved_by_torch(obj: Any, **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save(obj, buffer, **options)
    return io.BytesIO(buffer.getvalue())


def saved_by_us(obj: Any, **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    serialization.save(obj, buffer, **options)
    return io.BytesIO(buffer.getvalue())


def same(mine: Any, theirs: torch.Tensor) -> None:
    """Assert that two tensors agree in dtype, shape, strides, offset, contents and flags."""
    assert str(mine.dtype) == str(theirs.dtype)
    assert tuple(mine.shape) == tuple(theirs.shape)
    assert tuple(mine.stride()) == tuple(theirs.stride())
    assert mine.storage_offset() == theirs.storage_offset()
    assert mine.requires_grad == theirs.requires_grad
    assert np.ascontiguousarray(interop.host_array(mine)).tobytes() == (
        theirs.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        if theirs.numel()
        else b""
    )


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_dtype_both_ways(name: str, weights_only: bool) -> None:
    theirs = example(name)
    mine = ours(theirs)
    same(serialization.load(saved_by_torch(theirs), weights_only=weights_only), theirs)
    back = torch.load(saved_by_us(mine), weights_only=weights_only)
    same(mine, back)


# PyTorch cannot read its own legacy files of the dtypes without a storage class.
@pytest.mark.parametrize("name", [d.name for d in dtypes.ALL if class_name_of(d)])
def test_legacy_format_both_ways(name: str) -> None:
    theirs = example(name)
    old = {"_use_new_zipfile_serialization": False}
    same(serialization.load(saved_by_torch(theirs, **old)), theirs)
    same(ours(theirs), torch.load(saved_by_us(ours(theirs), **old)))


def views() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The same aliasing views in both libraries."""
    base = torch.arange(24.0)
    theirs = {
        "base": base,
        "part": base[2:14].view(3, 4).t(),
        "step": base[1::3],
        "again": base[:0],
        "spread": base[3:4].expand(5),
    }
    storage = interop.make_storage(base.numpy().copy())
    mine = {
        name: interop.tensor_on(storage, t.storage_offset(), t.shape, t.stride())
        for name, t in theirs.items()
    }
    return mine, theirs


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_views_share_memory_after_loading(options: dict[str, Any]) -> None:
    mine, theirs = views()
    loaded = serialization.load(saved_by_torch(theirs, **options))
    for name, tensor in theirs.items():
        same(loaded[name], tensor)
        assert loaded[name]._storage is loaded["base"]._storage
    back = torch.load(saved_by_us(mine, **options))
    for name, tensor in back.items():
        same(mine[name], tensor)
        assert tensor.untyped_storage().data_ptr() == back["base"].data_ptr()


def containers() -> tuple[Any, Any]:
    """One of everything that weights-only loading takes, in both libraries."""

    def build(tensor: Any, parameter: Any, lib: Any) -> Any:
        return OrderedDict(
            tensor=tensor,
            parameter=parameter(tensor),
            frozen=parameter(tensor, False),
            dtype=[lib["float32"], lib["bool"], lib["bfloat16"]],
            device=[lib["device"]("cpu"), lib["device"]("cuda", 1)],
            size=lib["Size"]([2, 3]),
            numbers=[0, -1, 255, 256, 2**31, -(2**40), 2**70, 1.5, float("inf"), True, None, 1j],
            text=["", "grüße", "x" * 300, b"bytes", bytearray(b"array")],
            nested={"a": ({"b": [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]},), 7: {3, 5}},
            counter=Counter("abca"),
            long=list(range(2100)),
        )

    theirs = torch.arange(4.0)
    names = {d: getattr(torch, d) for d in ("float32", "bool", "bfloat16", "device", "Size")}
    mine_names = {
        "float32": dtypes.float32,
        "bool": dtypes.bool_,
        "bfloat16": dtypes.bfloat16,
        "device": torchish.device,
        "Size": torchish.Size,
    }
    return (
        build(ours(theirs), Parameter, mine_names),
        build(theirs, torch.nn.Parameter, names),
    )


def test_containers_both_ways() -> None:
    mine, theirs = containers()
    loaded = serialization.load(saved_by_torch(theirs))
    back = torch.load(saved_by_us(mine))
    assert type(loaded) is type(back) is OrderedDict
    for key in theirs:
        if isinstance(theirs[key], torch.Tensor):
            same(loaded[key], theirs[key])
            same(mine[key], back[key])
        else:
            assert repr(loaded[key]) == repr(theirs[key]) == repr(back[key])
    assert type(loaded["parameter"]) is Parameter and type(back["frozen"]) is torch.nn.Parameter
    assert loaded["tensor"]._storage is loaded["parameter"]._storage


def test_files_are_the_bytes_that_pytorch_writes() -> None:
    mine, theirs = containers()
    del mine["device"], theirs["device"]  # the text "cpu" is one object here, two in PyTorch
    a, b = saved_by_torch(theirs).getvalue(), saved_by_us(mine).getvalue()
    with zipfile.ZipFile(io.BytesIO(a)) as x, zipfile.ZipFile(io.BytesIO(b)) as y:
        assert y.testzip() is None
        assert x.namelist() == y.namelist()
        ids = x.getinfo("archive/.data/serialization_id").header_offset
    assert a[:ids] == b[:ids]
    assert len(a) == len(b)


@pytest.mark.parametrize("protocol", [1, 3, 4, 5])
def test_other_pickle_protocols(protocol: int) -> None:
    mine = {"a": ours(torch.ones(2)), "p": Parameter(ours(torch.ones(2)))}
    back = torch.load(saved_by_us(mine, pickle_protocol=protocol), weights_only=False)
    assert back["a"].tolist() == [1.0, 1.0] and type(back["p"]) is torch.nn.Parameter


def test_record_offsets_are_computable_by_pytorch(tmp_path: Any) -> None:
    path = str(tmp_path / "many.pt")
    sizes = [0, 1, 15, 16, 17, 64, 1000]
    serialization.save([ours(torch.arange(float(n))) for n in sizes], path)
    from torch.utils.serialization import config

    config.load.calculate_storage_offsets = True
    try:
        loaded = torch.load(path, mmap=True)
    finally:
        config.load.calculate_storage_offsets = False
    assert [t.tolist() for t in loaded] == [torch.arange(float(n)).tolist() for n in sizes]
    archive = torch._C.PyTorchFileReader(path)
    for key in range(len(sizes)):
        assert archive.get_record_offset(f"data/{key}") % 64 == 0


@pytest.mark.parametrize("shared", [False, True])
def test_mmap(tmp_path: Any, shared: bool) -> None:
    import mmap

    path = tmp_path / "m.pt"
    torch.save({"a": torch.arange(100.0), "e": torch.empty(0)}, path)
    with serialization.set_default_mmap_options(mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE):
        loaded = serialization.load(path, mmap=True)
    same(loaded["a"], torch.arange(100.0))
    same(loaded["e"], torch.empty(0))
    assert serialization.get_default_mmap_options() == mmap.MAP_PRIVATE


def test_mmap_needs_a_path_and_the_zip_format(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap argument"):
        serialization.load(saved_by_torch(1), mmap=True)
    path = str(tmp_path / "old.pt")
    torch.save(1, path, _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        serialization.load(path, mmap=True)


def test_byteorder_big_is_swapped() -> None:
    theirs = {"f": torch.arange(3.0), "c": torch.tensor([1 + 2j]), "b": torch.tensor([True])}
    plain = saved_by_torch(theirs)
    swapped = io.BytesIO()
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(swapped, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("byteorder"):
                data = b"big"
            elif name.endswith("data/0"):
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            elif name.endswith("data/1"):
                data = np.frombuffer(data, "<c8").astype(">c8").tobytes()
            target.writestr(name, data)
    swapped.seek(0)
    loaded = serialization.load(swapped)
    assert {k: v.tolist() for k, v in loaded.items()} == {k: v.tolist() for k, v in theirs.items()}


def test_load_endianness_setting() -> None:
    class_ = serialization.LoadEndianness
    plain = io.BytesIO()
    with zipfile.ZipFile(saved_by_torch(torch.arange(3, dtype=torch.int16))) as source:
        with zipfile.ZipFile(plain, "w") as target:
            for name in source.namelist():
                if not name.endswith("byteorder"):
                    target.writestr(name, source.read(name))
    plain.seek(0)
    assert serialization.load(plain).tolist() == [0, 1, 2]
    serialization.set_default_load_endianness(class_.BIG)
    try:
        plain.seek(0)
        assert serialization.load(plain).tolist() == [0, 256, 512]
    finally:
        serialization.set_default_load_endianness(None)
    with pytest.raises(TypeError, match="Invalid argument type"):
        serialization.set_default_load_endianness("little")  # type: ignore[arg-type]


def test_file_objects_read_from_where_they_stand(tmp_path: Any) -> None:
    path = tmp_path / "two.bin"
    with open(path, "wb") as file:
        file.write(b"header")
        file.write(saved_by_us(ours(torch.ones(2))).getvalue())
    with open(path, "rb") as file:
        file.seek(6)
        assert serialization.load(file).tolist() == [1.0, 1.0]
    with open(path, "rb") as file:
        file.seek(6)
        assert torch.load(file).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("where", ["cpu", torch.device, {"cpu": "cpu"}, lambda s, loc: s, None])
def test_map_location_forms(where: Any) -> None:
    if where is torch.device:
        where = torchish.device("cpu")
    mine = serialization.load(saved_by_torch(torch.ones(2)), map_location=where)
    assert str(mine.device) == "cpu" and mine.tolist() == [1.0, 1.0]


def test_map_location_function_sees_storage_and_tag() -> None:
    seen = []

    def look(storage: Any, tag: str) -> None:
        seen.append((type(storage), tag, storage.nbytes(), str(storage.device)))

    x = torch.arange(4.0)
    serialization.load(saved_by_torch([x, x[1:], torch.ones(1)]), map_location=look)
    assert seen == [(UntypedStorage, "cpu", 16, "cpu"), (UntypedStorage, "cpu", 4, "cpu")]


@pytest.mark.parametrize("where", ["cuda", "cuda:1", "nowhere", {"cpu": "cuda:0"}])
def test_map_location_errors_are_pytorchs(where: Any) -> None:
    texts = []
    for load in (torch.load, serialization.load):
        with pytest.raises(RuntimeError) as caught:
            load(saved_by_torch(torch.ones(2)), map_location=where)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_meta_tensors_both_ways() -> None:
    theirs = torch.empty(2, 3, device="meta").t()
    mine = serialization.load(saved_by_torch(theirs))
    assert mine.device.type == "meta" and tuple(mine.stride()) == (1, 3)
    assert torch.load(saved_by_us(mine)).shape == (3, 2)
    mapped = serialization.load(saved_by_torch(torch.ones(4)), map_location="meta")
    assert mapped.device.type == "meta" and tuple(mapped.shape) == (4,)


def test_two_dtypes_on_one_storage_are_refused_as_in_pytorch() -> None:
    x = torch.ones(4)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        torch.save([x, x.view(torch.int32)], io.BytesIO())
    storage = interop.make_storage(np.ones(4, np.float32))
    from torchish.storage import TypedStorage

    untyped = UntypedStorage._of_cell(storage)
    both = [TypedStorage(wrap_storage=untyped, dtype=d) for d in (dtypes.float32, dtypes.int32)]
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        serialization.save(both, io.BytesIO())


def test_attributes_of_tensors_and_parameters_survive() -> None:
    theirs, mine = torch.ones(2), ours(torch.ones(2))
    theirs.note = mine.note = "kept"  # type: ignore[attr-defined]
    assert serialization.load(saved_by_torch(theirs)).note == "kept"
    assert torch.load(saved_by_us(mine)).note == "kept"
    p, q = torch.nn.Parameter(torch.ones(1)), Parameter(ours(torch.ones(1)))
    p.tag = q.tag = 3  # type: ignore[attr-defined]
    assert serialization.load(saved_by_torch(p)).tag == 3
    assert torch.load(saved_by_us(q)).tag == 3


def test_plain_pickle_and_deepcopy() -> None:
    mine, _ = views()
    copied = copy.deepcopy(mine)
    assert copied["part"]._storage is copied["base"]._storage is not mine["base"]._storage
    assert copied["part"].tolist() == mine["part"].tolist()
    again = pickle.loads(pickle.dumps(mine["part"]))
    assert again.tolist() == mine["part"].tolist() and again.stride() == mine["part"].stride()
    parameter = Parameter(ours(torch.ones(2)))
    again = pickle.loads(pickle.dumps(parameter))
    assert type(again) is Parameter and again.requires_grad and again.tolist() == [1.0, 1.0]
    assert type(copy.deepcopy(parameter)) is Parameter


def test_numpy_and_bfloat16_contents_are_exact() -> None:
    bits = np.arange(0, 65536, 257).astype(np.uint16)
    mine = interop.wrap_host(bits.view(ml_dtypes.bfloat16))
    assert (torch.load(saved_by_us(mine)).view(torch.int16).numpy().view(np.uint16) == bits).all()


def test_lazily_conjugated_tensors() -> None:
    theirs = torch.tensor([1 + 2j, 3j]).conj()
    mine = serialization.load(saved_by_torch(theirs))
    assert mine.is_conj() and mine.tolist() == theirs.tolist()
    back = torch.load(saved_by_us(mine))
    assert back.is_conj() and back.tolist() == theirs.tolist()
    assert copy.deepcopy(mine).tolist() == theirs.tolist()


def test_hooks_are_left_out_with_a_warning() -> None:
    mine = ours(torch.ones(2)).requires_grad_()
    mine.register_hook(lambda grad: grad)
    with pytest.warns(UserWarning, match="on tensor will not be serialized"):
        saved_by_us(mine)


def test_crc_setting_and_skip_data() -> None:
    assert serialization.get_crc32_options() is True
    serialization.set_crc32_options(False)
    try:
        unchecked = saved_by_us(ours(torch.ones(3)))
    finally:
        serialization.set_crc32_options(True)
    assert torch.load(unchecked).tolist() == [1.0] * 3
    with serialization.skip_data():
        hollow = saved_by_us(ours(torch.ones(3)))
        assert serialization.load(saved_by_torch(torch.ones(3))).tolist() == [0.0] * 3
    assert torch.load(hollow).tolist() == [0.0] * 3


def test_saving_is_atomic(tmp_path: Any) -> None:
    path = tmp_path / "model.pt"
    serialization.save({"step": 1}, path)
    os.chmod(path, 0o640)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        serialization.save({"step": 2, "bad": lambda: 1}, path)
    assert serialization.load(path) == {"step": 1}
    assert os.listdir(tmp_path) == ["model.pt"]
    link = tmp_path / "link.pt"
    link.symlink_to(path)
    serialization.save({"step": 3}, link)
    assert link.is_symlink() and serialization.load(path) == {"step": 3}
    assert os.stat(path).st_mode & 0o777 == 0o640
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "link/data.pkl"


def test_safetensors_file(tmp_path: Any) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = str(tmp_path / "x.safetensors")
    theirs = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}
    safetensors.save_file(theirs, path)
    mine = serialization.load(path)
    for name, tensor in theirs.items():
        same(mine[name], tensor)
    with pytest.raises(RuntimeError, match="with dict map_location is not supported"):
        serialization.load(path, map_location={})


def test_generator_both_ways() -> None:
    theirs = torch.Generator().manual_seed(5)
    torch.rand(3, generator=theirs)
    mine = serialization.load(saved_by_torch(theirs), weights_only=False)
    assert mine.state_array().tobytes() == theirs.get_state().numpy().tobytes()
    back = torch.load(saved_by_us(mine), weights_only=False)
    assert back.get_state().equal(theirs.get_state())
