"""Write what torchvision's models are: tests/vision/model_expectations.json.

Run with the real torch and torchvision: `python tools/vision_expectations.py [name ...]`; with
names only those entries are written anew. `--training` writes what small detectors and a segmenter
do in two steps instead, `--small` what the small members of all families are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torchvision

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.vision import detection_probe, model_probe as probe, small_models, torch_regions

TRAINING = probe.TABLE.parent / "training_expectations.json"


def write(path: Path, table: dict) -> None:
    """One line an entry."""
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def entry(name: str) -> dict:
    models = torchvision.models
    config, shape = probe.case(name)
    try:
        with torch.device("meta"):
            model = probe.build(models, name)
    except NotImplementedError:  # RegNet reads values that it works out with tensors
        model = probe.build(models, name)
    found = probe.layout(model)
    torch.manual_seed(0)
    model = probe.build(models, name, **config)
    found["seeded"] = probe.seeded(model)
    found["computed"] = probe.computed(torch, model, name, shape)
    return found


def training() -> None:
    """Losses of small detectors and of a small segmenter, and what the detectors find."""
    torch_regions.install(torchvision)
    detection, ops = torchvision.models.detection, torchvision.ops
    table = {k: detection_probe.steps(torch, detection, ops, k) for k in detection_probe.KINDS}
    table["in_double"] = detection_probe.in_double(torch, torchvision.models, ops)
    table["segmentation"] = detection_probe.segmentation(torch, torchvision.models)
    write(TRAINING, table)


def small() -> None:
    """A small member of each family."""
    families = small_models.FAMILIES
    compared = {k: small_models.compared(torch, torchvision.models, k) for k in families}
    write(small_models.TABLE, compared)


def main() -> None:
    if "--small" in sys.argv:
        small()
        return
    if "--training" in sys.argv:
        training()
        return
    torch_regions.install(torchvision)
    names = sys.argv[1:]
    table = json.loads(probe.TABLE.read_text()) if probe.TABLE.exists() else {}
    for name in names or torchvision.models.list_models():
        if name.startswith("quantized_"):
            continue
        table[name] = entry(name)
        print(name, flush=True)
        write(probe.TABLE, dict(sorted(table.items())))


if __name__ == "__main__":
    main()
