"""torchvision.transforms (the first API): changes of PIL images and tensors."""

from __future__ import annotations

from . import autoaugment as autoaugment, functional as functional, transforms as transforms
from .autoaugment import (
    AugMix as AugMix,
    AutoAugment as AutoAugment,
    AutoAugmentPolicy as AutoAugmentPolicy,
    RandAugment as RandAugment,
    TrivialAugmentWide as TrivialAugmentWide,
)
from .transforms import *  # noqa: F403

__all__ = [name for name in dir() if name[0].isupper() or name == "functional"]
