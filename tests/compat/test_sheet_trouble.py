"""The summary sheet, "trouble shooting" and "Questions": each item's symptom, and its cure."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from tests.compat.sheet_runner import run_with_gpus


def test_item_1_input_and_weight_types_differ(both):
    """Doubles into float weights: an error whose cure is `.to(dtype=torch.float)`."""
    both(
        """
        device = torch.device("cpu")
        conv, linear = nn.Conv2d(3, 5, 4, 1), nn.Linear(3, 5)
        data = torch.randn(1, 3, 10, 10).double()
        conv(data)
        linear(torch.randn(2, 3).double())
        conv(data.to(device=device, dtype=torch.float)).shape
        """,
        raises=2,
    )


def test_item_2_tensor_smaller_than_the_kernel(both):
    both(
        """
        device = torch.device("cpu")
        m = torch.nn.Conv2d(3, 5, 4, 1).to(device)
        good = torch.randn((1, 3, 10, 10)).to(device)
        small = torch.randn((1, 3, 2 ,2)).to(device)
        print(m(good).shape)
        m(small)
        """,
        raises=1,
    )


def test_item_2_sizes_that_are_kept_halved_and_doubled(both):
    """Kernel 3, padding 1 keeps; kernel 4, stride 2 halves (- 1) and doubles (+ 2)."""
    transcript = both("""
        x = torch.zeros(1, 1, 8, 8)
        nn.Conv2d(1, 1, 3, 1, 1)(x).shape, nn.ConvTranspose2d(1, 1, 3, 1, 1)(x).shape
        nn.Conv2d(1, 1, 4, 2, 1)(x).shape, nn.Conv2d(1, 1, 4, 2, 0)(x).shape
        nn.ConvTranspose2d(1, 1, 4, 2, 1)(x).shape, nn.ConvTranspose2d(1, 1, 4, 2, 0)(x).shape
        nn.Conv2d(1, 1, 3, 2, 1)(x).shape
    """)
    sizes = [line.count("torch.Size([1, 1, 8, 8])") for line in transcript.printed.splitlines()]
    assert sizes == [2, 0, 0, 0]


def test_item_3_spectral_norm(both):
    """The weight is divided by its largest singular value, found by one power iteration a call."""
    both(
        """
        from torch.nn.utils import spectral_norm
        in_chan, out_chan = 2, 3
        layer = spectral_norm(nn.Conv2d(in_chan, out_chan, kernel_size=3, stride=2, padding=1))
        layer
        list(layer.state_dict())
        x = torch.randn(1, 2, 5, 5)
        for _ in range(3):
            y = layer(x)
        y
        y.sum().backward()
        layer.weight_orig.grad[0, 0]
        layer.weight_u
        model = nn.Sequential(layer, nn.ReLU()).eval()
        model(x)[0, 0]
        """,
        rtol=1e-3,
    )


def test_item_3_a_deep_sigmoid_net_has_vanishing_gradients(both):
    both(
        """
        layers = []
        for _ in range(8):
            layers += [nn.Linear(4, 4), nn.Sigmoid()]
        net = nn.Sequential(*layers)
        net(torch.randn(2, 4)).sum().backward()
        [net[i].weight.grad.abs().max().item() > 1e-3 for i in (0, 14)]
        net[14].weight.grad
        """,
        rtol=1e-3,
    )


TRAIN_D_MORE = """
    import torch.utils.data as Data
    dataset = Data.TensorDataset(torch.arange(6.).view(6, 1), torch.full((6,), 8))
    dataloader = Data.DataLoader(dataset, batch_size=1, shuffle=True)
    niter = 2
    for epoch in range(niter):
        for i, data in enumerate(dataloader, 0):
            img = 0
            for img, i in enumerate(dataloader, 0):
                for j in range(5):
                    print(next(iter(dataloader))[1])
                img = img + 1
                if img > 1:
                    break
            if data[0] > 2:
                break
"""


def test_item_4_train_the_discriminator_more(both):
    """Every `iter` shuffles anew; the order of all draws is PyTorch's."""
    transcript = both(TRAIN_D_MORE)
    assert set(transcript.printed.splitlines()) == {"tensor([8])"}
    both(TRAIN_D_MORE.replace("[1])", "[0])"))


def test_item_4_wgan_clips_its_weights(both):
    both(
        """
        critic = nn.Linear(2, 1)
        optimizer = torch.optim.RMSprop(critic.parameters(), lr=0.05)
        for step in range(3):
            for p in critic.parameters():
                p.data.clamp_(-0.1, 0.1)
            critic.zero_grad()
            loss = critic(torch.randn(4, 2)).mean() - critic(torch.randn(4, 2) + 1).mean()
            loss.backward()
            optimizer.step()
            print(loss.item())
        critic.weight
        """,
        rtol=1e-3,
    )


@pytest.mark.parametrize(("batch_size", "batches"), [(64, 6), (16, 23)])
def test_item_5_steps_an_epoch_by_batch_size(both, batch_size, batches):
    """360 images: a batch of 64 gives six updates an epoch, of 16 twenty-three."""
    transcript = both(
        f"""
        import torch.utils.data as Data
        loader = Data.DataLoader(Data.TensorDataset(torch.zeros(360, 1)), batch_size={batch_size})
        len(loader), sum(1 for _ in loader), [len(x) for x, in loader][-1]
        """
    )
    assert transcript.printed.startswith(f"({batches}, {batches}, ")


GAN_STEP = """
    netD = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(True), nn.Linear(4, 1),
                         nn.Sigmoid())
    netG = nn.Sequential(nn.Linear(2, 4), nn.ReLU(True), nn.Linear(4, 3))
    criterion = nn.BCELoss()
    optimizerD = torch.optim.Adam(netD.parameters(), lr=0.01)
    real_img, label = torch.randn(4, 3), torch.ones(4, 1)
    output = netD(real_img)
    errD_real = criterion(output, label)
    noise = torch.randn(4, 2)
    fake = netG(noise)
"""


def test_item_6_one_backward_for_a_sum_of_losses(both):
    """The block as it stands works today: `output` is a new name, nothing is overwritten."""
    both(
        GAN_STEP
        + """
    output = netD(fake.detach())
    errD_fake = criterion(output, torch.zeros(4, 1))
    errD = errD_real+errD_fake
    errD.backward()
    netD[0].weight.grad
    netG[0].weight.grad
    """,
        rtol=1e-3,
    )


def test_item_6_backward_for_each_loss(both):
    both(
        GAN_STEP
        + """
    errD_real.backward()
    output = netD(fake.detach())
    errD_fake = criterion(output, torch.zeros(4, 1))
    errD_fake.backward()
    optimizerD.step()
    netD[0].weight
    netD[1].running_mean
    """,
        rtol=1e-3,
    )


def test_item_6_the_error_itself(both):
    """A number that backward needs is overwritten by an in-place call."""
    both(
        """
        x = torch.ones(2, 2, requires_grad=True)
        y = x.exp()
        y.add_(1)
        y.sum().backward()
        """,
        raises=1,
    )


def test_item_6_the_error_of_an_optimizer_step_in_between(both):
    """The step overwrites the weights; PyTorch shows them transposed, so only the class agrees."""
    transcript = both(
        GAN_STEP
        + """
    output = netD(fake)
    errG = criterion(output, label)
    errD_real.backward()
    optimizerD.step()
    errG.backward()
    """,
        raises=1,
        errors="class",
    )
    [error] = transcript.errors
    assert "has been modified by an inplace operation: [torch.FloatTensor [" in error


def test_item_7_a_list_of_tensors_is_no_tensor(both):
    both(
        """
        a = torch.tensor([1,2,3])
        b = torch.tensor([2,4,3])
        c = [a,b]
        torch.tensor(c)
        torch.tensor([a.float(), b.float()])
        torch.tensor([a[0], b[0]])
        c = torch.zeros(2,3)
        c[0] = a
        c[1] = b
        c
        torch.stack([a, b])
        """,
        errors="class",
        raises=2,
    )


def test_item_8_transforms_run_when_the_loader_is_iterated(script, tmp_path):
    """The dataset's own pictures stay as they were; only what it hands out is normalised."""
    (tmp_path / "one").mkdir()
    for number in range(2):
        Image.new("RGB", (4, 4), (255, 127, 0)).save(tmp_path / "one" / f"{number}.png")
    transcript = script(
        """
        import torchvision.datasets as dataset
        import torchvision.transforms as transforms
        calls = []
        def note(image):
            calls.append(1)
            return image
        data = dataset.ImageFolder(root, transform=transforms.Compose([
            transforms.ToTensor(), note, transforms.Normalize((0.5,) * 3, (0.5,) * 3)]))
        len(calls)
        loader = torch.utils.data.DataLoader(data, batch_size=2)
        len(calls)
        images, labels = next(iter(loader))
        len(calls)
        images[0, :, 0, 0]
        """,
        root=str(tmp_path),
    )
    expected = torch.tensor([1.0, 127 / 255 * 2 - 1, -1.0])
    assert transcript.errors == []
    assert transcript.printed == f"0\n0\n2\n{expected}\n"


def test_item_9_image_folder_needs_a_subfolder(script, tmp_path):
    """Pictures directly in the root are in no class; an empty class folder is named."""
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (4, 4)).save(images / "coast.png")
    (tmp_path / "empty" / "coast").mkdir(parents=True)
    transcript = script(
        """
        import torchvision.datasets as dataset
        dataset.ImageFolder(root + "/images")
        dataset.ImageFolder(root + "/empty")
        dataset.ImageFolder(root + "/missing")
        len(dataset.ImageFolder(root, allow_empty=True))
        """,
        root=str(tmp_path),
    )
    first, second, third = transcript.errors
    assert first == f"FileNotFoundError: Couldn't find any class folder in {tmp_path}/images."
    assert second.startswith("FileNotFoundError: Found no valid file for the classes coast.")
    assert "Supported extensions are: .jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif" in second
    assert third.startswith("FileNotFoundError: ") and f"{tmp_path}/missing" in third
    assert transcript.printed.splitlines()[-1] == "1"


def test_item_10_devices_and_their_memory(both):
    """`empty_cache` is always allowed; without a GPU there are none to count."""
    both("""
        torch.cuda.empty_cache()
        torch.cuda.device_count()
        torch.cuda.is_available()
        net = torch.nn.DataParallel(nn.Linear(2, 2))
        net
    """)


COUNT = """
    print(torch.cuda.device_count())
    for i in range(torch.cuda.device_count()):
        print(torch.zeros(1, device=f"cuda:{i}").device)
    try:
        torch.zeros(1, device="cuda:5")
    except (RuntimeError, AssertionError) as error:
        print(type(error).__name__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("visible", "count"), [(None, 4), ("0,2", 2), ("2", 1), ("", 0)])
def test_item_10_visible_devices_count_from_zero(visible, count):
    """`CUDA_VISIBLE_DEVICES=0,2` leaves two devices, called cuda:0 and cuda:1 inside."""
    lines = run_with_gpus(COUNT, 4, visible)
    assert lines[:-1] == [str(count), *(f"cuda:{i}" for i in range(count))]
    assert lines[-1] in ("RuntimeError", "AssertionError")


def test_item_11_an_interrupt_leaves_nothing_behind(script):
    """Ctrl-C in the loop: gradients are on again, the workers gone, the next step works."""
    before = threading.active_count()
    transcript = script("""
        import torch.utils.data as Data
        net = nn.Linear(2, 1)
        loader = Data.DataLoader(Data.TensorDataset(torch.ones(8, 2)), batch_size=2, num_workers=2)
        def train():
            for step, (x,) in enumerate(loader):
                with torch.no_grad():
                    y = net(x)
                    if step == 1:
                        raise KeyboardInterrupt
        caught = False
        try:
            train()
        except KeyboardInterrupt:
            caught = True
        caught, torch.is_grad_enabled()
        net(torch.ones(1, 2)).sum().backward()
        net.weight.grad
        import gc, multiprocessing
        del train
        gc.collect() >= 0, multiprocessing.active_children()
    """)
    assert transcript.errors == []
    assert transcript.printed.splitlines() == ["(True, True)", "tensor([[1., 1.]])", "(True, [])"]
    transcript.names.clear()
    assert threading.active_count() <= before + 2


@pytest.fixture
def street(tmp_path):
    """Pictures of unequal sizes, with a bright square in the middle of each."""
    folder = tmp_path / "street" / "image"
    folder.mkdir(parents=True)
    for number, (width, height) in enumerate([(200, 200), (90, 64), (70, 110)]):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[height // 2 - 16 : height // 2 + 16, width // 2 - 16 : width // 2 + 16] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "street_64" / "image").mkdir(parents=True)
    return tmp_path


def test_item_12_center_crop_before_resize_cuts_a_small_part(script, street):
    """Cropped first, only the middle is left: brighter pictures, all of size 64."""
    transcript = script(
        """
        import torch.utils.data as Data
        import torchvision.datasets as dataset
        import torchvision.transforms as transforms
        def load(*first_two):
            data = dataset.ImageFolder(dataroot, transform=transforms.Compose([
                *first_two, transforms.ToTensor(), transforms.Normalize((0,), (1,))]))
            loader = Data.DataLoader(data, batch_size=3, shuffle=True, num_workers=2)
            images, _ = next(iter(loader))
            return images
        wrong = load(transforms.CenterCrop(64), transforms.Resize(64))
        right = load(transforms.Resize(64), transforms.CenterCrop(64))
        wrong.shape, right.shape
        """,
        dataroot=str(street / "street"),
    )
    assert transcript.errors == []
    assert transcript.printed == "(torch.Size([3, 3, 64, 64]), torch.Size([3, 3, 64, 64]))\n"
    wrong, right = (float(transcript.names[name].mean()) for name in ("wrong", "right"))
    assert wrong == pytest.approx(0.25, abs=1e-3)
    assert right < 0.8 * wrong


def test_item_12_pictures_prepared_beforehand(script, street):
    transcript = script(
        """
        import os
        import torch.utils.data as Data
        import torchvision.datasets as dataset
        import torchvision.transforms as transforms
        import torchvision.utils as vutils
        names = []
        for img in os.listdir(os.path.join(dataroot,'image')):
            names.append(img)
        imagenet_data = dataset.ImageFolder(dataroot,transform=transforms.Compose([
            transforms.Resize(64),
            transforms.CenterCrop(64),
            transforms.ToTensor(),
        ]))
        for cnt in range(len(imagenet_data)):
            img = imagenet_data[cnt][0]
            vutils.save_image(img,os.path.join(outf,names[cnt]),normalize=False)
        vutils.save_image(dataset.ImageFolder(dataroot)[0][0], os.path.join(outf, 'no.png'))
        """,
        dataroot=str(street / "street"),
        outf=str(street / "street_64" / "image"),
    )
    [error] = transcript.errors
    assert error.startswith("TypeError: tensor or list of tensors expected, got <class 'PIL.")
    saved = sorted((street / "street_64" / "image").iterdir())
    assert [path.name for path in saved] == ["0.png", "1.png", "2.png"]
    assert {np.asarray(Image.open(path)).shape for path in saved} == {(64, 64, 3)}


def test_item_12_resizing_inside_a_network(both):
    both(
        """
        tensor1 = torch.arange(16.).view(1, 1, 4, 4)
        nn.Upsample(size=16, mode='bilinear')(tensor1)[0, 0, :3]
        nn.Upsample(size=2, mode='bilinear')(tensor1)
        nn.Upsample(scale_factor=2)(tensor1).shape
        nn.Upsample(size=16, mode='bilinear')
        """,
        rtol=2e-4,
    )


def test_item_13_data_parallel_block(both):
    both("""
        class Generator(nn.Module):
            def __init__(self):
                super().__init__()
                self.main = nn.Linear(2, 2)
            def forward(self, x):
                return self.main(x)
        def weights_init(m):
            if isinstance(m, nn.Linear):
                m.weight.data.fill_(0.5)
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        netG = Generator()
        netD = Generator()
        if torch.cuda.device_count() > 1:
            print("Let's use", torch.cuda.device_count(), "GPUs!")
            netD = nn.DataParallel(netD)
            netG = nn.DataParallel(netG)
        netG = netG.to(device)
        netG = netG.apply(weights_init)
        netG.main.weight
        wrapped = nn.DataParallel(netG)
        wrapped
        list(wrapped.state_dict())
        wrapped(torch.ones(3, 2)).shape
    """)


def test_question_1_groups(both):
    """Each group of output channels sees only its own block of input channels."""
    both(
        """
        conv = nn.Conv2d(4, 6, 3, groups=2)
        conv.weight.shape
        x = torch.randn(1, 4, 5, 5)
        whole = conv(x)
        halves = [F.conv2d(x[:, :2], conv.weight[:3], conv.bias[:3]),
                  F.conv2d(x[:, 2:], conv.weight[3:], conv.bias[3:])]
        torch.allclose(whole, torch.cat(halves, 1), atol=1e-6)
        nn.Conv2d(4, 6, 3, groups=3)
        """,
        raises=1,
    )


def test_question_3_normalised_to_minus_one_and_one(script):
    transcript = script("""
        import torchvision.transforms as transforms
        transforms.Normalize((0.5,), (0.5,))(torch.tensor([[[0., 0.5, 1.]]]))
    """)
    assert transcript.printed == "tensor([[[-1.,  0.,  1.]]])\n"


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_question_4_interpolate(both, mode):
    both(
        f"""
        x = torch.arange(12.).view(1, 1, 3, 4)
        F.interpolate(x, size=(2, 5), mode='{mode}')
        F.interpolate(x, scale_factor=2, mode='{mode}').sum()
        """,
        rtol=1e-3,
    )


def test_question_4_upsample_is_interpolate(both):
    both("""
        x = torch.arange(4.).view(1, 1, 2, 2)
        F.upsample(x, scale_factor=2)
        F.upsample(x, size=3, mode='bilinear', align_corners=True)
    """)
