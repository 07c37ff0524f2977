"""What becomes of images, boxes, masks and points in torch's operations."""

import copy

import pytest

import torchish as torch
from torchish.vision import tv_tensors


@pytest.fixture
def boxes():
    return tv_tensors.BoundingBoxes([[1.0, 2, 3, 4]], format="xyxy", canvas_size=(5, 6))


def facts(boxes):
    return type(boxes).__name__, boxes.format.name, boxes.canvas_size, boxes.clamping_mode


def test_operations_return_plain_tensors(boxes):
    assert type(boxes + 1) is torch.Tensor
    assert type(boxes[0]) is torch.Tensor
    assert type(torch.stack([boxes, boxes])) is torch.Tensor
    assert type(boxes.add_(1)) is torch.Tensor
    assert type(boxes) is tv_tensors.BoundingBoxes
    assert boxes.tolist() == [[2.0, 3.0, 4.0, 5.0]]


def test_some_operations_keep_the_class(boxes):
    kept = [boxes.clone(), boxes.to(torch.float64), boxes.detach(), copy.deepcopy(boxes)]
    for item in [*kept, boxes.requires_grad_()]:
        assert facts(item) == ("BoundingBoxes", "XYXY", (5, 6), "soft")
    # of a plain tensor and boxes, it is the first that counts
    assert type(torch.ones(2).to(boxes)) is torch.Tensor


def test_set_return_type(boxes):
    image = tv_tensors.Image(torch.ones(3, 2, 2))
    with tv_tensors.set_return_type("TVTensor"):
        assert type(image * 2) is tv_tensors.Image
        assert facts(boxes + 1) == ("BoundingBoxes", "XYXY", (5, 6), "soft")
        assert [type(part) for part in image.unbind(0)] == [tv_tensors.Image] * 3
    assert type(image * 2) is torch.Tensor
    with pytest.raises(ValueError, match="return_type must be 'TVTensor' or 'Tensor', got x"):
        tv_tensors.set_return_type("x")


def test_wrap(boxes):
    other = tv_tensors.wrap(torch.zeros(2, 4), like=boxes, canvas_size=(9, 9))
    assert facts(other) == ("BoundingBoxes", "XYXY", (9, 9), "soft")
    points = tv_tensors.KeyPoints([1, 2], canvas_size=(3, 4))
    assert tuple(points.shape) == (1, 2)
    assert tv_tensors.wrap(torch.zeros(5, 2), like=points).canvas_size == (3, 4)


def test_repr(boxes):
    assert repr(boxes) == (
        "BoundingBoxes([[1., 2., 3., 4.]], format=BoundingBoxFormat.XYXY, canvas_size=(5, 6), "
        "clamping_mode=soft)"
    )
    assert repr(tv_tensors.Mask(torch.ones(2))) == "Mask([1., 1.])"
    assert repr(tv_tensors.Image(torch.ones(1, 1, 2))) == "Image([[[1., 1.]]], )"


def test_refusals():
    with pytest.raises(ValueError, match="Tensor must be 2D or higher, got 1D tensor"):
        tv_tensors.Image(torch.ones(3))
    with pytest.raises(ValueError, match="Expected a 1D or 2D tensor, got 3D"):
        tv_tensors.BoundingBoxes(torch.ones(1, 2, 4), format="XYXY", canvas_size=(1, 1))
    with pytest.raises(ValueError, match="Rotated bounding boxes should be floating point"):
        tv_tensors.BoundingBoxes([1, 2, 3, 4, 5], format="XYWHR", canvas_size=(1, 1))
    with pytest.raises(ValueError, match="clamping_mode must be None, hard or soft, got x"):
        tv_tensors.BoundingBoxes([1, 2, 3, 4], format="XYXY", canvas_size=(1, 1), clamping_mode="x")


def test_kernels_of_one_s_own():
    from torchish.vision.transforms import v2
    from torchish.vision.transforms.v2 import functional as F

    class Depth(tv_tensors.TVTensor):
        pass

    depth = torch.arange(6.0).reshape(1, 2, 3).as_subclass(Depth)
    assert v2.RandomHorizontalFlip(p=1)(depth) is depth  # no kernel: passed through
    with pytest.raises(TypeError, match=r"Functional F.horizontal_flip supports inputs of type"):
        F.horizontal_flip(depth)

    @F.register_kernel("horizontal_flip", Depth)
    def flip(inpt):
        return tv_tensors.wrap(F.horizontal_flip_image(inpt.as_subclass(torch.Tensor)), like=inpt)

    flipped = v2.RandomHorizontalFlip(p=1)(depth)
    assert type(flipped) is Depth
    assert flipped.tolist() == [[[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]]
    with pytest.raises(ValueError, match="Kernels cannot be registered for the builtin"):
        F.register_kernel(F.resize, tv_tensors.Image)
