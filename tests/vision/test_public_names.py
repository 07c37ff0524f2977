"""torchvision's public names, with equal signatures, package by package."""

import importlib.util
import json

import pytest

from tests.vision import public_names

RECORD = json.loads(public_names.TABLE.read_text())
# Fewer than one name in thirty may differ in each package; layers of quantized models are refused.
SHARE = 0.97


def compare(part: str) -> dict[str, list[str]]:
    """Names of a package (with its submodules) that are equal, absent, or differ and how."""
    found: dict[str, list[str]] = {"equal": [], "absent": [], "different": []}
    for module_name, names in RECORD["names"].items():
        if module_name.split(".")[0] != part:
            continue
        try:
            module = public_names.load("torchish.vision", module_name)
        except ModuleNotFoundError:
            found["absent"] += [f"{module_name}.{name}" for name in names]
            continue
        for name, place in names.items():
            full = f"{module_name}.{name}"
            if name.startswith("Quantizable") or name == "quantize_model":
                continue
            if not hasattr(module, name):
                found["absent"].append(full)
                continue
            ours = public_names.describe(getattr(module, name), "torchish.vision")
            theirs = RECORD["things"][place]
            wrong = difference(ours, theirs)
            found["different" if wrong else "equal"].append(f"{full} {wrong}")
    return found


def difference(ours, theirs) -> str:
    """What of torchvision's description differs here, in a line; more methods are no difference."""
    if ours is None or ours["kind"] != theirs["kind"]:
        return f"{ours and ours['kind']} for {theirs['kind']}"
    for key, value in theirs.items():
        if key == "methods":
            for name, signature in value.items():
                if ours[key].get(name, "absent") != signature:
                    return f".{name} is {ours[key].get(name, 'absent')} for {signature}"
        elif value is not None and ours.get(key) != value:  # None: Python could not tell
            return f"{ours.get(key)} for {value}"
    return ""


@pytest.mark.parametrize("part", public_names.PACKAGES)
def test_names_and_signatures(part):
    found = compare(part)
    total = sum(map(len, found.values()))
    assert total > 0
    report = "\n".join([f"absent {n}" for n in found["absent"]] + found["different"])
    assert len(found["equal"]) >= SHARE * total, f"{len(found['equal'])} of {total}\n{report}"


def test_the_rest_is_refused_by_name():
    """Layers of quantized models; few enough that 97 in a hundred names are present over all."""
    refused = 0
    for module_name, names in RECORD["names"].items():
        if module_name.startswith("models.quantization"):
            module = public_names.load("torchish.vision", module_name)
            for name in names:
                if name.startswith("Quantizable") or name == "quantize_model":
                    with pytest.raises(NotImplementedError, match=rf"quantized models \({name}\)"):
                        getattr(module, name)
                    refused += 1
    found = [compare(part) for part in public_names.PACKAGES]
    equal = sum(len(names["equal"]) for names in found)
    assert equal >= SHARE * (refused + sum(len(n) for names in found for n in names.values()))


@pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed"
)
def test_the_table_is_that_of_the_installed_torchvision():
    assert json.loads(json.dumps(public_names.table())) == RECORD
