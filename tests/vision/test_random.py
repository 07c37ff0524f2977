"""Random transforms take the draws that torchvision takes from torch's generator."""

import math
import random

import numpy as np
import pytest
import torch

import torchish
from tests.vision.images import floats, photo, same, same_image
from torchish.vision import transforms as T
from torchish.vision.transforms import functional as F


@pytest.fixture(autouse=True)
def seeds():
    torch.manual_seed(5)
    torchish.manual_seed(5)
    random.seed(5)


def _uniform(low, high):
    return torch.empty(1).uniform_(low, high).item()


def _randint(low, high):
    return torch.randint(low, high, size=(1,)).item()


def _same_stream():
    """Both generators stand at the same place."""
    assert torch.rand(1).item() == torchish.rand(1).item()


@pytest.mark.parametrize(
    ("name", "function", "p"),
    [
        ("RandomHorizontalFlip", F.hflip, 0.5),
        ("RandomVerticalFlip", F.vflip, 0.5),
        ("RandomGrayscale", lambda image: F.rgb_to_grayscale(image, 3), 0.1),
        ("RandomInvert", F.invert, 0.5),
        ("RandomAutocontrast", F.autocontrast, 0.5),
        ("RandomEqualize", F.equalize, 0.5),
    ],
)
def test_changes_with_a_probability(name, function, p):
    transform = getattr(T, name)()
    for _ in range(12):
        changed = torch.rand(1).item() < p
        same_image(transform(photo()), function(photo()) if changed else photo())


def test_random_crop():
    transform = T.RandomCrop((10, 12), padding=2)
    for _ in range(5):
        top, left = _randint(0, 27 - 10 + 1), _randint(0, 35 - 12 + 1)
        padded = F.pad(photo(), 2)
        same_image(transform(photo()), padded.crop((left, top, left + 12, top + 10)))
    same_image(T.RandomCrop((23, 31))(photo()), photo())  # draws nothing
    _same_stream()
    with pytest.raises(
        ValueError, match=r"crop size \(40, 40\) is larger than input image size \(23, 31"
    ):
        T.RandomCrop(40)(photo())
    assert T.RandomCrop(40, pad_if_needed=True)(photo()).size == (40, 40)


def _box(area, scale, ratio):
    low, high = torch.log(torch.tensor(ratio))
    target = area * _uniform(scale[0], scale[1])
    aspect = torch.exp(torch.empty(1).uniform_(low, high)).item()
    return target, aspect


def test_random_resized_crop():
    transform = T.RandomResizedCrop(9)
    for _ in range(5):
        while True:
            area, aspect = _box(23 * 31, (0.08, 1.0), (3 / 4, 4 / 3))
            width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < width <= 31 and 0 < height <= 23:
                break
        top, left = _randint(0, 23 - height + 1), _randint(0, 31 - width + 1)
        part = photo().crop((left, top, left + width, top + height))
        same_image(transform(photo()), part.resize((9, 9), 2))
    _same_stream()


def test_random_rotation_and_affine():
    angle = _uniform(-30.0, 30.0)
    same_image(T.RandomRotation(30)(photo()), photo().rotate(angle, fillcolor=(0, 0, 0)))
    transform = T.RandomAffine(20, (0.1, 0.2), (0.5, 2.0), (-5, 5, -3, 3))
    angle = _uniform(-20.0, 20.0)
    x, y = round(_uniform(-31 * 0.1, 31 * 0.1)), round(_uniform(-23 * 0.2, 23 * 0.2))
    scale, shear = _uniform(0.5, 2.0), (_uniform(-5, 5), _uniform(-3, 3))
    same_image(transform(photo()), F.affine(photo(), angle, (x, y), scale, shear, fill=0))
    _same_stream()


def test_random_perspective():
    transform = T.RandomPerspective(p=1.0)
    assert torch.rand(1).item() < 1
    half_x, half_y = int(0.5 * 15), int(0.5 * 11)
    near_x, near_y = (0, half_x + 1), (0, half_y + 1)
    far_x, far_y = (31 - half_x - 1, 31), (23 - half_y - 1, 23)
    end = [
        [_randint(*x), _randint(*y)]
        for x, y in ((near_x, near_y), (far_x, near_y), (far_x, far_y), (near_x, far_y))
    ]
    start = [[0, 0], [30, 0], [30, 22], [0, 22]]
    same_image(transform(photo()), F.perspective(photo(), start, end, fill=0))
    _same_stream()


def test_color_jitter():
    transform = T.ColorJitter(0.4, 0.3, (0.5, 1.5), 0.1)
    for _ in range(3):
        order = torch.randperm(4).tolist()
        ranges = [(0.6, 1.4), (0.7, 1.3), (0.5, 1.5), (-0.1, 0.1)]
        factors = [_uniform(low, high) for low, high in ranges]
        expected = photo()
        names = ["brightness", "contrast", "saturation", "hue"]
        for k in order:
            expected = getattr(F, f"adjust_{names[k]}")(expected, factors[k])
        same_image(transform(photo()), expected)
    _same_stream()


@pytest.mark.parametrize("value", [0, (0.1, 0.2, 0.3), "random"])
def test_random_erasing(value):
    transform = T.RandomErasing(p=1.0, value=value)
    image = floats(3, 20, 30)
    torch.rand(1)
    while True:
        area, aspect = _box(600, (0.02, 0.33), (0.3, 3.3))
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if height < 20 and width < 30:
            break
    if value == "random":
        content = torch.empty([3, height, width]).normal_()
    else:
        content = torch.tensor([0.0] if value == 0 else value)[:, None, None]
    top, left = _randint(0, 20 - height + 1), _randint(0, 30 - width + 1)
    expected = torch.from_numpy(image.copy())
    expected[:, top : top + height, left : left + width] = content
    same(transform(torchish.from_numpy(image.copy())), expected, atol=1e-6)
    _same_stream()


def test_gaussian_blur_draws_sigma():
    sigma = _uniform(0.1, 2.0)
    same_image(T.GaussianBlur(3)(photo()), F.gaussian_blur(photo(), 3, sigma))


def test_random_apply_choice_and_order():
    apply = T.RandomApply([F.hflip], p=0.3)
    for _ in range(8):
        skipped = torch.rand(1).item() > 0.3
        same_image(apply(photo()), photo() if skipped else F.hflip(photo()))
    state = random.getstate()
    picks = [random.choices([1, 2, 3], weights=None)[0] for _ in range(5)]
    random.setstate(state)
    choice = T.RandomChoice([lambda _, k=k: k for k in (1, 2, 3)])
    assert [choice(None) for _ in range(5)] == picks
    state = random.getstate()
    order = [0, 1, 2]
    random.shuffle(order)
    random.setstate(state)
    assert T.RandomOrder([lambda s, k=k: [*s, k] for k in range(3)])([]) == order
    with pytest.raises(TypeError, match="Argument transforms should be a sequence"):
        T.RandomOrder(3)


REPRS = {
    "ToTensor()": T.ToTensor(),
    "ToPILImage()": T.ToPILImage(),
    "ToPILImage(mode=RGB)": T.ToPILImage("RGB"),
    "Normalize(mean=(0,), std=(1,))": T.Normalize((0,), (1,)),
    "Resize(size=256, interpolation=bilinear, max_size=None, antialias=True)": T.Resize(256),
    "CenterCrop(size=(64, 64))": T.CenterCrop(64),
    "Pad(padding=4, fill=0, padding_mode=constant)": T.Pad(4),
    "RandomCrop(size=(32, 32), padding=4)": T.RandomCrop(32, padding=4),
    "RandomHorizontalFlip(p=0.5)": T.RandomHorizontalFlip(),
    "RandomResizedCrop(size=(224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.3333), "
    "interpolation=bilinear, antialias=True)": T.RandomResizedCrop(224),
    "ColorJitter(brightness=(0.6, 1.4), contrast=None, saturation=None, hue=(-0.1, 0.1))":
        T.ColorJitter(0.4, hue=0.1),
    "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)":
        T.RandomRotation(10),
    "RandomAffine(degrees=[-5.0, 5.0], translate=(0.1, 0.1))": T.RandomAffine(5, (0.1, 0.1)),
    "Grayscale(num_output_channels=1)": T.Grayscale(),
    "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)":
        T.RandomErasing(),
    "GaussianBlur(kernel_size=(3, 3), sigma=(0.1, 2.0))": T.GaussianBlur(3),
    "Lambda()": T.Lambda(str),
    "RandomPosterize(bits=2,p=0.5)": T.RandomPosterize(2),
    "RandomApply(\n    p=0.5\n    ToTensor()\n)": T.RandomApply([T.ToTensor()]),
    "Compose(\n    ToTensor()\n    Normalize(mean=0.5, std=0.5)\n)":
        T.Compose([T.ToTensor(), T.Normalize(0.5, 0.5)]),
    "RandomChoice(\n    ToTensor()\n)(p=None)": T.RandomChoice([T.ToTensor()]),
}  # fmt: skip


@pytest.mark.parametrize("text", REPRS)
def test_repr(text):
    assert repr(REPRS[text]) == text


def test_linear_transformation():
    matrix = np.random.default_rng(0).random((12, 12), np.float32)
    mean = np.arange(12, dtype=np.float32)
    image = floats(3, 2, 2)
    transform = T.LinearTransformation(torchish.from_numpy(matrix), torchish.from_numpy(mean))
    expected = (torch.from_numpy(image).flatten() - torch.from_numpy(mean)) @ torch.from_numpy(
        matrix
    )
    same(transform(torchish.from_numpy(image)), expected.reshape(3, 2, 2), atol=2e-5)
    with pytest.raises(ValueError, match="incompatible shape"):
        transform(torchish.ones(3, 3, 3))
