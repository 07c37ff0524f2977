"""How long `import torchish` takes, against `import jax`, in fresh processes."""

from __future__ import annotations

import subprocess
import sys

from .timing import medians, report


def fresh(statement: str) -> None:
    """Run one import in a new interpreter."""
    subprocess.run([sys.executable, "-c", statement], check=True)


def main() -> dict[str, float]:
    """Measure and print; an empty interpreter's start is taken off."""
    times = medians(
        {
            "python": lambda: fresh("pass"),
            "jax": lambda: fresh("import jax, jax.numpy"),
            "PyTorch": lambda: fresh("import torch"),
            "torchish": lambda: fresh("import torchish"),
        },
        warmup=1,
        rounds=7,
    )
    start = times.pop("python")
    times = {name: seconds - start for name, seconds in times.items()}
    report("import", times)
    return times
