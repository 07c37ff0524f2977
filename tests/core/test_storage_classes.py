"""Legacy storage classes, and what storages can do, against torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import torchish

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")

CLASSES = ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool",
           "ComplexDouble", "ComplexFloat"]  # fmt: skip


def both(work: Callable[[Any], Any]) -> tuple[Any, Any]:
    """What `work(module)` gives, or the class and text of what it raises."""
    found = []
    for module in (torchish, torch):
        try:
            found.append(work(module))
        except Exception as error:
            found.append((type(error).__name__, str(error).split("\n")[0]))
    return found[0], found[1]


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_makes_and_recognises_storages_of_its_dtype(name: str) -> None:
    def work(m: Any) -> Any:
        cls = getattr(m, f"{name}Storage")
        made = cls([1, 0, 1])
        other = m.FloatStorage if name != "Float" else m.LongStorage
        return (
            made.tolist(), len(made), str(made.dtype), made.type(), made.nbytes(), repr(cls),
            isinstance(made, cls), isinstance(made, other), issubclass(cls, m.TypedStorage),
            type(made).__name__, cls().size(), cls(3).size(), repr(made), str(cls.dtype),
        )  # fmt: skip

    mine, theirs = both(work)
    assert mine == theirs


WORKS: dict[str, Callable[[Any], Any]] = {
    "write": lambda m: _written(m.FloatStorage([1, 2, 3])),
    "cast": lambda m: [getattr(m.FloatStorage([1.5, 0]), c)().tolist() for c in
                       ("double", "half", "long", "int", "bool", "complex_float")],
    "copy": lambda m: m.FloatStorage(2).copy_(m.IntStorage([4, 5])).tolist(),
    "copy of another size": lambda m: m.FloatStorage(2).copy_(m.FloatStorage(3)),
    "text": lambda m: m.FloatStorage("a"),
    "two sizes": lambda m: m.FloatStorage(1, 2),
    "keyword": lambda m: m.FloatStorage(dtype=m.float32),
    "index": lambda m: m.FloatStorage(2)[5],
    "slice": lambda m: m.FloatStorage(2)[0:1],
    "named index": lambda m: m.FloatStorage(2)["a"],
    "grow": lambda m: _grown(m.FloatStorage([1, 2])),
    "buffer": lambda m: m.FloatStorage.from_buffer(b"\0\0\x80?" * 2, "little", 1, 4).tolist(),
    "big endian": lambda m: m.ShortStorage.from_buffer(b"\0\1\0\2", "big").tolist(),
    "odd buffer": lambda m: m.FloatStorage.from_buffer(b"abc", "little"),
    "bytes": lambda m: _written_bytes(m.UntypedStorage([1, 2, 3])),
    "of a tensor": lambda m: isinstance(m.zeros(2).storage(), m.FloatStorage),
    "type of a tensor's": lambda m: repr(m.zeros(2, dtype=m.int64).storage_type()),
    "places": lambda m: (m.FloatStorage(1).resizable(), m.FloatStorage(1).is_pinned()),
    "default": lambda m: repr(m.Storage),
}  # fmt: skip


def _written(s: Any) -> Any:
    s[0] = 9
    first = s.tolist()
    s[0:2] = 4
    second = s.tolist()
    return first, second, s.fill_(2).tolist(), s.element_size(), s.pickle_storage_type()


def _written_bytes(s: Any) -> Any:
    s[0] = 7
    return s.tolist(), s[1], s.float().tolist(), s.fill_(1).tolist(), s.type(), s[0:2].tolist()


def _grown(s: Any) -> Any:
    s.resize_(4)
    return s.size(), s.tolist()[:2]


@pytest.mark.parametrize("name", WORKS)
def test_storages_behave_as_torchs(name: str) -> None:
    mine, theirs = both(WORKS[name])
    assert mine == theirs


def test_a_write_through_a_storage_shows_in_the_tensor() -> None:
    def work(m: Any) -> Any:
        x = m.zeros(3)
        y = x[1:]
        x.storage()[2] = 5
        before = y.tolist()
        x.untyped_storage().fill_(0)
        return before, y.tolist()

    mine, theirs = both(work)
    assert mine == theirs
