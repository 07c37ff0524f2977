"""torchvision.transforms.v2 (the second API): images, videos, boxes, masks and points together."""

from __future__ import annotations

from .._modes import InterpolationMode as InterpolationMode
from .._policies import AutoAugmentPolicy as AutoAugmentPolicy
from . import functional as functional
from ._augment import (
    JPEG as JPEG,
    CutMix as CutMix,
    MixUp as MixUp,
    RandomErasing as RandomErasing,
)
from ._auto_augment import (
    AugMix as AugMix,
    AutoAugment as AutoAugment,
    RandAugment as RandAugment,
    TrivialAugmentWide as TrivialAugmentWide,
)
from ._color import (
    RGB as RGB,
    ColorJitter as ColorJitter,
    Grayscale as Grayscale,
    RandomAdjustSharpness as RandomAdjustSharpness,
    RandomAutocontrast as RandomAutocontrast,
    RandomChannelPermutation as RandomChannelPermutation,
    RandomEqualize as RandomEqualize,
    RandomGrayscale as RandomGrayscale,
    RandomInvert as RandomInvert,
    RandomPhotometricDistort as RandomPhotometricDistort,
    RandomPosterize as RandomPosterize,
    RandomSolarize as RandomSolarize,
)
from ._container import (
    Compose as Compose,
    RandomApply as RandomApply,
    RandomChoice as RandomChoice,
    RandomOrder as RandomOrder,
)
from ._geometry import (
    CenterCrop as CenterCrop,
    FiveCrop as FiveCrop,
    Pad as Pad,
    RandomCrop as RandomCrop,
    RandomHorizontalFlip as RandomHorizontalFlip,
    RandomResize as RandomResize,
    RandomResizedCrop as RandomResizedCrop,
    RandomShortestSize as RandomShortestSize,
    RandomVerticalFlip as RandomVerticalFlip,
    RandomZoomOut as RandomZoomOut,
    Resize as Resize,
    ScaleJitter as ScaleJitter,
    TenCrop as TenCrop,
)
from ._meta import (
    ClampBoundingBoxes as ClampBoundingBoxes,
    ClampKeyPoints as ClampKeyPoints,
    ConvertBoundingBoxFormat as ConvertBoundingBoxFormat,
    SetClampingMode as SetClampingMode,
)
from ._misc import (
    ConvertImageDtype as ConvertImageDtype,
    GaussianBlur as GaussianBlur,
    GaussianNoise as GaussianNoise,
    Identity as Identity,
    Lambda as Lambda,
    LinearTransformation as LinearTransformation,
    Normalize as Normalize,
    SanitizeBoundingBoxes as SanitizeBoundingBoxes,
    SanitizeKeyPoints as SanitizeKeyPoints,
    ToDtype as ToDtype,
)
from ._transform import (
    Transform as Transform,
)
from ._type_conversion import (
    PILToTensor as PILToTensor,
    ToImage as ToImage,
    ToPILImage as ToPILImage,
    ToPureTensor as ToPureTensor,
    ToTensor as ToTensor,
    UniformTemporalSubsample as UniformTemporalSubsample,
)
from ._utils import (
    check_type as check_type,
    get_bounding_boxes as get_bounding_boxes,
    get_keypoints as get_keypoints,
    has_all as has_all,
    has_any as has_any,
    query_chw as query_chw,
    query_size as query_size,
)
from ._warps import (
    ElasticTransform as ElasticTransform,
    RandomAffine as RandomAffine,
    RandomIoUCrop as RandomIoUCrop,
    RandomPerspective as RandomPerspective,
    RandomRotation as RandomRotation,
)
