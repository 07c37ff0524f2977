"""How each library of `peers.py` is set up, and what its way of training is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import peer_programs as programs

Step = Callable[[], float]


class Prepared:
    """A library with PyTorch's API, ready to be asked."""

    def __init__(self, torch: Any, device: Any) -> None:
        self.torch, self.device = torch, device

    def matrix(self) -> Any:
        """What the operators are given."""
        self.torch.manual_seed(0)
        return programs.matrix(self.torch, self.device)

    def operators(self) -> dict[str, Callable[[Any], Any]]:
        """Functions of the matrix, by name."""
        return {
            name: lambda x, function=function: function(self.torch, x)
            for name, function in programs.OPERATORS.items()
        }

    def numbers(self, x: Any) -> list[float]:
        """All elements."""
        return programs._numbers(x)

    def wait(self, x: Any) -> None:
        """Return when the result is there."""
        x.detach().cpu().flatten()[0].item()

    def steps(self) -> dict[str, Callable[[], Step]]:
        """Makers of training steps, by what is special about each."""
        return {"": self._step}

    def _step(self) -> Step:
        self.torch.manual_seed(0)
        return programs.training_step(self.torch, self.device)


def pytorch() -> Prepared:
    """The reference."""
    import torch

    return Prepared(torch, "cpu")


def torchish() -> Prepared:
    """torchish as `import torch`."""
    import torchish

    return Prepared(torchish, "cpu")


class Torchax(Prepared):
    """PyTorch's front end on JAX; what is trained under `jit` is trained by optax."""

    def steps(self) -> dict[str, Callable[[], Step]]:
        """Its own compiled step, and PyTorch's loop as it is."""
        return {" (its train step, jitted)": self._jitted, " (loss.backward())": self._step}

    def _jitted(self) -> Step:
        import optax
        from torchax import interop, train

        torch = self.torch
        torch.manual_seed(0)
        nn = torch.nn
        net = nn.Sequential(
            nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
        ).to(self.device)
        x = torch.randn(128, 784).to(self.device)
        y = torch.randint(0, 10, (128,)).to(self.device)
        rule = optax.adam(1e-3)
        weights = dict(net.named_parameters())

        def model(weights: Any, buffers: Any, x: Any) -> Any:
            return torch.func.functional_call(net, {**weights, **buffers}, (x,))

        update = train.make_train_step(model, nn.functional.cross_entropy, rule)
        jitted = interop.jax_jit(update, kwargs_for_jax_jit={"donate_argnums": (0, 2)})
        held = [weights, interop.call_jax(rule.init, weights)]

        def step() -> float:
            loss, held[0], held[1] = jitted(held[0], {}, held[1], x, y)
            return float(loss.item())

        return step


def torchax() -> Prepared:
    """torchax with its environment enabled, tensors on its device."""
    import torchax as library

    library.enable_globally()
    import torch

    return Torchax(torch, "jax")


def torch_xla() -> Prepared:
    """torch_xla on the CPU."""
    import torch
    import torch_xla as library

    return Prepared(torch, library.device())


class Tinygrad(Prepared):
    """tinygrad has an API of its own."""

    def __init__(self) -> None:
        import tinygrad

        super().__init__(None, None)
        self.library = tinygrad

    def matrix(self) -> Any:
        """PyTorch's matrix: tinygrad draws other numbers."""
        import torch

        torch.manual_seed(0)
        return self.library.Tensor(programs.matrix(torch, "cpu").numpy())

    def operators(self) -> dict[str, Callable[[Any], Any]]:
        """The same ten, as tinygrad writes them."""
        return {
            "matmul": lambda x: x @ x.T,
            "conv2d": lambda x: x.reshape(4, 4, 32, 32).conv2d(
                x[:4, :36].reshape(4, 4, 3, 3), padding=1
            ),
            "softmax": lambda x: x.softmax(-1),
            "layer_norm": lambda x: x.layernorm(),
            "gelu": lambda x: 0.5 * x * (1 + (x / 2**0.5).erf()),  # its gelu is the tanh formula
            "logsumexp": lambda x: x.logsumexp(0),
            "cumsum": lambda x: x.cumsum(1),
            "sort": lambda x: x.sort(1)[0],
            "einsum": lambda x: self.library.Tensor.einsum("ij,kj->ik", x, x),
            "erf": lambda x: x.erf(),
        }

    def numbers(self, x: Any) -> list[float]:
        """All elements."""
        return [float(v) for v in x.numpy().ravel()]

    def wait(self, x: Any) -> None:
        """Compute, and look at the result."""
        x.numpy()

    def steps(self) -> dict[str, Callable[[], Step]]:
        """As it is, and under TinyJit."""
        return {"": self._step, " (TinyJit)": lambda: self._step(self.library.TinyJit)}

    def _step(self, wrap: Callable[[Any], Any] = lambda f: f) -> Step:
        import torch

        Tensor, nn = self.library.Tensor, self.library.nn
        torch.manual_seed(0)
        layers = []
        for n, m in ((784, 512), (512, 512), (512, 10)):
            theirs, layer = torch.nn.Linear(n, m), nn.Linear(n, m)
            layer.weight = Tensor(theirs.weight.detach().numpy())
            layer.bias = Tensor(theirs.bias.detach().numpy())
            layers.append(layer)
        x = Tensor(torch.randn(128, 784).numpy())
        y = Tensor(torch.randint(0, 10, (128,)).numpy())
        optimizer = nn.optim.Adam(nn.state.get_parameters(layers), lr=1e-3)

        def update() -> Any:
            with self.library.Context(TRAINING=1):
                optimizer.zero_grad()
                out = layers[1](layers[0](x).relu()).relu()
                loss = layers[2](out).sparse_categorical_crossentropy(y).backward()
                return loss.realize(*optimizer.schedule_step())

        run = wrap(update)
        return lambda: float(run().item())


PEERS: dict[str, Callable[[], Prepared]] = {
    "pytorch": pytorch,  # first: the others are compared with it
    "torchish": torchish,
    "torchax": torchax,
    "torch_xla": torch_xla,
    "tinygrad": Tinygrad,
}
PACKAGES = {
    "pytorch": "torch", "torchish": "torchish", "torchax": "torchax", "torch_xla": "torch_xla",
    "tinygrad": "tinygrad",
}  # fmt: skip
# Folders below out/peers: torchax 0.0.13 and torch_xla 2.9 do not go with PyTorch 2.13.
FOLDERS = {"torchax": ["torchax", "torch-2.9"], "torch_xla": ["torch_xla", "torch-2.9"]}
