"""oneDNN through XLA's foreign function interface, where the optional package torchish-cpu is.

Nothing is loaded before a program on the CPU contains an operator that oneDNN could run. What it
cannot run, or runs by its slow reference code only, is known before a program is built: the same
primitive is made on trial (`implementation`).
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import threading
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._ahead.forecast import listeners
from ..._basics.settings import settings
from ..._core.trace import forget_programs
from .xla_maps import ConvShape

# Names of targets are those of the library's functions and a version: programs in the persistent
# cache refer to them by name.
CONV, CONV_PACKED = "torchish_conv_1", "torchish_conv_packed_1"
MATMUL, UPDATES = "torchish_matmul_1", "torchish_updates_1"
LSTM, LSTM_GRADIENT = "torchish_lstm_1", "torchish_lstm_gradient_1"
GRU, GRU_GRADIENT = "torchish_gru_1", "torchish_gru_gradient_1"
MAX_POOL, MAX_POOL_GRADIENT = "torchish_max_pool_1", "torchish_max_pool_gradient_1"
ATTENTION, ATTENTION_GRADIENT = "torchish_attention_1", "torchish_attention_gradient_1"
_TARGETS = (
    CONV, CONV_PACKED, MATMUL, UPDATES, LSTM, LSTM_GRADIENT, GRU, GRU_GRADIENT, MAX_POOL,
    MAX_POOL_GRADIENT, ATTENTION, ATTENTION_GRADIENT,
)  # fmt: skip
FORWARD, INPUT_GRAD, WEIGHT_GRAD = 0, 1, 2

FEWEST_CHANNELS = 16
TYPES = (jnp.dtype(jnp.float32), jnp.dtype(jnp.bfloat16))

# `torch.backends.mkldnn.enabled`.
enabled = True


class _Lowering(threading.local):
    """Whether what this thread lowers now is exported, and runs where the package is not."""

    exported = False


_lowering = _Lowering()


def switch(on: bool) -> None:
    """Let new programs use oneDNN or not; the compiled ones were made for the other answer."""
    global enabled
    if on != enabled:
        enabled = on
        forget_programs()


@functools.cache
def library() -> Any:
    """The loaded library with its targets registered, or a text that says why there is none."""
    if not settings.onednn:
        return "switched off by TORCHISH_ONEDNN=0"
    if importlib.util.find_spec("torchish_cpu") is None:
        return "the package torchish-cpu is not installed"
    import torchish_cpu

    try:
        loaded = ctypes.CDLL(str(torchish_cpu.LIBRARY))
    except OSError as error:
        return f"the library of torchish-cpu cannot be loaded: {error}"
    try:
        targets = {name: loaded[name.rpartition("_")[0]] for name in _TARGETS}
        script = ctypes.PyDLL(loaded._name).torchish_script  # keeps the lock, which takes longer
    except AttributeError:
        return "the package torchish-cpu is older than torchish: install it anew"
    for name, function in targets.items():
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(function), platform="cpu")
    script.argtypes, script.restype = [ctypes.c_int64], None
    listeners.append(script)
    return loaded


def is_available() -> bool:
    """Whether convolutions on the CPU may be oneDNN's."""
    return not isinstance(library(), str)


def is_wanted() -> bool:
    """Whether what is being lowered may call oneDNN."""
    return enabled and not _lowering.exported and is_available()


def portable(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A lowering rule that leaves oneDNN out of exported programs: they go to other machines."""

    @functools.wraps(rule)
    def lowered(ctx: Any, *args: Any, **params: Any) -> Any:
        before = _lowering.exported
        _lowering.exported = getattr(ctx.module_context.lowering_parameters, "for_export", False)
        try:
            return rule(ctx, *args, **params)
        finally:
            _lowering.exported = before

    return lowered


def reason() -> str:
    """Why oneDNN is not there; empty where it is."""
    found = library()
    return found if isinstance(found, str) else ""


def version() -> str:
    """The version of oneDNN that the package brings."""
    text = ctypes.create_string_buffer(64)
    library().torchish_onednn_version(text, ctypes.c_int64(64))
    return text.value.decode()


Shape = tuple[int, ...]


def shapes(kind: int, a: Any, b: Any, geo: ConvShape) -> tuple[Shape, Shape, Shape]:
    """The shapes of x, w and y of a convolution whose map `kind` takes a and b."""
    n, out = a.shape[0], b.shape[1 if kind == WEIGHT_GRAD else 0]
    channels = b.shape[1] * geo.groups if kind == INPUT_GRAD else a.shape[1]
    w = (out, channels // geo.groups, *geo.kernel)
    return (n, channels, *geo.size), w, (n, out, *geo.output)


def takes(kind: int, a: Any, b: Any, geo: ConvShape) -> bool:
    """Whether oneDNN runs a map of these operands well."""
    if a.dtype not in TYPES or not is_wanted():
        return False
    x, w, _ = shapes(kind, a, b, geo)
    # What oneDNN is not made for, or refuses in ways of its own.
    if 0 in (*x, *w, *geo.output) or max(map(np.prod, (x, w))) >= 1 << 31:
        return False
    for n, k, s, d, (low, _), out in zip(
        geo.size, geo.kernel, geo.stride, geo.dilation, geo.padding, geo.output, strict=True
    ):
        reach = d * (k - 1) + 1
        high = (out - 1) * s + reach - n - low
        if not (0 <= low < reach and -s < high < reach):
            return False
    name = implementation(kind, x, w, geo, a.dtype == jnp.bfloat16)
    if kind == INPUT_GRAD and "strided" in name and x[1] // geo.groups < FEWEST_CHANNELS:
        return False  # twice as slow as XLA's for images of 3 channels
    return bool(name) and "ref" not in name


def _described(kind: int, x: Shape, w: Shape, geo: ConvShape, half: bool) -> list[Any]:
    """A convolution as the library's functions take it."""
    low = tuple(p[0] for p in geo.padding)
    y = (x[0], w[0], *geo.output)
    arrays = [(ctypes.c_int64 * len(v))(*v) for v in (x, w, y, geo.stride, low, geo.dilation)]
    numbers = map(ctypes.c_int64, (kind, int(half), geo.groups, 0, len(geo.size)))
    return [*numbers, *arrays]


@functools.lru_cache(maxsize=4096)
def implementation(kind: int, x: Shape, w: Shape, geo: ConvShape, half: bool = False) -> str:
    """The name of the kernel that oneDNN has for a convolution, empty if it has none."""
    text = ctypes.create_string_buffer(256)
    what = _described(kind, x, w, geo, half)
    failed = library().torchish_conv_implementation(*what, text, ctypes.c_int64(256))
    return "" if failed else text.value.decode()


def packed_bytes(kind: int, a: Any, w: Any, geo: ConvShape) -> int:
    """How long packed weights are; 0 where the convolution takes them as they are."""
    what = _described(kind, *shapes(kind, a, w, geo)[:2], geo, a.dtype == jnp.bfloat16)
    count = library().torchish_conv_packed_bytes
    count.restype = ctypes.c_int64
    return int(count(*what, _threads()))


def pack(kind: int, a: Any, w: np.ndarray[Any, Any], geo: ConvShape) -> np.ndarray[Any, Any]:
    """Weights in the order in which oneDNN takes them, behind a label: for which convolution."""
    size = packed_bytes(kind, a, w, geo)
    room = np.zeros(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    made = room[start : start + size]
    what = _described(kind, *shapes(kind, a, w, geo)[:2], geo, a.dtype == jnp.bfloat16)
    pointers = (ctypes.c_void_p(array.ctypes.data) for array in (w, made))
    if library().torchish_conv_pack(*what, _threads(), *pointers):
        raise RuntimeError(f"oneDNN cannot pack weights of shape {w.shape}")
    return made


def _threads() -> Any:
    """How many threads XLA has; a convolution of other parts takes weights as they are."""
    own = getattr(os, "sched_getaffinity", None)
    return ctypes.c_int64(len(own(0)) if own else os.cpu_count() or 1)


def conv(kind: int, a: Any, b: Any, geo: ConvShape, packed: Any = None) -> Any:
    """One of the three maps of a convolution, by oneDNN.

    `packed`: what `pack` made of b, or zeros of that length.
    """
    x, w, y = shapes(kind, a, b, geo)
    out = jax.ShapeDtypeStruct((y, x, w)[kind], a.dtype)
    more = () if packed is None else (packed,)
    return jax.ffi.ffi_call(CONV_PACKED if more else CONV, out)(
        a,
        b,
        *more,
        kind=np.int64(kind),
        groups=np.int64(geo.groups),
        last=np.int64(0),
        stride=np.array(geo.stride, np.int64),
        low=np.array([p[0] for p in geo.padding], np.int64),
        dilation=np.array(geo.dilation, np.int64),
    )
