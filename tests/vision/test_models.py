"""The networks, run with torchish and, from the same source, with torch."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import torchish
from tests.vision.images import floats
from torchish.vision import models

# What torchvision documents for each network.
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
}


@pytest.fixture(scope="module")
def with_torch():
    """The same source files, importing torch."""
    package = ModuleType("models_with_torch")
    package.__path__ = []
    sys.modules[package.__name__] = package
    folder = Path(models.__file__).parent
    for name in ("_weights", "resnet", "vgg", "alexnet"):
        module = ModuleType(f"{package.__name__}.{name}")
        module.__package__ = package.__name__
        sys.modules[module.__name__] = module
        source = (folder / f"{name}.py").read_text()
        source = source.replace("from torchish import nn", "from torch import nn")
        exec(compile(source, name, "exec"), module.__dict__)
        setattr(package, name, module)
        vars(package).update(
            {k: v for k, v in vars(module).items() if k in dir(models) and k[0] != "_"}
        )
    yield package
    for name in [name for name in sys.modules if name.startswith(package.__name__)]:
        del sys.modules[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name, with_torch):
    with torch.device("meta"):
        net = getattr(with_torch, name)()
    assert sum(p.numel() for p in net.parameters()) == PARAMETERS[name]


def test_resnet_equals_torch(with_torch):
    torch.manual_seed(2)
    theirs = with_torch.ResNet(with_torch.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)
    torchish.manual_seed(2)
    ours = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(
            torch.from_numpy(ours.state_dict()[key].numpy().copy()), value, rtol=0, atol=1e-6
        )
    image = floats(2, 3, 32, 32)
    expected = theirs.eval()(torch.from_numpy(image)).detach()
    got = ours.eval()(torchish.from_numpy(image)).detach()
    torch.testing.assert_close(torch.from_numpy(got.numpy().copy()), expected, rtol=1e-3, atol=1e-3)


def test_trained_weights_are_refused():
    for arguments in ({"weights": "DEFAULT"}, {"pretrained": True}):
        with pytest.raises(NotImplementedError, match=r"weights for resnet18.*load_state_dict"):
            models.resnet18(**arguments)
