"""Datasets of images, read from files that are on this machine."""

from __future__ import annotations

from ._base import StandardTransform as StandardTransform, VisionDataset as VisionDataset
from .cifar import CIFAR10 as CIFAR10, CIFAR100 as CIFAR100
from .fakedata import FakeData as FakeData
from .folder import DatasetFolder as DatasetFolder, ImageFolder as ImageFolder
from .mnist import KMNIST as KMNIST, MNIST as MNIST, FashionMNIST as FashionMNIST

__all__ = [name for name in dir() if name[0].isupper()]
