"""Where programs are found again, by structure alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .values import Aval

_CAPACITY = 1024
_CODE_BYTES = 256 << 20

# Kernels with their slots, the live results, the avals of the inputs, where it runs.
Parts = tuple[Sequence[Any], tuple[int, ...], tuple[Aval, ...], tuple[Any, ...]]


class Key:
    """What tells a program from others: thousands of entries, which are hashed once."""

    __slots__ = ("digest", "parts")

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        entries, *rest = parts
        self.digest = hash((tuple(entries), *rest))

    @property
    def entries(self) -> Sequence[Any]:
        """Kernels, each followed by the slots of its operands."""
        return self.parts[0]

    @property
    def live(self) -> tuple[int, ...]:
        """The slots of the results that are wanted."""
        return self.parts[1]

    @property
    def in_avals(self) -> tuple[Aval, ...]:
        """The avals of the inputs."""
        return self.parts[2]

    def __hash__(self) -> int:
        return self.digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.parts == other.parts


@dataclass
class Cached:
    """A program in the cache: its bytes, which policies (threads) run it, what is known of it.

    Whoever holds on to one asks `is_kept` before running it.
    """

    program: Callable[..., list[Any]]
    size: int
    key: Key
    structure: Any = None
    owners: set[int] = field(default_factory=set)
    is_kept: bool = True


class ProgramCache:
    """Compiled programs by structure; the least recently used make room.

    Bounded in number and in bytes of machine code: executables hold memory that grows with the
    length of a trace, tens of megabytes for a large training step.
    """

    def __init__(
        self, capacity: int = _CAPACITY, limit: int = _CODE_BYTES, size_of: Any = None
    ) -> None:
        self.capacity = capacity
        self.limit = limit
        self.size_of = size_of or _code_bytes
        self.bytes = 0
        self.programs: OrderedDict[Key, Cached] = OrderedDict()

    def entry(self, key: Key) -> Cached | None:
        """What is kept for this structure, if it was compiled before."""
        found = self.programs.get(key)
        if found is not None:
            self.programs.move_to_end(found.key)  # is found by identity
        return found

    def add(self, key: Key, program: Callable[..., list[Any]], structure: Any = None) -> Cached:
        """Keep a program; one that is larger than the limit is kept alone."""
        old = self.programs.pop(key, None)
        if old is not None:
            self._drop(old)
        made = self.programs[key] = Cached(program, self.size_of(program), key, structure)
        self.bytes += made.size
        while len(self.programs) > 1 and (
            len(self.programs) > self.capacity or self.bytes > self.limit
        ):
            self._drop(self.programs.popitem(last=False)[1])
        return made

    def _drop(self, old: Cached) -> None:
        old.is_kept = False
        self.bytes -= old.size

    def clear(self) -> None:
        """Drop every program."""
        for old in self.programs.values():
            old.is_kept = False
        self.programs.clear()
        self.bytes = 0


def _code_bytes(program: Any) -> int:
    """Bytes of an executable's machine code; 0 for what XLA has not compiled yet."""
    executable = getattr(program, "runtime_executable", None)
    return 0 if executable is None else len(executable().serialize())
