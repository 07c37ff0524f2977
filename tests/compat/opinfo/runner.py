"""Runs OpInfo entries through both libraries and writes one JSON line an entry and dtype.

python -m tests.compat.opinfo.runner --shard 1/4 --dtypes float32,int64 --output part1.jsonl
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

from torchish._basics.settings import settings
from torchish._ops.call.operator import forget_kernels

from .checks import EVERYTHING, Limits, examine, examine_errors
from .excluded import excluded, label

DTYPES = ("float32", "int64", "float64", "bool", "float16", "bfloat16", "complex64")


def entries(pattern: str = "") -> list[Any]:
    """The entries in scope, in a fixed order."""
    found = {label(op): op for op in op_db if not excluded(label(op))}
    return [op for name, op in sorted(found.items()) if pattern in name]


def in_shard(name: str, shard: str) -> bool:
    """Whether an entry belongs to part k of n ("k/n", counted from 1), by a hash of its name."""
    k, n = map(int, shard.split("/"))
    return zlib.crc32(name.encode()) % n == k - 1


def supported(op: Any, dtypes: tuple[str, ...]) -> list[torch.dtype]:
    """Which of the named dtypes the entry supports on the CPU."""
    have = op.supported_dtypes("cpu")
    return [d for d in (getattr(torch, name) for name in dtypes) if d in have]


# Importing PyTorch's test utilities makes its backend flags read-only for the whole process.
torch.backends.m.__allow_nonbracketed_mutation_flag = True


def prepare() -> None:
    """Node by node, so that kernels are shared between samples; the same numbers every time."""
    settings.eager = True
    torch.set_num_threads(1)
    random.seed(0)
    np.random.seed(0)


def release() -> None:
    """Drop compiled kernels: a run over everything would fill the memory with them."""
    forget_kernels()
    jax.clear_caches()
    gc.collect()


def rows(
    ops: list[Any], dtypes: tuple[str, ...], limits: Limits, with_errors: bool = True
) -> Iterator[dict[str, Any]]:
    """One row an entry and dtype, and one for the error inputs of each entry."""
    for count, op in enumerate(ops):
        if count % 20 == 19:
            release()
        for dtype in supported(op, dtypes):
            start = time.monotonic()
            np.random.seed(0)
            random.seed(0)
            found = examine(op, dtype, limits)
            spent = round(time.monotonic() - start, 1)
            name = str(dtype).removeprefix("torch.")
            yield {"entry": label(op), "dtype": name, "checks": found, "seconds": spent}
        if with_errors and op.error_inputs_func is not None:
            said = examine_errors(op, limits)
            text = examine_errors(op, limits, True) if said == "ok" else "-"
            checks = {"errors": said, "error text": text}
            yield {"entry": label(op), "dtype": "-", "checks": checks, "seconds": 0}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", default="1/1", help="part k of n, as k/n")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--match", default="", help="only entries whose name contains this")
    parser.add_argument("--all-samples", action="store_true", help="every sample of an entry")
    parser.add_argument("--no-errors", action="store_true")
    parser.add_argument("--output", default="-")
    chosen = parser.parse_args(arguments)
    prepare()
    ops = [op for op in entries(chosen.match) if in_shard(label(op), chosen.shard)]
    limits = EVERYTHING if chosen.all_samples else Limits()
    sink = sys.stdout if chosen.output == "-" else open(chosen.output, "w")
    names = tuple(chosen.dtypes.split(","))
    for row in rows(ops, names, limits, not chosen.no_errors):
        print(json.dumps(row), file=sink, flush=True)


if __name__ == "__main__":
    main()
