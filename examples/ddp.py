"""A classifier trained by several processes, in plain PyTorch.

With torchish:  python -m torchish.distributed.run --nproc-per-node 2 examples/ddp.py
With PyTorch:   torchrun --nproc-per-node 2 examples/ddp.py
By itself:      python -m torchish examples/ddp.py --spawn 2
"""

import argparse
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def parse_options():
    parser = argparse.ArgumentParser(description="Train a classifier over processes.")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64, help="of all processes together")
    parser.add_argument("--out", default="", help="where rank 0 saves the parameters")
    parser.add_argument("--spawn", type=int, default=0, help="start this many processes itself")
    return parser.parse_args()


def make_dataset():
    """Points of three dimensions, and in which octant they are."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(512, 3, generator=generator)
    return TensorDataset(x, (x > 0).long() @ torch.tensor([1, 2, 4]))


def train(opt):
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, local_rank = dist.get_rank(), int(os.environ["LOCAL_RANK"])
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 8)).to(device)
    model = DistributedDataParallel(net)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    dataset = make_dataset()
    sampler = DistributedSampler(dataset)
    loader = DataLoader(dataset, opt.batch_size // dist.get_world_size(), sampler=sampler)
    for epoch in range(opt.epochs):
        sampler.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
        mean = loss.detach().cpu() / dist.get_world_size()
        dist.all_reduce(mean)
        if rank == 0:
            print(f"epoch {epoch}: loss {mean.item():.4f}", flush=True)
    if rank == 0 and opt.out:
        torch.save(net.state_dict(), opt.out)
    dist.barrier()
    dist.destroy_process_group()


def spawned(rank, opt):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(opt.spawn))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29511")
    train(opt)


if __name__ == "__main__":
    options = parse_options()
    if options.spawn:
        mp.spawn(spawned, args=(options,), nprocs=options.spawn)
    else:
        train(options)
