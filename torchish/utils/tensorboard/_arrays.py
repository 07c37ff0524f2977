"""Values of all kinds as numpy arrays, and pictures as height x width x channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._tensor.tensor import Tensor


def make_np(x: Any) -> Any:
    """A tensor, array, number or list as an array.

    Raises: NotImplementedError for anything else.
    """
    if isinstance(x, list):
        return np.array(x)
    if isinstance(x, np.ndarray):
        return x
    if np.isscalar(x):
        return np.array([x])
    if isinstance(x, Tensor):
        wide = x.detach().cpu()
        return (wide.float() if wide.dtype.name == "bfloat16" else wide).numpy()
    raise NotImplementedError(f"Got {type(x)}, but numpy array or torch tensor are expected.")


def make_grid(pictures: Any, ncols: int = 8) -> Any:
    """Pictures (N x 3 x H x W) side by side in rows of `ncols`."""
    if not isinstance(pictures, np.ndarray):
        raise AssertionError("plugin error, should pass numpy array here")
    if pictures.shape[1] == 1:
        pictures = np.concatenate([pictures] * 3, 1)
    if pictures.ndim != 4 or pictures.shape[1] not in (3, 4):
        raise AssertionError(f"Expected 4D tensor with 3 channels, got shape {pictures.shape}")
    count, channels, height, width = pictures.shape
    columns = min(count, ncols)
    rows = -(-count // columns)
    canvas = np.zeros((channels, height * rows, width * columns), dtype=pictures.dtype)
    for k, picture in enumerate(pictures):
        y, x = k // columns * height, k % columns * width
        canvas[:, y : y + height, x : x + width] = picture
    return canvas


def convert_to_hwc(array: Any, order: str) -> Any:
    """An array whose dims `order` names (`CHW`, `NHWC` ...) as height x width x channels."""
    if len(set(order)) != len(order):
        raise AssertionError(
            f"You can not use the same dimension shordhand twice. input_format: {order}"
        )
    if array.ndim != len(order):
        raise AssertionError(
            "size of input tensor and input format are different. tensor shape: "
            f"{array.shape}, input_format: {order}"
        )
    order = order.upper()
    if len(order) == 4:
        many = array.transpose([order.find(c) for c in "NCHW"])
        return make_grid(many).transpose(1, 2, 0)
    if len(order) == 3:
        picture = array.transpose([order.find(c) for c in "HWC"])
        return np.concatenate([picture] * 3, 2) if picture.shape[2] == 1 else picture
    grey = array.transpose([order.find(c) for c in "HW"])
    return np.stack([grey] * 3, 2)


def figure_to_image(figures: Any, close: bool = True) -> Any:
    """Matplotlib figures as one array of channels first; several get a first dim."""
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def drawn(figure: Any) -> Any:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        picture = np.asarray(canvas.buffer_rgba())[:, :, :3]
        if close:
            pyplot.close(figure)
        return np.moveaxis(picture, 2, 0)

    if isinstance(figures, list):
        return np.stack([drawn(f) for f in figures])
    return drawn(figures)
