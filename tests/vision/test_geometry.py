"""Sizes, crops, borders, flips and warps: PIL's own results, and torch's for tensors."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import torchish
from tests.vision.images import bytes_, floats, photo, same, same_image, tensors
from torchish.vision import transforms as T
from torchish.vision.transforms import InterpolationMode as Mode, functional as F


@pytest.mark.parametrize("size", [12, (9, 14), [40], 23])
def test_resize_of_pil_images(size):
    image = photo()  # 31 wide, 23 high
    expected = {12: (16, 12), (9, 14): (14, 9), 23: (31, 23)}.get(
        size if not isinstance(size, list) else 0, (53, 40)
    )
    same_image(T.Resize(size)(image), image.resize(expected, Image.BILINEAR))


@pytest.mark.parametrize("number", range(6))
def test_resize_takes_pil_numbers(number):
    image = photo()
    same_image(T.Resize(9, number)(image), image.resize((12, 9), number))


def test_old_call_form():
    # Resize(3, 3): the second number is PIL's bicubic
    image = F.to_pil_image(torchish.ones(2, 6, 6))
    assert image.mode == "LA"
    small = T.Resize(3, 3)(image)
    assert tuple(T.ToTensor()(small).shape) == (2, 3, 3)
    with pytest.raises(NotImplementedError, match="resizing tensors by hamming"):
        T.Resize(5, 5)(torchish.ones(1, 10, 10))


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 9), (50, 41), (23, 12)])
def test_resize_of_tensors(mode, size, antialias):
    ours, theirs = tensors(floats(2, 3, 23, 31))
    expected = torch.nn.functional.interpolate(
        theirs, size=size, mode=mode, align_corners=False, antialias=antialias
    )
    same(F.resize(ours, size, Mode(mode), antialias=antialias), expected, atol=2e-6)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("size", [(7, 9), (50, 41)])
def test_nearest_resize_of_tensors(mode, size):
    ours, theirs = tensors(bytes_(3, 23, 31))
    expected = torch.nn.functional.interpolate(theirs[None].float(), size=size, mode=mode)
    same(F.resize(ours, size, Mode(mode)), expected[0].to(torch.uint8))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resize_of_bytes_rounds(mode):
    ours, theirs = tensors(bytes_(3, 23, 31))
    expected = torch.nn.functional.interpolate(
        theirs[None].float(), size=(9, 12), mode=mode, align_corners=False, antialias=True
    )
    expected = expected[0].clamp(0, 255).round()
    got = F.resize(ours, (9, 12), Mode(mode))
    assert got.dtype == torchish.uint8
    assert (
        np.abs(got.numpy().astype(int) - expected.numpy()).max() <= 1
    )  # a tie may round both ways
    assert (got.numpy() != expected.numpy()).mean() < 0.01


def test_max_size():
    assert T.Resize(20, max_size=24)(photo()).size == (24, 18)
    with pytest.raises(
        ValueError, match="max_size = 20 must be strictly greater than the requested"
    ):
        T.Resize(20, max_size=20)(photo())
    with pytest.raises(ValueError, match="max_size should only be passed if size specifies"):
        T.Resize((20, 20), max_size=40)(photo())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: T.Resize("5"), ValueError, None),
        (lambda: T.Resize(5.0), TypeError, "Size should be int or sequence. Got <class 'float'>"),
        (
            lambda: T.Resize((1, 2, 3)),
            ValueError,
            "If size is a sequence, it should have 1 or 2 values",
        ),
        (
            lambda: T.Resize(5, "bilinear"),
            TypeError,
            "interpolation should be a InterpolationMode or a",
        ),
        (
            lambda: T.Resize(5)(np.zeros((4, 4))),
            TypeError,
            "img should be PIL Image. Got <class 'numpy",
        ),
        (lambda: T.CenterCrop((1, 2, 3)), ValueError, r"only two dimensions \(h, w\) for size."),
        (lambda: T.Pad("3"), TypeError, "Got inappropriate padding arg"),
        (lambda: T.Pad((1, 2, 3)), ValueError, "a 1, 2, or 4 element tuple, not a 3 element tuple"),
        (
            lambda: T.Pad(1, padding_mode="wrap"),
            ValueError,
            "either constant, edge, reflect or symm",
        ),
        (lambda: F.rotate(photo(), "9"), TypeError, "Argument angle should be int or float"),
        (
            lambda: F.affine(photo(), 0, 1, 1, 0),
            TypeError,
            "Argument translate should be a sequence",
        ),
        (
            lambda: F.affine(photo(), 0, (1, 1), 0, 0),
            ValueError,
            "Argument scale should be positive",
        ),
        (lambda: F.hflip([1]), TypeError, "img should be PIL Image. Got <class 'list'>"),
        (lambda: F.hflip(torchish.ones(3)), TypeError, "Tensor is not a torch image."),
        (
            lambda: F.five_crop(photo(), 99),
            ValueError,
            "Requested crop size .* is bigger than input",
        ),
    ],
)
def test_wrong_input(call, error, text):
    if text is None:
        with pytest.raises((TypeError, ValueError)):
            call()(photo())
        return
    with pytest.raises(error, match=text):
        call()


def test_gradients_that_would_be_lost_are_refused():
    with pytest.raises(NotImplementedError, match="gradients through this image transform"):
        F.resize(torchish.ones(1, 4, 4, requires_grad=True), 2)


@pytest.mark.parametrize("size", [10, (8, 20), (40, 40), (5, 50), 23])
def test_center_crop(size):
    image = photo()
    height, width = (size, size) if isinstance(size, int) else size
    padded = image
    left, top = max(width - 31, 0) // 2, max(height - 23, 0) // 2
    right, bottom = (max(width - 31, 0) + 1) // 2, (max(height - 23, 0) + 1) // 2
    padded = ImageOps.expand(image, (left, top, right, bottom))
    x, y = round((padded.width - width) / 2), round((padded.height - height) / 2)
    expected = padded.crop((x, y, x + width, y + height))
    same_image(T.CenterCrop(size)(image), expected)
    same(T.CenterCrop(size)(F.pil_to_tensor(image)), torch.from_numpy(_chw(expected)))


def _chw(image):
    array = np.array(image)
    return np.ascontiguousarray(array.transpose(2, 0, 1)) if array.ndim == 3 else array[None]


def test_crop_beyond_the_edge_is_black():
    image = photo()
    expected = image.crop((-3, -2, 12, 40))
    same_image(F.crop(image, -2, -3, 42, 15), expected)
    same(F.crop(F.pil_to_tensor(image), -2, -3, 42, 15), torch.from_numpy(_chw(expected)))


@pytest.mark.parametrize("padding", [3, (2, 4), (1, 2, 3, 4), [5]])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_pad(padding, mode):
    left, top, right, bottom = {
        3: (3, 3, 3, 3), (2, 4): (2, 4, 2, 4), (1, 2, 3, 4): (1, 2, 3, 4)
    }.get(padding if not isinstance(padding, list) else 0, (5, 5, 5, 5))  # fmt: skip
    options = {"constant_values": 7} if mode == "constant" else {}
    expected = np.pad(np.array(photo()), ((top, bottom), (left, right), (0, 0)), mode, **options)
    image = T.Pad(padding, fill=7, padding_mode=mode)(photo())
    assert np.array_equal(np.array(image), expected)
    tensor = T.Pad(padding, fill=7, padding_mode=mode)(F.pil_to_tensor(photo()))
    assert np.array_equal(tensor.numpy(), expected.transpose(2, 0, 1))


def test_pad_with_colour_and_palette():
    image = F.pad(photo(), 1, fill=(1, 2, 3))
    assert image.getpixel((0, 0)) == (1, 2, 3)
    with pytest.raises(
        ValueError, match=r"does not match the number of channels of the image \(2 != 3"
    ):
        F.pad(photo(), 1, fill=(1, 2))
    palette = photo().quantize(16)
    assert F.pad(palette, 2).getpalette() == palette.getpalette()


def test_flips():
    same_image(F.hflip(photo()), ImageOps.mirror(photo()))
    same_image(F.vflip(photo()), ImageOps.flip(photo()))
    ours, theirs = tensors(floats(3, 4, 5))
    same(F.hflip(ours), theirs.flip(-1))
    same(F.vflip(ours), theirs.flip(-2))


def test_five_and_ten_crops():
    ours, theirs = tensors(floats(3, 9, 11))
    crops = T.FiveCrop((4, 6))(ours)
    corners = [theirs[:, :4, :6], theirs[:, :4, 5:], theirs[:, 5:, :6], theirs[:, 5:, 5:]]
    for got, expected in zip(crops, [*corners, theirs[:, 2:6, 2:8]], strict=True):
        same(got, expected)
    assert len(T.TenCrop(4)(photo())) == 10
    same(T.TenCrop((4, 6))(ours)[5], theirs.flip(-1)[:, :4, :6])
    same(T.TenCrop((4, 6), vertical_flip=True)(ours)[5], theirs.flip(-2)[:, :4, :6])


@pytest.mark.parametrize("expand", [False, True])
def test_rotate_pil(expand):
    image = photo()
    same_image(
        F.rotate(image, 30, Mode.BILINEAR, expand, fill=9),
        image.rotate(30, Image.BILINEAR, expand, None, fillcolor=(9, 9, 9)),
    )


def _warp(theirs, grid, mode, fill):
    """torchvision's sampling: a mask channel marks what lies outside."""
    image = theirs[None].float()
    image = torch.cat([image, torch.ones_like(image[:, :1])], 1)
    sampled = torch.nn.functional.grid_sample(image, grid, mode, "zeros", align_corners=False)[0]
    image, mask = sampled[:-1], sampled[-1:]
    color = torch.tensor(fill, dtype=torch.float32).reshape(-1, 1, 1).expand_as(image)
    if mode == "nearest":
        return torch.where(mask < 0.5, color, image)
    return image * mask + (1 - mask) * color


def _affine_grid(matrix, height, width, out_height, out_width):
    base = torch.ones(1, out_height, out_width, 3)
    base[..., 0] = torch.linspace(-out_width * 0.5 + 0.5, out_width * 0.5 - 0.5, out_width)
    base[..., 1] = torch.linspace(-out_height * 0.5 + 0.5, out_height * 0.5 - 0.5, out_height)[
        :, None
    ]
    theta = torch.tensor(matrix, dtype=torch.float32).reshape(1, 2, 3).transpose(1, 2)
    theta = theta / torch.tensor([0.5 * width, 0.5 * height])
    return base.view(1, -1, 3).bmm(theta).view(1, out_height, out_width, 2)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("angle", [17.0, -90.0])
def test_rotate_tensors(mode, angle):
    ours, theirs = tensors(floats(3, 12, 17))
    turn = np.deg2rad(angle)
    matrix = [np.cos(turn), -np.sin(turn), 0.0, np.sin(turn), np.cos(turn), 0.0]
    expected = _warp(theirs, _affine_grid(matrix, 12, 17, 12, 17).float(), mode, [0.5])
    got = F.rotate(ours, angle, Mode(mode), fill=[0.5])
    different = np.abs(got.numpy() - expected.numpy()) > 1e-5
    assert different.mean() < 0.02  # nearest: coordinates that fall between two pixels


def test_rotate_by_quarters_is_exact_and_expands():
    ours, theirs = tensors(floats(3, 12, 16))
    same(F.rotate(ours, 90, expand=True), torch.rot90(theirs, 1, (-2, -1)))
    same(F.rotate(ours, 180), torch.rot90(theirs, 2, (-2, -1)))


def test_affine_pil():
    image = photo()
    got = F.affine(image, 0, (3, -2), 1.0, 0, fill=5)
    expected = image.transform(image.size, Image.AFFINE, (1, 0, -3, 0, 1, 2), fillcolor=(5, 5, 5))
    same_image(got, expected)


def test_affine_translates_and_scales_tensors():
    ours, theirs = tensors(floats(3, 8, 8))
    moved = F.affine(ours, 0, (2, 1), 1.0, 0)
    expected = torch.zeros(3, 8, 8)
    expected[:, 1:, 2:] = theirs[:, :-1, :-2]
    same(moved, expected)
    bigger = F.affine(ours, 0, (0, 0), 2.0, 0)
    same(bigger, theirs[:, 2:6, 2:6].repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_perspective():
    start = [[0, 0], [30, 0], [30, 22], [0, 22]]
    end = [[2, 3], [28, 1], [29, 20], [1, 21]]
    image = photo()
    rows, target = [], []
    for (x, y), (u, v) in zip(end, start, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        target += [u, v]
    numbers = torch.linalg.lstsq(
        torch.tensor(rows).double(), torch.tensor(target).double()[:, None]
    )
    numbers = numbers.solution.float().flatten().tolist()
    expected = image.transform(image.size, Image.PERSPECTIVE, numbers, Image.BILINEAR)
    difference = np.abs(np.array(F.perspective(image, start, end)).astype(int) - np.array(expected))
    assert difference.max() <= 1
    tensor = F.perspective(F.to_tensor(image), start, end)
    inside = (slice(None), slice(4, 18), slice(4, 26))
    assert np.abs(tensor.numpy()[inside] - F.to_tensor(expected).numpy()[inside]).max() < 0.02
    corner = F.perspective(F.to_tensor(image), start, start)
    assert np.abs(corner.numpy() - F.to_tensor(image).numpy()).max() < 1e-4


def test_sizes():
    assert F.get_dimensions(photo()) == [3, 23, 31]
    assert F.get_image_size(torchish.ones(2, 3, 4, 5)) == [5, 4]
    assert F.get_image_num_channels(torchish.ones(4, 5)) == 1
    with pytest.raises(TypeError, match="Unexpected type <class 'str'>"):
        F.get_dimensions("x")
