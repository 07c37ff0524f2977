"""What a data set of torchvision reads from small files, as plain data.

`python -m tests.vision.dataset_reading` records what torchvision reads of all cases in
dataset_cases.py and dataset_options.py in `dataset_expected.json`.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.vision import dataset_options  # noqa: F401  (registers its builders)
from tests.vision.dataset_cases import BUILDERS
from tests.vision.small_files import noise

EXPECTED = Path(__file__).with_name("dataset_expected.json")


def _digest(array: np.ndarray) -> str:
    content = np.ascontiguousarray(array).tobytes()
    return f"{array.dtype}{array.shape} {hashlib.sha256(content).hexdigest()[:12]}"


def plain(item: Any) -> Any:
    """An item of a sample as something that JSON keeps."""
    if isinstance(item, dict):
        return {str(key): plain(item[key]) for key in sorted(item)}
    if isinstance(item, (list, tuple)) and not hasattr(item, "dtype"):
        return [plain(part) for part in item]
    if isinstance(item, Image.Image):
        return f"{item.mode} {_digest(np.asarray(item))}"
    if hasattr(item, "numpy"):
        return f"{type(item).__name__} {_digest(np.asarray(item.numpy()))}"
    if isinstance(item, np.ndarray):
        return _digest(item)
    return item if item is None or isinstance(item, (str, bool)) else float(item)


def clip(torch: Any, place: int) -> Any:
    """What a decoder would give of a video: frames, sound, facts, which video."""
    frames = torch.from_numpy(noise(2, 3, 4, 5, seed=place))
    return frames, torch.zeros(1, 0), {}, place


def read(vision: str, name: str, options: dict[str, Any], root: Path) -> Any:
    """The length, all samples and the text of a data set, and a sample with the caller's hooks.

    Options that are no arguments of its class: the `folder` below the root, `target_keys` of the
    wrapper, and the number of `videos`, each of four frames.
    """
    datasets = importlib.import_module(f"{vision}.datasets")
    utils = importlib.import_module(f"{vision}.datasets.utils")
    utils.check_md5 = lambda *args, **kwargs: True  # small files cannot have the real checksums
    kind, _, wrapped = name.rpartition(":")[::-1]
    own = dict(options)
    folder, keys = own.pop("folder", ""), own.pop("target_keys", None)
    if "videos" in own:
        torch = importlib.import_module({"torchvision": "torch"}.get(vision, "torchish"))
        clips = importlib.import_module(f"{vision}.datasets.video_utils").VideoClips
        clips.get_clip = lambda self, k: clip(torch, self.get_clip_location(k)[0])
        count = own.pop("videos")
        own["_precomputed_metadata"] = {
            "video_paths": [str(k) for k in range(count)],
            "video_pts": [torch.arange(4) for _ in range(count)],
            "video_fps": [30.0] * count,
        }
    random.seed(0)
    dataset = getattr(datasets, kind)(str(root / folder), **own)
    text = repr(dataset).replace(str(root), "ROOT")
    if wrapped:
        dataset = datasets.wrap_dataset_for_transforms_v2(dataset, target_keys=keys)
    count, samples = len(dataset), [plain(dataset[k]) for k in range(len(dataset))]
    del dataset  # LSUN opens a file once at a time
    if not wrapped and samples:
        samples.append(_hooked(getattr(datasets, kind), str(root / folder), own))
    return [count, samples, text]


def _hooked(cls: type, root: str, own: dict[str, Any]) -> Any:
    """The first sample where the caller has a say: both transforms, and a loader of names."""
    accepted = inspect.signature(cls).parameters
    hooks: dict[str, Any] = {"loader": lambda path: Path(path).name} if "loader" in accepted else {}
    if "transform" in accepted or "kwargs" in accepted:
        hooks["transform"] = lambda image: ["image", image]
    if "target_transform" in accepted or "kwargs" in accepted:
        hooks["target_transform"] = lambda target: ["target", target]
    if not hooks.keys() & {"transform", "target_transform"}:
        hooks["transforms"] = lambda *parts: [["part", part] for part in parts]
    try:
        return plain(cls(root, **{**own, **hooks})[0])
    except (RuntimeError, TypeError) as error:  # a refusal is an answer too
        return f"{type(error).__name__}: {error}"


def key(name: str, options: dict[str, Any], root: Path) -> str:
    text = json.dumps(options, default=lambda value: value.__name__)
    return f"{name} {text}".replace(str(root), "ROOT")


def record() -> None:
    found = {}
    for build in BUILDERS.values():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, options in build(root):
                found[key(name, options, root)] = read("torchvision", name, options, root)
    EXPECTED.write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    record()
