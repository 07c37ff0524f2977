"""The functions behind the transforms: PIL images or tensors (..., C, H, W) in, the same out."""

from __future__ import annotations

from ._color import (
    adjust_brightness as adjust_brightness,
    adjust_contrast as adjust_contrast,
    adjust_gamma as adjust_gamma,
    adjust_hue as adjust_hue,
    adjust_saturation as adjust_saturation,
    adjust_sharpness as adjust_sharpness,
    autocontrast as autocontrast,
    equalize as equalize,
    gaussian_blur as gaussian_blur,
    invert as invert,
    posterize as posterize,
    rgb_to_grayscale as rgb_to_grayscale,
    solarize as solarize,
    to_grayscale as to_grayscale,
)
from ._convert import (
    convert_image_dtype as convert_image_dtype,
    normalize as normalize,
    pil_to_tensor as pil_to_tensor,
    to_pil_image as to_pil_image,
    to_tensor as to_tensor,
)
from ._elastic import elastic_transform as elastic_transform
from ._geometry import (
    affine as affine,
    center_crop as center_crop,
    crop as crop,
    erase as erase,
    five_crop as five_crop,
    get_dimensions as get_dimensions,
    get_image_num_channels as get_image_num_channels,
    get_image_size as get_image_size,
    hflip as hflip,
    pad as pad,
    perspective as perspective,
    resize as resize,
    resized_crop as resized_crop,
    rotate as rotate,
    ten_crop as ten_crop,
    vflip as vflip,
)
from ._modes import InterpolationMode as InterpolationMode
