"""`__torch_function__`: the same programs under PyTorch and torchish, compared line by line."""

from __future__ import annotations

import copy
import importlib
import operator
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch as real

import torchish
from tests import oracle


def both(program: Any) -> None:
    """Run `program(torch, say, overrides)` on both; what it says must be equal."""
    oracle.tell(
        lambda torch, say: program(
            torch, say, importlib.import_module(f"{torch.__name__}.overrides")
        )
    )


def logging_class(torch: Any, say: Any, overrides: Any) -> type:
    class Logged(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            name = overrides.resolve_name(func)
            # torch has one function for both names
            name = str(name).replace("__pow__", "pow").replace("__ipow__", "pow_")
            say(name, [t.__name__ for t in types], len(args), sorted(kwargs or {}))
            return super().__torch_function__(func, types, args, kwargs or {})

    return Logged


OPERATORS = (
    "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift eq ne lt le gt ge"
).split()


def test_python_operators() -> None:
    def program(torch: Any, say: Any, overrides: Any) -> None:
        cls = logging_class(torch, say, overrides)
        for name in OPERATORS:
            whole = name in ("and_", "or_", "xor", "lshift", "rshift")
            plain = torch.full((2, 2), 3, dtype=torch.int32 if whole else torch.float32)
            a = plain.as_subclass(cls)
            f = getattr(operator, name)
            pairs = [(a, a), (a, plain), (plain, a)]
            pairs += [] if name == "matmul" else [(a, 2), (2, a)]
            for x, y in pairs:
                out = f(x, y)
                say(name, type(out).__name__, out.dtype, out.tolist())
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
            a = torch.full((2,), 3.0).as_subclass(cls)
            out = getattr(operator, f"i{name}")(a, 2)
            say(name, out is a, out.tolist())
        for name in ("and", "or", "xor", "lshift", "rshift"):
            a = torch.full((2,), 3).as_subclass(cls)
            say(name, getattr(operator, f"i{name}")(a, 2).tolist())
        a = torch.full((2,), 3).as_subclass(cls)
        for name in ("neg", "pos", "abs", "invert"):
            say(name, getattr(operator, name)(a).tolist())

    both(program)


def test_attributes_methods_and_functions() -> None:
    attributes = (
        "shape dtype device grad requires_grad T mT H data grad_fn is_leaf layout ndim real "
        "is_cuda _version is_meta itemsize output_nr nbytes"
    ).split()

    def program(torch: Any, say: Any, overrides: Any) -> None:
        cls = logging_class(torch, say, overrides)
        nnf = torch.nn.functional
        a = torch.ones(2, 2).as_subclass(cls)
        for name in attributes:
            say(name, type(getattr(a, name)).__name__)
        a.requires_grad = True
        a.grad = None
        a.data = a.data
        calls = {
            "len": len, "bool": lambda: bool(a[0, 0]), "int": lambda: int(a[0, 0].detach()),
            "rev": lambda: reversed(a), "contains": lambda: 1 in a, "repr": lambda: repr(a),
            "set": lambda: a.detach().__setitem__(0, 1), "get": lambda: a[:, None, 1],
            "item": lambda: a[0, 0].item(), "numpy": lambda: a.detach().numpy(),
            "tolist": lambda: a.tolist(), "size": lambda: a.size(), "dim": lambda: a.dim(),
            "copy": lambda: copy.copy(a.detach()), "pickle": lambda: pickle.dumps(1),
            "is_fp": lambda: torch.is_floating_point(a), "numel": lambda: torch.numel(a),
            "as_tensor": lambda: torch.as_tensor(a), "relu": lambda: nnf.relu(a),
            "dropout": lambda: nnf.dropout(a, 0.5), "linear": lambda: nnf.linear(a, a),
            "backward": lambda: a.sum().backward(),
            "hook": lambda: a.register_hook(lambda g: g) and None,
            "stack": lambda: torch.stack([a, torch.ones(2, 2)]),
            "cat": lambda: torch.cat((torch.ones(2, 2), a), dim=1),
            "einsum": lambda: torch.einsum("ij->i", a), "norm": lambda: torch.norm(a),
            "anorm": lambda: a.norm(), "split": lambda: a.split(1), "max": lambda: a.max(0),
            "view": lambda: a.view(4), "reshape": lambda: a.reshape(-1), "t": lambda: a.t(),
            "softmax": lambda: nnf.softmax(a, 1), "fft": lambda: torch.fft.fft(a),
            "inv": lambda: torch.linalg.norm(a), "entr": lambda: torch.special.entr(a),
            "zeros_like": lambda: torch.zeros_like(a), "new_ones": lambda: a.new_ones(2),
            "where": lambda: torch.where(a > 0, a, 0.0), "out": lambda: torch.add(1, a.detach()),
            "max_pool": lambda: nnf.max_pool2d(a[None], 2), "clone": lambda: a.clone(),
            "detach": lambda: a.detach(), "unbind": lambda: a.unbind()[0],
            "ce": lambda: nnf.cross_entropy(a, torch.tensor([0, 1])),
        }  # fmt: skip
        for name, call in calls.items():
            out = call(a) if name == "len" else call()
            say("->", name, type(out).__name__ if name != "copy" else "")

    both(program)


def test_results_history_and_classes() -> None:
    def program(torch: Any, say: Any, overrides: Any) -> None:
        class Img(torch.Tensor):
            pass

        class Sub(Img):
            pass

        class Other(torch.Tensor):
            pass

        class Own(torch.nn.Parameter):
            pass

        say(Img(torch.ones(2, 2)).mul(2), Img([1.0]) + Sub([2.0]), Sub([1.0]) + Img([1.0]))
        say(Img(2, 3).shape, Img(), torch.Tensor(Img([3.0])))
        x = torch.ones(2, requires_grad=True)
        say(Img(x), (x * 2).as_subclass(Img), x.as_subclass(Img) * 2)
        out = (x.as_subclass(Img) * 3)[1:]
        out.sum().backward()
        say(x.grad, type(x.grad).__name__, out._is_view())
        say(torch.Tensor._make_subclass(Img, torch.ones(2), True))
        say(torch.Tensor._make_subclass(Img, x * 2))
        say(type(Own(torch.ones(2)) * 2).__name__, Own(torch.ones(2)))
        p = torch.nn.Parameter(Img([1.0, 2.0]))
        say(p, type(p).__name__, isinstance(p, torch.nn.Parameter), type(p + 1).__name__)
        a = Img([1.0, 2.0])
        a.add_(1)
        a[0] = 7
        b = a[1:]
        b.mul_(2)
        say(a, b, type(b).__name__)
        for bad in (
            lambda: a + Other([1.0, 1.0]), lambda: torch.Tensor._make_subclass(int, a),
            lambda: torch.ones(2).as_subclass(int), lambda: copy.deepcopy(a),
            lambda: torch.Tensor._make_subclass(Img, torch.ones(2).int(), True),
        ):  # fmt: skip
            try:
                say(bad())
            except (TypeError, RuntimeError) as error:
                say(type(error).__name__, error)

        class Copied(torch.Tensor):
            def new_empty(self, *args, **kwargs):
                return super().new_empty(*args, **kwargs).as_subclass(Copied)

        c = Copied([1.0, 2.0])
        c.tag = [1]
        d = copy.deepcopy(c)
        d.tag.append(2)
        d.add_(1)
        say(type(d).__name__, d.tag, c.tag, c.tolist(), d.tolist())

    both(program)


def test_duck_types() -> None:
    def program(torch: Any, say: Any, overrides: Any) -> None:
        nnf = torch.nn.functional

        class Duck:
            answer = NotImplemented

            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                if cls.answer is NotImplemented:
                    return NotImplemented
                return overrides.resolve_name(func), [t.__name__ for t in types]

        ones = torch.ones(2)
        duck = Duck()
        calls = [
            lambda: ones.add(duck), lambda: ones + duck, lambda: duck + ones,
            lambda: ones < duck, lambda: nnf.relu(duck), lambda: torch.einsum("i", duck),
            lambda: ones[duck], lambda: torch.zeros(duck), lambda: ones.view(duck),
            lambda: torch.cat([duck]), lambda: torch.stack([ones, duck]),
            lambda: torch.ones_like(duck), lambda: torch.sum(ones, dim=duck),
            lambda: torch.mean(duck), lambda: ones.mul_(duck), lambda: torch.matmul(ones, duck),
            lambda: nnf.cross_entropy(ones, duck), lambda: torch.where(ones > 0, duck, ones),
            lambda: nnf.dropout(duck), lambda: torch.split(duck, 1),
        ]  # fmt: skip
        for Duck.answer in (NotImplemented, True):
            for call in calls:
                try:
                    out = call()
                    say(out if isinstance(out, tuple) else type(out).__name__)
                except TypeError as error:
                    say("TypeError", str(error).split("\n")[-1])

    both(program)


def test_modes() -> None:
    def program(torch: Any, say: Any, overrides: Any) -> None:
        class Log(overrides.TorchFunctionMode):
            def __init__(self, name):
                super().__init__()
                self.name = name

            def __torch_function__(self, func, types, args=(), kwargs=None):
                say(self.name, overrides.resolve_name(func), sorted(kwargs or {}))
                return func(*args, **(kwargs or {}))

        class Double(overrides.BaseTorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None):
                kwargs = dict(kwargs or {})
                if func in (torch.ones, torch.empty, torch.randn):
                    kwargs["dtype"] = torch.float64
                return func(*args, **kwargs)

        lin = torch.nn.Linear(3, 2)
        nnf = torch.nn.functional
        with Log("a"):
            y = torch.relu(torch.ones(2) - 3).sum()
            z = nnf.linear(torch.ones(1, 3), lin.weight)
            y += 1
            z[0, 0], z.shape
            torch.zeros(2), torch.arange(3), torch.randn(2), torch.eye(2)
            torch.tensor([1.0]), torch.where(y > 0, 1, 2), torch.rand_like(z)
            torch.tril_indices(2, 2), torch.promote_types(torch.int, torch.float)
            nnf.softmax(z, dim=1), nnf.max_pool2d(torch.ones(1, 1, 4, 4), 2)
            with Log("b"):
                torch.add(y, 1)
            y.backward
        with Double():
            say(torch.ones(2).dtype, torch.nn.Linear(2, 2).weight.dtype)
        try:
            with overrides.TorchFunctionMode():
                torch.ones(2)
        except NotImplementedError as error:
            say(type(error).__name__, error)
        say(torch.ones(2).dtype)
        img = type("Img", (torch.Tensor,), {})
        a = torch.ones(2).as_subclass(img)
        with torch._C.DisableTorchFunctionSubclass(), Log("c"):
            out = a + a
        say(type(out).__name__)
        with torch._C.DisableTorchFunction(), Log("d"):
            out = a + a
        say(type(out).__name__)

    both(program)


def test_helpers() -> None:
    def program(torch: Any, say: Any, overrides: Any) -> None:
        class Duck:
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                return ("seen", func.__name__, args[1:], kwargs)

        @overrides.wrap_torch_function(lambda x, y=1: (x,))
        def mine(x, y=1):
            return x + y

        duck = Duck()
        say(mine(1), mine(duck, y=3))
        say(overrides.has_torch_function((1, duck)), overrides.has_torch_function((1,)))
        say(overrides.handle_torch_function(mine, (duck,), duck, y=2))
        try:
            overrides.handle_torch_function(torch.add, (1,), 1)
        except TypeError as error:
            say(error)
        say(overrides.is_tensor_like(duck), overrides.is_tensor_like(3))
        say([overrides.is_tensor_like(torch.ones(1)), overrides.is_tensor_like("x")])
        for f in (
            torch.Tensor.add, torch.Tensor.shape.__get__, torch.add, len, torch.Tensor.__add__,
            torch.linalg.norm, torch.nn.functional.relu, torch.Tensor.requires_grad.__set__,
            torch.fft.fft, torch.special.entr, torch.Tensor.__getitem__, torch.stack,
        ):  # fmt: skip
            say(overrides.resolve_name(f), overrides.is_tensor_method_or_property(f))
        functions = overrides.get_overridable_functions()
        say(torch.add in functions[torch], torch.Tensor.add in functions[torch.Tensor])
        ignored = overrides.get_ignored_functions()
        say(torch.zeros in ignored, torch.tensor in ignored, torch.add in ignored)
        testing = overrides.get_testing_overrides()
        say(testing[torch.add](1, 2), testing[torch.Tensor.shape.__get__](1))

    both(program)


def test_devices_as_modes() -> None:
    def program(torch: Any, say: Any, overrides: Any) -> None:
        places = importlib.import_module(f"{torch.__name__}.utils._device")
        with places.DeviceContext("meta"):
            say(
                torch.ones(2).device,
                torch.ones(2, device="cpu").device,
                torch.add(1, torch.ones(2)),
            )
        say(places.set_device("meta")(lambda: torch.zeros(2))().device, torch.zeros(1).device)
        with torch.device("meta"):
            say(torch.ones(2).device, torch.nn.Linear(2, 2).weight.device)

    both(program)


@pytest.mark.parametrize("attribute", ["__torch_dispatch__"])
def test_what_is_refused(attribute: str) -> None:
    cls = type("Bad", (torchish.Tensor,), {attribute: classmethod(lambda *a: None)})
    with pytest.raises(torchish.NotSupportedError, match=attribute):
        torchish.ones(2).as_subclass(cls)


@pytest.mark.parametrize("torch", [real, torchish], ids=["torch", "torchish"])
def test_einsum_is_handed_over_written_out(torch: Any) -> None:
    seen = []

    class Noting(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if isinstance(args[0], str):
                seen.append((args[0], len(args)))
            return super().__torch_function__(func, types, args, kwargs or {})

    a, b = torch.ones(2, 3).as_subclass(Noting), torch.ones(3, 4)
    torch.einsum("ij,jk->ik", [a, b])
    torch.einsum(a, [0, 1], b, [1, 30], [0, 30])
    torch.einsum(a, [..., 1], b, [1, 30])
    assert seen == [("ij,jk->ik", 3), ("AB,Be->Ae", 3), ("...B,Be", 3)]


@pytest.mark.parametrize("torch", [real, torchish], ids=["torch", "torchish"])
def test_a_tensors_dict_holds_the_users_attributes(torch: Any) -> None:
    class Tagged:
        pass

    class Kind(Tagged, torch.Tensor):
        pass

    for x in (torch.nn.Parameter(torch.ones(2)), torch.ones(2).as_subclass(Kind)):
        assert vars(x) == {}
        x.one = 1
        x.__dict__["two"] = 2
        x.__dict__.update(three=3)
        assert x.__dict__.pop("one") == 1
        assert (x.two, x.three, hasattr(x, "one")) == (2, 3, False)
        assert vars(x) == {"two": 2, "three": 3}
        assert "two" in dir(x)
        x.__dict__ = {"four": 4}
        assert vars(x) == {"four": 4}
        assert (x + 1).tolist() == [2.0, 2.0]
    leaf = torch.ones(2, requires_grad=True)
    leaf.register_post_accumulate_grad_hook(lambda p: None)
    assert vars(leaf) == {} == vars(pickle.loads(pickle.dumps(leaf)))


def test_every_overridable_function_reaches_the_protocol() -> None:
    """Each function of the registry, given one duck-typed object, hands it over."""
    from torchish import overrides

    class Duck:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return SimpleNamespace(func=func)

    missed = []
    for holder, functions in overrides.get_overridable_functions().items():
        if holder is torchish.Tensor or isinstance(holder, property):
            continue
        for function in functions:
            try:
                got = function(Duck())
            except Exception as error:
                missed.append((overrides.resolve_name(function), repr(error)))
                continue
            if getattr(got, "func", None) is not function:
                missed.append((overrides.resolve_name(function), type(got)))
    assert not missed
