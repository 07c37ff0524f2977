"""Functions that choose a kernel by the type of their first argument.

Invariant: a kernel sees plain tensors and the facts that it names in its signature (`format`,
`canvas_size`, `clamping_mode`); what it returns is wrapped like the input. Arguments that a kernel
does not name do not concern its kind of input and are left out.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from PIL.Image import Image as PILImage

from ....._tensor.tensor import Tensor
from .... import tv_tensors
from ....tv_tensors import TVTensor

_KERNEL_REGISTRY: dict[Callable[..., Any], dict[type, Callable[..., Any]]] = {}
_FACTS = ("format", "canvas_size", "clamping_mode")
_BUILT_IN = {
    tv_tensors.Image,
    tv_tensors.Video,
    tv_tensors.BoundingBoxes,
    tv_tensors.KeyPoints,
    tv_tensors.Mask,
    TVTensor,
}


def is_pure_tensor(inpt: Any) -> bool:
    """Whether `inpt` is a tensor and no TVTensor."""
    return isinstance(inpt, Tensor) and not isinstance(inpt, TVTensor)


def functional(stub: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that hands its arguments to the kernel for the type of the first.

    `stub` gives the name, the signature and the documentation; its body never runs.
    """
    signature = inspect.signature(stub)
    first = next(iter(signature.parameters))

    @functools.wraps(stub)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        inpt = given.pop(first)
        return _get_kernel(call, type(inpt))(inpt, **given)

    _KERNEL_REGISTRY[call] = {}
    return call


def _get_kernel(
    functional: Callable[..., Any], input_type: type, *, allow_passthrough: bool = False
) -> Callable[..., Any]:
    """The kernel for a type or for the nearest of its bases, TVTensor's own bases excepted.

    Raises: ValueError if `functional` has no kernels, TypeError if none fits.
    """
    registry = _KERNEL_REGISTRY.get(functional)
    if not registry:
        raise ValueError(f"No kernel registered for functional {functional.__name__}.")
    for cls in input_type.__mro__:
        if cls in registry:
            return registry[cls]
        if cls is TVTensor:  # a kind of its own is no image because it is a tensor
            break
    if allow_passthrough:
        return lambda inpt, *args, **kwargs: inpt
    raise TypeError(
        f"Functional F.{functional.__name__} supports inputs of type {registry.keys()}, "
        f"but got {input_type} instead."
    )


def kernel(functional: Callable[..., Any], *types: type, wrap: bool = True) -> Callable[..., Any]:
    """Register the decorated function for these types of the first argument.

    `wrap=False` hands TVTensors over as they are, and returns what the kernel returns.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for cls in types:
            if cls in _KERNEL_REGISTRY[functional]:
                raise ValueError(
                    f"Functional {functional} already has a kernel registered for type {cls}."
                )
            plain = not (wrap and issubclass(cls, TVTensor))
            made = function if plain else _on_tv_tensor(functional, function)
            _KERNEL_REGISTRY[functional][cls] = made
        return function

    return register


def _on_tv_tensor(functional: Callable[..., Any], function: Callable[..., Any]) -> Any:
    taken = list(inspect.signature(function).parameters)[1:]
    positional = list(inspect.signature(functional).parameters)[1:]
    facts = [name for name in _FACTS if name in taken]

    @functools.wraps(function)
    def call(inpt: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(zip(positional, args, strict=False))
        given = {name: value for name, value in kwargs.items() if name in taken}
        for name in facts:
            given.setdefault(name, getattr(inpt, name))
        result = function(inpt.as_subclass(Tensor), **given)
        if not isinstance(result, tuple):
            return tv_tensors.wrap(result, like=inpt)
        if isinstance(inpt, (tv_tensors.BoundingBoxes, tv_tensors.KeyPoints)):
            tensor, canvas_size = result
            return tv_tensors.wrap(tensor, like=inpt, canvas_size=canvas_size)
        return tuple(tv_tensors.wrap(part, like=inpt) for part in result)

    return call


def pil_kernel(functional: Callable[..., Any]) -> Callable[..., Any]:
    """Register the decorated function for PIL images."""
    return kernel(functional, PILImage)


def _renamed(image_kernel: Callable[..., Any], kind: str, drop: tuple[str, ...] = ()) -> Any:
    """Parameters of an image kernel with the first called `kind`, and its name for that kind."""
    signature = inspect.signature(image_kernel)
    first, *rest = signature.parameters.values()
    kept = [p for p in rest if p.name not in drop]
    name = image_kernel.__name__.replace("_image", f"_{kind}")
    return signature.replace(parameters=[first.replace(name=kind), *kept]), name


def _named(function: Callable[..., Any], signature: Any, name: str, doc: str) -> Any:
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def video_kernel(
    functional: Callable[..., Any], image_kernel: Callable[..., Any], wrap: bool = True
) -> Callable[..., Any]:
    """The image kernel for videos (..., T, C, H, W): frames are one more batch dimension."""
    signature, name = _renamed(image_kernel, "video")

    def on_video(video: Tensor, *args: Any, **kwargs: Any) -> Any:
        return image_kernel(video, *args, **kwargs)

    made = _named(on_video, signature, name, f"`{image_kernel.__name__}` for videos.")
    return kernel(functional, tv_tensors.Video, wrap=wrap)(made)


def mask_kernel(
    functional: Callable[..., Any], image_kernel: Callable[..., Any], **fixed: Any
) -> Callable[..., Any]:
    """The image kernel for masks (..., H, W), with some of its arguments fixed."""
    signature, name = _renamed(image_kernel, "mask", tuple(fixed))

    def on_mask(mask: Tensor, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(mask, *args, **kwargs).arguments
        tensor = given.pop("mask")
        flat = tensor.ndim < 3
        result = image_kernel(tensor.unsqueeze(0) if flat else tensor, **given, **fixed)
        return result.squeeze(0) if flat else result

    made = _named(on_mask, signature, name, f"`{image_kernel.__name__}` for masks.")
    return kernel(functional, tv_tensors.Mask)(made)


def register_kernel(functional: Any, tv_tensor_cls: type) -> Callable[..., Any]:
    """Decorate a kernel of your own for a TVTensor class of your own.

    Args:
        functional: one of the functions of this module, or its name.
        tv_tensor_cls: the class whose instances the kernel takes.
    Raises: ValueError for other functions, other classes and those built in.
    """
    if isinstance(functional, str):
        namespace = sys.modules[__package__]
        try:
            functional = getattr(namespace, functional)
        except AttributeError:
            raise ValueError(
                f"Could not find functional with name '{functional}' in "
                "torchvision.transforms.v2.functional."
            ) from None
    if not (callable(functional) and functional in _KERNEL_REGISTRY):
        raise ValueError(
            "Kernels can only be registered on functionals from the "
            f"torchvision.transforms.v2.functional namespace, but got {functional}."
        )
    if not (isinstance(tv_tensor_cls, type) and issubclass(tv_tensor_cls, TVTensor)):
        raise ValueError(
            "Kernels can only be registered for subclasses of torchvision.tv_tensors.TVTensor, "
            f"but got {tv_tensor_cls}."
        )
    if tv_tensor_cls in _BUILT_IN:
        raise ValueError(
            "Kernels cannot be registered for the builtin tv_tensor classes, "
            f"but got {tv_tensor_cls}"
        )
    return kernel(functional, tv_tensor_cls, wrap=False)
