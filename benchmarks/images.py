"""A loader of augmented JPEGs: pictures a second at 0, 2 and 4 workers, in fresh processes.

PyTorch's side imports torchvision: `TORCHISH_TORCHVISION` names the folder where it lies, if it is
not installed. Without it torchish's own figures are printed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

COUNT = 2000
SIZE = (375, 500)
WORKERS = (0, 2, 4)
ROUNDS = 3

PROGRAM = """
import sys, time
import torch
from torchvision import datasets, transforms as T

torch.manual_seed(0)
torch.set_num_threads(1)
change = T.Compose([
    T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])
data = datasets.ImageFolder(sys.argv[1], change)
loader = torch.utils.data.DataLoader(
    data, batch_size=32, shuffle=True, num_workers=int(sys.argv[2])
)
start = time.perf_counter()
for images, labels in loader:
    assert images.dtype is torch.float32
print(time.perf_counter() - start)
"""


def write_pictures(folder: Path, count: int = COUNT) -> None:
    """JPEGs of soft shapes in ten classes."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for k in range(count):
        path = folder / str(k % 10) / f"{k}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC).save(path, quality=90)


def environment() -> dict[str, str]:
    """That of this process, with torchvision's folder in front."""
    paths = [os.environ.get("TORCHISH_TORCHVISION", ""), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}


def seconds(folder: str, workers: int, *launcher: str) -> float:
    """How long one epoch takes, the start of the workers included."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *launcher, "-c", PROGRAM, folder, str(workers)],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def has_torchvision() -> bool:
    """Whether PyTorch's side can run."""
    command = [sys.executable, "-c", "import torchvision"]
    return subprocess.run(command, env=environment(), capture_output=True).returncode == 0


def main() -> dict[int, dict[str, float]]:
    """Measure turn by turn and print."""
    count = int(os.environ.get("TORCHISH_PICTURES", COUNT))
    contestants = {"torchish": ("-m", "torchish")}
    if has_torchvision():
        contestants = {"PyTorch": (), **contestants}
    found = {}
    print(f"\nImageFolder of {count} JPEGs of {SIZE[1]} x {SIZE[0]}, crop, flip, jitter, normalise")
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), count)
        for workers in WORKERS:
            seen: dict[str, list[float]] = {name: [] for name in contestants}
            for _ in range(ROUNDS):
                for name, launcher in contestants.items():
                    seen[name].append(seconds(folder, workers, *launcher))
            times = {name: float(np.median(runs)) for name, runs in seen.items()}
            found[workers] = times
            rates = "   ".join(f"{name} {count / t:7.1f}/s" for name, t in times.items())
            ratio = times.get("PyTorch", times["torchish"]) / times["torchish"]
            print(f"  {workers} workers   {rates}   torchish is {ratio:.2f} x", flush=True)
    return found


if __name__ == "__main__":
    main()
