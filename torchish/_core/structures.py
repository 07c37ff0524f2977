"""What is known of each structure that was met: where it was recorded, which tier ran it, how
often, and what told it from the nearest one known before ("batch size 31 instead of 32").

`torchish.explain()` prints it (`_namespace/report.py`), and a line whose programs are compiled
again and again is warned about from it. Nothing here decides anything.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._basics.forking import new_lock
from .._basics.notices import notice
from .._basics.settings import settings
from .graph import FLOATS
from .kernels import Kernel
from .values import Aval

KEPT = 512  # structures that are remembered
# Structures that are kept whole to compare new ones with, and how many entries of all.
COMPARED, WHOLE = 64, 1 << 16
NEIGHBOURS = 4  # structures of one line that a new one is compared with
RECOMPILATIONS = 5  # of one line, after which its user is warned

Site = tuple[Any, int]  # code object, offset of the instruction


def line_of(site: Site) -> int:
    """Source line of a bytecode offset."""
    code, lasti = site
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return int(line)
    return int(code.co_firstlineno)


def place_of(site: Site) -> str:
    """`file:line` of a recorded operator."""
    return f"{site[0].co_filename}:{line_of(site)}"


@dataclass(frozen=True)
class Difference:
    """What tells a structure from another: of which kind, in words, and what may help."""

    kind: str
    text: str
    value: str = ""


class Structure:
    """One structure: its place in the user's code, and what became of it."""

    def __init__(self, key: Any, sites: Sequence[Site], tier: str, takeover: int) -> None:
        self.entries, self.live, self.in_avals = key.entries, key.live, key.in_avals
        self.sites = tuple(sites)
        self.operators = len(sites)
        self.first, self.place = sites[0], place_of(sites[-1])
        self.file, self.line = sites[-1][0].co_filename, line_of(sites[-1])
        self.tier = tier  # of its cold runs
        self.takeover = takeover
        self.cold = self.hot = 0
        self.seconds: list[float] = []  # that its compilations took
        self.differs: Difference | None = None

    def described(self) -> str:
        """How many operators, and the user's lines that recorded them."""
        start = place_of(self.first)
        ending = self.place
        if self.first[0].co_filename == self.file:
            ending = str(self.line)
        lines = start if start == self.place else f"{start} to {ending}"
        return f"{self.operators} operators, {lines}"

    def drop(self) -> None:
        """Forget what it was made of (kernels hold memory); the counts stay."""
        self.entries, self.sites = (), ()


class Structures:
    """Those that were met, the latest KEPT of them."""

    def __init__(self) -> None:
        self.lock = new_lock()
        self.known: OrderedDict[int, Structure] = OrderedDict()
        self.whole: deque[Structure] = deque()
        self.entries = 0
        self.compiled: dict[str, list[Structure]] = {}

    def meet(
        self, digest: int, key: Any, sites: Sequence[Site], tier: str, takeover: int
    ) -> Structure:
        """The structure of this key; a new one is compared with those of its line."""
        with self.lock:
            found = self.known.get(digest)
            if found is not None:
                found.takeover = takeover
                return found
            made = self.known[digest] = Structure(key, sites, tier, takeover)
            made.differs = self._nearest(made)
            self.whole.append(made)
            self.entries += len(made.entries)
            while self.entries > WHOLE and len(self.whole) > 1:
                self._drop(self.whole.popleft())
            while len(self.known) > KEPT:
                self.known.popitem(last=False)
            while len(self.whole) > COMPARED:
                self._drop(self.whole.popleft())
            return made

    def _drop(self, old: Structure) -> None:
        self.entries -= len(old.entries)
        old.drop()

    def _nearest(self, made: Structure) -> Difference | None:
        """How a structure differs from the one of the same line that it shares most with."""
        best: tuple[int, int, Difference] | None = None
        compared = 0
        for old in reversed(self.whole):
            if old.place != made.place or old.entries == ():
                continue
            at = _first_difference(made.entries, old.entries)
            score = (int(len(made.entries) == len(old.entries)), at)
            if best is None or score > best[:2]:
                best = (*score, difference(made, old))
            compared += 1
            if compared == NEIGHBOURS:
                break
        return None if best is None else best[2]

    def note_compilation(self, structure: Structure, seconds: float) -> None:
        """Count a compilation of the structure's line; the sixth is one too many."""
        with self.lock:
            structure.seconds.append(seconds)
            of_line = self.compiled.setdefault(structure.place, [])
            of_line.append(structure)
            if len(of_line) == RECOMPILATIONS + 1 and not settings.compiled:
                notice(_too_often(structure.place, of_line), structure.file, structure.line)

    def clear(self) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]


_HELP = {
    "size": "pad inputs to a few sizes (DataLoader(..., drop_last=True) drops the odd batch)",
    "length": "pad sequences to a few lengths, or read a number (.item()) at each step of the loop",
    "static": "make what varies a tensor, or keep it the same from step to step",
    "kept": "keep, or delete, references to results in the same way at every step",
    "wiring": "do the same work on the same tensors at every step",
    "dtype": "convert inputs to one dtype before they get here",
    "room": "programs make room for each other: fewer or smaller ones would stay",
}


def _too_often(place: str, of_line: Sequence[Structure]) -> str:
    """The text of the warning: what varies, and what helps."""
    found = [s.differs for s in of_line if s.differs is not None]
    kinds = [d.kind for d in found]
    kind = max(set(kinds), key=kinds.count) if kinds else "room"
    if len({id(s) for s in of_line}) <= len(of_line) // 2:
        kind, found = "room", []
    texts = list(dict.fromkeys(d.text for d in found if d.kind == kind))
    varies = f" What varies: {'; '.join(texts[-3:])}." if texts else ""
    return (
        f"the program that ends at {place} was compiled {len(of_line)} times.{varies} "
        f"What helps: {_HELP[kind]}. torchish.explain() lists all programs."
    )


# --- differences ----------------------------------------------------------------------------------


def _first_difference(new: Sequence[Any], old: Sequence[Any]) -> int:
    """The first position at which two records differ (their common length if none)."""
    for k, (a, b) in enumerate(zip(new, old, strict=False)):
        if a is not b and a != b:
            return k
    return min(len(new), len(old))


def difference(new: Structure, old: Structure) -> Difference:
    """The first thing that tells `new` from `old`, at the user's line."""
    at = _first_difference(new.entries, old.entries)
    if at < min(len(new.entries), len(old.entries)):
        return _of_nodes(new, old, at)
    if len(new.entries) != len(old.entries):
        return _of_lengths(new, old)
    if new.live != old.live:
        return _of_results(new, old)
    return Difference("static", "another device")


def _node_at(entries: Sequence[Any], at: int) -> tuple[int, int]:
    """Number and first position of the node that an entry belongs to."""
    number = position = 0
    while True:
        end = position + 1 + entries[position].n_in
        if at < end:
            return number, position
        number, position = number + 1, end


def _of_nodes(new: Structure, old: Structure, at: int) -> Difference:
    number, position = _node_at(new.entries, at)
    kernel, other = new.entries[position], old.entries[position]
    place = place_of(new.sites[number])
    if not isinstance(other, Kernel) or kernel.name != other.name:
        name = other.name if isinstance(other, Kernel) else "something else"
        return Difference("length", f"{kernel.name} instead of {name} at {place}")
    if kernel is other:
        return Difference("wiring", f"another operand of {kernel.name} at {place}")
    setting = _of_settings(kernel, other)
    if setting is not None and kernel.in_avals == other.in_avals:
        return Difference("static", f"{setting} at {place}")
    for what, ours, theirs in (
        (f"an operand of {kernel.name}", kernel.in_avals, other.in_avals),
        (f"a result of {kernel.name}", kernel.out_avals, other.out_avals),
    ):
        for a, b in zip(ours, theirs, strict=False):
            if a is not b:
                kind, text = _of_avals(a, b, what)
                return Difference(kind, f"{text} at {place}")
    return Difference("static", f"{kernel.name} with other settings at {place}")


def _of_avals(a: Any, b: Any, what: str) -> tuple[str, str]:
    if not (isinstance(a, Aval) and isinstance(b, Aval)):
        kinds = ["a tensor" if isinstance(x, Aval) else f"a number ({x.__name__})" for x in (a, b)]
        return "static", f"{kinds[0]} instead of {kinds[1]} as {what}"
    if a.dtype is not b.dtype:
        return "dtype", f"{a.dtype.name} instead of {b.dtype.name} as {what}"
    ours, theirs = tuple(a.shape), tuple(b.shape)
    if len(ours) != len(theirs):
        return "size", f"shape {ours} instead of {theirs} of {what}"
    dim = next(d for d, (m, n) in enumerate(zip(ours, theirs, strict=True)) if m != n)
    if dim == 0 and len(ours) > 1:
        return "size", f"batch size {ours[0]} instead of {theirs[0]}"
    return "size", f"size {ours[dim]} instead of {theirs[dim]} in dimension {dim} of {what}"


def _of_settings(kernel: Kernel, other: Kernel) -> str | None:
    """Which static argument of an operator differs, if that is known."""
    if kernel.origin is not None and other.origin is not None:
        operator, key = kernel.origin
        for p, a, b in zip(operator.binder.params, key, other.origin[1], strict=False):
            if p.kind == "static" and a is not b and a != b:
                return f"{p.name}={_shown(a)} instead of {_shown(b)} of {kernel.name}"
    return None


def _shown(value: Any) -> str:
    """A static argument; one that was not given is said to be the default."""
    if isinstance(value, type):
        return "the default" if value.__name__ == "_empty" else value.__name__
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _of_lengths(new: Structure, old: Structure) -> Difference:
    more = new.operators - old.operators
    longer = new if more > 0 else old
    place = place_of(longer.sites[min(new.operators, old.operators)])
    count = f"{abs(more)} operator{'s' if abs(more) > 1 else ''}"
    text = f"{count} more, from {place} on" if more > 0 else f"{count} fewer, those from {place} on"
    return Difference("length", text)


def _of_results(new: Structure, old: Structure) -> Difference:
    ours, theirs = set(new.live), set(old.live)
    slot = min(ours ^ theirs)
    number = position = made = 0
    while True:
        kernel = new.entries[position]
        if slot < made + kernel.n_out or slot >= FLOATS:
            break
        made += kernel.n_out
        position, number = position + 1 + kernel.n_in, number + 1
    what = f"a result of {kernel.name} at {place_of(new.sites[number])}"
    word = "still" if slot in ours else "no longer"
    return Difference("kept", f"{what} is {word} referred to")


structures = Structures()
