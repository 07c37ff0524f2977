"""`assert_close`: equal up to tolerances that fit the dtype, with torch's texts."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._autograd.interop import host_array
from .._basics import dtypes
from .._basics.dtypes import promote_types
from .._ops.registry import ops
from .._tensor.tensor import Tensor

# rtol and atol by dtype; everything else is compared exactly.
_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-5), dtypes.bfloat16: (1.6e-2, 1e-5), dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7), dtypes.complex64: (1.3e-6, 1e-5),
    dtypes.complex128: (1e-7, 1e-7),
}  # fmt: skip
_NUMBERS = {
    bool: dtypes.bool_,
    int: dtypes.int64,
    float: dtypes.float64,
    complex: dtypes.complex128,
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Assert |actual - expected| <= atol + rtol |expected|, in containers too.

    Args:
        rtol, atol: both or neither; by default they fit the dtypes.
        msg: a text, or a function of the text, that replaces the error's.
    Raises: AssertionError; TypeError for things that cannot be compared; ValueError for one
        tolerance without the other.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
            f"{'rtol' if rtol is None else 'atol'}."
        )
    check = _Check(
        allow_subclasses, rtol, atol, equal_nan, check_device, check_dtype, check_layout,
        check_stride,
    )  # fmt: skip
    try:
        check.compare(actual, expected, ())
    except _Mismatch as found:
        text = str(found)
        if found.path:
            text += f"\n\nThe failure occurred for item {''.join(f'[{k!r}]' for k in found.path)}"
        raise AssertionError(text if msg is None else msg(text) if callable(msg) else msg) from None


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """The old, looser form of `assert_close`; warns."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a "
        "future release. Please use `torch.testing.assert_close()` instead.",
        FutureWarning,
        stacklevel=2,
    )
    both = [x if isinstance(x, Tensor) else ops.tensor(x) for x in (actual, expected)]
    if rtol is None and atol is None:
        half = any(x.dtype is dtypes.float16 for x in both)
        rtol, atol = (1e-3, 1e-3) if half else (1e-5, 1e-8) if any(
            x.dtype is dtypes.float64 for x in both
        ) else (1e-4, 1e-5)  # fmt: skip
    assert_close(
        *both, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False,
        msg=msg or None,
    )  # fmt: skip


class _Mismatch(Exception):
    def __init__(self, text: str, path: tuple[Any, ...]) -> None:
        super().__init__(text)
        self.path = path


class _Check:
    """The options of one comparison."""

    def __init__(
        self, subclasses: bool, rtol: float | None, atol: float | None, equal_nan: bool,
        device: bool, dtype: bool, layout: bool, stride: bool,
    ) -> None:  # fmt: skip
        self.subclasses, self.rtol, self.atol, self.equal_nan = subclasses, rtol, atol, equal_nan
        self.device, self.dtype, self.layout, self.stride = device, dtype, layout, stride

    def compare(self, a: Any, b: Any, path: tuple[Any, ...]) -> None:
        """Compare two things; `path` says where they are."""
        if isinstance(a, Sequence) and isinstance(b, Sequence) and not (
            isinstance(a, str) or isinstance(b, str)
        ):  # fmt: skip
            if len(a) != len(b):
                raise _Mismatch(f"The length of the sequences mismatch: {len(a)} != {len(b)}", path)
            for k, (x, y) in enumerate(zip(a, b, strict=True)):
                self.compare(x, y, (*path, k))
        elif isinstance(a, Mapping) and isinstance(b, Mapping):
            missing, extra = b.keys() - a.keys(), a.keys() - b.keys()
            if missing or extra:
                raise _Mismatch(
                    "The keys of the mappings do not match:\nMissing keys in the actual mapping: "
                    f"{sorted(missing)}\nAdditional keys in the actual mapping: {sorted(extra)}",
                    path,
                )
            for k in a:
                self.compare(a[k], b[k], (*path, k))
        elif a is None or b is None:
            if a is not b:
                raise _Mismatch(f"None mismatch: {a} is not {b}", path)
        elif isinstance(a, bool | np.bool_) and isinstance(b, bool | np.bool_):
            if bool(a) is not bool(b):
                raise _Mismatch(f"Booleans mismatch: {a} is not {b}", path)
        elif isinstance(a, numbers.Number) and isinstance(b, numbers.Number):
            self._numbers(a, b, path)
        elif self._related(a, b):
            self._tensors(_tensor(a), _tensor(b), path)
        else:
            raise TypeError(
                f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}."
            )

    def _related(self, a: Any, b: Any) -> bool:
        if not all(isinstance(x, Tensor | np.ndarray) for x in (a, b)):
            return False
        if type(a) is type(b):
            return True
        return self.subclasses and (isinstance(a, type(b)) or isinstance(b, type(a)))

    def _limits(self, *kinds: Any) -> tuple[float, float]:
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        found = [_TOLERANCES.get(k, (0.0, 0.0)) for k in kinds]
        return max(f[0] for f in found), max(f[1] for f in found)

    def _numbers(self, a: Any, b: Any, path: tuple[Any, ...]) -> None:
        kinds = [_NUMBERS[type(x)] for x in (a, b) if type(x) in _NUMBERS]
        if self.rtol is None and type(a) is not type(b) and len(kinds) == 2:
            kinds = [promote_types(*kinds)]
        self._scalars(a, b, self._limits(*kinds), path)

    def _scalars(self, a: Any, b: Any, limits: tuple[float, float], path: Any) -> None:
        rtol, atol = limits
        if a == b or (self.equal_nan and a != a and b != b):
            return
        off = abs(a - b)
        if off <= atol + rtol * abs(b) and off < float("inf"):
            return
        relative = off / abs(b) if b != 0 else float("inf")
        exact = rtol == 0 and atol == 0
        allowed = ["", ""] if exact else [f" (up to {atol} allowed)", f" (up to {rtol} allowed)"]
        raise _Mismatch(
            f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {b} but got {a}.\n"
            f"Absolute difference: {off}{allowed[0]}\nRelative difference: {relative}{allowed[1]}",
            path,
        )

    def _tensors(self, a: Any, b: Any, path: tuple[Any, ...]) -> None:
        self._attribute("shape", a.shape, b.shape, path)
        if self.device:
            self._attribute("device", a.device, b.device, path)
        if self.dtype:
            self._attribute("dtype", a.dtype, b.dtype, path)
        if self.layout:
            self._attribute("layout", a.layout, b.layout, path)
        if self.stride:
            self._attribute("stride()", a.stride(), b.stride(), path)
        if a.device.type == "meta":
            return
        limits = self._limits(a.dtype, b.dtype)
        wide = promote_types(a.dtype, b.dtype)
        x, y = (host_array(t.detach().to(wide)) for t in (a, b))
        if x.dtype.name in ("float16", "bfloat16") or (wide.itemsize == 1 and wide.category == 2):
            x, y = x.astype(np.float32), y.astype(np.float32)
        if wide is dtypes.bool_:
            x, y = x.astype(np.int64), y.astype(np.int64)
        if x.ndim == 0:
            self._scalars(x.item(), y.item(), limits, path)
            return
        self._arrays(x, y, limits, path)

    def _attribute(self, name: str, a: Any, b: Any, path: tuple[Any, ...]) -> None:
        if a != b:
            raise _Mismatch(f"The values for attribute '{name}' do not match: {a} != {b}.", path)

    def _arrays(self, x: Any, y: Any, limits: tuple[float, float], path: Any) -> None:
        rtol, atol = limits
        with np.errstate(all="ignore"):
            off = np.abs(x - y) if x.dtype.kind in "fc" else np.abs(x.astype(np.int64) - y)
            good = (x == y) | ((off <= atol + rtol * np.abs(y)) & np.isfinite(y))
            if self.equal_nan:
                good |= (x != x) & (y != y)
            if good.all():
                return
            relative = (
                off / np.abs(y)
                if x.dtype.kind in "fc"
                else (off.astype(np.float32) / np.abs(y).astype(np.float32))
            )
        exact = rtol == 0 and atol == 0
        lines = []
        for name, values, limit in (("absolute", off, atol), ("relative", relative, rtol)):
            shown = np.where(good, np.zeros((), values.dtype), values)
            flat = int(np.argmax(shown))
            index = tuple(int(i) for i in np.unravel_index(flat, shown.shape))
            allowed = "" if exact else f" (up to {limit} allowed)"
            lines.append(
                f"Greatest {name} difference: {shown.reshape(-1)[flat].item()} at index {index}"
                f"{allowed}"
            )
        wrong = int((~good).sum())
        raise _Mismatch(
            f"Tensor-likes are not {'equal' if exact else 'close'}!\n\nMismatched elements: {wrong}"
            f" / {good.size} ({wrong / good.size:.1%})\n" + "\n".join(lines),
            path,
        )


def _tensor(x: Any) -> Any:
    return x if isinstance(x, Tensor) else ops.as_tensor(x)
