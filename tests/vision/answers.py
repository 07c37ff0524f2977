"""Calls that torchish and torchvision must answer alike, and comparing the answers.

A case is a function of a library (`Library`): it builds its inputs from fixed arrays, seeds the
generator where it draws, and returns a result. `plain` turns results of either library into arrays
and texts; `record` writes torchvision's, for machines where it is not installed.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class Library:
    """torch and torchvision, or what stands for them."""

    def __init__(self, torch: str, vision: str) -> None:
        self.torch: Any = importlib.import_module(torch)
        self.v2: Any = importlib.import_module(f"{vision}.transforms.v2")
        self.F: Any = importlib.import_module(f"{vision}.transforms.v2.functional")
        self.v1: Any = importlib.import_module(f"{vision}.transforms")
        self.tv: Any = importlib.import_module(f"{vision}.tv_tensors")
        self.utils: Any = importlib.import_module(f"{vision}.utils")
        self.presets: Any = importlib.import_module(f"{vision}.transforms._presets")

    def tensor(self, array: np.ndarray) -> Any:
        return self.torch.from_numpy(array.copy())


# Cases whose sums of floats may be a half.
_HALVES = (
    "int16",
    "perspective.bytes",
    "perspective.2.bytes",
    "kernel.perspective_image",
    "TrivialAugment",
)


@dataclasses.dataclass
class Case:
    name: str
    run: Callable[[Library], Any]

    @property
    def tolerance(self) -> float:
        """For floats, relative where they exceed 1.

        Angles of turned boxes are in degrees, and known to about 1e-6 radians in single precision.
        """
        turned = any(word in self.name for word in (".XYWHR", ".CXCYWHR", ".XYXYXYXY", ".hard"))
        return 5e-5 if turned else 1e-6

    @property
    def mixed(self) -> bool:
        """Whether floats below 1 are mixed with a fill above: rounding is relative to that."""
        warps = ("ElasticTransform.", "RandomAffine.", "RandomPerspective.", "RandomRotation.")
        return any(word in self.name for word in warps)

    @property
    def halves(self) -> bool:
        """Whether float sums are rounded to whole numbers: a half may go either way."""
        return any(word in self.name for word in _HALVES)


def plain(result: Any) -> list[Any]:
    """Arrays, numbers and texts in order."""
    if isinstance(result, dict):
        return [item for key in result for item in plain(result[key])]
    if isinstance(result, (list, tuple)) and not hasattr(result, "dtype"):
        return [item for part in result for item in plain(part)]
    if isinstance(result, Image.Image):
        return [result.mode, np.asarray(result)]
    if hasattr(result, "numpy"):
        facts = [type(result).__name__, str(result.dtype)]
        for fact in ("format", "canvas_size", "clamping_mode"):
            if fact in getattr(result, "__dict__", {}):
                facts.append(str(getattr(result, fact)))
        return [" ".join(facts), np.asarray(result.detach().numpy())]
    return [str(result)]


_REFUSALS = (TypeError, ValueError, RuntimeError, AttributeError, NotImplementedError)


def answers(lib: Library, case: Case) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(case.run(lib))
        except _REFUSALS as error:  # a refusal is an answer too
            return [f"{type(error).__name__}: {str(error)[:30]}"]


def _refused_alike(mine: Any, other: Any) -> bool:
    """Two features that are absent; each library says it in its own words."""
    kinds = ("NotImplementedError", "NotSupportedError")
    return all(isinstance(text, str) and text.startswith(kinds) for text in (mine, other))


def differences(ours: list[Any], theirs: list[Any], case: Case) -> str:
    """What differs, in a line; empty if nothing does."""
    if len(ours) != len(theirs):
        return f"{len(ours)} results for {len(theirs)}"
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(other, str) or isinstance(mine, str):
            if _refused_alike(mine, other):
                continue
            if mine != other:
                return f"{mine!r} for {other!r}"
        elif mine.shape != other.shape or mine.dtype != other.dtype:
            return f"{mine.dtype}{mine.shape} for {other.dtype}{other.shape}"
        elif other.dtype.kind == "f":
            size = np.abs(other).max() if case.mixed and other.size else np.abs(other)
            limit = case.tolerance * np.maximum(1.0, size)
            off = ~((np.abs(mine - other) <= limit) | (mine == other))
            off &= ~(np.isnan(mine) & np.isnan(other))
            if off.any():
                return f"{off.sum()} of {off.size} off by {np.nanmax(np.abs(mine - other))}"
        elif not np.array_equal(mine, other):
            off = mine != other
            distance = np.abs(mine.astype(np.int64) - other.astype(np.int64)).max()
            if case.halves and distance <= 1 and off.mean() < 0.01:
                continue
            return f"{off.sum()} of {off.size} whole numbers off"
    return ""


def group(case: Case) -> str:
    """Cases are run by function or class, so that a failure names one."""
    return ".".join(case.name.split(".")[:2])


def wrong(
    cases: list[Case], name: str, ours: Library, expected: Callable[[Case], list[Any]]
) -> str:
    """How the answers of one group of cases differ; empty where they do not."""
    lines = []
    for case in (c for c in cases if group(c) == name):
        difference = differences(answers(ours, case), expected(case), case)
        if difference:
            lines.append(f"{case.name}: {difference}")
    return "\n".join(lines)


def record(of: list[Case], path: Path) -> None:
    """Write torchvision's answers: an index, and the bytes of all arrays in a row."""
    lib = Library("torch", "torchvision")
    index: dict[str, list[Any]] = {}
    parts = []
    for case in of:
        index[case.name] = []
        for item in answers(lib, case):
            if isinstance(item, str):
                index[case.name].append(item)
            else:
                index[case.name].append([item.dtype.str, item.shape])
                parts.append(np.ascontiguousarray(item).tobytes())
    texts = json.dumps(index, separators=(",", ":"))
    blob = np.frombuffer(b"".join(parts), np.uint8)
    np.savez_compressed(path, index=np.array(texts), data=blob)


def recorded(path: Path) -> dict[str, list[Any]]:
    """What `record` wrote, by name of the case."""
    with np.load(path) as stored:
        index, data = json.loads(str(stored["index"])), stored["data"].tobytes()
    place = 0
    found: dict[str, list[Any]] = {}
    for name, items in index.items():
        found[name] = []
        for item in items:
            if isinstance(item, list):
                dtype, shape = np.dtype(item[0]), tuple(item[1])
                count = int(np.prod(shape))
                item = np.frombuffer(data, dtype, count, place).reshape(shape)
                place += item.nbytes
            found[name].append(item)
    return found
