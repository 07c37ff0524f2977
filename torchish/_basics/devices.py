"""`torch.device` and its mapping to JAX devices.

`cpu` is XLA's CPU, `cuda:i` the i-th GPU, `xla:i` the i-th TPU core, `meta` has no data.
"""

from __future__ import annotations

import functools
from typing import Any

import jax

from .settings import settings, visible_cuda
from .state import process, state

_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga",
    "maia", "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


_made: dict[tuple[str, int | None], device] = {}


class device:
    """A device such as `torch.device("cuda:1")`; also a context manager that sets the default.

    There is one object a device, so that devices compare and hash by identity: every operator call
    looks one up.

    Raises: RuntimeError for an unknown device string.
    """

    __slots__ = ("index", "type")
    __module__ = "torch"
    type: str
    index: int | None

    def __new__(cls, type: Any, index: int | None = None) -> device:
        if isinstance(type, device):
            return type
        if isinstance(type, int) and index is None:
            return cls._make("cuda", type)
        if not isinstance(type, str):
            raise TypeError(
                f"device(): argument 'type' (position 1) must be str, not {type.__class__.__name__}"
            )
        name, _, number = type.partition(":")
        if number and index is not None:
            raise RuntimeError(
                "type (string) must not include an index because index was passed explicitly: "
                + type
            )
        if name not in _TYPES:
            raise RuntimeError(
                f"Expected one of {', '.join(_TYPES)} device type at start of device string: {name}"
            )
        if ":" in type:
            if not number.isdigit() or (number != "0" and number.startswith("0")):
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        if index is not None and index < 0:
            raise RuntimeError("Device index must not be negative")
        return cls._make(name, index)

    @classmethod
    def _make(cls, name: str, index: int | None) -> device:
        found = _made.get((name, index))
        if found is None:
            made = object.__new__(cls)
            made.type = name
            made.index = index
            found = _made.setdefault((name, index), made)
        return found

    def __repr__(self) -> str:
        if self.index is None:
            return f"device(type='{self.type}')"
        return f"device(type='{self.type}', index={self.index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __reduce__(self) -> Any:
        return (_device, (self.type, self.index))

    def __enter__(self) -> device:
        state.device_stack.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        state.device_stack.pop()


def _device(kind: str, index: int | None) -> device:
    """What pickles call: the class is known as torch.device, which need not be importable."""
    return device(kind, index)


CPU = device("cpu")
META = device("meta")


@functools.cache
def jax_devices(kind: str) -> list[Any]:
    """The JAX devices that torch's device type `kind` stands for (empty when there are none)."""
    if kind == "cpu":
        return [jax.devices("cpu")[0]]
    if kind == "cuda":
        found = jax.devices("cpu") if settings.fake_cuda else _platform("cuda")
        return _visible(found)
    if kind == "xla":
        return _platform("tpu")
    return []


def _platform(name: str) -> list[Any]:
    try:
        return list(jax.devices(name))
    except RuntimeError:  # JAX has no backend of that name on this machine
        return []


def _visible(found: list[Any]) -> list[Any]:
    """CUDA_VISIBLE_DEVICES for simulated devices (the CUDA runtime itself applies it to "
    "real ones)."""
    chosen = visible_cuda()
    if not settings.fake_cuda or chosen is None:
        return found
    picked = []
    for part in chosen.split(","):
        if not part.strip().isdigit() or int(part) >= len(found):
            break
        picked.append(found[int(part)])
    return picked


def resolve(spec: Any = None) -> device:
    """The concrete device (with an index where torch gives one) that `spec` names.

    Raises: torch's errors for a device that this machine lacks.
    """
    if spec is None:
        if state.device_stack:
            return resolve(state.device_stack[-1])
        return CPU if process.default_device is None else process.default_device
    if spec.__class__ is not device:
        spec = device(spec)
    if spec.type in ("cpu", "meta"):
        return CPU if spec.type == "cpu" else META
    found = jax_devices(spec.type)
    index = spec.index
    if spec.type == "cuda":
        if not found:
            raise no_cuda()
        index = current_cuda() if index is None else index
        if index >= len(found):
            raise RuntimeError(
                "CUDA error: invalid device ordinal\nGPU device may be out of range, do you have "
                "enough GPUs?"
            )
    elif not found:
        raise RuntimeError(
            f"PyTorch is not linked with support for {spec.type} devices"
            if spec.type != "xla"
            else "xla device requested, but JAX finds no TPU on this machine"
        )
    return device._make(spec.type, index or 0)


def no_cuda() -> Exception:
    """torch's class and text for a build without CUDA, and how to get one that has it."""
    from importlib.util import find_spec

    plugin = any(find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    why = (
        "JAX's CUDA plugin is installed, but it finds no NVIDIA GPU (JAX_PLATFORMS, the driver)"
        if plugin
        else "for an NVIDIA GPU install JAX's CUDA plugin: pip install 'torchish[cuda]'"
    )
    return AssertionError(f"Torch not compiled with CUDA enabled\n{why}")


def current_cuda() -> int:
    """Index of the current CUDA device of this thread."""
    return state.cuda_index


def set_current_cuda(index: int) -> None:
    """Make `index` this thread's current CUDA device."""
    state.cuda_index = index


@functools.cache
def jax_device(dev: device) -> Any:
    """The JAX device behind a concrete torch device."""
    return jax_devices(dev.type)[dev.index or 0]


@functools.cache
def from_jax(jax_dev: Any) -> device:
    """The torch device of a JAX device."""
    for kind in ("cuda", "xla"):
        if jax_dev in jax_devices(kind):
            return device._make(kind, jax_devices(kind).index(jax_dev))
    return CPU
