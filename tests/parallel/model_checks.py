"""DCGAN and ResNet-18 under DataParallel on eight simulated GPUs; `python -m` runs them all."""

from __future__ import annotations

import copy

import numpy as np

import torchish as torch
from tests.agreement import same
from tests.parallel.processes import checks_of, main
from torchish import nn
from torchish._basics.settings import settings
from torchish._basics.stats import stats
from torchish.vision.models import resnet18

IDS = list(range(8))


def dcgan(size=64, width=4, nz=10):
    """Generator and discriminator of the classic script, narrow."""
    layers, n = [nn.ConvTranspose2d(nz, width * 8, 4, 1, 0, bias=False)], width * 8
    while n > width:
        layers += [nn.BatchNorm2d(n), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(n, n // 2, 4, 2, 1, bias=False)]
        n //= 2
    layers += [nn.BatchNorm2d(n), nn.ReLU(True)]
    layers += [nn.ConvTranspose2d(n, 3, 4, 2, 1, bias=False), nn.Tanh()]
    gen = nn.Sequential(*layers)
    layers, n = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)], width
    while n < width * 8:
        layers += [nn.Conv2d(n, n * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(n * 2)]
        layers += [nn.LeakyReLU(0.2, True)]
        n *= 2
    layers += [nn.Conv2d(n, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
    return gen, nn.Sequential(*layers)


def both(net):
    """The module on one device, and over eight."""
    return net, nn.DataParallel(copy.deepcopy(net).to("cuda:0"), IDS)


def each_slice(nets):
    """Positions of the devices; running statistics of the modules become those of the first."""
    kept = []
    for k in IDS:
        yield k
        if k == 0:
            kept = [b.clone() for net in nets for b in net.buffers()]
    with torch.no_grad():
        for buffer, value in zip((b for net in nets for b in net.buffers()), kept, strict=True):
            buffer.copy_(value)


def same_gradients(a, b):
    """Each gradient agrees to 1e-5 of its own largest entry."""
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        want, got = p.grad.numpy(), q.grad.cpu().numpy()
        assert np.abs(want).max() > 0, name
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max(), err_msg=name)


def same_state(a, b, tol=1e-5):
    same(b.state_dict(), a.state_dict(), tol)


def gan_step(gen, dis, opts, real, noise):
    """One iteration of the classic script; yields after each network's backward."""
    criterion = nn.BCELoss()
    real, noise = real.to("cuda:0"), noise.to("cuda:0")
    ones = torch.ones(len(real), device="cuda:0")
    dis.zero_grad()
    loss_real = criterion(dis(real).view(-1), ones)
    loss_real.backward()
    fake = gen(noise)
    loss_fake = criterion(dis(fake.detach()).view(-1), torch.zeros_like(ones))
    loss_fake.backward()
    yield dis
    opts[1].step()
    gen.zero_grad()
    loss = criterion(dis(fake).view(-1), ones)
    loss.backward()
    yield gen
    opts[0].step()
    yield [loss_real.item(), loss_fake.item(), loss.item()]


def gan_step_apart(gen, dis, opts, real, noise):
    """What it stands for, on one device: slice by slice, gradients added up."""
    criterion = nn.BCELoss(reduction="sum")
    reals, noises = real.chunk(len(IDS)), noise.chunk(len(IDS))
    ones = torch.ones(len(reals[0]))
    losses, fakes = [0.0, 0.0, 0.0], []
    dis.zero_grad()
    for k in each_slice([gen, dis]):
        fakes.append(gen(noises[k]))
        outs = dis(reals[k]).view(-1), dis(fakes[k].detach()).view(-1)
        for p, (out, target) in enumerate(zip(outs, (ones, torch.zeros_like(ones)), strict=True)):
            loss = criterion(out, target) / len(real)
            loss.backward()
            losses[p] += loss.item()
    yield dis
    opts[1].step()
    gen.zero_grad()
    for k in each_slice([dis]):
        loss = criterion(dis(fakes[k]).view(-1), ones) / len(real)
        loss.backward()
        losses[2] += loss.item()
    yield gen
    opts[0].step()
    yield losses


def gan_data():
    return torch.randn(16, 3, 64, 64).tanh(), torch.randn(16, 10, 1, 1)


def check_dcgan():
    torch.manual_seed(0)
    (gen, gens), (dis, diss) = [both(n) for n in dcgan()]
    opts = [torch.optim.SGD(m.parameters(), lr=0.05) for m in (gen, dis, gens, diss)]
    data = gan_data()
    steps = gan_step_apart(gen, dis, opts[:2], *data), gan_step(gens, diss, opts[2:], *data)
    for want, got in zip(*steps, strict=True):
        if isinstance(got, list):
            np.testing.assert_allclose(got, want, rtol=1e-5)
        else:
            same_gradients(want, got)
    same_state(gen, gens.module)
    same_state(dis, diss.module)
    compiled = []
    for _ in range(5):  # what is cold at first is compiled at one of the first steps
        data, before = gan_data(), stats.compiled
        list(gan_step(gens, diss, opts[2:], *data))
        compiled.append(stats.compiled - before)
    assert compiled[3:] == [0, 0], compiled


def check_resnet18():
    settings.compiled = True  # both sides in one tier: their rounding is compared to 1e-5
    torch.manual_seed(0)
    # In double: with two samples a device and maps of one pixel, rounding is seen in the gradients.
    one, eight = both(resnet18(num_classes=10).double())
    criterion = nn.CrossEntropyLoss()
    opt = torch.optim.SGD(eight.parameters(), lr=0.01, momentum=0.9)
    compiled = []
    for step in range(3):
        x, y = torch.randn(16, 3, 32, 32).double(), torch.randint(10, (16,))
        before = stats.compiled
        opt.zero_grad()
        loss = criterion(eight(x), y.to("cuda:0"))
        loss.backward()
        opt.step()
        value = loss.item()
        compiled.append(stats.compiled - before)
        if step == 0:
            parts = list(zip(x.chunk(len(IDS)), y.chunk(len(IDS)), strict=True))
            for k in each_slice([one]):
                part = nn.functional.cross_entropy(one(parts[k][0]), parts[k][1], reduction="sum")
                part /= len(x)
                part.backward()
                value -= part.item()
            assert abs(value) < 1e-5
            same_gradients(one, eight)
            for a, b in zip(one.buffers(), eight.buffers(), strict=True):
                np.testing.assert_allclose(b.cpu().numpy(), a.numpy(), rtol=1e-5, atol=1e-5)
    assert compiled[2:] == [0], compiled


def check_print():
    import torch as real

    def make(library):
        library.manual_seed(0)
        return library.nn.Sequential(
            library.nn.Conv2d(3, 4, 3, bias=False), library.nn.BatchNorm2d(4),
            library.nn.Sequential(library.nn.ReLU(inplace=True), library.nn.Linear(2, 2)),
        )  # fmt: skip

    net = make(torch).to("cuda:0")
    assert str(nn.DataParallel(net)) == str(real.nn.DataParallel(make(real)))
    assert str(nn.DataParallel(net, [0, 1])) == str(real.nn.DataParallel(make(real)))


if __name__ == "__main__":
    main(checks_of(globals()))
