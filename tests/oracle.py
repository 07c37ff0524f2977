"""PyTorch beside torchish: the same work on both, and whether what comes out agrees.

`same` compares values of any kind, `close` arrays of any library (both from `tests/agreement.py`,
which does without PyTorch), `agree` whole pieces of work with their warnings and errors, `tell`
programs by what they say.
"""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.func

import torchish
import torchish.func
from tests.agreement import (
    array as array,
    close as close,
    is_tensor as is_tensor,
    named as named,
    same as same,
)

Work = Callable[[Any], Any]
# Whether oneDNN has kernels for bfloat16 on this processor (they need AVX-512): without them
# PyTorch runs no LSTM in bfloat16, and its transposed convolutions round on the way.
HALF_KERNELS = torch.ops.mkldnn._is_mkldnn_bf16_supported()


def outcome(work: Work, library: Any, lines: int | None = None) -> tuple[Any, list[str], str]:
    """What `work(library)` gives from seed 0: its result, warnings, and its error (`""`: none).

    Of warnings and errors `lines` lines count.
    """
    library.manual_seed(0)
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    result, error = None, ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = work(library)
        except Exception as problem:
            text = "\n".join(str(problem).split("\n")[:lines])
            error = named(f"{type(problem).__name__}: {text}")
        finally:
            torch.set_warn_always(before)
    texts = [f"{w.category.__name__}: {w.message}".split(" (Triggered internally")[0]
             for w in caught]  # fmt: skip
    # PyTorch's forward mode loads parts of its own that are deprecated.
    return result, sorted({named(t) for t in texts if "torch.jit" not in t}), error


def agree(
    work: Work, rtol: float = 1e-5, atol: float | None = None, *, ignore: str = "",
    lines: int | None = None, warned: bool = True,
) -> Any:  # fmt: skip
    """Assert equal results, warnings (but those with `ignore`) and errors; gives PyTorch's result.

    `warned=False`: warnings are of no interest.
    """
    theirs, their_warnings, their_error = outcome(work, torch, lines)
    ours, our_warnings, our_error = outcome(work, torchish, lines)
    assert our_error == their_error, f"{our_error!r} != {their_error!r}"
    if warned:
        their_warnings = [w for w in their_warnings if not ignore or ignore not in w]
        assert our_warnings == their_warnings, f"{our_warnings} != {their_warnings}"
    same(ours, theirs, rtol, atol)
    return theirs


def tell(program: Callable[[Any, Callable[..., None]], None], *, least: int = 1) -> None:
    """Assert that `program(library, say)` says the same on both, in at least so many lines."""
    said: list[list[str]] = []
    for library in (torch, torchish):
        lines: list[str] = []
        program(library, lambda *x, to=lines: to.append(" ".join(map(str, x))))
        said.append("\n".join(lines).replace("torchish.", "torch.").split("\n"))
    assert len(said[0]) >= least and said[0] != [""]
    told = difflib.unified_diff(*said, "PyTorch", "torchish", lineterm="", n=1)
    assert "\n".join(told) == ""


def described(value: Any) -> Any:
    """What there is to see of a value: tensors by class, layout, dtype, elements and flags."""
    if isinstance(value, dict):
        return {key: described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if isinstance(value, type):
        return value.__name__
    if not hasattr(value, "detach"):
        return value
    if value.is_meta:
        return ["meta", tuple(value.shape), str(value.dtype)]
    flat = value.detach().resolve_conj().reshape(-1)
    flat = flat if flat.is_complex() or not flat.is_floating_point() else flat.double()
    shown = [_rounded(x) for x in flat.tolist()]
    facts = [tuple(value.shape), tuple(value.stride()), str(value.dtype), value.requires_grad]
    return [type(value).__name__, *facts, shown]


def _rounded(x: Any) -> Any:
    if x != x:
        return "nan"
    return complex(round(x.real, 4), round(x.imag, 4)) if isinstance(x, complex) else round(x, 4)


def tries(*calls: Callable[[], Any]) -> list[Any]:
    """What each call gives, or the first line of its error."""
    found = []
    for call in calls:
        try:
            found.append(call())
        except Exception as error:
            found.append(f"{type(error).__name__}: {str(error).splitlines()[0][:160]}")
    return found


def part(torch: Any, name: str) -> Any:
    """A module of either library by its name below `torch`."""
    return importlib.import_module(f"{torch.__name__}.{name}")


class Cases(list[Callable[[Any], Any]]):
    """Functions of `torch` that are run on both libraries; decorating one adds it."""

    def __call__(self, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        self.append(work)
        return work
