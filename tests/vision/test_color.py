"""Colours, tones and blur: PIL's own results, and torchvision's formulas in torch for tensors."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

import torchish
from tests.vision.images import bytes_, floats, photo, same, same_image, tensors
from torchish.vision import transforms as T
from torchish.vision.transforms import functional as F

INPUTS = [floats(2, 3, 6, 7), bytes_(3, 6, 7), bytes_(1, 6, 7), floats(1, 6, 7)]


def _gray(x: torch.Tensor) -> torch.Tensor:
    red, green, blue = x.unbind(-3)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(x.dtype).unsqueeze(-3)


def _blend(x: torch.Tensor, other: torch.Tensor, ratio: float) -> torch.Tensor:
    white = 1.0 if x.is_floating_point() else 255
    return (ratio * x + (1.0 - ratio) * other).clamp(0, white).to(x.dtype)


def _close(ours, theirs):
    """Equal, up to float rounding that may also move a truncated byte by one."""
    if ours.dtype == torchish.uint8:
        difference = np.abs(ours.numpy().astype(int) - theirs.numpy().astype(int))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.02
        assert tuple(ours.shape) == tuple(theirs.shape)
    else:
        same(ours, theirs, atol=2e-6)


@pytest.mark.parametrize("array", INPUTS)
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_blends(array, factor):
    ours, theirs = tensors(array)
    color = theirs.shape[-3] == 3
    gray = _gray(theirs) if color else theirs
    mean = gray.float().mean((-3, -2, -1), keepdim=True)
    _close(F.adjust_brightness(ours, factor), _blend(theirs, torch.zeros_like(theirs), factor))
    _close(F.adjust_contrast(ours, factor), _blend(theirs, mean, factor))
    _close(F.adjust_saturation(ours, factor), _blend(theirs, gray, factor) if color else theirs)


@pytest.mark.parametrize("kind", ["Brightness", "Contrast", "Color", "Sharpness"])
def test_blends_of_pil_images(kind):
    name = {"Color": "saturation"}.get(kind, kind.lower())
    function = getattr(F, f"adjust_{name}")
    same_image(function(photo(), 1.6), getattr(ImageEnhance, kind)(photo()).enhance(1.6))


def test_grayscale():
    same_image(T.Grayscale()(photo()), photo().convert("L"))
    three = T.Grayscale(3)(photo())
    assert three.mode == "RGB"
    assert np.array_equal(np.array(three)[:, :, 1], np.array(photo().convert("L")))
    for array in INPUTS[:2]:
        ours, theirs = tensors(array)
        same(F.rgb_to_grayscale(ours), _gray(theirs), atol=1e-7)
        same(F.rgb_to_grayscale(ours, 3), _gray(theirs).expand(theirs.shape), atol=1e-7)
    with pytest.raises(ValueError, match="num_output_channels should be either 1 or 3"):
        F.rgb_to_grayscale(photo(), 2)
    with pytest.raises(TypeError, match=r"channel values are \[1, 3\], but found 2"):
        F.rgb_to_grayscale(torchish.ones(2, 3, 3))


@pytest.mark.parametrize("amount", [-0.5, -0.2, 0.0, 0.3])
def test_hue_of_tensors(amount):
    array = floats(3, 5, 6)
    array[:, 0, 0] = 0.5  # gray has no hue
    expected = np.empty_like(array)
    for y, x in np.ndindex(5, 6):
        hue, saturation, value = colorsys.rgb_to_hsv(*array[:, y, x].astype(float))
        expected[:, y, x] = colorsys.hsv_to_rgb((hue + amount) % 1.0, saturation, value)
    ours = F.adjust_hue(torchish.from_numpy(array), amount)
    np.testing.assert_allclose(ours.numpy(), expected, atol=2e-6)


def test_hue_of_pil_images():
    hue, saturation, value = photo().convert("HSV").split()
    turned = (np.array(hue).astype(int) + int(0.2 * 255)) % 256
    merged = Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8)), saturation, value))
    same_image(F.adjust_hue(photo(), 0.2), merged.convert("RGB"))
    assert F.adjust_hue(photo("L"), 0.2).mode == "L"


def test_gamma():
    table = [int((255 + 1 - 1e-3) * 0.9 * pow(x / 255.0, 1.4)) for x in range(256)] * 3
    same_image(F.adjust_gamma(photo(), 1.4, 0.9), photo().point(table))
    ours, theirs = tensors(bytes_(3, 4, 5))
    expected = ((0.9 * (theirs / 255) ** 1.4).clamp(0, 1) * (256 - 1e-3)).to(torch.uint8)
    _close(F.adjust_gamma(ours, 1.4, 0.9), expected)


@pytest.mark.parametrize("array", [floats(2, 3, 9, 10), bytes_(3, 9, 10), floats(9, 10)])
def test_gaussian_blur(array):
    ours, theirs = tensors(array)
    kernels = []
    for size, sigma in ((3, 0.7), (5, 1.2)):
        x = torch.linspace(-(size - 1) / 2, (size - 1) / 2, size)
        kernel = torch.exp(-0.5 * (x / sigma) ** 2)
        kernels.append(kernel / kernel.sum())
    kernel = kernels[1][:, None] * kernels[0][None, :]
    image = theirs.float().reshape(-1, 1, 9, 10)
    padded = torch.nn.functional.pad(image, (1, 1, 2, 2), mode="reflect")
    expected = torch.nn.functional.conv2d(padded, kernel[None, None]).reshape(theirs.shape)
    if theirs.dtype == torch.uint8:
        expected = expected.round().to(torch.uint8)
    _close(F.gaussian_blur(ours, [3, 5], [0.7, 1.2]), expected)


def test_gaussian_blur_of_pil_images():
    blurred = F.gaussian_blur(photo(), 5)
    same_image(
        blurred, F.to_pil_image(F.gaussian_blur(F.pil_to_tensor(photo()), 5, 5 * 0.15 + 0.35))
    )


@pytest.mark.parametrize("name", ["invert", "autocontrast", "equalize"])
def test_tones_equal_pil(name):
    expected = getattr(ImageOps, name)(photo())
    same_image(getattr(F, name)(photo()), expected)
    got = getattr(F, name)(F.pil_to_tensor(photo())).numpy().transpose(1, 2, 0)
    assert np.abs(got.astype(int) - np.array(expected)).max() <= 1


def test_posterize_and_solarize():
    same_image(F.posterize(photo(), 3), ImageOps.posterize(photo(), 3))
    same_image(F.solarize(photo(), 99), ImageOps.solarize(photo(), 99))
    image = F.pil_to_tensor(photo())
    same_image(F.to_pil_image(F.posterize(image, 3)), ImageOps.posterize(photo(), 3))
    same_image(F.to_pil_image(F.solarize(image, 99)), ImageOps.solarize(photo(), 99))
    with pytest.raises(TypeError, match="Only torch.uint8 image tensors are supported"):
        F.posterize(torchish.ones(3, 2, 2), 3)
    with pytest.raises(TypeError, match="Threshold should be less than bound of img."):
        F.solarize(torchish.ones(3, 2, 2), 2)


def test_sharpness_of_tensors():
    image = photo()
    expected = np.array(ImageEnhance.Sharpness(image).enhance(1.8)).astype(int)
    got = F.adjust_sharpness(F.pil_to_tensor(image), 1.8).numpy().transpose(1, 2, 0)
    assert np.abs(got - expected).max() <= 1


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: F.adjust_brightness(torchish.ones(3, 2, 2), -1),
            "brightness_factor .-1. is not non-neg",
        ),
        (
            lambda: F.adjust_contrast(torchish.ones(3, 2, 2), -1),
            "contrast_factor .-1. is not non-neg",
        ),
        (lambda: F.adjust_hue(photo(), 0.6), r"hue_factor \(0.6\) is not in \[-0.5, 0.5\]."),
        (lambda: F.adjust_gamma(photo(), -1), "Gamma should be a non-negative real number"),
        (lambda: F.gaussian_blur(photo(), 4), r"odd and positive integers. Got \[4, 4\]"),
        (
            lambda: F.gaussian_blur(photo(), 3, 0.0),
            r"sigma should have positive values. Got \[0.0, 0.0\]",
        ),
        (
            lambda: T.ColorJitter(brightness=-1),
            "If brightness is a single number, it must be non neg",
        ),
        (lambda: T.ColorJitter(hue=0.6), r"hue values should be between \(-0.5, 0.5\), but got"),
        (lambda: T.GaussianBlur(2), "Kernel size value should be an odd and positive number."),
    ],
)
def test_wrong_numbers(call, text):
    with pytest.raises(ValueError, match=text):
        call()
