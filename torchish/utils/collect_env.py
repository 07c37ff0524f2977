"""What this machine and installation are, as text for a bug report.

python -m torchish.utils.collect_env
"""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any, NamedTuple

_PACKAGES = ("torchish", "jax", "jaxlib", "numpy", "optax", "pillow")


class SystemEnv(NamedTuple):
    """The facts, one a field."""

    torch_version: str
    is_debug_build: str
    jax_version: str
    backend: str
    devices: list[str]
    os: str
    libc_version: str
    python_version: str
    python_platform: str
    cpu_count: int
    pip_packages: list[str]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def get_env_info() -> SystemEnv:
    """Gather the facts."""
    import os

    import jax

    from ..version import __version__

    packages = [f"{n}=={v}" for n in _PACKAGES if (v := _version(n)) is not None]
    return SystemEnv(
        torch_version=__version__, is_debug_build="False", jax_version=jax.__version__,
        backend=jax.default_backend(), devices=[str(d) for d in jax.devices()],
        os=f"{platform.system()} {platform.release()} ({platform.machine()})",
        libc_version="-".join(platform.libc_ver()), python_version=sys.version.replace("\n", " "),
        python_platform=platform.platform(), cpu_count=os.cpu_count() or 1, pip_packages=packages,
    )  # fmt: skip


def pretty_str(envinfo: SystemEnv) -> str:
    """The facts as lines of text."""
    names = {
        "torch_version": "PyTorch version", "is_debug_build": "Is debug build",
        "jax_version": "JAX version", "backend": "XLA backend", "devices": "Devices", "os": "OS",
        "libc_version": "Libc version", "python_version": "Python version",
        "python_platform": "Python platform", "cpu_count": "CPU count",
        "pip_packages": "Versions of relevant libraries",
    }  # fmt: skip

    def shown(value: Any) -> str:
        return "".join(f"\n[pip3] {v}" for v in value) if isinstance(value, list) else str(value)

    return "\n".join(f"{names[k]}: {shown(v)}" for k, v in envinfo._asdict().items())


def get_pretty_env_info() -> str:
    """Gather the facts as text."""
    return pretty_str(get_env_info())


def main() -> None:
    """Print them."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
