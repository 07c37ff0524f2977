"""The functions behind the transforms: PIL images or tensors (..., C, H, W) in, the same out."""

from __future__ import annotations

from ._color import (
    adjust_brightness as adjust_brightness,
)
from ._color import (
    adjust_contrast as adjust_contrast,
)
from ._color import (
    adjust_gamma as adjust_gamma,
)
from ._color import (
    adjust_hue as adjust_hue,
)
from ._color import (
    adjust_saturation as adjust_saturation,
)
from ._color import (
    adjust_sharpness as adjust_sharpness,
)
from ._color import (
    autocontrast as autocontrast,
)
from ._color import (
    equalize as equalize,
)
from ._color import (
    gaussian_blur as gaussian_blur,
)
from ._color import (
    invert as invert,
)
from ._color import (
    posterize as posterize,
)
from ._color import (
    rgb_to_grayscale as rgb_to_grayscale,
)
from ._color import (
    solarize as solarize,
)
from ._color import (
    to_grayscale as to_grayscale,
)
from ._convert import (
    convert_image_dtype as convert_image_dtype,
)
from ._convert import (
    normalize as normalize,
)
from ._convert import (
    pil_to_tensor as pil_to_tensor,
)
from ._convert import (
    to_pil_image as to_pil_image,
)
from ._convert import (
    to_tensor as to_tensor,
)
from ._geometry import (
    affine as affine,
)
from ._geometry import (
    center_crop as center_crop,
)
from ._geometry import (
    crop as crop,
)
from ._geometry import (
    erase as erase,
)
from ._geometry import (
    five_crop as five_crop,
)
from ._geometry import (
    get_dimensions as get_dimensions,
)
from ._geometry import (
    get_image_num_channels as get_image_num_channels,
)
from ._geometry import (
    get_image_size as get_image_size,
)
from ._geometry import (
    hflip as hflip,
)
from ._geometry import (
    pad as pad,
)
from ._geometry import (
    perspective as perspective,
)
from ._geometry import (
    resize as resize,
)
from ._geometry import (
    resized_crop as resized_crop,
)
from ._geometry import (
    rotate as rotate,
)
from ._geometry import (
    ten_crop as ten_crop,
)
from ._geometry import (
    vflip as vflip,
)
from ._modes import InterpolationMode as InterpolationMode
