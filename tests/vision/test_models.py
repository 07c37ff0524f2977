"""The models against what torchvision's are: layouts, seeded weights, results."""

import json
import pickle
import urllib.error
import urllib.request

import numpy as np
import pytest

import torchish
from tests.vision import model_probe as probe
from torchish import hub
from torchish.vision import models

EXPECTED = json.loads(probe.TABLE.read_text())
# One member of each family is run here; `make compat` runs the rest.
RUN = ("mobilenet_v3_small", "resnet18", "swin_v2_t", "vit_b_32")


def test_every_model_is_registered():
    assert models.list_models() == sorted(EXPECTED)
    assert models.list_models(models.optical_flow) == ["raft_large", "raft_small"]


@pytest.mark.parametrize("name", EXPECTED)
def test_layout(name):
    with torchish.device("meta"):
        found = probe.layout(probe.build(models, name))
    assert found == {key: EXPECTED[name][key] for key in found}


def check(name):
    torchish.manual_seed(0)
    config, shape = probe.case(name)
    model = probe.build(models, name, **config)
    np.testing.assert_allclose(probe.seeded(model), EXPECTED[name]["seeded"], atol=1e-6)
    expected = EXPECTED[name]["computed"]
    found = probe.computed(torchish, model, name, shape)
    if probe.is_detector(name):
        probe.same_detections(found, expected)
    else:
        assert np.abs(np.array(found) - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", RUN)
def test_weights_and_results(name):
    check(name)


@pytest.mark.compat
@pytest.mark.parametrize("name", sorted(set(EXPECTED) - set(RUN)))
def test_weights_and_results_of_the_rest(name):
    check(name)


def test_weights_enums():
    weights = models.ResNet50_Weights
    assert weights.DEFAULT is weights.IMAGENET1K_V2
    assert weights.verify("IMAGENET1K_V1") is weights.IMAGENET1K_V1
    assert weights.verify("ResNet50_Weights.DEFAULT") is weights.DEFAULT
    assert models.get_weight("ResNet50_Weights.IMAGENET1K_V2") is weights.DEFAULT
    assert models.get_model_weights("resnet50") is weights
    assert models.get_model_weights(models.resnet50) is weights
    assert pickle.loads(pickle.dumps(weights.DEFAULT)) is weights.DEFAULT
    assert weights.DEFAULT.url.endswith("resnet50-11ad3fa6.pth")
    assert weights.DEFAULT.meta["num_params"] == 25_557_032
    assert weights.DEFAULT.meta["min_size"] == (1, 1)
    assert len(weights.DEFAULT.meta["categories"]) == 1000
    assert repr(weights.DEFAULT) == "ResNet50_Weights.IMAGENET1K_V2"
    with pytest.raises(TypeError, match="expected ResNet50_Weights but received ResNet18_Weights"):
        models.resnet50(weights=models.ResNet18_Weights.DEFAULT)
    with pytest.raises(ValueError, match="Invalid weight name"):
        models.get_weight("ResNet50_Weights")
    with pytest.raises(ValueError, match="couldn't be retrieved"):
        models.get_weight("Nothing_Weights.DEFAULT")


def test_presets():
    preset = models.ResNet50_Weights.DEFAULT.transforms()
    assert preset.resize_size == [232] and preset.crop_size == [224]
    image = torchish.arange(3 * 20 * 30, dtype=torchish.uint8).reshape(3, 20, 30)
    ready = models.MaxVit_T_Weights.DEFAULT.transforms(crop_size=16, resize_size=18)(image)
    assert ready.shape == (3, 16, 16) and ready.dtype == torchish.float32
    assert abs(float(ready.mean())) < 2.5
    assert "interpolation=InterpolationMode.BILINEAR" in repr(preset)


def test_registry():
    assert models.list_models(include="vgg1?", exclude=["vgg13"]) == ["vgg11", "vgg16", "vgg19"]
    assert models.get_model_builder("ResNet18") is models.resnet18
    assert models.get_model("squeezenet1_1", num_classes=3).num_classes == 3
    with pytest.raises(ValueError, match="Unknown model nothing"):
        models.get_model("nothing")
    with pytest.raises(NotImplementedError, match="quantized model quantized_resnet50"):
        models.get_model("quantized_resnet50")
    with pytest.raises(ValueError, match="already registered under the name 'resnet18'"):
        models._api.register_model("resnet18")(models.resnet34)


def test_old_arguments_warn():
    with pytest.warns(UserWarning) as caught:
        models.squeezenet1_1(pretrained=False)
    texts = [str(w.message) for w in caught]
    assert "parameter 'pretrained' is deprecated" in texts[0]
    assert "equivalent to passing `weights=None`" in texts[1]
    with pytest.warns(UserWarning, match="Using 'weights' as positional parameter"):
        models.squeezenet1_1(None)
    with pytest.raises(ValueError, match="No weights available for model vit_h_14"):
        models.vit_h_14(pretrained=True)
    with pytest.raises(ValueError, match="'num_classes' expected value 1000 but got 5"):
        models.resnet18(weights="DEFAULT", num_classes=5)


@pytest.fixture
def hub_folder(tmp_path):
    before = hub.get_dir()
    hub.set_dir(tmp_path)
    yield tmp_path / "checkpoints"
    hub.set_dir(before)


def test_weights_come_from_the_file(hub_folder):
    weights = models.SqueezeNet1_1_Weights.DEFAULT
    source = models.squeezenet1_1()
    hub_folder.mkdir()
    torchish.save(source.state_dict(), hub_folder / weights.url.rpartition("/")[2])
    loaded = models.squeezenet1_1(weights="DEFAULT")
    for key, value in source.state_dict().items():
        assert torchish.equal(loaded.state_dict()[key], value)


def test_a_failed_download_leaves_nothing(hub_folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(RuntimeError, match=r"cannot download https.*squeezenet1_1.*no network"):
        models.squeezenet1_1(weights="DEFAULT")
    assert not list(hub_folder.iterdir())


def test_densenet_reads_the_old_names(hub_folder):
    source = models.densenet121()
    state = {}
    for key, value in source.state_dict().items():
        for kind in ("norm", "conv"):
            for i in "12":
                key = key.replace(f".{kind}{i}.", f".{kind}.{i}.") if "denselayer" in key else key
        state[key] = value
    hub_folder.mkdir()
    url = models.DenseNet121_Weights.DEFAULT.url
    torchish.save(state, hub_folder / url.rpartition("/")[2])
    loaded = models.densenet121(weights="DEFAULT")
    key = "features.denseblock2.denselayer3.conv2.weight"
    assert torchish.equal(loaded.state_dict()[key], source.state_dict()[key])


def test_quantized_models_are_refused_by_name():
    with pytest.raises(NotImplementedError, match=r"quantized models \(resnet18\)"):
        models.quantization.resnet18(weights="DEFAULT")
    weights = models.get_weight("ResNet18_QuantizedWeights.DEFAULT")
    assert weights.meta["unquantized"] is models.ResNet18_Weights.IMAGENET1K_V1
    assert weights.meta["backend"] == "fbgemm"


def test_memory_efficient_densenet_has_the_same_gradients():
    gradients = []
    for efficient in (False, True):
        torchish.manual_seed(0)
        net = models.DenseNet(4, (2, 1), 8, num_classes=3, memory_efficient=efficient)
        net(torchish.ones(2, 3, 32, 32)).sum().backward()
        gradients.append(net.features.conv0.weight.grad.numpy())
    np.testing.assert_allclose(*gradients, atol=1e-5)


def test_training_outputs_of_inception():
    net = models.GoogLeNet(num_classes=4, init_weights=False)
    out = net(torchish.zeros(2, 3, 32, 32))
    assert type(out).__name__ == "GoogLeNetOutputs" and out.aux_logits1.shape == (2, 4)
