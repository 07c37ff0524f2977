"""The summary sheet, "NN": layers, initialisation, loaders, devices, checkpoints."""

from __future__ import annotations

import pytest
import torch

from tests.compat.sheet_runner import run_with_gpus

DCGAN = """
    ngpu, nc, nz, ngf, ndf = 1, 3, 8, 4, 4

    class Generator(nn.Module):
        def __init__(self, ngpu):
            super(Generator, self).__init__()
            self.ngpu = ngpu
            self.main = nn.Sequential(
                nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
                nn.BatchNorm2d(ngf * 8),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ngf * 4),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ngf * 2),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ngf),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
                nn.Tanh()
            )
        def forward(self, input):
            if input.is_cuda and self.ngpu > 1:
                output = nn.parallel.data_parallel(self.main, input, range(self.ngpu))
            else:
                output = self.main(input)
            return output

    class Discriminator(nn.Module):
        def __init__(self, ngpu):
            super(Discriminator, self).__init__()
            self.ngpu = ngpu
            self.main = nn.Sequential(
                nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ndf * 2),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ndf * 4),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ndf * 8),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False),
                nn.Sigmoid()
            )
        def forward(self, input):
            if self.ngpu > 1:
                output = nn.parallel.data_parallel(self.main, input, range(self.ngpu))
            else:
                output = self.main(input)
            return output

    def weights_init(m):
        classname = m.__class__.__name__
        if classname.find('Conv') != -1:
            m.weight.data.normal_(0.0, 0.02)
        elif classname.find('BatchNorm') != -1:
            m.weight.data.normal_(1.0, 0.02)
            m.bias.data.fill_(0)

    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
"""


def test_cudnn_benchmark_is_a_switch(both):
    both("""
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = before
    """)


def test_argument_parser_block(both):
    """The block of the DCGAN script, with the option its own text forgot (`dataroot`)."""
    both(
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument('--dataset', required=True, help='cifar10 |lsun |mnist |imagenet')
        parser.add_argument('--dataroot', required=True)
        parser.add_argument('--workers', type=int, help='number of loading workers', default=2)
        parser.add_argument('--batchSize', type=int, default=64, help='input batch size')
        opt = parser.parse_args(argv)
        opt.dataset, opt.dataroot, opt.workers, opt.batchSize
        torch.zeros(opt.batchSize, 1).shape
        """,
        argv=["--dataset", "cifar10", "--dataroot", "data", "--batchSize", "3"],
    )


LOADER = """
    import torch.utils.data as Data
    torch.manual_seed(1)
    BATCH_SIZE = 5
    x = torch.linspace(1, 10, 10)
    y = torch.linspace(10, 1, 10)
    torch_dataset = Data.TensorDataset({arguments})
    loader = Data.DataLoader(
        dataset=torch_dataset,
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers={workers},
    )
    for epoch in range(3):
        for step, (batch_x, batch_y) in enumerate(loader):
            print('Epoch: ', epoch, '| Step: ', step, '| batch x: ',
                  batch_x.numpy(), '| batch y: ', batch_y.numpy())
"""


@pytest.mark.parametrize("arguments", ["data_tensor=x, target_tensor=y", "x, y"])
@pytest.mark.parametrize("workers", [0, 2])
def test_loader_block(both, arguments, workers):
    """The shuffle is the seed's; PyTorch took the keywords away, and runs here without workers."""
    transcript = both(
        LOADER.format(arguments=arguments, workers=workers),
        modern=LOADER.format(arguments="x, y", workers=0),
    )
    assert transcript.printed.count("Epoch:") == 6


def test_init_normal(both):
    both("""
        w = torch.empty(3, 5)
        nn.init.normal_(w)
        w
    """)


WEIGHTS_INIT = """
    {imports}
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)
            self.norm = nn.BatchNorm2d(3)
            self.head = nn.Linear(3, 2)
    def weights_init(m):
        {body}
    net = Net()
    net.apply(weights_init)
    for name, parameter in net.state_dict().items():
        print(name, parameter)
"""

BY_NAME = """classname = m.__class__.__name__
        if classname.find('Conv') != -1:
            xavier(m.weight.data)
            m.bias.data.fill_(0)"""
BY_CLASS = """if isinstance(m, nn.Conv2d):
            xavier(m.weight.data)
            m.bias.data.fill_(0)"""
BY_NAME_DCGAN = """classname = m.__class__.__name__
        if classname.find('Conv') != -1:
            m.weight.data.normal_(0.0, 0.02)
        elif classname.find('BatchNorm') != -1:
            m.weight.data.normal_(1.0, 0.02)
            m.bias.data.fill_(0)"""


@pytest.mark.parametrize("xavier", ["xavier_uniform_", "xavier_normal_", "xavier_uniform"])
@pytest.mark.parametrize("body", [BY_NAME, BY_CLASS, BY_NAME_DCGAN])
def test_weights_init(both, body, xavier):
    """`xavier` of the sheet is torch.nn.init's; a bias has no fan, so it is filled instead."""
    imports = f"from torch.nn.init import {xavier} as xavier"
    both(WEIGHTS_INIT.format(imports=imports, body=body), rtol=2e-4)


def test_xavier_refuses_a_bias(both):
    """As the sheet writes it, `xavier(m.bias.data)` is an error: one dimension has no fan."""
    both(
        """
        from torch.nn.init import xavier_uniform_ as xavier
        xavier(nn.Conv2d(2, 3, 3).bias.data)
        """,
        raises=1,
    )


def test_weights_init_of_gan(both):
    both(
        DCGAN
        + """
    netG = Generator(ngpu).to(device)
    netG.apply(weights_init)
    netD = Discriminator(ngpu).to(device)
    netD.apply(weights_init)
    print(netG)
    print(netD)
    netG.main[0].weight[0, 0]
    netD.main[3].weight, netD.main[3].bias
    """,
        rtol=2e-4,
    )


def test_relu(both):
    both("""
        m = nn.ReLU()
        tensor = torch.randn(2)
        output = m(tensor)
        output, tensor
        m = nn.ReLU(inplace=True)
        m
        output = m(tensor)
        tensor
        output is tensor
    """)


def test_conv2d_sizes(both):
    both("""
        a = torch.randn(1,3,3,3)
        conv1 = torch.nn.Conv2d(3,1,3,1,0)
        conv1(a).size()
        conv2 = torch.nn.Conv2d(3,1,3,1,1)
        conv2(a).shape
        conv3 = torch.nn.Conv2d(3,1,3,1)
        conv3(a).shape
    """)


def test_conv2d_values(both):
    both(
        """
        a = torch.randn(1,3,3,3)
        torch.nn.Conv2d(3,1,3,1,1)(a)
        torch.nn.Conv2d(3, 6, 3, groups=3)(a)
        """,
        rtol=2e-4,
    )


def test_conv_transpose2d_sizes(both):
    both("""
        a = torch.randn(1, 16, 12, 12)
        downsample = nn.Conv2d(16, 16, 3, stride=2)
        b = downsample(a)
        b.size()
        downsample = nn.Conv2d(16, 16, 3, stride=2,padding=1)
        b = downsample(a)
        b.size()
        upsample = nn.ConvTranspose2d(16, 16, 3, stride=2)
        b = upsample(a)
        b.size()
        upsample = nn.ConvTranspose2d(16, 16, 3, stride=2, padding=1)
        b = upsample(a)
        b.size()
        upsample(b, output_size=[46, 46]).size()
    """)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_kernel_sizes_of_the_pictures(both, kernel):
    """Size in, size out: floor((n + 2p - k) / s) + 1, and its inverse for the transposed one."""
    both(f"""
        for stride in (1, 2):
            for padding in (0, 1):
                out = nn.Conv2d(1, 1, {kernel}, stride, padding)(torch.zeros(1, 1, 8, 8))
                back = nn.ConvTranspose2d(1, 1, {kernel}, stride, min(padding, {kernel} - 1))(out)
                print(stride, padding, tuple(out.shape), tuple(back.shape))
    """)


def test_discriminator_over_several_gpus(script):
    """With `ngpu > 1` the block calls `data_parallel`: the result is the undivided network's.

    PyTorch without CUDA cannot be asked; one replica per visible device is all it changes.
    """
    if torch.cuda.is_available():
        pytest.skip("compares with the machine that has no CUDA device")
    transcript = script(
        DCGAN
        + """
    net = Discriminator(1).eval()
    batch = torch.randn(2, 3, 64, 64)
    one = net(batch)
    devices = list(range(torch.cuda.device_count())) or None
    several = nn.parallel.data_parallel(net.main, batch, devices)
    torch.allclose(one, several.to(one.device), atol=1e-6)
    """
    )
    assert transcript.errors == []
    assert transcript.printed == "True\n"


@pytest.mark.slow
def test_discriminator_over_two_simulated_gpus():
    """Divided over two devices: the same output on the first, the same gradients."""
    lines = run_with_gpus(
        DCGAN
        + """
    print(device, torch.cuda.device_count())
    torch.manual_seed(0)
    one, two = Discriminator(1).to(device), Discriminator(2).to(device)
    two.load_state_dict(one.state_dict())
    one.eval(), two.eval()
    batch = torch.randn(4, 3, 64, 64, device=device)
    whole, divided = one(batch), two(batch)
    print(divided.device, divided.shape, torch.allclose(whole, divided, atol=1e-6))
    whole.sum().backward()
    divided.sum().backward()
    print(all(torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-6)
              for a, b in zip(one.parameters(), two.parameters())))
    """,
        count=2,
    )
    assert lines == ["cuda:0 2", "cuda:0 torch.Size([4, 1, 1, 1]) True", "True"]


def test_model_and_batches_to_device(both):
    both(
        """
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        device
        model = nn.Linear(2, 1)
        model = model.to(device)
        data_loader = [(torch.ones(2, 2), torch.zeros(2, 1))]
        for features, targets in data_loader:
            features = features.to(device)
            targets = targets.to(device)
        features.is_cuda, features.device, next(model.parameters()).is_cuda
        F.mse_loss(model(features), targets)
        """,
        rtol=2e-4,
    )


def test_checkpoint_block(both, tmp_path):
    """Saved by each library to its own file, loaded back into a network started differently."""
    both(
        DCGAN
        + """
    import os
    path = os.path.join(folder, torch.__name__ + '.pth')
    netD = Discriminator(ngpu).to(device)
    torch.save(netD.state_dict(), path)
    netD = Discriminator(ngpu).to(device)
    netD.apply(weights_init)
    netD.main[3].weight
    netD.load_state_dict(torch.load(path))
    netD.main[3].weight
    netD.main[-2].weight[0, 0]
    print(netD)
    netD.load_state_dict({})
    netD.load_state_dict({'extra': torch.zeros(1)}, strict=False)
    """,
        raises=1,
        rtol=2e-4,
        folder=str(tmp_path),
    )


def test_sequential(both):
    both(
        """
        from collections import OrderedDict
        model = nn.Sequential(
                  nn.Conv2d(1,20,5),
                  nn.ReLU(),
                  nn.Conv2d(20,64,5),
                  nn.ReLU()
                )
        model
        model = nn.Sequential(OrderedDict([
                  ('conv1', nn.Conv2d(1,20,5)),
                  ('relu1', nn.ReLU()),
                  ('conv2', nn.Conv2d(20,64,5)),
                  ('relu2', nn.ReLU())
                ]))
        print(model)
        model.conv2
        len(model), list(model.state_dict())
        model(torch.zeros(1, 1, 9, 9)).shape
        """
    )


def test_generator_makes_images(both):
    both(
        DCGAN
        + """
    netG = Generator(ngpu).to(device)
    netG.apply(weights_init)
    fake = netG(torch.randn(2, nz, 1, 1))
    fake.shape
    fake[0, 0, 30, 30:34]
    fake.sum()
    """,
        rtol=1e-3,
    )
