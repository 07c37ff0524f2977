"""Grids of images: torchvision's arithmetic, written with torch, to the last pixel."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

import torchish
from tests.vision.images import bytes_, floats, same, tensors
from torchish.vision import utils


def grid(images, nrow=8, padding=2, normalize=False, value_range=None, scale_each=False, pad=0.0):
    """make_grid in torch."""
    images = images.reshape((1,) * (4 - images.dim()) + tuple(images.shape))
    if images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1)
    if normalize:
        images = images.clone()
        for part in images if scale_each else [images]:
            low, high = value_range or (float(part.min()), float(part.max()))
            part.clamp_(low, high).sub_(low).div_(max(high - low, 1e-5))
    if len(images) == 1:
        return images[0]
    columns = min(nrow, len(images))
    rows = math.ceil(len(images) / columns)
    height, width = images.shape[2] + padding, images.shape[3] + padding
    shape = (images.shape[1], height * rows + padding, width * columns + padding)
    result = images.new_full(shape, pad)
    for k, image in enumerate(images):
        y, x = k // columns * height + padding, k % columns * width + padding
        result[:, y : y + image.shape[1], x : x + image.shape[2]] = image
    return result


OPTIONS = [
    {},
    {"nrow": 3, "padding": 0},
    {"normalize": True},
    {"normalize": True, "value_range": (-0.2, 0.7), "nrow": 2},
    {"normalize": True, "scale_each": True, "padding": 1},
]


@pytest.mark.parametrize(
    "shape", [(7, 3, 4, 5), (5, 1, 4, 5), (1, 3, 4, 5), (3, 4, 5), (4, 5), (1, 4, 5)]
)
@pytest.mark.parametrize("options", OPTIONS)
def test_make_grid(shape, options):
    ours, theirs = tensors(floats(*shape) * 3 - 1)
    same(utils.make_grid(ours, **options), grid(theirs, **options))
    same(ours, theirs)  # the images are left as they are


def test_pad_value_lists_and_integers():
    ours, theirs = tensors(floats(3, 3, 4, 5))
    same(utils.make_grid(ours, pad_value=0.5), grid(theirs, pad=0.5))
    same(utils.make_grid(list(ours)), grid(theirs))
    ours, theirs = tensors(bytes_(3, 3, 4, 5))
    same(utils.make_grid(ours, pad_value=9), grid(theirs, pad=9))


def test_equal_values_do_not_divide_by_zero():
    same(
        utils.make_grid(torchish.ones(2, 3, 2, 2), normalize=True),
        grid(torch.ones(2, 3, 2, 2), normalize=True),
    )


@pytest.mark.parametrize("options", OPTIONS)
def test_save_image(tmp_path, options):
    ours, theirs = tensors(floats(7, 3, 4, 5) * 3 - 1)
    path = tmp_path / "grid.png"
    utils.save_image(ours, path, **options)
    pixels = (
        grid(theirs, **options).mul(255).add(0.5).clamp(0, 255).permute(1, 2, 0).to(torch.uint8)
    )
    assert np.array_equal(np.array(Image.open(path)), pixels.numpy())


def test_save_image_to_a_file_object():
    file = io.BytesIO()
    utils.save_image(torchish.zeros(1, 4, 4), file, format="png")
    file.seek(0)
    assert Image.open(file).size == (4, 4)


def test_save_image_of_a_network_output(tmp_path):
    x = torchish.ones(4, 3, 2, 2, requires_grad=True)
    utils.save_image((x * 0.25).detach(), tmp_path / "a.png")
    utils.save_image(x * 0.25, str(tmp_path / "b.png"))
    assert np.array(Image.open(tmp_path / "b.png")).max() == 64


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "tensor or list of tensors expected, got <class 'str'>"),
        (np.zeros((2, 2)), "tensor or list of tensors expected, got <class 'numpy.ndarray'>"),
        ([1], "tensor or list of tensors expected, got a list containing <class 'int'>"),
        (
            Image.new("L", (2, 2)),
            "tensor or list of tensors expected, got <class 'PIL.Image.Image'>",
        ),
    ],
)
def test_wrong_input(value, text):
    with pytest.raises(TypeError, match=text):
        utils.save_image(value, io.BytesIO(), format="png")


def test_value_range_must_be_a_tuple():
    with pytest.raises(TypeError, match="value_range has to be a tuple"):
        utils.make_grid(torchish.ones(2, 3, 2, 2), normalize=True, value_range=[0, 1])
