"""What parallelism costs: a perceptron's step over several devices and over several processes.

Against one device on the same joined batch, in the same run. Devices here are simulated ones and
processes share this machine's cores, so there is nothing to gain: the ratio is the overhead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from .timing import medians

BATCH, SIZES, DEVICES, RANKS = 256, (784, 512, 512, 10), 4, 2
MARK = "figures: "


def net(torch: Any) -> Any:
    """784-512-512-10."""
    torch.manual_seed(0)
    layers: list[Any] = []
    for n, m in pairwise(SIZES):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def stepper(torch: Any, model: Any, x: Any, y: Any) -> Callable[[], None]:
    """One training step; the loss is read."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def run() -> None:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return run


def data(torch: Any, device: str) -> tuple[Any, Any]:
    """One joined batch."""
    torch.manual_seed(1)
    x, y = torch.randn(BATCH, SIZES[0]), torch.randint(SIZES[-1], (BATCH,))
    return x.to(device), y.to(device)


def devices() -> dict[str, float]:
    """DataParallel on simulated devices, the exchange alone, and two ways of calling SPMD code."""
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    import torchish as torch

    x, y = data(torch, "cuda:0")
    one, many = net(torch).to("cuda:0"), torch.nn.DataParallel(net(torch).to("cuda:0"))
    mesh = Mesh(np.array(jax.devices()[:DEVICES]), ("i",))
    spread = NamedSharding(mesh, PartitionSpec("i"))

    def mapped(fn: Any) -> Any:
        return jax.jit(
            jax.shard_map(fn, mesh=mesh, in_specs=PartitionSpec("i"), out_specs=PartitionSpec("i"))
        )

    grads = [
        jax.device_put(np.ones((DEVICES, *p.shape), np.float32), spread) for p in one.parameters()
    ]
    total = mapped(lambda gs: [jax.lax.psum(g, "i") / DEVICES + 0 * g for g in gs])
    small = jax.device_put(np.ones((DEVICES, 4), np.float32), spread)
    by_jit, by_pmap = mapped(lambda v: v * 2), jax.pmap(lambda v: v * 2)
    placed = by_pmap(np.ones((DEVICES, 4), np.float32))
    times = medians(
        {
            "one": stepper(torch, one, x, y),
            "many": stepper(torch, many, x, y),
            "exchange": lambda: jax.block_until_ready(total(grads)),
        },
        warmup=4,
        rounds=25,
    )
    calls = medians(
        {
            "shard_map": lambda: jax.block_until_ready(by_jit(small)),
            "pmap": lambda: jax.block_until_ready(by_pmap(placed)),
        },
        warmup=10,
        rounds=300,
    )
    return {**times, **calls}


def ranks() -> dict[str, float]:
    """One rank of a DDP job; the first also times the joined batch, while the others wait."""
    import torchish as torch
    import torchish.distributed as dist

    dist.init_process_group("gloo")
    me = dist.get_rank()
    x, y = data(torch, "cpu")
    found = {}
    if me == 0:
        found = medians({"one": stepper(torch, net(torch), x, y)}, warmup=4, rounds=25)
    dist.barrier()
    model = torch.nn.parallel.DistributedDataParallel(net(torch))
    run = stepper(torch, model, x[me :: dist.get_world_size()], y[me :: dist.get_world_size()])
    for _ in range(4):
        run()
    wire = dist.group.WORLD.wire  # type: ignore[union-attr]
    exchanged, start, rounds = wire.seconds, time.perf_counter(), 25
    found |= medians({"many": run}, warmup=0, rounds=rounds)
    spent = time.perf_counter() - start
    # Waiting for the other rank counts: an exchange ends when all have come.
    found["exchange"] = (wire.seconds - exchanged) / spent * found["many"]
    dist.destroy_process_group()
    return found if me == 0 else {}


def _child(argv: list[str], **env: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, *argv], env={**os.environ, **env}, text=True, capture_output=True
    )
    lines = [x.partition(MARK)[2] for x in done.stdout.splitlines() if MARK in x]
    if done.returncode or not lines:
        raise RuntimeError(f"{argv} failed:\n{done.stdout}\n{done.stderr}")
    return {str(k): float(v) for k, v in json.loads(lines[0]).items()}


def _report(title: str, times: dict[str, float]) -> None:
    one, many, exchange = (times[k] * 1e3 for k in ("one", "many", "exchange"))
    print(f"\n{title}, joined batch {BATCH}")
    print(f"  one device   {one:10.3f} ms")
    print(f"  parallel     {many:10.3f} ms   {many / one:.2f} x one device's")
    print(f"  exchange     {exchange:10.3f} ms   {exchange / many:.0%} of the parallel step")


def main() -> dict[str, float]:
    """Measure and print."""
    simulated = _child(
        ["-m", "benchmarks.parallel", "devices"],
        JAX_PLATFORMS="cpu",
        TORCHISH_FAKE_CUDA="1",
        XLA_FLAGS=f"--xla_force_host_platform_device_count={DEVICES}",
    )
    _report(f"DataParallel step, {DEVICES} simulated devices", simulated)
    pmap, shard_map = simulated["pmap"] * 1e6, simulated["shard_map"] * 1e6
    print(f"  a call that does nothing: shard_map under jit {shard_map:.0f} us, "
          f"pmap {pmap:.0f} us ({pmap / shard_map:.1f} x)")  # fmt: skip
    job = ["-m", "torchish.distributed.run", "--standalone", "--nproc-per-node", str(RANKS)]
    processes = _child([*job, "-m", "benchmarks.parallel", "ranks"], JAX_PLATFORMS="cpu")
    _report(f"DDP step, {RANKS} processes", processes)
    return {f"DataParallel {k}": v for k, v in simulated.items()} | {
        f"DDP {k}": v for k, v in processes.items()
    }


if __name__ == "__main__":
    figures = {"devices": devices, "ranks": ranks}[sys.argv[1]]()
    if figures:
        print(MARK + json.dumps(figures), flush=True)
