"""Two processes of one job: what state in parts and collectives with gradients give, as JSON.

Run on PyTorch and on torchish; every number below has to be the same.
"""

import copy
import functools
import json
import sys
import tempfile
import warnings

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.distributed.checkpoint.state_dict as states
from torch import nn
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save, torch_save_to_dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FullOptimStateDictConfig,
    FullStateDictConfig,
    FullyShardedDataParallel as FSDP,
    MixedPrecision,
    MixedPrecisionPolicy,
    StateDictType,
    fully_shard,
)
from torch.distributed.fsdp.wrap import ModuleWrapPolicy, enable_wrap, wrap
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel as DDP

warnings.simplefilter("ignore")


def net(seed=0):
    torch.manual_seed(seed)
    block = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), block, nn.Linear(6, 2))


def batches(count):
    generator = torch.Generator().manual_seed(1)
    size = dist.get_world_size()
    found = [torch.randn(4 * size, 4, generator=generator) for _ in range(count)]
    return [x[4 * dist.get_rank() : 4 * dist.get_rank() + 4] for x in found]


def flat(values):
    """Numbers of tensors, the whole of each that lies in parts."""
    found = []
    for v in values:
        v = v.full_tensor() if hasattr(v, "full_tensor") else v
        found.extend(v.detach().float().reshape(-1).tolist())
    return found


def train(model, optimizer, count=3, skip=None):
    losses = []
    for k, x in enumerate(batches(count)):
        loss = model(x).float().pow(2).mean()
        if skip is None or k % 2:
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        else:
            with skip():
                model(x).float().pow(2).mean().backward()
        losses.append(loss.item())
    return losses


def collectives():
    import torch.distributed.nn as dnn

    rank, size = dist.get_rank(), dist.get_world_size()
    found = {}
    calls = {
        "all_reduce": lambda x: dnn.all_reduce(x * x),
        "all_gather": lambda x: torch.cat(dnn.all_gather(x * x)),
        "broadcast": lambda x: dnn.broadcast(x * x, 1),
        "reduce_scatter": lambda x: dnn.reduce_scatter(
            torch.empty(3), [x * k for k in range(size)]
        ),
        "all_to_all": lambda x: torch.cat(
            dnn.all_to_all([torch.empty(3) for _ in range(size)], [x * x * k for k in range(size)])
        ),
        "all_to_all_single": lambda x: dnn.all_to_all_single(torch.empty(3 * size), x.repeat(size)),
        "gather": lambda x: torch.cat(dnn.gather(x * x, 0)),
        "scatter": lambda x: dnn.scatter([x * x * k for k in range(size)], 0),
    }
    for name, call in calls.items():
        x = (torch.arange(3.0) + rank).requires_grad_()
        out = call(x)
        (out * (1 + rank)).sum().backward()
        found[name] = [flat([out]), flat([x.grad])]
    x = torch.ones(2, requires_grad=True)
    (grad,) = torch.autograd.grad((dnn.all_reduce(x * rank) ** 3).sum(), x, create_graph=True)
    grad.sum().backward()
    found["second order"] = flat([x.grad])
    return found


def zero():
    model = DDP(net())
    make = functools.partial(ZeroRedundancyOptimizer, optimizer_class=torch.optim.AdamW)
    optimizer = make(model.parameters(), lr=0.1, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    found = {"losses": train(model, optimizer)}
    schedule.step()
    found["held"] = len(optimizer.optim.state)
    found["refused"] = ""
    try:
        optimizer.state_dict()
    except RuntimeError as error:
        found["refused"] = str(error)
    optimizer.consolidate_state_dict(0)
    holder = [optimizer.state_dict() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(holder, 0)
    state = holder[0]
    found["state"] = [[k, *flat(v[n] for n in sorted(v))] for k, v in state["state"].items()]
    found["groups"] = [g["lr"] for g in state["param_groups"]]
    other = DDP(copy.deepcopy(model.module))
    again = make(other.parameters(), lr=3.0)
    again.load_state_dict(copy.deepcopy(state))  # PyTorch keeps the tensors that it is given
    found["again"] = train(other, again) + train(model, optimizer)
    again.add_param_group({"params": [nn.Parameter(torch.ones(2))], "lr": 0.2})
    found["lr"] = [g["lr"] for g in again.optim.param_groups]
    return found


def classic():
    found = {}
    for name, options in {
        "plain": {},
        "policy": {"auto_wrap_policy": ModuleWrapPolicy({nn.Linear})},
        "half": {"mixed_precision": MixedPrecision(param_dtype=torch.bfloat16)},
        "reduced": {"mixed_precision": MixedPrecision(torch.bfloat16, torch.float32)},
        "in half": {"mixed_precision": MixedPrecision(reduce_dtype=torch.bfloat16)},
    }.items():
        model = FSDP(net(), use_orig_params=True, device_id=torch.device("cpu"), **options)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        # With a param_dtype PyTorch loses what no_sync accumulates: its loss leaves its own
        # float32 run's by a seventh.
        skip = None if "mixed_precision" in options and name != "in half" else model.no_sync
        losses = train(model, optimizer, 4, skip)
        full = FullStateDictConfig(rank0_only=name == "policy")
        both = full, FullOptimStateDictConfig(rank0_only=name == "policy")
        with FSDP.state_dict_type(model, StateDictType.FULL_STATE_DICT, *both):
            state = model.state_dict()
            optim = FSDP.optim_state_dict(model, optimizer)
        with FSDP.summon_full_params(model, writeback=False):
            for p in model.parameters():
                p.data.mul_(2)
        found[name] = [
            losses, list(state), flat(state.values()), sorted(optim.get("state", {})),
            len(FSDP.fsdp_modules(model)), model(batches(1)[0]).float().sum().item(),
        ]  # fmt: skip
    with enable_wrap(wrapper_cls=FSDP, use_orig_params=True, device_id=torch.device("cpu")):
        found["wrap"] = type(wrap(nn.Linear(2, 2))).__name__
    return found


def modern():
    found = {}
    mesh = init_device_mesh("cpu", (2,), mesh_dim_names=("dp",))
    half = MixedPrecisionPolicy(torch.bfloat16, torch.float32)
    wide = MixedPrecisionPolicy(torch.bfloat16, torch.float32, output_dtype=torch.float32)
    plain = MixedPrecisionPolicy()
    for name, policies in {"plain": (plain, plain), "half": (half, wide)}.items():
        model = net()
        for part, policy in zip((model[2], model), policies, strict=True):
            fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        losses = train(model, optimizer)
        model.set_requires_gradient_sync(False)
        model(batches(1)[0]).float().sum().backward()
        model.set_requires_gradient_sync(True)
        model(batches(2)[1]).float().sum().backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        found[name] = [losses, flat([norm]), flat(model.parameters()), type(model[2]).__name__,
                       type(model[2][:1]).__name__]  # fmt: skip
    found["mesh"] = [mesh.size(), mesh.get_local_rank(), mesh.get_coordinate()]
    found["group"] = [dist.get_world_size(mesh.get_group("dp")), list(mesh.mesh_dim_names)]
    grid = init_device_mesh("cpu", (2, 1), mesh_dim_names=("a", "b"))
    found["grid"] = [grid["a"].size(), grid["b"].get_local_rank(), grid.ndim]
    return found


def saved():
    found, rank = {}, dist.get_rank()
    model, other = net(), net(1)
    options = states.StateDictOptions(full_state_dict=True, cpu_offload=True)
    given = states.get_model_state_dict(DDP(model), options=options)
    found["given"] = list(given)
    options = states.StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    states.set_model_state_dict(other, given if rank == 0 else {}, options=options)
    found["taken"] = flat(other.parameters())
    holder = [tempfile.mkdtemp() if rank == 0 else None]
    dist.broadcast_object_list(holder, 0)
    folder = holder[0]
    state = {"a": torch.arange(4.0), "b": {"c": torch.ones(2), "d": [1, {"e": torch.ones(1)}]}}
    dcp.save(state, checkpoint_id=f"{folder}/x", planner=dcp.DefaultSavePlanner())
    blank = {"a": torch.zeros(4), "more": torch.full((2,), 5.0)}
    planner = dcp.DefaultLoadPlanner(allow_partial_load=True)
    dcp.load(blank, checkpoint_id=f"{folder}/x", planner=planner)
    found["partly"] = flat(blank.values())
    dcp.save({"n": torch.ones(2)}, checkpoint_id=f"{folder}/y",
             planner=dcp.DefaultSavePlanner(flatten_state_dict=False))  # fmt: skip
    blank = {"n": torch.zeros(2)}
    dcp.load(blank, checkpoint_id=f"{folder}/y",
             planner=dcp.DefaultLoadPlanner(flatten_state_dict=False))  # fmt: skip
    found["whole"] = flat(blank.values())
    if rank == 0:
        dcp_to_torch_save(f"{folder}/x", f"{folder}/x.pt")
        read = torch.load(f"{folder}/x.pt", weights_only=True)
        found["file"] = [flat([read["a"], read["b"]["c"]]), read["b"]["d"][0]]
        torch_save_to_dcp(f"{folder}/x.pt", f"{folder}/z")
        blank = {"a": torch.zeros(4)}
        dcp.load(blank, checkpoint_id=f"{folder}/z", no_dist=True)
        found["folder"] = flat(blank.values())
    dist.barrier()
    return found


if __name__ == "__main__":
    dist.init_process_group("gloo")
    parts = (collectives, zero, classic, modern, saved)
    results = {}
    for part in parts:
        if sys.argv[1:] in ([], [part.__name__]):
            results[part.__name__] = part()
    print("results: " + json.dumps(results), flush=True)
    dist.destroy_process_group()
