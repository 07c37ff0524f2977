"""What is compared of a model: its layout, its seeded weights, what it computes.

Works with either library; the figures of torchvision are in model_expectations.json, written by
tools/vision_expectations.py.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

TABLE = Path(__file__).parent / "model_expectations.json"

# By the start of a model's name, the first that fits: arguments that make it small enough to run,
# and the shape of its input. Detectors are given their images by `detected`.
_CASES: tuple[tuple[str, dict[str, Any], tuple[int, ...]], ...] = (
    ("alexnet", {}, (1, 3, 64, 64)),
    ("googlenet", {"init_weights": True}, (1, 3, 40, 48)),
    ("inception_v3", {"init_weights": False}, (1, 3, 80, 96)),
    ("maxvit", {}, (1, 3, 224, 224)),
    ("mvit", {}, (1, 3, 16, 224, 224)),
    ("r2plus1d", {}, (1, 3, 4, 24, 24)),
    ("r3d", {}, (1, 3, 4, 24, 24)),
    ("mc3", {}, (1, 3, 4, 24, 24)),
    ("raft", {}, (1, 3, 128, 128)),
    ("s3d", {}, (1, 3, 14, 224, 224)),
    ("swin3d", {}, (1, 3, 4, 48, 48)),
    ("swin", {}, (1, 3, 60, 68)),
    ("vgg", {}, (1, 3, 32, 40)),
    ("vit_b_16", {"image_size": 32}, (1, 3, 32, 32)),
    ("vit_l_16", {"image_size": 32}, (1, 3, 32, 32)),
    ("vit_h_14", {"image_size": 28}, (1, 3, 28, 28)),
    ("vit", {"image_size": 64}, (1, 3, 64, 64)),
    ("ssd", {}, (1, 3, 64, 80)),
    ("", {}, (1, 3, 40, 48)),
)
_DETECTORS = ("fasterrcnn", "maskrcnn", "keypointrcnn", "retinanet", "fcos", "ssd")
# What a detector needs to be quick: small images and few boxes.
_SMALL_DETECTOR = {
    "rcnn": {
        "min_size": 64,
        "max_size": 96,
        "rpn_post_nms_top_n_test": 20,
        "box_score_thresh": 0.0,
        "box_detections_per_img": 8,
    },
    "ssd": {"score_thresh": 0.0, "topk_candidates": 20, "detections_per_img": 8},
    "": {
        "min_size": 64,
        "max_size": 96,
        "score_thresh": 0.0,
        "topk_candidates": 20,
        "detections_per_img": 8,
    },
}


def is_detector(name: str) -> bool:
    return name.startswith(_DETECTORS)


def case(name: str) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The arguments and the input shape that a model is run with."""
    config, shape = next((c, s) for start, c, s in _CASES if name.startswith(start))
    if is_detector(name):
        config = next(c for part, c in _SMALL_DETECTOR.items() if part in name)
    return config, shape


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


# The convolutions that give one-stage detectors' class scores.
_CLASS_SCORES = re.compile(r"classification_head\.(cls_logits|module_list\.\d+(\.1)?)$")


def tell_apart(torch: Any, model: Any, images: list[Any]) -> None:
    """Spread a one-stage detector's class scores on these images.

    As initialized they are equal but for rounding, so that which boxes are kept, and in what
    order, would be chance. Their convolutions are centred and scaled, by numbers so round that
    both libraries choose the same.
    """
    convs = {
        name: module
        for name, module in model.named_modules()
        if _CLASS_SCORES.search(name) and hasattr(module, "bias")
    }
    seen: dict[str, list[np.ndarray]] = {name: [] for name in convs}

    def keep(name: str) -> Any:
        def hook(module: Any, given: Any, logits: Any) -> None:
            rows = logits.numpy().transpose(0, 2, 3, 1).reshape(-1, logits.shape[1])
            seen[name].append(rows.astype(np.float64))

        return hook

    with torch.no_grad():
        for module in convs.values():
            module.bias.zero_()
        hooks = [module.register_forward_hook(keep(name)) for name, module in convs.items()]
        model(images)
        for hook in hooks:
            hook.remove()
        for name, module in convs.items():
            rows = np.concatenate(seen[name])
            factor = 1.0 if len(rows) == 1 else 2.0 ** round(-math.log2(rows.std(0).mean()))
            module.weight.mul_(factor)
            center = np.round(-4 * factor * rows.mean(0)) / 4
            module.bias.copy_(torch.from_numpy(center.astype(np.float32)))


def detected(found: dict[str, Any], most: int = 8) -> dict[str, list[Any]]:
    """The best detections: scores, labels and boxes in full, masks by their means."""
    plain = {name: value[:most].numpy() for name, value in sorted(found.items())}
    if "masks" in plain:
        plain["masks"] = plain["masks"].reshape(len(plain["masks"]), -1).mean(1)
    return {name: value.reshape(-1).tolist() for name, value in plain.items()}


def _settled(found: dict[str, np.ndarray], scores: np.ndarray) -> dict[str, np.ndarray]:
    """Detections whose scores are equal but for rounding, in the order of labels and boxes."""
    group = np.concatenate([[0], np.cumsum(np.abs(np.diff(scores)) > 1e-5 * scores[:-1])])
    places = np.round(found["boxes"].reshape(-1, 4)).T
    order = np.lexsort((*places, found["labels"], group))
    return {name: value.reshape(len(order), -1)[order] for name, value in found.items()}


def same_detections(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> None:
    """The same boxes in the same order, with their labels and scores, masks and points."""
    assert found.keys() == expected.keys()
    scores = np.array(expected["scores"])
    ours, theirs = (
        _settled({name: np.array(item[name]) for name in item if name != "count"}, scores)
        for item in (found, expected)
    )
    np.testing.assert_array_equal(ours["labels"], theirs["labels"])
    for name, atol in (("scores", 1e-4), ("boxes", 2e-2), ("masks", 1e-4), ("keypoints", 2e-2),
                       ("keypoints_scores", 1e-2)):  # fmt: skip
        if name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=atol)


def _result(torch: Any, model: Any, name: str, shape: tuple[int, ...]) -> Any:
    """What the model gives in evaluation, as one tensor."""
    image = torch.from_numpy(wave(*shape))
    if name.startswith("raft"):
        return model(image, image.roll(2, -1), num_flow_updates=2)[-1]
    result = model(image)
    if isinstance(result, dict):
        return torch.cat([value.reshape(-1) for value in result.values()])
    return result


def computed(torch: Any, model: Any, name: str, shape: tuple[int, ...]) -> Any:
    """What the stirred model gives in evaluation: ten values spread over the result.

    Of a detector, all that it finds.
    """
    stir(torch, model)
    model.eval()
    if is_detector(name):
        images = [torch.from_numpy(wave(*shape))[0] * 0.5 + 0.5]
        tell_apart(torch, model, images)
        with torch.no_grad():
            (found,) = model(images)
        return detected(found)
    with torch.no_grad():
        flat = _result(torch, model, name, shape).detach().numpy().reshape(-1)
    picked = flat[np.linspace(0, flat.size - 1, 10).astype(int)]
    return [float(np.abs(flat).mean()), *map(float, picked)]
