"""The summary sheet, "utils": images saved, transforms on PIL images and tensors.

There is no torchvision to ask here, so the expected pixels are worked out with PIL and numpy.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image


def test_save_image_block(script, tmp_path):
    """Eight images a row, 2 pixels between them, the whole batch stretched to 0..255."""
    transcript = script(
        """
        import torchvision.utils as vutils
        device = torch.device("cpu")
        batchSize, nz, epoch = 10, 4, 3
        netG = nn.Sequential(nn.ConvTranspose2d(nz, 3, 5), nn.Tanh())
        fixed_noise = torch.randn(batchSize, nz, 1, 1).to(device)
        fake = netG(fixed_noise)
        vutils.save_image(fake.detach(),
                          '%s/find_para_dim64%d.png' % (outfile_path, epoch),
                          normalize=True)
        """,
        outfile_path=str(tmp_path),
    )
    assert transcript.errors == []
    pixels = np.asarray(Image.open(tmp_path / "find_para_dim643.png"))
    fake = transcript.names["fake"].detach().numpy()
    low, high = float(fake.min()), float(fake.max())
    scaled = (fake - low) / max(high - low, 1e-5)
    assert pixels.shape == (2 + 2 * (5 + 2), 2 + 8 * (5 + 2), 3)
    for number, image in enumerate(scaled):
        top, left = 2 + 7 * (number // 8), 2 + 7 * (number % 8)
        shown = pixels[top : top + 5, left : left + 5].transpose(2, 0, 1)
        expected = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
        assert np.abs(shown.astype(int) - expected.astype(int)).max() <= 1
    assert pixels[0].max() == 0 and pixels[:, 0].max() == 0


@pytest.fixture
def picture() -> Image.Image:
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))


def as_tensor(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32).transpose(2, 0, 1) / 255


def test_compose_block(script, picture):
    """Resize scales the shorter side to 256; a flip of one half of all seeds."""
    transcript = script(
        """
        import torchvision.transforms as transforms
        transform=transforms.Compose([
            transforms.Resize(256),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0,), (1,)),
        ])
        results = [transform(picture) for _ in range(12)]
        results[0].shape, results[0].dtype
        """,
        picture=picture,
    )
    assert transcript.printed == "(torch.Size([3, 256, 341]), torch.float32)\n"
    straight = as_tensor(picture.resize((341, 256), Image.Resampling.BILINEAR))
    flipped = straight[:, :, ::-1]
    seen = set()
    for result in transcript.names["results"]:
        is_flipped = not np.allclose(result.numpy(), straight, atol=1e-6)
        seen.add(is_flipped)
        np.testing.assert_allclose(result.numpy(), flipped if is_flipped else straight, atol=1e-6)
    assert seen == {True, False}


def test_crops(script, picture):
    transcript = script(
        """
        import torchvision.transforms as transforms
        center = transforms.CenterCrop(20)(picture)
        five = transforms.FiveCrop(10)(picture)
        random_crop = transforms.RandomCrop(12)(picture)
        center.size, [crop.size for crop in five], random_crop.size
        transforms.Resize((10, 20))(picture).size
        transforms.Resize(15)(picture).size
        """,
        picture=picture,
    )
    assert transcript.errors == []
    assert transcript.printed.splitlines() == [
        "((20, 20), [(10, 10), (10, 10), (10, 10), (10, 10), (10, 10)], (12, 12))",
        "(20, 10)",
        "(20, 15)",
    ]
    pixels, names = np.asarray(picture), transcript.names
    np.testing.assert_array_equal(np.asarray(names["center"]), pixels[5:25, 10:30])
    corners = [pixels[:10, :10], pixels[:10, -10:], pixels[-10:, :10], pixels[-10:, -10:]]
    for crop, expected in zip(names["five"], [*corners, pixels[10:20, 15:25]], strict=True):
        np.testing.assert_array_equal(np.asarray(crop), expected)
    crop = np.asarray(names["random_crop"])
    places = [(y, x) for y in range(19) for x in range(29)]
    assert any((pixels[y : y + 12, x : x + 12] == crop).all() for y, x in places)


def test_resize_of_a_tensor_block(script):
    """An error in the sheet (PIL images only); today's torchvision resizes tensors too.

    The second argument, `5`, is the interpolation: today it must be a mode, as an integer PIL's.
    """
    transcript = script("""
        import torch
        import torchvision.transforms as transforms
        b = torch.ones(1,10,10)
        transforms.Resize(5)(b)
        transforms.Resize(5)(b.numpy())
    """)
    assert transcript.steps[-2].printed == repr(torch.ones(1, 5, 5)) + "\n"
    assert transcript.steps[-1].error_class == "TypeError"


def test_tensor_to_pil_resize_and_back_block(script):
    """`Resize(3, 3)`: 3 is PIL's number for bicubic, which torchvision still takes."""
    transcript = script("""
        import torch
        import torchvision.transforms as transforms
        import torchvision.transforms.functional as F
        a = torch.rand(3,6,6)
        b = F.to_pil_image(a)
        b.size, b.mode
        c = transforms.ToTensor()(transforms.Resize(3,3)(b))
        c.shape
        F.to_pil_image(torch.ones(2,6,6)).mode
        F.to_pil_image(torch.ones(5,6,6))
    """)
    assert transcript.printed.splitlines() == ["((6, 6), 'RGB')", "torch.Size([3, 3, 3])", "'LA'"]
    assert [step.error_class for step in transcript.steps if step.error] == ["ValueError"]
    a, c = transcript.names["a"].numpy(), transcript.names["c"].numpy()
    image = Image.fromarray((a * 255).astype(np.uint8).transpose(1, 2, 0))
    np.testing.assert_allclose(
        c, as_tensor(image.resize((3, 3), Image.Resampling.BICUBIC)), atol=1e-6
    )


@pytest.fixture
def image_folder(tmp_path):
    """Two classes with three pictures of different sizes each."""
    rng = np.random.default_rng(2)
    for name in ("annot", "image"):
        (tmp_path / name).mkdir()
        for number, size in enumerate([(80, 100, 3), (70, 70, 3), (120, 66, 3)]):
            pixels = rng.integers(0, 256, size, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_image_folder_loader_block(script, image_folder):
    transcript = script(
        """
        import torchvision
        import torchvision.transforms as transforms
        dataset = torchvision.datasets.ImageFolder(root, transform=transforms.Compose([
            transforms.Resize((8, 8)), transforms.ToTensor()]))
        data_loader = torch.utils.data.DataLoader(dataset,
                                                  batch_size=4,
                                                  shuffle=True,
                                                  num_workers=2)
        dataset.classes, dataset.class_to_idx, len(dataset)
        shapes = [(images.shape, labels.shape) for images, labels in data_loader]
        shapes
        """,
        root=str(image_folder),
    )
    assert transcript.errors == []
    assert transcript.printed.splitlines() == [
        "(['annot', 'image'], {'annot': 0, 'image': 1}, 6)",
        "[(torch.Size([4, 3, 8, 8]), torch.Size([4])), "
        "(torch.Size([2, 3, 8, 8]), torch.Size([2]))]",
    ]
