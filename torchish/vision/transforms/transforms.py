"""The classes of the first API, under the name of the module that torchvision keeps them in."""

from __future__ import annotations

from ._compose import (
    Compose as Compose,
    Lambda as Lambda,
    RandomApply as RandomApply,
    RandomChoice as RandomChoice,
    RandomOrder as RandomOrder,
    RandomTransforms as RandomTransforms,
)
from ._elastic import ElasticTransform as ElasticTransform
from ._fixed import (
    CenterCrop as CenterCrop,
    ConvertImageDtype as ConvertImageDtype,
    FiveCrop as FiveCrop,
    Grayscale as Grayscale,
    LinearTransformation as LinearTransformation,
    Normalize as Normalize,
    Pad as Pad,
    PILToTensor as PILToTensor,
    Resize as Resize,
    TenCrop as TenCrop,
    ToPILImage as ToPILImage,
    ToTensor as ToTensor,
)
from ._modes import InterpolationMode as InterpolationMode
from ._random_color import (
    ColorJitter as ColorJitter,
    GaussianBlur as GaussianBlur,
    RandomAdjustSharpness as RandomAdjustSharpness,
    RandomAutocontrast as RandomAutocontrast,
    RandomEqualize as RandomEqualize,
    RandomGrayscale as RandomGrayscale,
    RandomInvert as RandomInvert,
    RandomPosterize as RandomPosterize,
    RandomSolarize as RandomSolarize,
)
from ._random_geometry import (
    RandomAffine as RandomAffine,
    RandomCrop as RandomCrop,
    RandomErasing as RandomErasing,
    RandomHorizontalFlip as RandomHorizontalFlip,
    RandomPerspective as RandomPerspective,
    RandomResizedCrop as RandomResizedCrop,
    RandomRotation as RandomRotation,
    RandomVerticalFlip as RandomVerticalFlip,
)
