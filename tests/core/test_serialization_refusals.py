"""Broken files raise PyTorch's errors; files that would run code are refused."""

from __future__ import annotations

import io
import os
import pickle
import re
import webbrowser
import zipfile
from collections.abc import Callable
from pathlib import PosixPath
from typing import Any

import pytest
import torch

import torchish
from torchish import serialization
from torchish._basics.errors import NotSupportedError


def checkpoint(obj: Any = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    obj = {"a": torch.arange(100.0), "b": torch.ones(3)} if obj is None else obj
    torch.save(obj, buffer, **options)
    return buffer.getvalue()


def changed(skip: str = "", **replaced: bytes) -> bytes:
    """The example checkpoint with a record left out or others replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(checkpoint())) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            short = name.split("/", 1)[1]
            if short != skip:
                new.writestr(name, replaced.get(short, old.read(name)))
    return out.getvalue()


def outcome(load: Callable[..., Any], data: bytes, **options: Any) -> tuple[str, str]:
    """The class and text of the error that loading raises."""
    try:
        load(io.BytesIO(data), **options)
    except Exception as error:
        # PyTorch's C++ checks put their place in the source in front.
        text = re.sub(r"\[enforce fail at \S+\] \. ", "", str(error))
        return type(error).__name__, text
    return "no error", ""


GOOD = checkpoint()
OLD = checkpoint({"a": torch.ones(2)}, _use_new_zipfile_serialization=False)
BROKEN = {
    "text": b"12345",
    "html": b"<!DOCTYPE html><html>",
    "zeros": b"\0" * 100,
    "a plain pickle": pickle.dumps({"a": 1}, 2),
    "three bytes": GOOD[:3],
    "a lone signature": GOOD[:4],
    "first half": GOOD[: len(GOOD) // 2],
    "last byte missing": GOOD[:-1],
    "no data.pkl": changed("data.pkl"),
    "no data/0": changed("data/0"),
    "short data/0": changed(**{"data/0": b"abcd"}),
    "long data/0": changed(**{"data/0": b"a" * 4000}),
    "bad byteorder": changed(byteorder=b"mixed"),
    "version 99": changed(version=b"99\n"),
    "version 0": changed(version=b"0\n"),
    "version x": changed(version=b"xx\n"),
    "old, contents missing": OLD[:-4],
    "old, half a number missing": OLD[:-10],
}


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_broken_files_raise_as_in_pytorch(name: str, weights_only: bool) -> None:
    options = {"weights_only": weights_only}
    expected = outcome(torch.load, BROKEN[name], **options)
    assert outcome(serialization.load, BROKEN[name], **options) == expected
    assert expected[0] != "no error"


@pytest.mark.parametrize("data", [b"", OLD[:5], OLD[:60], changed(**{"data.pkl": b"\x80\x02}"})])
def test_ended_pickles_raise_eoferror(data: bytes) -> None:
    assert outcome(torch.load, data)[0] == outcome(serialization.load, data)[0] == "EOFError"


@pytest.mark.parametrize("cut", range(0, len(GOOD), 97))
def test_every_truncation_raises(cut: int) -> None:
    assert outcome(serialization.load, GOOD[:cut])[0] in (
        "EOFError",
        "RuntimeError",
        "UnpicklingError",
    )


def test_no_version_record() -> None:
    kind, text = outcome(serialization.load, changed("version"))
    assert kind == "RuntimeError"
    assert text.startswith('Expected hasRecord("version") to be true, but got false.')


@pytest.mark.filterwarnings("ignore:'torch.load' received a zip file")
def test_torchscript_archives_are_named() -> None:
    data = io.BytesIO(GOOD)
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("archive/constants.pkl", b"")
    assert outcome(serialization.load, data.getvalue()) == outcome(torch.load, data.getvalue())
    data.seek(0)
    with pytest.raises(NotSupportedError, match="TorchScript"):
        serialization.load(data, weights_only=False)


# --- code in checkpoints ---


class Calls:
    """Pickles as a call of `function(*args)`."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


EVIL = {
    "os.system": Calls(os.system, "echo gotcha"),
    "eval": Calls(eval, "1 + 1"),
    "exec": Calls(exec, "1"),
    "getattr": Calls(getattr, "x", "upper"),
    "open": Calls(open, "/etc/passwd"),
    "webbrowser": Calls(webbrowser.open, "http://example.org"),
    "import": Calls(__import__, "os"),
    "torch.load": Calls(torch.load, "other.pt"),
    "path": PosixPath("x"),
    "module": torch.nn.Linear(2, 2),
}


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_code_is_refused_in_pytorchs_words(name: str, options: dict[str, Any]) -> None:
    data = checkpoint({"x": EVIL[name]}, **options)
    expected = outcome(torch.load, data)
    assert outcome(serialization.load, data) == expected
    assert expected[0] == "UnpicklingError"


def archive_of(pickled: bytes) -> bytes:
    return changed(**{"data.pkl": pickled})


def assemble(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


HAND_MADE = {
    # The rebuild function takes a function to call: it must not be one of the attacker's choice.
    "layouts are only layouts": assemble(
        b"ctorch.serialization\n_get_layout\n", b"X\x04\x00\x00\x00load", b"\x85R"
    ),
    "rebuild calls only rebuilders": assemble(
        b"ctorch._tensor\n_rebuild_from_type_v2\n",
        b"(c_codecs\nencode\nctorch\nTensor\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00utf-8t}tR",
    ),
    "STACK_GLOBAL is no operand": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "INST is no operand": assemble(b"(X\x01\x00\x00\x00aios\nsystem\n"),
    "extension registry": assemble(b"\x82\x01"),
    "builtins by another name": assemble(b"c__builtin__\neval\n"),
    "call of a dtype": assemble(b"ctorch\nfloat32\n)R"),
    "call of a string": assemble(b"X\x01\x00\x00\x00a)R"),
    "new object of a function": assemble(b"ctorch._utils\n_rebuild_tensor_v2\n)\x81"),
    "state for a list": assemble(b"]}b"),
    "append to a set": assemble(b"c__builtin__\nset\n)RK\x01a"),
    "item into a list": assemble(b"]K\x01K\x02s"),
    "persistent id of a module": assemble(b"(X\x06\x00\x00\x00moduleK\x01tQ"),
    "persistent id text": assemble(b"X\x01\x00\x00\x000Q"),
}


@pytest.mark.parametrize("name", HAND_MADE)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_hand_made_pickles_are_refused(name: str) -> None:
    with pytest.raises((pickle.UnpicklingError, KeyError)):
        serialization.load(io.BytesIO(archive_of(HAND_MADE[name])))


def test_tensor_outside_its_storage_is_refused() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        pickled = archive.read("archive/data.pkl")
    # (100,) -> (200,): more elements than the storage has.
    forged = pickled.replace(b"K\x00Kd\x85", b"K\x00K\xc8\x85")
    assert forged != pickled
    with pytest.raises(RuntimeError, match="out of bounds for storage of size 400"):
        serialization.load(io.BytesIO(archive_of(forged)))


class Allowed:
    """A user's class."""

    def __init__(self) -> None:
        self.value = 1


def test_safe_globals() -> None:
    data = checkpoint(Allowed())
    with serialization.safe_globals([Allowed]):
        assert serialization.get_safe_globals() == [Allowed]
        assert serialization.load(io.BytesIO(data)).value == 1
    assert serialization.get_safe_globals() == []
    assert outcome(serialization.load, data)[0] == "UnpicklingError"
    serialization.add_safe_globals([(Allowed, f"{__name__}.Allowed")])
    try:
        assert serialization.load(io.BytesIO(data)).value == 1
    finally:
        serialization.clear_safe_globals()
    assert serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)) == [
        f"{__name__}.Allowed"
    ]
    assert serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(GOOD)) == []
    with serialization.safe_globals([("x", 1, 2)]), pytest.raises(ValueError, match="length 2"):
        serialization.load(io.BytesIO(data))


def test_choice_of_the_unpickler(monkeypatch: pytest.MonkeyPatch) -> None:
    data = checkpoint(Allowed())
    assert serialization.load(io.BytesIO(data), weights_only=False).value == 1
    assert serialization.load(io.BytesIO(data), pickle_module=pickle).value == 1
    with pytest.raises(RuntimeError, match="Can not safely load weights when explicit pickle"):
        serialization.load(io.BytesIO(data), weights_only=True, pickle_module=pickle)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(pickle.UnpicklingError):
        serialization.load(io.BytesIO(data), weights_only=False)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "yes")
    with pytest.raises(RuntimeError, match="Only one of"):
        serialization.load(io.BytesIO(data))
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    with pytest.warns(UserWarning, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected"):
        assert serialization.load(io.BytesIO(data)).value == 1


# --- files that cannot be opened ---


class NoSeek(io.RawIOBase):
    def read(self, count: int = -1) -> bytes:
        return b""


class BadWrite:
    write = 3


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: lib.load("/nonexistent/x.pt"),
        lambda lib: lib.load("/tmp"),
        lambda lib: lib.load(3),
        lambda lib: lib.load(None),
        lambda lib: lib.load(NoSeek()),
        lambda lib: lib.save({}, "/nonexistent/x.pt"),
        lambda lib: lib.save({}, "/tmp"),
        lambda lib: lib.save({}, ""),
        lambda lib: lib.save({}, 3),
        lambda lib: lib.save({}, b"bytes"),
        lambda lib: lib.save({}, BadWrite()),
    ],
)
def test_file_errors_are_pytorchs(call: Callable[[Any], Any]) -> None:
    texts = []
    for lib in (torch, serialization):
        with pytest.raises(Exception) as caught:
            call(lib)
        text = re.sub(r"\[enforce fail at \S+\] \. ", "", str(caught.value))
        texts.append((type(caught.value), text))
    assert texts[0] == texts[1]


def test_unknown_torch_class_is_named() -> None:
    data = checkpoint(torch.nn.Linear(2, 2)).replace(b"Linear", b"Linoar")
    with pytest.raises(NotSupportedError, match=r"torch\.nn\.modules\.linear\.Linoar"):
        serialization.load(io.BytesIO(data), weights_only=False)


def test_namespace() -> None:
    assert torchish.serialization is serialization
