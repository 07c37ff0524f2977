"""The files of TensorBoard's projector."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from ._arrays import make_grid, make_np


def folder_name(tag: str, step: Any) -> str:
    """`00000` for step 0, with the characters of a tag that paths cannot hold replaced."""
    for plain, safe in (("%", "%%"), ("/", "%x2f"), ("\\", "%x5c")):
        tag = tag.replace(plain, safe)
    return os.path.join(str(step).zfill(5), tag)


def write(folder: str, mat: Any, metadata: Any, label_img: Any, header: Any) -> None:
    """Write the vectors, and their labels and pictures where they are given."""
    os.makedirs(folder, exist_ok=True)
    rows = make_np(mat)
    if rows.ndim != 2:
        raise AssertionError("mat should be 2D, where mat.size(0) is the number of data points")
    if metadata is not None:
        if len(metadata) != len(rows):
            raise AssertionError("#labels should equal with #data points")
        with open(os.path.join(folder, "metadata.tsv"), "w", encoding="utf-8") as file:
            if header:
                metadata = ["\t".join(header), *("\t".join(map(str, row)) for row in metadata)]
            file.writelines(f"{line}\n" for line in map(str, metadata))
    if label_img is not None:
        if label_img.shape[0] != len(rows):
            raise AssertionError("#images should equal with #data points")
        _sprite(label_img, folder)
    with open(os.path.join(folder, "tensors.tsv"), "w", encoding="utf-8") as file:
        file.writelines("\t".join(map(str, row)) + "\n" for row in rows.tolist())


def _sprite(pictures: Any, folder: str) -> None:
    from PIL import Image

    side = math.ceil(math.sqrt(pictures.shape[0]))
    array = make_np(pictures)
    grid = make_grid(array, side).transpose(1, 2, 0)
    fill = side * array.shape[2]
    whole = np.zeros((fill, grid.shape[1], grid.shape[2]), grid.dtype)
    whole[: grid.shape[0]] = grid
    scaled = (whole * (1 if whole.dtype == np.uint8 else 255)).astype(np.uint8)
    Image.fromarray(scaled).save(os.path.join(folder, "sprite.png"))


def entry(name: str, where: str, metadata: Any, label_img: Any) -> Any:
    """What `projector_config.pbtxt` says of one embedding."""
    from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo

    info = EmbeddingInfo()
    info.tensor_name = name
    info.tensor_path = os.path.join(where, "tensors.tsv")
    if metadata is not None:
        info.metadata_path = os.path.join(where, "metadata.tsv")
    if label_img is not None:
        info.sprite.image_path = os.path.join(where, "sprite.png")
        info.sprite.single_image_dim.extend([label_img.shape[3], label_img.shape[2]])
    return info
