"""A Jupyter kernel in which `import torch` finds torchish."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

NAME = "torchish"


def spec() -> dict[str, object]:
    """What Jupyter has to know: IPython's kernel, started by the launcher."""
    launcher = [sys.executable, "-m", "torchish", "-m", "ipykernel_launcher"]
    return {
        "argv": [*launcher, "-f", "{connection_file}"],
        "display_name": "Python (torchish)",
        "language": "python",
        "metadata": {"debugger": True},
    }


def install(prefix: str | None = None) -> None:
    """Write the kernel's folder where Jupyter looks: for this user, or below `prefix`."""
    try:
        import ipykernel  # noqa: F401 - the kernel that the specification starts
        from jupyter_client.kernelspec import KernelSpecManager
    except ModuleNotFoundError as error:
        sys.exit(f"torchish: a kernel needs Jupyter's {error.name}: pip install ipykernel")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernel.json").write_text(json.dumps(spec(), indent=1) + "\n")
        where = KernelSpecManager().install_kernel_spec(
            folder, NAME, user=prefix is None, prefix=prefix
        )
    print(f"installed the kernel {NAME!r} in {where}")
