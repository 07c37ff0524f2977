"""The one place where environment variables are read (but for torchrun's, which are a protocol)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


def _flag(name: str, default: str = "") -> bool:
    return os.environ.get(name, default).lower() in {"1", "true", "yes", "on"}


def _cache_folder() -> str | None:
    """Folder of XLA's persistent compilation cache; TORCHISH_CACHE=0 turns it off."""
    value = os.environ.get("TORCHISH_CACHE")
    if value is not None:
        return None if value in {"", "0", "off", "no", "false"} else value
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(root) / "torchish" / "xla")


@dataclass
class Settings:
    """What the environment chose, read once when torchish is imported.

    TORCHISH_EAGER=1 interprets every program, operator by operator (debugging).
    TORCHISH_COMPILE=1 compiles every program whole at its first flush.
    TORCHISH_KERNELS=1 runs cold programs as other devices than the CPU do: not in numpy but as one
    compiled program a kernel.
    TORCHISH_LOG=compiles writes a line to stderr for each program that is compiled.
    TORCHISH_CACHE=PATH moves the compilation cache; 0 turns it off.
    TORCHISH_MAX_NODES bounds a trace (default 10000 nodes).
    TORCHISH_MAX_BYTES bounds what pending values may hold (default 4 GiB).
    TORCHISH_JAX_X64=0 leaves JAX's own default of 32 bits for code outside of torchish.
    TORCHISH_TRACEBACK=full shows the frames of torchish and JAX in tracebacks.
    TORCHISH_ONEDNN=0 leaves oneDNN out where torchish-cpu is installed.
    TORCHISH_RECORDER=0 leaves out its call path in C (recorder.py).
    TORCHISH_AHEAD=0 runs no program before its step is recorded (`_ahead`).
    TORCHISH_MALLOC=default leaves the C allocator's thresholds alone (allocator.py).
    TORCHISH_FAKE_CUDA=1 presents JAX's host devices as cuda:0..N-1.
    """

    eager: bool = field(default_factory=lambda: _flag("TORCHISH_EAGER"))
    compiled: bool = field(default_factory=lambda: _flag("TORCHISH_COMPILE"))
    kernels: bool = field(default_factory=lambda: _flag("TORCHISH_KERNELS"))
    log_compiles: bool = field(
        default_factory=lambda: "compiles" in os.environ.get("TORCHISH_LOG", "").split(",")
    )
    cache_folder: str | None = field(default_factory=_cache_folder)
    max_nodes: int = field(
        default_factory=lambda: int(os.environ.get("TORCHISH_MAX_NODES", 10_000))
    )
    max_bytes: int = field(
        default_factory=lambda: int(os.environ.get("TORCHISH_MAX_BYTES", 4 << 30))
    )
    jax_x64: bool = field(default_factory=lambda: _flag("TORCHISH_JAX_X64", "1"))
    full_tracebacks: bool = field(
        default_factory=lambda: os.environ.get("TORCHISH_TRACEBACK", "").lower() == "full"
    )
    onednn: bool = field(default_factory=lambda: _flag("TORCHISH_ONEDNN", "1"))
    recorder: bool = field(default_factory=lambda: _flag("TORCHISH_RECORDER", "1"))
    ahead: bool = field(default_factory=lambda: _flag("TORCHISH_AHEAD", "1"))
    keep_memory: bool = field(
        default_factory=lambda: os.environ.get("TORCHISH_MALLOC", "keep").lower() != "default"
    )
    fake_cuda: bool = field(default_factory=lambda: _flag("TORCHISH_FAKE_CUDA"))


settings = Settings()


# --- torch's own variables, read whenever torch reads them ----------------------------------------


def torch_home() -> str:
    """Where torch keeps downloads: TORCH_HOME, else a folder of the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")))


def forced_weights_only() -> tuple[bool, bool]:
    """TORCH_FORCE_WEIGHTS_ONLY_LOAD and TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD."""
    on = ("1", "y", "yes", "true")
    force, force_not = (
        os.environ.get(f"TORCH_FORCE_{which}WEIGHTS_ONLY_LOAD", "0").lower() in on
        for which in ("", "NO_")
    )
    return force, force_not


def visible_cuda() -> str | None:
    """CUDA_VISIBLE_DEVICES."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")
