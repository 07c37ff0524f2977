"""What `torch.distributed` says to wrong calls: one line of JSON, name -> [class, text]."""

import json
import os
import re
import socket
import warnings
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data.distributed import DistributedSampler

PORT = int(os.environ.get("PORT_TO_USE", "0"))
T = torch.ones(2)
FIVE = torch.ones(5)
INTS = torch.ones(2, dtype=torch.int64)


def init(method=f"tcp://127.0.0.1:{PORT}", backend="gloo", rank=0, world_size=1, **kwargs):
    kwargs.setdefault("timeout", timedelta(seconds=20))
    dist.init_process_group(backend, init_method=method, rank=rank, world_size=world_size, **kwargs)


def port_in_use():
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        s.listen(1)
        init(f"tcp://127.0.0.1:{s.getsockname()[1]}", timeout=timedelta(seconds=5))


BEFORE = {
    "all_reduce": lambda: dist.all_reduce(T),
    "get_rank": lambda: dist.get_rank(),
    "get_world_size": lambda: dist.get_world_size(),
    "get_backend": lambda: dist.get_backend(),
    "barrier": lambda: dist.barrier(),
    "broadcast": lambda: dist.broadcast(T, 0),
    "all_gather": lambda: dist.all_gather([T], T),
    "send": lambda: dist.send(T, 0),
    "broadcast_object_list": lambda: dist.broadcast_object_list([1], 0),
    "new_group": lambda: dist.new_group([0]),
    "destroy": lambda: dist.destroy_process_group(),
    "ddp": lambda: DistributedDataParallel(torch.nn.Linear(1, 1)),
    "sampler": lambda: DistributedSampler([1, 2]),
    "sampler's rank": lambda: DistributedSampler([1, 2], 2, 5),
    "no environment": lambda: dist.init_process_group("gloo"),
    "backend": lambda: init(backend="nope"),
    "method": lambda: init("foo://x"),
    "rank missing": lambda: init(rank=-1),
    "world size missing": lambda: init(world_size=-1),
    "port missing": lambda: init("tcp://127.0.0.1"),
    "timeout": lambda: init(timeout=3),
    "port in use": port_in_use,
}

AFTER = {
    "twice": init,
    "too many ranks": lambda: dist.new_group([0, 1]),
    "rank too large": lambda: dist.new_group([4]),
    "same rank twice": lambda: dist.new_group([0, 0]),
    "negative rank": lambda: dist.new_group([-1]),
    "source": lambda: dist.broadcast(T, 3),
    "destination": lambda: dist.reduce(T, 3),
    "not a tensor": lambda: dist.all_reduce([1]),
    "not a list": lambda: dist.all_gather(T, T),
    "not tensors": lambda: dist.all_gather([1], T),
    "list's length": lambda: dist.all_gather([T, T], T),
    "shapes": lambda: dist.all_gather([FIVE], T),
    "dtypes": lambda: dist.all_gather([INTS], T),
    "gather without list": lambda: dist.gather(T, None, dst=0),
    "gather's shapes": lambda: dist.gather(T, [FIVE], dst=0),
    "scatter without list": lambda: dist.scatter(T, None, src=0),
    "scatter's list": lambda: dist.scatter(T, [T, T], src=0),
    "all_to_all's list": lambda: dist.all_to_all([T, T], [T]),
    "to oneself": lambda: dist.send(T, 0),
    "group": lambda: dist.all_reduce(T, group=3),
    "op for floats": lambda: dist.all_reduce(T, op=dist.ReduceOp.BXOR),
    "op for complex": lambda: dist.all_reduce(T.to(torch.complex64), op=dist.ReduceOp.MAX),
    # These two have PyTorch's class and a text of their own: see the test.
    "into tensor": lambda: dist.all_gather_into_tensor(FIVE, T),
    "reduce_scatter": lambda: dist.reduce_scatter_tensor(FIVE, T),
}


def main():
    warnings.simplefilter("ignore")
    said = {}
    for name, call in [*BEFORE.items(), ("", init), *AFTER.items()]:
        if not name:
            call()
            continue
        try:
            call()
            said[name] = ["", "no error"]
        except Exception as error:
            text = re.sub(r"(port: |:)\d{4,5}", r"\1PORT", str(error))
            said[name] = [type(error).__name__, " ".join(text.split())]
    dist.destroy_process_group()
    print("said: " + json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
