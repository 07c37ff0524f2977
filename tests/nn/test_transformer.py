"""Masks, inference and printing of the transformer against PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.oracle import agree


def draw(lib: Any, *shape: int) -> Any:
    return lib.tensor(np.random.RandomState(sum(shape)).randn(*shape).astype(np.float32))


PADDING = [[False, False, True], [False, False, False]]
MASKS = {
    "none": lambda lib: {},
    "padding": lambda lib: {"src_key_padding_mask": lib.tensor(PADDING)},
    "causal": lambda lib: {"mask": lib.nn.Transformer.generate_square_subsequent_mask(3)},
    "hint": lambda lib: {
        "mask": lib.nn.Transformer.generate_square_subsequent_mask(3),
        "is_causal": True,
    },
    "both": lambda lib: {
        "mask": lib.tensor(np.triu(np.ones((3, 3)), 1) > 0),
        "src_key_padding_mask": lib.tensor(PADDING),
    },
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MASKS)
def test_encoder(name: str, training: bool) -> None:
    def run(lib: Any) -> Any:
        layer = lib.nn.TransformerEncoderLayer(4, 2, 6, 0.0, batch_first=True)
        encoder = lib.nn.TransformerEncoder(layer, 2, lib.nn.LayerNorm(4)).train(training)
        x = draw(lib, 2, 3, 4)
        with lib.set_grad_enabled(training):
            out = encoder(x, **MASKS[name](lib))
        if training:
            out.square().sum().backward()
        return [out, [p.grad for p in encoder.parameters()] if training else None, repr(encoder)]

    agree(run, rtol=2e-5, ignore="nested tensors is in prototype stage")


def test_decoder() -> None:
    def run(lib: Any) -> Any:
        nn = lib.nn
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6, 0.0), 2)
        mask = nn.Transformer.generate_square_subsequent_mask(3)
        out = decoder(draw(lib, 3, 2, 4), draw(lib, 5, 2, 4), tgt_mask=mask, tgt_is_causal=True)
        return [out, repr(decoder)]

    agree(run)


@pytest.mark.parametrize("average", [True, False])
def test_attention_weights(average: bool) -> None:
    def run(lib: Any) -> Any:
        attention = lib.nn.MultiheadAttention(4, 2, batch_first=True)
        x = draw(lib, 2, 3, 4)
        return attention(
            x, x, x, key_padding_mask=lib.tensor(PADDING), average_attn_weights=average
        )

    agree(run)


ERRORS = {
    "batch": lambda nn, lib: nn.Transformer(4, 2, 1, 1, 6)(draw(lib, 3, 2, 4), draw(lib, 3, 1, 4)),
    "features": lambda nn, lib: nn.Transformer(4, 2, 1, 1, 6)(
        draw(lib, 3, 2, 4), draw(lib, 3, 2, 6)
    ),
    "heads": lambda nn, lib: nn.MultiheadAttention(5, 2),
    "zero heads": lambda nn, lib: nn.MultiheadAttention(4, 0),
    "activation": lambda nn, lib: nn.TransformerEncoderLayer(4, 2, activation="x"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    agree(lambda lib: ERRORS[name](lib.nn, lib))


def test_dropout_draws_in_torchs_order() -> None:
    def run(lib: Any) -> Any:
        layer = lib.nn.TransformerEncoderLayer(4, 2, 6, 0.5)
        return layer(draw(lib, 3, 2, 4))

    agree(run)
