"""What is compared of a model: its layout, its seeded weights, what it computes.

Works with either library; the figures of torchvision are in model_expectations.json, written by
tools/vision_expectations.py.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TABLE = Path(__file__).parent / "model_expectations.json"

# Arguments that make a model small enough to run, and the shape of its input.
SMALL: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "alexnet": ({}, (1, 3, 64, 64)),
    "convnext_tiny": ({}, (1, 3, 40, 48)),
    "densenet121": ({}, (1, 3, 40, 48)),
    "efficientnet_b0": ({}, (1, 3, 40, 48)),
    "efficientnet_v2_s": ({}, (1, 3, 40, 48)),
    "googlenet": ({"init_weights": True}, (1, 3, 40, 48)),
    "inception_v3": ({"init_weights": False}, (1, 3, 80, 96)),
    "maxvit_t": ({}, (1, 3, 224, 224)),
    "mnasnet0_5": ({}, (1, 3, 40, 48)),
    "mobilenet_v2": ({}, (1, 3, 40, 48)),
    "mobilenet_v3_small": ({}, (1, 3, 40, 48)),
    "regnet_x_400mf": ({}, (1, 3, 40, 48)),
    "regnet_y_400mf": ({}, (1, 3, 40, 48)),
    "resnet18": ({}, (1, 3, 40, 48)),
    "resnext50_32x4d": ({}, (1, 3, 40, 48)),
    "shufflenet_v2_x0_5": ({}, (1, 3, 40, 48)),
    "squeezenet1_1": ({}, (1, 3, 40, 48)),
    "swin_t": ({}, (1, 3, 60, 68)),
    "swin_v2_t": ({}, (1, 3, 60, 68)),
    "vgg11_bn": ({}, (1, 3, 32, 40)),
    "vit_b_32": ({"image_size": 64}, (1, 3, 64, 64)),
}


def build(models: Any, name: str, **config: Any) -> Any:
    """The model without downloads and without its warning about initial weights."""
    builder = models.get_model_builder(name)
    import inspect

    if "weights_backbone" in inspect.signature(builder).parameters:
        config.setdefault("weights_backbone", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return builder(**config)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def layout(model: Any) -> dict[str, Any]:
    """Number of parameters, and digests of the names and shapes and of the printed model."""
    state = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "state": digest(json.dumps(state)),
        "text": digest(repr(model)),
    }


def seeded(model: Any) -> list[float]:
    """The mean magnitude of each of 24 tensors spread over the state, then one value of each."""
    state = [v for v in model.state_dict().values() if v.is_floating_point()]
    chosen = [state[i] for i in np.linspace(0, len(state) - 1, 24).astype(int)]
    arrays = [value.detach().numpy().astype(np.float64) for value in chosen]
    return [float(np.abs(a).mean()) for a in arrays] + [float(a.reshape(-1)[-1]) for a in arrays]


def stir(torch: Any, model: Any) -> None:
    """Change all weights by known amounts: none stays zero, no statistic stays at its default."""
    state = model.state_dict()
    for i, (name, value) in enumerate(list(state.items())):
        array = value.detach().numpy()
        if array.dtype == np.float32:
            wave = np.sin(np.arange(array.size, dtype=np.float64) * 0.7 + i).reshape(array.shape)
            state[name] = torch.from_numpy((array + 0.01 * wave).astype(np.float32))
    model.load_state_dict(state)


def wave(*shape: int) -> np.ndarray:
    """A deterministic input."""
    size = math.prod(shape)
    values = np.cos(np.arange(size, dtype=np.float64) * 0.37) * np.sin(np.arange(size) * 0.011)
    return values.reshape(shape).astype(np.float32)


def computed(torch: Any, model: Any, shape: tuple[int, ...]) -> list[float]:
    """What the stirred model gives in evaluation: ten values spread over the result."""
    stir(torch, model)
    model.eval()
    with torch.no_grad():
        result = model(torch.from_numpy(wave(*shape)))
    if isinstance(result, dict):
        result = torch.cat([value.reshape(-1) for value in result.values()])
    flat = result.detach().numpy().reshape(-1)
    picked = flat[np.linspace(0, flat.size - 1, 10).astype(int)]
    return [float(np.abs(flat).mean()), *map(float, picked)]
