"""Datasets from files: layouts, transforms, texts, and damaged or missing files."""

import gzip
import os
import pathlib
import pickle
import struct

import numpy as np
import pytest
import torch
from PIL import Image

import torchish
from tests.vision.images import photo
from torchish.vision import datasets, transforms as T
from torchish.vision.transforms import functional as F

SHARED = os.path.join(os.path.dirname(__file__), "..", "..", "..", "shared", "data")
needs_cifar = pytest.mark.skipif(
    not os.path.isdir(os.path.join(SHARED, "cifar-10-batches-py")),
    reason="the CIFAR-10 batches are not part of this repository",
)
needs_mnist = pytest.mark.skipif(
    not os.path.isdir(os.path.join(SHARED, "MNIST")),
    reason="the MNIST files are not part of this repository",
)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A small CIFAR-10 in the original format, whose checksums are taken for granted."""
    monkeypatch.setattr(datasets.utils, "check_md5", lambda *args, **kwargs: True)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        batch = {
            "batch_label": name,
            "labels": [k, 7, 1],
            "data": rng.integers(0, 256, (3, 3072), dtype=np.uint8),
            "filenames": [f"{k}_{i}.png" for i in range(3)],
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, protocol=2))
    return tmp_path


def test_cifar10(cifar):
    dataset = datasets.CIFAR10(str(cifar), transform=T.ToTensor(), target_transform=lambda t: -t)
    assert len(dataset) == 15
    assert dataset.data.shape == (15, 32, 32, 3)
    image, target = dataset[4]
    assert tuple(image.shape) == (3, 32, 32)
    assert (target, dataset.targets[4], dataset.classes[7]) == (-7, 7, "horse")
    raw = pickle.loads((cifar / "cifar-10-batches-py" / "data_batch_2").read_bytes())["data"][1]
    assert np.array_equal(dataset.data[4], raw.reshape(3, 32, 32).transpose(1, 2, 0))
    image, _ = datasets.CIFAR10(cifar, train=False, download=True)[0]
    assert image.size == (32, 32)
    assert len(datasets.CIFAR10(cifar, train=False)) == 3


def test_repr(cifar):
    dataset = datasets.CIFAR10(str(cifar), train=False, transform=T.Compose([T.ToTensor()]))
    assert repr(dataset) == (
        "Dataset CIFAR10\n"
        "    Number of datapoints: 3\n"
        f"    Root location: {cifar}\n"
        "    Split: Test\n"
        "    StandardTransform\n"
        "Transform: Compose(\n"
        "               ToTensor()\n"
        "           )"
    )


def test_cifar_files_that_are_missing(tmp_path):
    with pytest.raises(RuntimeError, match="Dataset not found or corrupted. You can use"):
        datasets.CIFAR10(tmp_path)


class _Evil:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a pickle", pickle.dumps({"data": 1}), pickle.dumps([1]), pickle.dumps(_Evil()),
     pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}),
     pickle.dumps({"data": np.zeros((2, 30), np.uint8), "labels": [1, 2]})],
)  # fmt: skip
def test_damaged_and_malicious_cifar_files(cifar, content):
    path = cifar / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match="data_batch_3 is corrupted"):
        datasets.CIFAR10(cifar)


def test_truncated_cifar_file(cifar):
    path = cifar / "cifar-10-batches-py" / "data_batch_1"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RuntimeError, match="data_batch_1 is corrupted"):
        datasets.CIFAR10(cifar)


@needs_cifar
def test_real_cifar10(monkeypatch):
    # A part of the data set in its own format: the checksums are those of the whole files.
    monkeypatch.setattr(datasets.utils, "check_md5", lambda *args, **kwargs: True)
    dataset = datasets.CIFAR10(SHARED)
    assert len(dataset) == 5000
    assert sum(target == 7 for target in dataset.targets) == 512
    image, target = dataset[0]
    assert (dataset.classes[target], image.mode, image.size) == ("frog", "RGB", (32, 32))


def _idx(array):
    code = {"uint8": 8, "int32": 12}[array.dtype.name]
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def mnist(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images = np.random.default_rng(1).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1], np.uint8)
    (folder / "train-images-idx3-ubyte").write_bytes(_idx(images))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(_idx(labels)))
    return tmp_path, images, labels


def test_mnist(mnist):
    root, images, labels = mnist
    dataset = datasets.MNIST(root, download=True)
    assert np.array_equal(dataset.data.numpy(), images)
    assert dataset.targets.tolist() == labels.tolist()
    assert dataset.targets.dtype == torchish.int64
    image, target = dataset[2]
    assert (image.mode, target) == ("L", 4)
    assert np.array_equal(np.array(image), images[2])
    assert dataset.class_to_idx["4 - four"] == 4
    assert "Split: Train" in repr(dataset)
    with pytest.raises(RuntimeError, match="Dataset not found. You can use download=True"):
        datasets.MNIST(root, train=False)


@pytest.mark.parametrize(
    "damage", [b"", b"\0\0\x08\x03", b"\1\2\3\4" * 9, b"\0\0\x63\x01\0\0\0\1\0"]
)
def test_damaged_mnist_files(mnist, damage):
    root, *_ = mnist
    (root / "MNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(damage)
    with pytest.raises(RuntimeError, match="corrupted"):
        datasets.MNIST(root)
    (root / "MNIST" / "raw" / "train-images-idx3-ubyte").unlink()
    (root / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").write_bytes(damage)
    with pytest.raises(RuntimeError, match="corrupted"):
        datasets.MNIST(root)


@needs_mnist
def test_real_mnist():
    dataset = datasets.MNIST(SHARED, train=False, transform=T.ToTensor())
    assert len(dataset) == 10000
    image, target = dataset[0]
    assert (tuple(image.shape), target) == ((1, 28, 28), 7)


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.png", "b/1.PNG", "a/deep/3.bmp", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            path.write_text("hello")
        else:
            photo("L").save(path, format="png" if name.lower().endswith("png") else "bmp")
    return tmp_path


def test_image_folder(folder):
    dataset = datasets.ImageFolder(str(folder), transform=T.ToTensor())
    assert (dataset.classes, dataset.class_to_idx) == (["a", "b"], {"a": 0, "b": 1})
    assert [os.path.relpath(path, folder) for path, _ in dataset.imgs] == [
        "a/deep/3.bmp", "b/1.PNG", "b/2.png"
    ]  # fmt: skip
    assert dataset.targets == [0, 1, 1]
    image, target = dataset[1]
    assert (tuple(image.shape), target) == ((3, 23, 31), 1)


def test_image_folder_errors(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        datasets.ImageFolder(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder in"):
        datasets.ImageFolder(folder / "b")
    (folder / "empty").mkdir()
    text = "Found no valid file for the classes empty. Supported extensions are: .jpg, .jpeg, .png"
    with pytest.raises(FileNotFoundError, match=text):
        datasets.ImageFolder(folder)
    assert len(datasets.ImageFolder(folder, allow_empty=True)) == 3
    with pytest.raises(ValueError, match="Both extensions and is_valid_file cannot be None or not"):
        datasets.DatasetFolder(folder, loader=str)


def test_dataset_folder(folder):
    dataset = datasets.DatasetFolder(
        folder,
        loader=lambda path: pathlib.Path(path).read_text(),
        extensions=(".txt",),
        allow_empty=True,
    )
    assert dataset[0] == ("hello", 0)
    dataset = datasets.ImageFolder(folder, is_valid_file=lambda path: path.endswith("bmp"),
                                   allow_empty=True)  # fmt: skip
    assert len(dataset) == 1


def test_an_image_that_is_damaged(folder):
    (folder / "a" / "deep" / "3.bmp").write_bytes(b"BM and no more")
    with pytest.raises((OSError, SyntaxError)):
        datasets.ImageFolder(folder)[0]


def test_fake_data():
    dataset = datasets.FakeData(3, (3, 5, 6), num_classes=7, random_offset=2)
    before = torchish.get_rng_state().tolist()
    for index in range(3):
        generator = torch.Generator().manual_seed(index + 2)
        noise = torch.randn(3, 5, 6, generator=generator)
        target = torch.randint(0, 7, (1,), generator=generator).item()
        image, got = dataset[index]
        expected = noise.mul(255).byte().numpy().transpose(1, 2, 0)
        # a value whose last bit differs may fall on the other side of an integer
        assert (np.array(image) != expected).mean() < 0.02
        assert got == target
    assert torchish.get_rng_state().tolist() == before
    with pytest.raises(IndexError, match="FakeData index out of range"):
        dataset[3]
    assert "Root location" not in repr(dataset)


def test_transforms_are_given_in_one_way():
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform can be"):
        datasets.VisionDataset("x", transforms=lambda *a: a, transform=str)


def test_loader_with_workers(folder):
    dataset = datasets.ImageFolder(folder, T.Compose([T.Resize((8, 8)), T.ToTensor()]))
    loader = torchish.utils.data.DataLoader(dataset, batch_size=2, num_workers=2)
    batches = [(tuple(images.shape), labels.tolist()) for images, labels in loader]
    assert batches == [((2, 3, 8, 8), [0, 1]), ((1, 3, 8, 8), [1])]
    image = F.to_tensor(Image.open(folder / "b" / "2.png").convert("RGB").resize((8, 8), 2))
    assert np.array_equal(dataset[2][0].numpy(), image.numpy())
