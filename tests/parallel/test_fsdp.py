"""FullyShardedDataParallel over the devices of this process."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import torchish
from torchish._basics.errors import NotSupportedError
from torchish.distributed.fsdp import (
    CPUOffload,
    FullStateDictConfig,
    FullyShardedDataParallel as FSDP,
    MixedPrecision,
    ShardingStrategy,
    StateDictType,
)
from torchish.distributed.fsdp.wrap import size_based_auto_wrap_policy


def network() -> torchish.nn.Module:
    torchish.manual_seed(0)
    return torchish.nn.Sequential(
        torchish.nn.Linear(3, 4), torchish.nn.Tanh(), torchish.nn.Linear(4, 2)
    )


def trained(net: torchish.nn.Module, steps: int = 2) -> torchish.optim.Optimizer:
    optimizer = torchish.optim.AdamW(net.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torchish.ones(2, 3)).square().sum().backward()
        optimizer.step()
    return optimizer


def test_training_and_states_are_those_of_the_module() -> None:
    plain = network()
    policy = functools.partial(size_based_auto_wrap_policy, min_num_params=10)
    wrapped = FSDP(network(), auto_wrap_policy=policy, use_orig_params=True)
    optimizer, other = trained(plain), trained(wrapped)
    config = FullStateDictConfig(offload_to_cpu=True, rank0_only=True)
    with FSDP.state_dict_type(wrapped, StateDictType.FULL_STATE_DICT, config):
        assert FSDP.get_state_dict_type(wrapped).state_dict_config is config
        state = wrapped.state_dict()
    assert list(state) == list(plain.state_dict())
    for name, value in plain.state_dict().items():
        np.testing.assert_allclose(state[name].numpy(), value.numpy(), 1e-6)
    named = FSDP.optim_state_dict(wrapped, other)
    assert set(named["state"]) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    fresh = FSDP(network())
    fresh.load_state_dict(state)
    again = torchish.optim.AdamW(fresh.parameters(), lr=0.5)
    again.load_state_dict(FSDP.optim_state_dict_to_load(fresh, again, named))
    assert again.param_groups[0]["lr"] == 0.1
    for net, step in ((plain, optimizer), (fresh, again)):
        step.zero_grad()
        net(torchish.ones(2, 3)).square().sum().backward()
        step.step()
    for mine, theirs in zip(fresh.parameters(), plain.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), 1e-6)


def test_the_wrapper_passes_through() -> None:
    inner = network()
    wrapped = FSDP(inner, sharding_strategy=ShardingStrategy.NO_SHARD)
    outer = torchish.nn.Sequential(wrapped)
    assert wrapped.module is inner and wrapped[0] is inner[0]
    assert list(outer.state_dict()) == [f"0.{name}" for name in inner.state_dict()]
    assert FSDP.fsdp_modules(outer) == [wrapped]
    with FSDP.summon_full_params(outer), wrapped.no_sync():
        outer(torchish.ones(1, 3)).sum().backward()
    norm = wrapped.clip_grad_norm_(0.1)
    found = torchish.nn.utils.clip_grad_norm_(wrapped.parameters(), 1e9)
    assert norm.item() > 0.1 and found.item() == pytest.approx(0.1, rel=1e-4)


def test_mixed_precision_computes_in_its_dtype() -> None:
    net = torchish.nn.Sequential(torchish.nn.Linear(3, 4), torchish.nn.BatchNorm1d(4))
    wrapped = FSDP(net, mixed_precision=MixedPrecision(param_dtype=torchish.bfloat16))
    seen = []
    net[0].register_forward_hook(lambda m, args, out: seen.append((args[0].dtype, out.dtype)))
    wrapped(torchish.randn(5, 3)).float().sum().backward()
    assert seen == [(torchish.bfloat16, torchish.bfloat16)]
    assert net[0].weight.dtype == torchish.float32 == net[0].weight.grad.dtype


def test_what_is_lacking_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="ignored_modules"):
        FSDP(network(), ignored_modules=[torchish.nn.Tanh()])
    with pytest.raises(NotSupportedError, match="cpu_offload"):
        FSDP(network(), cpu_offload=CPUOffload(offload_params=True))
