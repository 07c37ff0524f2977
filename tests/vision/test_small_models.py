"""Every family of models in full: names, numbers, seeded weights, results, a training step."""

import json

import numpy as np
import pytest

import torchish
from tests.vision import small_models
from torchish.vision import models

EXPECTED = json.loads(small_models.TABLE.read_text())


def test_every_family_has_a_small_member():
    """A family is a module that registers builders: each has its network in the table."""
    modules = {models.get_model_builder(name).__module__ for name in models.list_models()}
    with torchish.device("meta"):
        built = {type(build(torchish, models)).__module__
                 for build, _ in small_models.FAMILIES.values()}  # fmt: skip
    # SSDlite is an SSD with another head.
    assert modules - {models.detection.ssdlite.__name__} == built
    assert "detection.ssdlite" in small_models.FAMILIES


@pytest.mark.parametrize("name", small_models.FAMILIES)
def test_agrees_with_torchvision(name):
    expected = EXPECTED[name]
    found = small_models.compared(torchish, models, name)
    assert found.keys() == expected.keys()
    for key in ("parameters", "state", "text"):
        assert found[key] == expected[key], key
    np.testing.assert_allclose(found["seeded"], expected["seeded"], atol=1e-6)
    if "computed" in expected:  # detectors: test_detection.py
        limit = 1e-5 * np.abs(expected["computed"]).max()
        np.testing.assert_allclose(found["computed"], expected["computed"], rtol=1e-4, atol=limit)
    if "trained" in expected:
        ours, theirs = found["trained"], expected["trained"]
        assert ours["count"] == theirs["count"]
        np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-4, atol=1e-6)
        # Of biases before a norm they are rounding alone.
        limit = 1e-5 * max(theirs["gradients"])
        np.testing.assert_allclose(ours["gradients"], theirs["gradients"], rtol=1e-3, atol=limit)
