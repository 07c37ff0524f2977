"""Placements by themselves, on four simulated devices; `python -m` runs them all."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from hypothesis import given, settings, strategies as st

import torchish as torch
from tests.parallel.processes import checks_of, main
from torchish._basics import dtypes
from torchish._core.gspmd import PlacementKernel, mesh_for, onto, placement_kernel
from torchish._core.kernels import Kernel
from torchish._core.placement import Placement
from torchish._core.storage import Storage
from torchish._core.trace import record
from torchish._core.values import Value, aval_of, host_value

SIZES = {None: 1, "x": 2, "y": 2, ("x", "y"): 4}


@functools.cache
def mesh() -> Any:
    """Two by two devices; made in the child, which has them."""
    return jax.sharding.Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("x", "y"))


@st.composite
def laid_out(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A shape, and axes that cut its dims into equal parts."""
    free = draw(st.permutations(["x", "y"]))
    spec: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["none", "one", "both"]))
        if kind == "both" and len(free) == 2:
            spec.append(("x", "y"))
            free = []
        elif kind == "one" and free:
            spec.append(free.pop())
        else:
            spec.append(None)
    shape = tuple(SIZES[axis] * draw(st.integers(1, 3)) for axis in spec)
    return shape, tuple(spec)


def part(shape: Any, spec: Any) -> tuple[int, ...]:
    return tuple(n // SIZES[axis] for n, axis in zip(shape, spec, strict=True))


def numbered(shape: Any) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def lies(value: Value, shape: Any, spec: Any) -> None:
    """The array has the shape's parts, each on its device, and its numbers."""
    array = value.read()
    assert {s.data.shape for s in array.addressable_shards} == {part(shape, spec)}
    assert len(array.sharding.device_set) == 4
    for shard in array.addressable_shards:
        np.testing.assert_array_equal(shard.data, numbered(shape)[shard.index])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(laid_out())
def check_placing_cuts_and_keeps_the_numbers(case: Any) -> None:
    shape, spec = case
    lies(Placement(mesh(), spec).place(host_value(numbered(shape))), shape, spec)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(laid_out())
def check_pinning_within_a_program_does_the_same(case: Any) -> None:
    shape, spec = case
    lies(Placement(mesh(), spec).pin(host_value(numbered(shape))), shape, spec)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(laid_out(), laid_out())
def check_one_kernel_a_shape_and_layout(one: Any, two: Any) -> None:
    a, b = Placement(mesh(), one[1]), Placement(mesh(), two[1])
    aval = aval_of(one[0], dtypes.float32)
    assert a.kernel(aval) is Placement(mesh(), one[1]).kernel(aval)
    assert (a.kernel(aval) is b.kernel(aval)) == (a.sharding == b.sharding)
    assert isinstance(a.kernel(aval), PlacementKernel) and a.kernel(aval).n_out == 1


def check_a_placement_is_shared_by_copies() -> None:
    import copy

    place = Placement(mesh(), ("x",))
    assert copy.deepcopy(place) is place


def check_programs_run_on_the_mesh_of_what_they_meet() -> None:
    aval = aval_of((4,), dtypes.float32)
    place = Placement(mesh(), ("x",))
    parted, whole = place.place(host_value(numbered((4,)))), host_value(numbered((4,)))
    add = Kernel("add", lambda a, b: (a + b,), (aval, aval), (aval,))
    assert mesh_for([add], [whole, whole]) is None
    assert mesh_for([add], [whole, parted]) == mesh()
    assert mesh_for([add, placement_kernel(aval, place.sharding)], [whole]) == mesh()
    stranger = jax.sharding.Mesh(np.array(jax.devices()[:2]), ("z",))
    array = jax.device_put(numbered((4,)), jax.sharding.NamedSharding(
        stranger, jax.sharding.PartitionSpec("z")))  # fmt: skip
    assert mesh_for([add], [Value(array, aval, whole.device)]) is None, "nobody placed it"


def check_inputs_come_in_parts_or_in_full() -> None:
    place = Placement(mesh(), (None, "y"))
    shape = (2, 4)
    parted, whole = place.place(host_value(numbered(shape))), host_value(numbered(shape))
    arrays, shardings = onto(mesh(), [parted, whole])
    assert shardings == (place.sharding, arrays[1].sharding)
    assert [s.data.shape for s in arrays[1].addressable_shards] == [shape] * 4
    assert onto(mesh(), [whole])[0][0] is arrays[1], "moved once"


def check_results_of_a_program_with_parts_are_right() -> None:
    aval = aval_of((4, 4), dtypes.float32)
    product = Kernel("mm", lambda a, b: (a @ b,), (aval, aval), (aval,))
    x = numbered((4, 4))
    a = Placement(mesh(), ("x", None)).place(host_value(x))
    b = Placement(mesh(), (None, "y")).place(host_value(x))
    (found,) = record(product, (a, b))
    np.testing.assert_array_equal(np.asarray(found.read()), x @ x)


def check_a_storage_keeps_its_placement() -> None:
    place = Placement(mesh(), ("x",))
    storage = Storage(place.place(host_value(numbered((4,)))))
    storage.placement = place
    aval = aval_of((4,), dtypes.float32)
    double = Kernel("double", lambda a: (a * 2,), (aval,), (aval,))
    storage.set(record(double, (storage.value,))[0])
    array = storage.value.read()
    assert array.sharding.is_equivalent_to(place.sharding, 1)
    np.testing.assert_array_equal(np.asarray(array), numbered((4,)) * 2)


def check_tensors_are_of_the_home_device_all_the_same() -> None:
    x = torch.arange(4.0, device="cuda:0")
    x._storage._value = Placement(mesh(), ("x",)).place(x._storage.value)
    assert x.device == torch.device("cuda:0") and (x + 1).tolist() == [1.0, 2.0, 3.0, 4.0]


if __name__ == "__main__":
    main(checks_of(globals()))
