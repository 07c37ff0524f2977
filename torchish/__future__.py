"""Switches of how `Module.to` replaces parameters: kept; it always writes into them."""

from __future__ import annotations

from ._basics.errors import not_supported


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Whether `Module.to` makes new parameters.

    Raises: NotSupportedError for True.
    """
    if value:
        raise not_supported("overwriting parameters on conversion", "Module.to")


def get_overwrite_module_params_on_conversion() -> bool:
    """False."""
    return False


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Whether `Module.to` swaps tensors.

    Raises: NotSupportedError for True.
    """
    if value:
        raise not_supported("swapping parameters on conversion", "Module.to")


def get_swap_module_params_on_conversion() -> bool:
    """False."""
    return False
