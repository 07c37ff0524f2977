"""Draw horses: a DCGAN on the class "horse" of CIFAR-10, with a pickle loader of its own.

With torchish:      python -m torchish examples/cifar10_horses.py --dataroot cifar-10-batches-py
With PyTorch:       python examples/cifar10_horses.py --dataroot cifar-10-batches-py
"""

import argparse
import os
import pickle

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
import torch.utils.data as Data
from PIL import Image

HORSE = 7
SIZE = 32

parser = argparse.ArgumentParser(description="Train a DCGAN on the horses of CIFAR-10.")
parser.add_argument("--dataroot", required=True, help="folder with data_batch_1 .. data_batch_5")
parser.add_argument("--outf", default="out/horses", help="folder for pictures and checkpoints")
parser.add_argument("--workers", type=int, default=2, help="data loading workers")
parser.add_argument("--batchSize", type=int, default=64)
parser.add_argument("--niter", type=int, default=25, help="epochs")
parser.add_argument("--nz", type=int, default=100, help="length of the noise vector")
parser.add_argument("--ngf", type=int, default=64, help="generator's width")
parser.add_argument("--ndf", type=int, default=64, help="discriminator's width")
parser.add_argument("--lr", type=float, default=0.0002, help="learning rate")
parser.add_argument("--beta1", type=float, default=0.5, help="Adam's first decay rate")
parser.add_argument("--ngpu", type=int, default=1, help="how many GPUs to spread a batch over")
parser.add_argument("--every", type=int, default=5, help="epochs between pictures and checkpoints")
parser.add_argument("--resume", default="", help="checkpoint to go on from")
parser.add_argument("--manualSeed", type=int, default=1)


def unpickle(file):
    with open(file, "rb") as fo:
        return pickle.load(fo, encoding="bytes")


def get_img(img_data):
    """A row of 3072 bytes, one colour after the other, as floats (3, 32, 32) in [-1, 1]."""
    return img_data.reshape(3, SIZE, SIZE).astype(np.float32) / 127.5 - 1.0


def get_dataset(dataroot):
    dataset = []
    for batch in range(1, 6):
        data_dict = unpickle(os.path.join(dataroot, f"data_batch_{batch}"))
        for img_data, label in zip(data_dict[b"data"], data_dict[b"labels"], strict=True):
            if label == HORSE:
                image = torch.tensor(get_img(img_data), dtype=torch.float32)
                dataset.append((image, torch.tensor(label, dtype=torch.float32)))
    return dataset


class HorseDataset(Data.Dataset):
    """All training horses, kept in memory."""

    def __init__(self, dataroot):
        self.dataset = get_dataset(dataroot)

    def __getitem__(self, index):
        return self.dataset[index]

    def __len__(self):
        return len(self.dataset)


class Generator(nn.Module):
    def __init__(self, ngpu, nz, ngf):
        super().__init__()
        self.ngpu = ngpu
        self.main = nn.Sequential(
            # nz x 1 x 1
            nn.ConvTranspose2d(nz, ngf * 4, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            # (ngf * 4) x 4 x 4
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            # (ngf * 2) x 8 x 8
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            # ngf x 16 x 16
            nn.ConvTranspose2d(ngf, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
            # 3 x 32 x 32
        )

    def forward(self, input):
        if self.ngpu > 1:
            return nn.parallel.data_parallel(self.main, input, range(self.ngpu))
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self, ngpu, ndf):
        super().__init__()
        self.ngpu = ngpu
        self.main = nn.Sequential(
            # 3 x 32 x 32
            nn.Conv2d(3, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            # ndf x 16 x 16
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, inplace=True),
            # (ndf * 2) x 8 x 8
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, inplace=True),
            # (ndf * 4) x 4 x 4
            nn.Conv2d(ndf * 4, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, input):
        if self.ngpu > 1:
            output = nn.parallel.data_parallel(self.main, input, range(self.ngpu))
        else:
            output = self.main(input)
        return output.view(-1)


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        m.weight.data.normal_(0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        m.weight.data.normal_(1.0, 0.02)
        m.bias.data.fill_(0)


def save_grid(images, path, nrow=8):
    """Write images (N, 3, 32, 32) in [-1, 1] side by side."""
    rows = -(-len(images) // nrow)
    pixels = ((images.detach().cpu().numpy() + 1.0) * 127.5 + 0.5).clip(0, 255).astype(np.uint8)
    grid = np.zeros((rows * SIZE, nrow * SIZE, 3), np.uint8)
    for k, image in enumerate(pixels):
        y, x = k // nrow * SIZE, k % nrow * SIZE
        grid[y : y + SIZE, x : x + SIZE] = image.transpose(1, 2, 0)
    Image.fromarray(grid).save(path)


def main():
    opt = parser.parse_args()
    os.makedirs(opt.outf, exist_ok=True)
    torch.manual_seed(opt.manualSeed)
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")

    dataset = HorseDataset(opt.dataroot)
    print(f"{len(dataset)} horses")
    dataloader = Data.DataLoader(
        dataset=dataset, batch_size=opt.batchSize, shuffle=True, num_workers=opt.workers
    )
    netG = Generator(opt.ngpu, opt.nz, opt.ngf).to(device)
    netG.apply(weights_init)
    netD = Discriminator(opt.ngpu, opt.ndf).to(device)
    netD.apply(weights_init)
    print(netG)
    print(netD)
    criterion = nn.BCELoss()
    optimizerD = optim.Adam(netD.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=opt.lr, betas=(opt.beta1, 0.999))
    parts = {"netG": netG, "netD": netD, "optimizerG": optimizerG, "optimizerD": optimizerD}
    fixed_noise = torch.randn(64, opt.nz, 1, 1).to(device)
    first_epoch = 0
    if opt.resume:
        checkpoint = torch.load(opt.resume, map_location=device)
        first_epoch = checkpoint["epoch"] + 1
        for name, part in parts.items():
            part.load_state_dict(checkpoint[name])

    for epoch in range(first_epoch, opt.niter):
        for i, (real, _) in enumerate(dataloader):
            real = real.to(device)
            ones = torch.ones(real.size(0), device=device)
            zeros = torch.zeros(real.size(0), device=device)
            # the discriminator learns to tell real from fake
            netD.zero_grad()
            errD_real = criterion(netD(real), ones)
            errD_real.backward()
            fake = netG(torch.randn(real.size(0), opt.nz, 1, 1, device=device))
            errD_fake = criterion(netD(fake.detach()), zeros)
            errD_fake.backward()
            optimizerD.step()
            # the generator learns to be taken for real
            netG.zero_grad()
            errG = criterion(netD(fake), ones)
            errG.backward()
            optimizerG.step()
            print(
                f"[{epoch}/{opt.niter}][{i}/{len(dataloader)}] "
                f"Loss_D: {(errD_real + errD_fake).item():.4f} Loss_G: {errG.item():.4f}",
                flush=True,
            )
        if (epoch + 1) % opt.every == 0 or epoch + 1 == opt.niter:
            with torch.no_grad():
                fake = netG(fixed_noise)
            save_grid(fake, os.path.join(opt.outf, f"horses_epoch_{epoch:03d}.png"))
            states = {name: part.state_dict() for name, part in parts.items()}
            torch.save({"epoch": epoch, **states}, os.path.join(opt.outf, "checkpoint.pth"))
            torch.save(netG.state_dict(), os.path.join(opt.outf, f"netG_epoch_{epoch}.pth"))
            torch.save(netD.state_dict(), os.path.join(opt.outf, f"netD_epoch_{epoch}.pth"))
    print(f"Pictures and checkpoints: {opt.outf}")


if __name__ == "__main__":
    main()
