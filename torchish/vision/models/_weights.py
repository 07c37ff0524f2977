"""What every constructor does with a request for trained weights."""

from __future__ import annotations

from typing import Any

from torchish._core.errors import not_supported


def refuse_weights(name: str, weights: Any, pretrained: Any = None) -> None:
    """Raise NotSupportedError if trained weights are asked for: torchish downloads nothing."""
    if weights is not None or pretrained:
        raise not_supported(
            f"downloading weights for {name}",
            f"model = {name}(); model.load_state_dict(torch.load(path))",
        )
