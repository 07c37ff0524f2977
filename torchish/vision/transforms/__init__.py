"""torchvision.transforms (the first API): changes of PIL images and tensors."""

from __future__ import annotations

from . import functional as functional
from ._compose import (
    Compose as Compose,
)
from ._compose import (
    Lambda as Lambda,
)
from ._compose import (
    RandomApply as RandomApply,
)
from ._compose import (
    RandomChoice as RandomChoice,
)
from ._compose import (
    RandomOrder as RandomOrder,
)
from ._compose import (
    RandomTransforms as RandomTransforms,
)
from ._fixed import (
    CenterCrop as CenterCrop,
)
from ._fixed import (
    ConvertImageDtype as ConvertImageDtype,
)
from ._fixed import (
    FiveCrop as FiveCrop,
)
from ._fixed import (
    Grayscale as Grayscale,
)
from ._fixed import (
    LinearTransformation as LinearTransformation,
)
from ._fixed import (
    Normalize as Normalize,
)
from ._fixed import (
    Pad as Pad,
)
from ._fixed import (
    PILToTensor as PILToTensor,
)
from ._fixed import (
    Resize as Resize,
)
from ._fixed import (
    TenCrop as TenCrop,
)
from ._fixed import (
    ToPILImage as ToPILImage,
)
from ._fixed import (
    ToTensor as ToTensor,
)
from ._modes import InterpolationMode as InterpolationMode
from ._random_color import (
    ColorJitter as ColorJitter,
)
from ._random_color import (
    GaussianBlur as GaussianBlur,
)
from ._random_color import (
    RandomAdjustSharpness as RandomAdjustSharpness,
)
from ._random_color import (
    RandomAutocontrast as RandomAutocontrast,
)
from ._random_color import (
    RandomEqualize as RandomEqualize,
)
from ._random_color import (
    RandomGrayscale as RandomGrayscale,
)
from ._random_color import (
    RandomInvert as RandomInvert,
)
from ._random_color import (
    RandomPosterize as RandomPosterize,
)
from ._random_color import (
    RandomSolarize as RandomSolarize,
)
from ._random_geometry import (
    RandomAffine as RandomAffine,
)
from ._random_geometry import (
    RandomCrop as RandomCrop,
)
from ._random_geometry import (
    RandomErasing as RandomErasing,
)
from ._random_geometry import (
    RandomHorizontalFlip as RandomHorizontalFlip,
)
from ._random_geometry import (
    RandomPerspective as RandomPerspective,
)
from ._random_geometry import (
    RandomResizedCrop as RandomResizedCrop,
)
from ._random_geometry import (
    RandomRotation as RandomRotation,
)
from ._random_geometry import (
    RandomVerticalFlip as RandomVerticalFlip,
)

__all__ = [name for name in dir() if name[0].isupper() or name == "functional"]
