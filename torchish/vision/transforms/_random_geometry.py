"""Random crops, flips, turns and warps; each draws as torchvision's transform of that name does."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...nn import Module
from .._tensors import Tensor, normal, randint, random, tensor_of, uniform
from . import functional as F
from ._geometry import pair
from ._modes import InterpolationMode, interpolation_mode


def _check_sequence(value: Any, name: str, lengths: tuple[int, ...]) -> None:
    wanted = " or ".join(str(n) for n in lengths)
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be a sequence of length {wanted}.")
    if len(value) not in lengths:
        raise ValueError(f"{name} should be a sequence of length {wanted}.")


def _angle_range(value: Any, name: str, lengths: tuple[int, ...] = (2,)) -> list[float]:
    """A number x as [-x, x], a sequence as it is."""
    if isinstance(value, numbers.Number):
        if value < 0:  # type: ignore[operator]
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [float(-value), float(value)]  # type: ignore[operator, arg-type]
    _check_sequence(value, name, lengths)
    return [float(x) for x in value]


def _fill_for(img: Any, fill: Any) -> Any:
    """One number for each channel of a tensor; PIL images take it as it is."""
    if not isinstance(img, Tensor):
        return fill
    channels = F.get_image_num_channels(img)
    if isinstance(fill, numbers.Number):
        return [float(fill)] * channels  # type: ignore[arg-type]
    return fill if fill is None else [float(f) for f in fill]


class RandomCrop(Module):
    """A part of the given size at a random place, after adding a border if one is given.

    Raises: ValueError if the image is smaller than the part.
    """

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = tuple(pair(size))
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Draw top and left, return them with height and width."""
        _, height, width = F.get_dimensions(img)
        crop_height, crop_width = output_size
        if height < crop_height or width < crop_width:
            raise ValueError(
                f"Required crop size {(crop_height, crop_width)} is larger than input image "
                f"size {(height, width)}"
            )
        if width == crop_width and height == crop_height:
            return 0, 0, height, width
        top = randint(0, height - crop_height + 1)
        left = randint(0, width - crop_width + 1)
        return top, left, crop_height, crop_width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class _RandomFlip(Module):
    _flip: Callable[[Any], Any]

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return self._flip(img) if random() < self.p else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_RandomFlip):
    """Mirror left and right with probability p."""

    _flip = staticmethod(F.hflip)


class RandomVerticalFlip(_RandomFlip):
    """Mirror top and bottom with probability p."""

    _flip = staticmethod(F.vflip)


def _draw_box(area: int, scale: Sequence[float], ratio: Sequence[float]) -> tuple[float, float]:
    """Draw an area and an aspect ratio (evenly on a log scale)."""
    low, high = np.log(np.array(ratio, np.float32)).tolist()
    drawn_area = area * uniform(scale[0], scale[1])
    return drawn_area, float(np.exp(np.float32(uniform(low, high))))


class RandomResizedCrop(Module):
    """A part of random size and place, resized to `size`.

    Args:
        scale: range of the part's area, as a share of the image's.
        ratio: range of width / height before resizing.
    """

    def __init__(
        self,
        size: Any,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = pair(size)
        if not isinstance(scale, Sequence):
            raise TypeError("Scale should be a sequence")
        if not isinstance(ratio, Sequence):
            raise TypeError("Ratio should be a sequence")
        if scale[0] > scale[1] or ratio[0] > ratio[1]:
            warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias
        self.scale = scale
        self.ratio = ratio

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Draw top, left, height and width; after ten misfits take the middle."""
        _, height, width = F.get_dimensions(img)
        for _ in range(10):
            area, aspect = _draw_box(height * width, scale, ratio)
            w = round(math.sqrt(area * aspect))
            h = round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = randint(0, height - h + 1)
                left = randint(0, width - w + 1)
                return top, left, h, w
        w, h = width, height
        if width / height < min(ratio):
            h = round(w / min(ratio))
        elif width / height > max(ratio):
            w = round(h * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def forward(self, img: Any) -> Any:
        box = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *box, self.size, self.interpolation, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}"
            f", scale={tuple(round(s, 4) for s in self.scale)}"
            f", ratio={tuple(round(r, 4) for r in self.ratio)}"
            f", interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomRotation(Module):
    """Turn by an angle drawn from `degrees`: a range, or x for [-x, x]."""

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Any = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = _angle_range(degrees, "degrees")
        if center is not None:
            _check_sequence(center, "center", (2,))
        self.center = center
        self.interpolation = interpolation_mode(interpolation)
        self.expand = expand
        if fill is not None and not isinstance(fill, (Sequence, numbers.Number)):
            raise TypeError("Fill should be either a sequence or a number.")
        self.fill = 0 if fill is None else fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """Draw the angle."""
        return uniform(float(degrees[0]), float(degrees[1]))

    def forward(self, img: Any) -> Any:
        fill = _fill_for(img, self.fill)
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        text = (
            f"{type(self).__name__}(degrees={self.degrees}"
            f", interpolation={self.interpolation.value}, expand={self.expand}"
        )
        if self.center is not None:
            text += f", center={self.center}"
        if self.fill is not None:
            text += f", fill={self.fill}"
        return text + ")"


class RandomAffine(Module):
    """Turn, move, scale and shear by random amounts.

    Args:
        degrees: range of the angle, or x for [-x, x].
        translate: largest moves, as shares of the width and height.
        scale: range of the factor.
        shear: range of the angle along x, or four numbers for x and y.
    """

    def __init__(
        self,
        degrees: Any,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: Any = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Any = None,
    ) -> None:
        super().__init__()
        self.degrees = _angle_range(degrees, "degrees")
        if translate is not None:
            _check_sequence(translate, "translate", (2,))
            if not all(0.0 <= t <= 1.0 for t in translate):
                raise ValueError("translation values should be between 0 and 1")
        if scale is not None:
            _check_sequence(scale, "scale", (2,))
            if any(s <= 0 for s in scale):
                raise ValueError("scale values should be positive")
        if center is not None:
            _check_sequence(center, "center", (2,))
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else _angle_range(shear, "shear", (2, 4))
        self.interpolation = interpolation_mode(interpolation)
        if fill is not None and not isinstance(fill, (Sequence, numbers.Number)):
            raise TypeError("Fill should be either a sequence or a number.")
        self.fill = 0 if fill is None else fill
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Draw angle, move (x, y), scale and shear (x, y)."""
        angle = uniform(float(degrees[0]), float(degrees[1]))
        move = (0, 0)
        if translate is not None:
            far_x, far_y = float(translate[0] * img_size[0]), float(translate[1] * img_size[1])
            x = round(uniform(-far_x, far_x))
            move = (x, round(uniform(-far_y, far_y)))
        scale = 1.0 if scale_ranges is None else uniform(scale_ranges[0], scale_ranges[1])
        shear_x = shear_y = 0.0
        if shears is not None:
            shear_x = uniform(shears[0], shears[1])
            if len(shears) == 4:
                shear_y = uniform(shears[2], shears[3])
        return angle, move, scale, (shear_x, shear_y)

    def forward(self, img: Any) -> Any:
        fill = _fill_for(img, self.fill)
        _, height, width = F.get_dimensions(img)
        drawn = self.get_params(
            self.degrees, self.translate, self.scale, self.shear, [width, height]
        )
        return F.affine(
            img, *drawn, interpolation=self.interpolation, fill=fill, center=self.center
        )

    def __repr__(self) -> str:
        text = f"{type(self).__name__}(degrees={self.degrees}"
        for name in ("translate", "scale", "shear"):
            if getattr(self, name) is not None:
                text += f", {name}={getattr(self, name)}"
        if self.interpolation is not InterpolationMode.NEAREST:
            text += f", interpolation={self.interpolation.value}"
        if self.fill != 0:
            text += f", fill={self.fill}"
        if self.center is not None:
            text += f", center={self.center}"
        return text + ")"


class RandomPerspective(Module):
    """Look at the image from an angle with probability p."""

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.p = p
        self.interpolation = interpolation_mode(interpolation)
        self.distortion_scale = distortion_scale
        if fill is not None and not isinstance(fill, (Sequence, numbers.Number)):
            raise TypeError("Fill should be either a sequence or a number.")
        self.fill = 0 if fill is None else fill

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[Any, Any]:
        """Draw where the four corners go."""
        far_x = int(distortion_scale * (width // 2))
        far_y = int(distortion_scale * (height // 2))
        near = [(0, far_x + 1), (0, far_y + 1)]
        far = [(width - far_x - 1, width), (height - far_y - 1, height)]
        ranges = [(near[0], near[1]), (far[0], near[1]), (far[0], far[1]), (near[0], far[1])]
        endpoints = [[randint(*x), randint(*y)] for x, y in ranges]
        startpoints = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        return startpoints, endpoints

    def forward(self, img: Any) -> Any:
        fill = _fill_for(img, self.fill)
        if random() >= self.p:
            return img
        _, height, width = F.get_dimensions(img)
        points = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, *points, self.interpolation, fill)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


def check_erasing(scale: Any, ratio: Any, value: Any) -> None:
    """Raise for arguments of RandomErasing that are no ranges or no filling."""
    if not isinstance(value, (numbers.Number, str, tuple, list)):
        raise TypeError("Argument value should be either a number or str or a sequence")
    if isinstance(value, str) and value != "random":
        raise ValueError("If value is str, it should be 'random'")
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)
    if scale[0] < 0 or scale[1] > 1:
        raise ValueError("Scale should be between 0 and 1")


class RandomErasing(Module):
    """Overwrite a random box of a tensor (..., C, H, W) with probability p.

    Args:
        scale: range of the box's area, as a share of the image's.
        ratio: range of its height / width.
        value: a number, one number a channel, or "random" for normal noise.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        check_erasing(scale, ratio, value)
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(
        img: Tensor,
        scale: Sequence[float],
        ratio: Sequence[float],
        value: Sequence[float] | None = None,
    ) -> tuple[int, int, int, int, Tensor]:
        """Draw top, left, height, width and content; after ten misfits the image itself."""
        channels, height, width = img.shape[-3], img.shape[-2], img.shape[-1]
        for _ in range(10):
            area, aspect = _draw_box(height * width, scale, ratio)
            h = round(math.sqrt(area * aspect))
            w = round(math.sqrt(area / aspect))
            if not (h < height and w < width):
                continue
            if value is None:
                content = tensor_of(normal((channels, h, w)))
            else:
                numbers_ = np.array(value, np.float32)[:, None, None]
                content = tensor_of(numbers_.astype(img.dtype.np))
            top = randint(0, height - h + 1)
            left = randint(0, width - w + 1)
            return top, left, h, w, content
        return 0, 0, height, width, img

    def forward(self, img: Tensor) -> Tensor:
        if random() >= self.p:
            return img
        value: Any = self.value
        if isinstance(value, numbers.Number):
            value = [float(value)]  # type: ignore[arg-type]
        elif isinstance(value, str):
            value = None
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        box = self.get_params(img, self.scale, self.ratio, value)
        return F.erase(img, *box, self.inplace)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
