"""What the tests of loaders share."""

from __future__ import annotations

import pytest
import torch.utils.data._utils


@pytest.fixture(autouse=True, scope="session")
def pytorch_waits_briefly() -> None:
    """A worker of PyTorch's that was forked beside XLA's threads may not end: it is killed sooner.

    PyTorch gives each five seconds, in which nothing else happens.
    """
    torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.2
