"""Dtypes and type promotion.

Invariant: one `dtype` object exists per element type, so dtypes compare by identity, and JAX's own
promotion never decides a dtype: operands are cast by the rules in this file first.

Source: torch's "Tensor Attributes" page (type promotion doc).
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from .errors import not_supported

# Categories of torch's promotion: a higher category wins whatever the widths.
BOOL, INT, FLOAT, COMPLEX = range(4)


class dtype:
    """An element type, such as `torch.float32`."""

    __slots__ = (
        "category",
        "is_complex",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "name",
        "np",
    )

    def __init__(self, name: str, np_type: object, category: int, signed: bool = True) -> None:
        self.name = name
        self.np = np.dtype(np_type)  # type: ignore[call-overload]
        self.itemsize = self.np.itemsize
        self.category = category
        self.is_floating_point = category == FLOAT
        self.is_complex = category == COMPLEX
        self.is_signed = signed

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __getattr__(self, name: str) -> object:
        raise AttributeError(f"'torch.dtype' object has no attribute '{name}'")

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (by_name, (self.name,))

    def to_real(self) -> dtype:
        """The real dtype of the same precision."""
        return _TO_REAL.get(self, self)

    def to_complex(self) -> dtype:
        """The complex dtype of the same precision."""
        return _TO_COMPLEX.get(self, self)


float32 = dtype("float32", np.float32, FLOAT)
float64 = dtype("float64", np.float64, FLOAT)
float16 = dtype("float16", np.float16, FLOAT)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOAT)
float8_e4m3fn = dtype("float8_e4m3fn", ml_dtypes.float8_e4m3fn, FLOAT)
float8_e5m2 = dtype("float8_e5m2", ml_dtypes.float8_e5m2, FLOAT)
complex64 = dtype("complex64", np.complex64, COMPLEX)
complex128 = dtype("complex128", np.complex128, COMPLEX)
uint8 = dtype("uint8", np.uint8, INT, signed=False)
uint16 = dtype("uint16", np.uint16, INT, signed=False)
uint32 = dtype("uint32", np.uint32, INT, signed=False)
uint64 = dtype("uint64", np.uint64, INT, signed=False)
int8 = dtype("int8", np.int8, INT)
int16 = dtype("int16", np.int16, INT)
int32 = dtype("int32", np.int32, INT)
int64 = dtype("int64", np.int64, INT)
bool_ = dtype("bool", np.bool_, BOOL, signed=False)

ALL = (
    uint8, int8, int16, int32, int64, float16, float32, float64, complex64, complex128, bool_,
    bfloat16, float8_e5m2, float8_e4m3fn, uint16, uint32, uint64,
)  # fmt: skip
# What programs name, in tables and comparisons, although no tensor here has it.
_ONE_BYTE = ("float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2")
NAMED_ONLY = frozenset((
    *[dtype(name, "V1", FLOAT, signed=name != "float8_e8m0fnu") for name in _ONE_BYTE],
    *[dtype(f"int{k}", "V1", INT) for k in range(1, 8)],
    *[dtype(f"uint{k}", "V1", INT, signed=False) for k in range(1, 8)],
    *[dtype(name, "V1", INT) for name in ("qint8", "quint8", "quint4x2", "quint2x4")],
    *[dtype(f"bits{name}", "V1", INT, signed=False) for name in ("8", "1x8", "2x4", "4x2")],
    dtype("bits16", "V2", INT, signed=False), dtype("qint32", "V4", INT),
    dtype("complex32", "V4", COMPLEX),
))  # fmt: skip
BY_NAME = {d.name: d for d in (*ALL, *NAMED_ONLY)}
qint8 = BY_NAME["qint8"]
ALIASES = {
    "float": float32, "double": float64, "half": float16, "cfloat": complex64,
    "cdouble": complex128, "short": int16, "int": int32, "long": int64,
}  # fmt: skip
_BY_NP = {d.np: d for d in ALL}
_TO_REAL = {complex64: float32, complex128: float64}
_TO_COMPLEX = {float32: complex64, float64: complex128}


# Python's types count as the widest dtypes of their kinds, wherever a dtype is asked for.
PYTHON_TYPES: dict[object, dtype] = {
    int: int64, float: float64, bool: bool_, complex: complex128,
}  # fmt: skip


def wanted(given: Any) -> Any:
    """What a `dtype=` means: Python's types stand for dtypes; other things are given back.

    Raises: NotSupportedError for a dtype that has a name only.
    """
    if type(given) is type:
        return PYTHON_TYPES.get(given, given)
    if type(given) is dtype and given in NAMED_ONLY:
        way = "complex64" if given.is_complex else "float8_e4m3fn, float8_e5m2, or wider dtypes"
        if "qint" in given.name or given.name.startswith("quint"):
            way = "torch.ao.quantization.quantize_dynamic of linear layers"
        raise not_supported(f"tensors of torch.{given.name}", way)
    return given


def by_name(name: str) -> dtype:
    """The dtype called `name` (pickles refer to dtypes by name)."""
    return BY_NAME[name]


def from_np(np_dtype: object) -> dtype:
    """The torch dtype of a numpy dtype; raises torch's TypeError for the others."""
    try:
        return _BY_NP[np.dtype(np_dtype)]  # type: ignore[call-overload]
    except KeyError:
        raise TypeError(
            f"can't convert np.ndarray of type {np.dtype(np_dtype).type.__module__}."  # type: ignore[call-overload]
            f"{np.dtype(np_dtype).type.__name__}. The only supported types are: float64, float32, "  # type: ignore[call-overload]
            "float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, "
            "uint8, and bool."
        ) from None


def _lattice() -> dict[tuple[dtype, dtype], dtype]:
    """All pairs of `promote_types`, worked out once from the rules."""
    table = {}
    for a in ALL:
        for b in ALL:
            joined = _join(a, b)
            if joined is not None:
                table[a, b] = joined
    return table


def _join(a: dtype, b: dtype) -> dtype | None:
    if a is b:
        return a
    if "float8" in a.name or "float8" in b.name:
        return None
    wide = {uint16, uint32, uint64}
    low, high = sorted((a, b), key=lambda d: d.category)
    if (low in wide and high.category in (INT, COMPLEX)) or (high in wide and low.category == INT):
        return None  # torch refuses wide unsigned integers here
    if low.category != high.category:
        if high.category == COMPLEX and low.category == FLOAT:
            return complex128 if low is float64 or high is complex128 else complex64
        return high
    if low.category == INT:
        return _join_ints(a, b)
    if low.category == FLOAT and {a, b} == {float16, bfloat16}:
        return float32
    return max(a, b, key=lambda d: d.itemsize)


def _join_ints(a: dtype, b: dtype) -> dtype | None:
    if a.is_signed == b.is_signed:
        return max(a, b, key=lambda d: d.itemsize)
    signed = a if a.is_signed else b  # the other is uint8
    return int16 if signed is int8 else signed


_PROMOTE = _lattice()


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that both promote to.

    Raises: RuntimeError for float8 and for signed with wide unsigned integers.
    """
    try:
        return _PROMOTE[a, b]
    except KeyError:
        if "float8" in a.name or "float8" in b.name:
            raise RuntimeError(
                "Promotion for Float8 Types is not supported, attempted to promote "
                f"{SCALAR_NAMES[a]} and {SCALAR_NAMES[b]}"
            ) from None
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{SCALAR_NAMES[a]} and {SCALAR_NAMES[b]}"
        ) from None


# torch's C++ names of the element types, as its error texts show them.
SCALAR_NAMES = {
    uint8: "Byte", int8: "Char", int16: "Short", int32: "Int", int64: "Long", float16: "Half",
    float32: "Float", float64: "Double", complex64: "ComplexFloat", complex128: "ComplexDouble",
    bool_: "Bool", bfloat16: "BFloat16", float8_e5m2: "Float8_e5m2",
    float8_e4m3fn: "Float8_e4m3fn", uint16: "UInt16", uint32: "UInt32", uint64: "UInt64",
}  # fmt: skip
CPP_NAMES = {
    uint8: "unsigned char", int8: "signed char", int16: "short", int32: "int", int64: "long int",
    float16: "c10::Half", float32: "float", float64: "double", complex64: "c10::complex<float>",
    complex128: "c10::complex<double>", bool_: "bool", bfloat16: "c10::BFloat16",
    uint16: "short unsigned int", uint32: "unsigned int", uint64: "long unsigned int",
    float8_e5m2: "c10::Float8_e5m2", float8_e4m3fn: "c10::Float8_e4m3fn",
}  # fmt: skip


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether torch writes a `from_` result into a `to` tensor in place or through `out=`.

    Source: torch.can_cast: no cast from a higher category to a lower one.
    """
    return from_.category <= to.category


def result_type(dims: list[dtype], zeros: list[dtype], wrapped: list[dtype]) -> dtype:
    """The promoted dtype of operands that are tensors with dims, 0-dim tensors and numbers.

    A lower group decides only by its category: `int_tensor + 1.5` is float, `float32 + float64
    0-dim` stays float32. Source: torch's type promotion doc.
    """
    return _combine(_joined(dims), _combine(_joined(zeros), _joined(wrapped)))  # type: ignore[return-value]


def _joined(group: list[dtype]) -> dtype | None:
    found: dtype | None = None
    for d in group:
        found = d if found is None else promote_types(found, d)
    return found


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    if higher is None or lower is None:
        return lower if higher is None else higher
    if higher.is_complex:
        return higher
    if higher.is_floating_point:
        if lower.is_complex:
            return complex128 if higher is float64 else complex64
        return higher
    if higher is bool_ or lower.category >= FLOAT:
        return promote_types(higher, lower)
    return higher
