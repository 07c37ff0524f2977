"""`nn.utils` against PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch.nn.utils.prune  # noqa: F401 - torch imports it only when asked

from tests.oracle import agree

SPECTRAL = {
    "linear": lambda nn: (nn.Linear(4, 3), (2, 4)),
    "conv": lambda nn: (nn.Conv2d(2, 3, 3), (1, 2, 5, 5)),
    "transposed": lambda nn: (nn.ConvTranspose2d(2, 3, 3), (1, 2, 4, 4)),
}


def batch(lib: Any, shape: Any) -> Any:
    return lib.tensor(np.random.RandomState(0).randn(*shape).astype(np.float32))


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("kind", SPECTRAL)
def test_spectral_norm(kind: str, new: bool) -> None:
    def run(lib: Any) -> Any:
        layer, shape = SPECTRAL[kind](lib.nn)
        utils = lib.nn.utils
        wrap = utils.parametrizations.spectral_norm if new else utils.spectral_norm
        layer = wrap(layer, n_power_iterations=2)
        x = batch(lib, shape)
        out = layer(x)
        out.sum().backward()
        grads = [p.grad for p in layer.parameters()]
        found = [out, layer(x), grads, list(layer.state_dict()), repr(layer)]
        found += [dict(layer.state_dict()), layer.eval()(x), layer.weight]
        if new:
            utils.parametrize.remove_parametrizations(layer, "weight")
        else:
            utils.remove_spectral_norm(layer)
        return [*found, repr(layer), dict(layer.state_dict()), layer(x)]

    agree(run, rtol=2e-5)


def test_spectral_norm_checkpoints_and_errors() -> None:
    def run(lib: Any) -> Any:
        utils = lib.nn.utils
        layer = utils.spectral_norm(lib.nn.Linear(3, 2))
        twin = utils.spectral_norm(lib.nn.Linear(3, 2))
        twin.load_state_dict(layer.state_dict())
        found = [dict(twin.state_dict()), dict(layer.state_dict()._metadata[""])]
        for action in (
            lambda: utils.spectral_norm(layer),
            lambda: utils.remove_spectral_norm(lib.nn.Linear(1, 1)),
            lambda: utils.spectral_norm(lib.nn.Linear(1, 1), n_power_iterations=0),
            lambda: utils.spectral_norm(lib.nn.Linear(1, 1, bias=False), "bias"),
        ):
            try:
                action()
            except (RuntimeError, ValueError) as error:
                found.append(str(error))
        return found

    agree(run)


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("new", [False, True])
def test_weight_norm(new: bool, dim: int | None) -> None:
    def run(lib: Any) -> Any:
        utils = lib.nn.utils
        wrap = utils.parametrizations.weight_norm if new else utils.weight_norm
        layer = wrap(lib.nn.Linear(4, 3), dim=dim)
        x = batch(lib, (2, 4))
        out = layer(x)
        out.sum().backward()
        found = [out, [p.grad for p in layer.parameters()], dict(layer.state_dict()), repr(layer)]
        if new:
            utils.parametrize.remove_parametrizations(layer, "weight")
        else:
            utils.remove_weight_norm(layer)
        return [*found, repr(layer), layer(x), sorted(layer.state_dict())]

    agree(run)


def test_old_weight_norm_checkpoint_in_the_new_form() -> None:
    def run(lib: Any) -> Any:
        utils = lib.nn.utils
        old = utils.weight_norm(lib.nn.Linear(3, 2))
        new = utils.parametrizations.weight_norm(lib.nn.Linear(3, 2))
        return [repr(new.load_state_dict(old.state_dict())), new.weight]

    agree(run)


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
def test_orthogonal(orthogonal_map: str, shape: tuple[int, int]) -> None:
    def run(lib: Any) -> Any:
        layer = lib.nn.utils.parametrizations.orthogonal(
            lib.nn.Linear(shape[1], shape[0]), orthogonal_map=orthogonal_map
        )
        weight = layer.weight
        small = weight if shape[0] >= shape[1] else weight.t()
        (weight * batch(lib, shape)).sum().backward()
        grad = layer.parametrizations.weight.original.grad
        return [(small.t() @ small), weight.abs(), grad.abs(), list(layer.state_dict())]

    agree(run, rtol=1e-4)


def test_parametrize() -> None:
    def run(lib: Any) -> Any:
        nn, parametrize = lib.nn, lib.nn.utils.parametrize

        class Symmetric(nn.Module):
            def forward(self, x: Any) -> Any:
                return x.triu() + x.triu(1).t()

            def right_inverse(self, x: Any) -> Any:
                return x.triu()

        class Double(nn.Module):
            def forward(self, x: Any) -> Any:
                return 2 * x

        layer = nn.Linear(3, 3)
        parametrize.register_parametrization(layer, "weight", Symmetric())
        found = [repr(layer), layer.weight, type(layer).__name__, list(layer.state_dict())]
        layer.weight = lib.ones(3, 3)
        found += [layer.weight, layer.parametrizations.weight.original]
        parametrize.register_parametrization(layer, "weight", Double())
        with parametrize.cached():
            found += [layer.weight is layer.weight, parametrize.is_parametrized(layer, "weight")]
        layer(lib.ones(1, 3)).sum().backward()
        found += [layer.parametrizations.weight.original.grad]
        twin = copy.deepcopy(layer)
        found += [twin.weight, [n for n, _ in twin.named_parameters()]]
        found += [parametrize.type_before_parametrizations(layer).__name__]
        parametrize.remove_parametrizations(layer, "weight")
        return [*found, repr(layer), layer.weight, type(layer).__name__]

    agree(run)


def test_parametrize_errors() -> None:
    def run(lib: Any) -> Any:
        nn, parametrize = lib.nn, lib.nn.utils.parametrize

        class Flat(nn.Module):
            def forward(self, x: Any) -> Any:
                return x.flatten()

        class Wide(nn.Module):
            def forward(self, x: Any) -> Any:
                return x.double()

        found = []
        for action in (
            lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Flat()),
            lambda: parametrize.register_parametrization(nn.Linear(2, 2), "weight", Wide()),
            lambda: parametrize.register_parametrization(nn.Linear(2, 2), "none", Flat()),
            lambda: parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"),
        ):
            try:
                action()
            except ValueError as error:
                found.append(str(error))
        return found

    agree(run)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
def test_clip_grad(norm_type: float) -> None:
    def run(lib: Any) -> Any:
        layer = lib.nn.Linear(3, 2)
        layer(batch(lib, (4, 3))).pow(2).sum().backward()
        utils = lib.nn.utils
        total = utils.clip_grad_norm_(layer.parameters(), 0.5, norm_type)
        first = [p.grad.clone() for p in layer.parameters()]
        utils.clip_grad_value_(layer.parameters(), 0.05)
        grads = [p.grad for p in layer.parameters()]
        return [total, first, grads, utils.get_total_norm(grads), utils.clip_grad_norm_([], 1.0)]

    agree(run)


@pytest.mark.parametrize("norm_type", [2.0, 3.0, 0.0, float("-inf")])
@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16", "mixed", "shared", "view"])
def test_clip_grad_of_many(kind: str, norm_type: float) -> None:
    """Gradients that one operator scales, and those that it may not: results, versions."""

    def run(lib: Any) -> Any:
        kinds = ("float32", "float64") if kind == "mixed" else (kind, kind)
        dtypes = [getattr(lib, k if k in ("float64", "bfloat16") else "float32") for k in kinds]
        shapes = ((4, 3), (3, 3), (3, 3))
        params = [
            lib.nn.Parameter(lib.zeros(shape, dtype=dtypes[k % 2]))
            for k, shape in enumerate(shapes)
        ]
        for k, p in enumerate(params):
            p.grad = batch(lib, p.shape).to(p.dtype) * (k + 1) + 0.25
        if kind == "shared":
            params[2].grad = params[1].grad
        if kind == "view":
            params[1].grad = params[1].grad.t()
        before = [p.grad._version for p in params]
        total = lib.nn.utils.clip_grad_norm_(params, 0.5, norm_type)
        versions = [p.grad._version - b for p, b in zip(params, before, strict=True)]
        return [total, [p.grad for p in params], [p.grad.stride() for p in params], versions]

    agree(run)


def test_clip_grad_of_a_subclass_goes_through_its_override() -> None:
    def run(lib: Any) -> Any:
        seen = []

        class Watched(lib.Tensor):  # type: ignore[misc, name-defined]
            @classmethod
            def __torch_function__(cls: Any, func: Any, types: Any, args: Any = (),
                                   kwargs: Any = None) -> Any:  # fmt: skip
                seen.append(func.__name__)
                return super().__torch_function__(func, types, args, kwargs or {})

        p = lib.nn.Parameter(lib.zeros(3))
        p.grad = batch(lib, (3,)).as_subclass(Watched)
        lib.nn.utils.clip_grad_norm_([p], 0.5)
        return [p.grad.as_subclass(lib.Tensor), bool(seen)]

    agree(run)


def test_clip_grad_of_nonfinite() -> None:
    def run(lib: Any) -> Any:
        param = lib.nn.Parameter(lib.ones(2))
        param.grad = lib.tensor([1.0, float("nan")])
        lib.nn.utils.clip_grad_norm_(param, 1.0, error_if_nonfinite=True)

    agree(run)


def test_parameters_as_vector() -> None:
    def run(lib: Any) -> Any:
        layer, utils = lib.nn.Linear(3, 2), lib.nn.utils
        vector = utils.parameters_to_vector(layer.parameters())
        utils.vector_to_parameters(vector.detach() * 2, layer.parameters())
        return [vector, dict(layer.state_dict())]

    agree(run)
    agree(lambda lib: lib.nn.utils.vector_to_parameters(3, []))


def test_packed_sequences() -> None:
    def run(lib: Any) -> Any:
        rnn = lib.nn.utils.rnn
        parts = [batch(lib, (n, 2)).requires_grad_() for n in (2, 4, 1)]
        padded = rnn.pad_sequence(parts, batch_first=True, padding_value=-1.0)
        packed = rnn.pack_sequence(parts, enforce_sorted=False)
        back, lengths = rnn.pad_packed_sequence(packed, padding_value=7.0, total_length=5)
        (packed.data * 2).sum().backward()
        return [
            padded, list(packed), back, lengths, [p.grad for p in parts],
            rnn.unpack_sequence(packed), rnn.pad_sequence(parts, padding_side="left"),
            packed.is_cuda, type(packed.double()).__name__, str(packed.double().data.dtype),
        ]  # fmt: skip

    agree(run)


ERRORS = {
    "unsorted": lambda r, lib: r.pack_padded_sequence(lib.zeros(3, 2, 1), [1, 3]),
    "zero": lambda r, lib: r.pack_padded_sequence(lib.zeros(3, 2, 1), [1, 0]),
    "count": lambda r, lib: r.pack_padded_sequence(lib.zeros(3, 2, 1), [3]),
    "total length": lambda r, lib: r.pad_packed_sequence(
        r.pack_sequence([lib.zeros(3, 1)]), total_length=1
    ),
    "not iterable": lambda r, lib: r.pad_sequence(3),
}


@pytest.mark.parametrize("name", ERRORS)
def test_packing_errors(name: str) -> None:
    agree(lambda lib: ERRORS[name](lib.nn.utils.rnn, lib))


def test_functional_call() -> None:
    def run(lib: Any) -> Any:
        layer, x = lib.nn.Linear(3, 2), batch(lib, (4, 3))
        given = {"weight": lib.ones(2, 3), "bias": lib.zeros(2)}
        out = lib.nn.utils.stateless._functional_call(layer, given, (x,))
        norm = lib.nn.BatchNorm1d(3)
        state = {"running_mean": lib.ones(3)}
        lib.nn.utils.stateless._functional_call(norm, state, x)
        return [out, dict(layer.state_dict()), state, norm.running_mean]

    agree(run)


def test_fusion() -> None:
    def run(lib: Any) -> Any:
        nn = lib.nn
        conv, norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        norm(conv(batch(lib, (2, 2, 5, 5))))
        fused = nn.utils.fuse_conv_bn_eval(conv.eval(), norm.eval())
        x = batch(lib, (1, 2, 5, 5))
        return [fused(x), norm(conv(x)), repr(fused)]

    agree(run, rtol=1e-4)


def test_data_parallel_without_gpu() -> None:
    def run(lib: Any) -> Any:
        net = lib.nn.DataParallel(lib.nn.Linear(2, 3))
        return [repr(net), net(lib.ones(1, 2)), list(net.state_dict())]

    agree(run)


PRUNING = {
    "identity": "prune.identity(m, 'weight')",
    "l1": "prune.l1_unstructured(m, 'weight', 0.4)",
    "l1 count": "prune.l1_unstructured(m, 'weight', 3)",
    "random": "prune.random_unstructured(m, 'weight', 0.3)",
    "ln": "prune.ln_structured(m, 'weight', 1, 2, 0)",
    "random structured": "prune.random_structured(m, 'weight', 0.5, 1)",
    "twice": "prune.ln_structured(prune.l1_unstructured(m, 'weight', 0.4), 'weight', 1, 1, 1)",
    "mask": "prune.custom_from_mask(m, 'bias', lib.tensor([0, 1, 1]))",
    "global": "prune.global_unstructured([(m, 'weight'), (m, 'bias')], prune.L1Unstructured,"
    " amount=0.4)",
    "too many": "prune.l1_unstructured(m, 'weight', 99)",
    "share": "prune.l1_unstructured(m, 'weight', 1.5)",
    "vector": "prune.ln_structured(m, 'bias', 1, 2, 0)",
    "not pruned": "prune.remove(m, 'weight')",
}


@pytest.mark.parametrize("name", PRUNING)
def test_prune(name: str) -> None:
    def run(lib: Any) -> Any:
        m, prune = lib.nn.Linear(4, 3), lib.nn.utils.prune
        exec(PRUNING[name], {"m": m, "prune": prune, "lib": lib})
        out = m(lib.ones(1, 4))
        out.sum().backward()
        found = [dict(m.state_dict()), out, prune.is_pruned(m), [p.grad for p in m.parameters()]]
        for pruned in ("weight", "bias"):
            if hasattr(m, pruned + "_mask"):
                prune.remove(m, pruned)
        return [*found, dict(m.state_dict()), prune.is_pruned(m)]

    agree(run)
