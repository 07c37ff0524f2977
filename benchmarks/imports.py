"""How long `import torchish` takes, against `import jax`, in fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial

from .timing import medians, report


def fresh(statement: str, cache: str) -> None:
    """Run one import in a new interpreter, with compiled bytecode as an installed package has."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, "-c", statement], check=True, env=env)


def main() -> dict[str, float]:
    """Measure and print; an empty interpreter's start is taken off."""
    statements = {
        "python": "pass",
        "jax": "import jax, jax.numpy",
        "PyTorch": "import torch",
        "torchish": "import torchish",
    }
    with tempfile.TemporaryDirectory() as cache:
        runs = {name: partial(fresh, s, cache) for name, s in statements.items()}
        times = medians(runs, warmup=1, rounds=7)
    start = times.pop("python")
    times = {name: seconds - start for name, seconds in times.items()}
    report("import", times)
    return times
