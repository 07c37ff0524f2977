"""One rule says how dtypes convert, whichever way a tensor takes: against torch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracle import Work, agree

# In each pair a value that the dtype holds and one that it does not, in torch's own way.
FLOATS = [300.7, -1.2, 0.0]
COMPLEX = [1j, 0j, 2 + 1j]
WAYS: dict[str, Work] = {
    "to": lambda m: (m.tensor(FLOATS).to(m.int8), m.tensor(COMPLEX).to(m.bool)),
    "numpy": lambda m: (
        m.tensor(np.array(FLOATS), dtype=m.int8),
        m.tensor(np.array(COMPLEX), dtype=m.bool),
        m.asarray(np.array(COMPLEX), dtype=m.bool),
    ),
    "lists": lambda m: m.tensor(COMPLEX, dtype=m.bool),
    "sums": lambda m: (
        m.sum(m.tensor(FLOATS), dtype=m.int8),
        m.sum(m.tensor([1j, 0j]), dtype=m.bool),
    ),
    "products": lambda m: m.prod(m.tensor([1j, 1j]), dtype=m.bool),
    "running sums": lambda m: m.tensor(FLOATS).cumsum(0, dtype=m.int8),
    "writes": lambda m: (
        m.zeros(3, dtype=m.int8).copy_(m.tensor(FLOATS)),
        m.zeros(3, dtype=m.bool).copy_(m.tensor(COMPLEX)),
    ),
}


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("way", WAYS)
def test_every_way_converts_alike(way: str) -> None:
    agree(WAYS[way], warned=False)
