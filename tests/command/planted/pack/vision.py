"""One of a package's modules: torchvision, and imports that fail when it is loaded."""

import importlib

import torch
import torchvision
import torchvision.transforms.v2 as T
from torch.utils.nowhere import thing  # stops torch.utils.nowhere
from torchvision import datasets, models
from torchvision.transforms import Compose, ToTensor, ToTensors  # stops torchvision.transforms.ToTensors

from .other import torch as not_torch

extension = importlib.import_module("torch.utils.cpp_extension")
missing = importlib.import_module("torch.utils.not_there")  # stops torch.utils.not_there
loaded = extension.load("source.cpp")  # raises torch.utils.cpp_extension.load


def pictures(folder):
    steps = Compose([ToTensor(), T.Resize(32), T.Resise(32)])  # raises torchvision.transforms.v2.Resise
    found = datasets.ImageFolder(folder, transform=steps)
    backbone = models.resnet18(weights=None)
    old = torchvision.models.quantization.resnet18()  # raises torchvision.models.quantization.resnet18
    return not_torch.nonsense(backbone, found, old), torch.load(folder, weights_only=True)
