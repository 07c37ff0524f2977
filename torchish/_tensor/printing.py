"""The text of tensors, character for character PyTorch's.

Invariant: nothing here touches a device or starts a computation. The caller hands over a numpy
array with the tensor's contents and the few facts that show in the text; so printing can be used
anywhere, also in a DataLoader worker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

__all__ = [
    "PRINT_OPTS",
    "get_printoptions",
    "printoptions",
    "set_printoptions",
    "tensor_str",
]


@dataclasses.dataclass
class PrintOptions:
    """What `set_printoptions` changes; `torch._tensor_str.PRINT_OPTS` has the same fields."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PRINT_OPTS = PrintOptions()

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Changes how tensors are printed, for the whole process.

    Args:
        precision: digits after the point (4).
        threshold: with more elements than this only the edges are shown (1000).
        edgeitems: how many items an edge has, per dimension (3).
        linewidth: characters a line may have (80).
        profile: "default", "short" or "full"; the other arguments override it.
        sci_mode: True always writes 1.0000e+00, False never, None decides by the values.
            Every call sets this one, so leaving it out restores the choice by the values.
    """
    changes = dict(_PROFILES.get(profile, {})) if profile is not None else {}
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changes.update({name: value for name, value in given.items() if value is not None})
    for name, value in changes.items():
        setattr(PRINT_OPTS, name, value)
    PRINT_OPTS.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """Returns the options in force, as keyword arguments for `set_printoptions`."""
    return dataclasses.asdict(PRINT_OPTS)


@contextlib.contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """Changes the print options inside a `with` block; arguments of `set_printoptions`."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


class _NumberFormat:
    """One way of writing all numbers of a tensor (or of its real or imaginary parts).

    `width` is the longest text among the finite nonzero numbers. Zeros, nan and inf do not count
    for it, so they may stick out, and lines are broken as if they did not: PyTorch's layout.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.is_float = values.dtype.kind == "f"
        self.is_whole = True
        self.is_sci = False
        self.width = 1
        if self.is_float:
            values = values[np.isfinite(values) & (values != 0)]
            if values.size == 0:
                return
            self.is_whole = bool((values == np.ceil(values)).all())
            self.is_sci = _wants_sci(values)
        self.width = max(1, *(len(self.plain(value)) for value in values.tolist()))

    def plain(self, value: float) -> str:
        """The number without padding."""
        if not self.is_float:
            return str(value)
        if self.is_sci:
            return f"{value:.{PRINT_OPTS.precision}e}"
        if self.is_whole:
            return f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return f"{value:.{PRINT_OPTS.precision}f}"

    def padded(self, value: float) -> str:
        return self.plain(value).rjust(self.width)


def _wants_sci(values: np.ndarray) -> bool:
    """Whether fixed-point digits would hide the finite nonzero `values`."""
    if PRINT_OPTS.sci_mode is not None:
        return PRINT_OPTS.sci_mode
    sizes = np.abs(values)
    low, high = float(sizes.min()), float(sizes.max())
    return high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4


def _printable(array: np.ndarray) -> np.ndarray:
    """Floats as float64 and complex as complex128: exact, and what Python's `format` works on."""
    if array.dtype.kind in "biu":
        return array
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _cells(block: np.ndarray) -> tuple[list[str], int]:
    """Every element of `block` as text, in order, and the width lines are broken by."""
    flat = block.reshape(-1)
    if flat.dtype.kind != "c":
        numbers = _NumberFormat(flat)
        return [numbers.padded(value) for value in flat.tolist()], numbers.width
    real, imag = _NumberFormat(flat.real), _NumberFormat(flat.imag)
    texts = []
    for value in flat.tolist():
        below = imag.padded(value.imag).lstrip()
        sign = "" if below[0] == "-" else "+"
        texts.append(f"{real.padded(value.real)}{sign}{below}j")
    return texts, real.width + imag.width + 1


def _contents(array: np.ndarray, indent: int) -> str:
    """The nested brackets, without `tensor(` and suffixes; `indent` is the column they start at."""
    if array.size == 0:
        return "[]"
    edge = PRINT_OPTS.edgeitems
    is_summary = array.size > PRINT_OPTS.threshold
    if is_summary and array.ndim and not edge:
        return "[...]"
    is_cut = [is_summary and size > 2 * edge for size in array.shape]
    for axis, cut in enumerate(is_cut):
        if cut:
            size = array.shape[axis]
            shown = [*range(edge), *range(size - edge, size)]
            array = array.take(shown, axis=axis)
    texts, width = _cells(_printable(array))
    if array.ndim == 0:
        return texts[0]
    nested = np.array(texts, dtype=object).reshape(array.shape).tolist()
    return _brackets(nested, is_cut, indent, width)


def _brackets(cells: list, is_cut: Sequence[bool], indent: int, width: int) -> str:
    """Joins nested lists of texts; `is_cut[0]`: the middle of this dimension is left out."""
    below = is_cut[1:]
    if below:
        rows = [_brackets(cell, below, indent + 1, width) for cell in cells]
        if is_cut[0]:
            rows.insert(PRINT_OPTS.edgeitems, "...")
        return "[" + ("," + "\n" * len(below) + " " * (indent + 1)).join(rows) + "]"
    items = list(cells)
    if is_cut[0]:
        items.insert(PRINT_OPTS.edgeitems, " ...")
    per_line = max(1, math.floor((PRINT_OPTS.linewidth - indent) / (width + 2)))
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _with_suffixes(text: str, suffixes: Sequence[str], indent: int) -> str:
    """Appends `, name=value` parts, on a new line where the current one would get too long."""
    used = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if used + len(suffix) + 2 > PRINT_OPTS.linewidth:
            text += ",\n" + " " * indent + suffix
            used = indent + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"


def tensor_str(
    array: np.ndarray | None,
    *,
    dtype_name: str,
    shape: Sequence[int] | None = None,
    device: str = "cpu",
    default_device: str = "cpu",
    default_dtype_name: str = "float32",
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    class_name: str = "tensor",
    contents: str | None = None,
    tangent: str | None = None,
) -> str:
    """Returns what `repr` of a tensor says.

    Args:
        array: the contents in logical order; None if there are none to read (meta device).
        dtype_name: torch's name without `torch.`; the array may hold a wider dtype (complex32).
        shape: needed only when `array` is None.
        device: `str(tensor.device)`; it shows when it is not `default_device`.
        default_dtype_name: this dtype, its complex one, int64 and bool do not show.
        grad_fn_name: class name of the grad function, for `grad_fn=<...>`.
        class_name: `tensor` for Tensor and Parameter themselves, else the subclass's name.
        contents: text to show in place of the numbers.
        tangent: text of the forward-mode tangent.
    """
    if array is None and shape is None:
        raise ValueError("tensor_str() needs an array or a shape")
    shape = tuple(array.shape if array is not None else shape or ())
    indent = len(class_name) + 1
    default_complex = "complex128" if default_dtype_name == "float64" else "complex64"
    silent_dtypes = {default_dtype_name}
    if array is None or array.size == 0:
        tells_size = array is None or len(shape) != 1
    else:
        # The numbers themselves show which of these it is.
        silent_dtypes |= {default_complex, "int64", "bool"}
        tells_size = not PRINT_OPTS.edgeitems

    suffixes = []
    if device != default_device:
        suffixes.append(f"device='{device}'")
    if tells_size:
        suffixes.append(f"size={shape}")
    if dtype_name not in silent_dtypes:
        suffixes.append(f"dtype=torch.{dtype_name}")
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")

    if contents is None:
        contents = "..." if array is None else _contents(array, indent)
    return _with_suffixes(f"{class_name}({contents}", suffixes, indent)
