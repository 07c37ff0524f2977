"""Between PIL images, arrays and tensors."""

import numpy as np
import pytest
import torch

import torchish
from tests.vision.images import bytes_, floats, photo, same, same_image, tensors
from torchish.vision import transforms as T
from torchish.vision.transforms import functional as F
from torchish.vision.transforms._presets import VideoClassification


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "I", "F", "CMYK", "HSV", "LA"])
def test_to_tensor_of_every_mode(mode):
    image = photo("RGB").convert("L").convert(mode) if mode in ("I", "F", "LA") else photo(mode)
    array = np.array(image)
    array = array[:, :, None] if array.ndim == 2 else array
    expected = torch.from_numpy(array.transpose(2, 0, 1).copy())
    if mode == "1":
        expected = expected.to(torch.uint8) * 255
    if expected.dtype == torch.uint8:
        expected = expected.float().div(255)
    same(T.ToTensor()(image), expected)
    assert T.ToTensor()(image).is_contiguous()


def test_to_tensor_of_arrays():
    array = bytes_(5, 4, 3)
    same(F.to_tensor(array), torch.from_numpy(array.transpose(2, 0, 1).copy()).float().div(255))
    double = array.astype(np.float64)
    same(F.to_tensor(double), torch.from_numpy(double.transpose(2, 0, 1).copy()))
    assert tuple(F.to_tensor(array[:, :, 0]).shape) == (1, 5, 4)


def test_to_tensor_copies_the_array():
    array = np.zeros((2, 2, 1), np.float32)
    tensor = F.to_tensor(array)
    array += 1
    assert tensor.sum().item() == 0


def test_to_tensor_follows_the_default_dtype():
    torchish.set_default_dtype(torchish.float64)
    try:
        assert F.to_tensor(photo()).dtype == torchish.float64
    finally:
        torchish.set_default_dtype(torchish.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: F.to_tensor([1]),
            TypeError,
            "pic should be PIL Image or ndarray. Got <class 'list'>",
        ),
        (
            lambda: F.to_tensor(np.zeros(3)),
            ValueError,
            "pic should be 2/3 dimensional. Got 1 dimen",
        ),
        (
            lambda: F.pil_to_tensor(np.zeros(3)),
            TypeError,
            "pic should be PIL Image. Got <class 'numpy",
        ),
        (
            lambda: F.to_pil_image("x"),
            TypeError,
            "pic should be Tensor or ndarray. Got <class 'str'>.",
        ),
        (
            lambda: F.to_pil_image(torchish.ones(1, 1, 2, 2)),
            ValueError,
            "2/3 dimensional. Got 4 dim",
        ),
        (
            lambda: F.to_pil_image(torchish.ones(5, 2, 2)),
            ValueError,
            "not have > 4 channels. Got 5",
        ),
        (
            lambda: F.to_pil_image(bytes_(2, 2, 3), mode="L"),
            ValueError,
            "Only modes .* for 3D inputs",
        ),
        (
            lambda: F.to_pil_image(bytes_(2, 2), mode="F"),
            ValueError,
            "Incorrect mode \\(F\\) supplied",
        ),
        (lambda: F.convert_image_dtype(3), TypeError, "Input img should be Tensor Image"),
    ],
)
def test_wrong_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_pil_to_tensor_keeps_the_numbers():
    same(T.PILToTensor()(photo()), torch.from_numpy(np.array(photo()).transpose(2, 0, 1).copy()))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_floats_to_pil_truncate(channels):
    ours, theirs = tensors(floats(channels, 6, 5))
    expected = theirs.mul(255).byte().numpy().transpose(1, 2, 0)
    image = F.to_pil_image(ours)
    assert image.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    assert np.array_equal(np.asarray(image).reshape(6, 5, channels), expected)


def test_out_of_range_floats_wrap():
    array = np.array([[-0.5, 1.5, 2.0]], np.float32)
    expected = torch.from_numpy(array).mul(255).byte().numpy()
    assert np.array_equal(np.asarray(F.to_pil_image(torchish.from_numpy(array))), expected)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV"])
def test_to_pil_image_with_a_mode(mode):
    image = photo(mode)
    same_image(T.ToPILImage(mode)(np.array(image)), image)


def test_other_dtypes_to_pil():
    assert F.to_pil_image(torchish.ones(1, 2, 2, dtype=torchish.int32)).mode == "I"
    assert F.to_pil_image(torchish.ones(1, 2, 2), mode="F").mode == "F"
    assert F.to_pil_image(torchish.ones(2, 2, dtype=torchish.int16)).mode.startswith("I;16")
    with pytest.raises(TypeError, match="Input type int64 is not supported"):
        F.to_pil_image(torchish.ones(2, 2, dtype=torchish.int64))


def test_there_and_back():
    image = photo()
    same_image(F.to_pil_image(F.to_tensor(image)), image)


def test_convert_image_dtype():
    ours, theirs = tensors(bytes_(3, 4, 5))
    same(T.ConvertImageDtype(torchish.float32)(ours), theirs.float() / 255)
    same(F.convert_image_dtype(ours, torchish.int16), theirs.to(torch.int16) * 128)
    same(
        F.convert_image_dtype(ours, torchish.int8),
        torch.div(theirs, 2, rounding_mode="floor").to(torch.int8),
    )
    assert F.convert_image_dtype(ours, torchish.uint8) is ours
    ours, theirs = tensors(floats(3, 4, 5))
    same(F.convert_image_dtype(ours, torchish.uint8), theirs.mul(255 + 1.0 - 1e-3).to(torch.uint8))
    same(F.convert_image_dtype(ours, torchish.float64), theirs.double())
    with pytest.raises(RuntimeError, match="from torch.float32 to torch.int32 cannot be performed"):
        F.convert_image_dtype(ours, torchish.int32)


def test_normalize():
    ours, theirs = tensors(floats(3, 4, 5))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = theirs.sub(torch.tensor(mean)[:, None, None]).div(torch.tensor(std)[:, None, None])
    same(T.Normalize(mean, std)(ours), expected)
    batch, batch_theirs = tensors(floats(2, 3, 4, 5))
    same(F.normalize(batch, [0.5], [0.25]), (batch_theirs - 0.5) / 0.25)
    result = F.normalize(ours, mean, std, inplace=True)
    assert result is ours
    same(ours, expected)


def test_normalize_keeps_gradients():
    x = torchish.ones(3, 2, 2, requires_grad=True)
    F.normalize(x, [0.5], [0.25]).sum().backward()
    assert x.grad.tolist() == [[[4.0, 4.0], [4.0, 4.0]]] * 3


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda n: n(photo()), TypeError, "img should be Tensor Image. Got <class 'PIL"),
        (lambda n: n(torchish.ones(3, 2, 2).int()), TypeError, "float tensor. Got torch.int32."),
        (lambda n: n(torchish.ones(2, 2)), ValueError, r"size \(..., C, H, W\). Got tensor.size"),
        (lambda n: n(torchish.ones(1, 2, 2)), RuntimeError,
         r"output with shape \[1, 2, 2\] doesn't match the broadcast shape \[3, 2, 2\]"),
        (lambda n: n(torchish.ones(4, 2, 2)), RuntimeError,
         r"size of tensor a \(4\) must match the size of tensor b \(3\) at non-singleton dimensio"),
    ],
)  # fmt: skip
def test_normalize_wrong_input(call, error, text):
    with pytest.raises(error, match=text):
        call(T.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))


def test_normalize_zero_std():
    with pytest.raises(ValueError, match="std evaluated to zero after conversion to torch.float32"):
        F.normalize(torchish.ones(1, 2, 2), [0.5], [0.0])


def test_a_video_preset_takes_videos_only():
    preset = VideoClassification(crop_size=(4, 4), resize_size=(6,))
    assert preset(torchish.zeros(2, 3, 8, 8)).shape == (3, 2, 4, 4)
    with pytest.raises(ValueError, match="not enough values to unpack"):
        preset(torchish.zeros(3, 8, 8))
