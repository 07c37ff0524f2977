"""Optimizers: `torch.optim`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._basics.tracebacks import hide_from_pytest
from ..nn._missing import MissingName
from . import lr_scheduler as lr_scheduler, swa_utils as swa_utils
from ._adafactor import Adafactor as Adafactor
from ._muon import Muon as Muon
from .adadelta import Adadelta as Adadelta
from .adagrad import Adagrad as Adagrad
from .adam import Adam as Adam
from .adamax import Adamax as Adamax
from .adamw import AdamW as AdamW
from .asgd import ASGD as ASGD
from .lbfgs import LBFGS as LBFGS
from .nadam import NAdam as NAdam
from .optimizer import Optimizer as Optimizer
from .radam import RAdam as RAdam
from .rmsprop import RMSprop as RMSprop
from .rprop import Rprop as Rprop
from .sgd import SGD as SGD
from .sparse_adam import SparseAdam as SparseAdam

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
]

hide_from_pytest(__name__)


if TYPE_CHECKING:
    from ._optax import Optax as Optax

if not TYPE_CHECKING:  # a name that is not there is an error to type checkers

    def __getattr__(name: str) -> object:
        if name == "Optax":  # brings optax, which few programs want
            from ._optax import Optax

            globals()[name] = Optax
            return Optax
        if name == "swap_in_optimizer_params_and_state":
            raise MissingName(
                f"torch.optim.{name} is not supported; nearest: load_state_dict of an "
                "optimizer made for the other parameters"
            )
        raise AttributeError(f"module 'torch.optim' has no attribute {name!r}")
