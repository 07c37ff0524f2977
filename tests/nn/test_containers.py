"""Containers against PyTorch's, operation by operation."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

from tests.oracle import agree

SEQUENTIAL = {
    "index": "str(s[1]), str(s[-1])",
    "slice": "str(s[1:]), type(s[:1]).__name__",
    "out of range": "s[7]",
    "length": "len(s), [type(m).__name__ for m in s]",
    "append": "str(s.append(nn.Tanh()))",
    "extend": "str(s.extend([nn.Tanh(), nn.ReLU()]))",
    "insert": "str(s.insert(1, nn.Tanh()))",
    "insert negative": "str(s.insert(-1, nn.Tanh()))",
    "insert out of range": "s.insert(9, nn.Tanh())",
    "pop": "str(s.pop(0)), str(s)",
    "delete": "s.__delitem__(0), str(s)",
    "delete slice": "s.__delitem__(slice(0, 2)), str(s)",
    "set": "s.__setitem__(1, nn.Tanh()), str(s)",
    "add": "str(s + nn.Sequential(nn.Tanh()))",
    "add wrong": "s + 3",
    "multiply": "len(s * 2), str(2 * s)",
    "multiply wrong": "s * 0",
    "multiply wrong type": "s * 'a'",
    "in-place multiply": "len(s.__imul__(3)), s[3] is s[0]",
    "named": "str(nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh())))",
    "not a module": "nn.Sequential(3)",
    "names": "[n for n, _ in s.named_parameters()]",
    "nested": "str(nn.Sequential(s, nn.Sequential()))",
}
LIST = {
    "repr": "str(nn.ModuleList([nn.ReLU()] * 3 + [nn.Linear(1, 2), nn.Linear(1, 2)]))",
    "empty": "str(nn.ModuleList())",
    "nested": "str(nn.ModuleList([nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU()), nn.Tanh()]))",
    "index": "str(l[-1]), str(l[0:2])",
    "out of range": "l[5]",
    "insert": "l.insert(1, nn.Tanh()), str(l)",
    "pop": "str(l.pop(1)), str(l)",
    "delete": "l.__delitem__(slice(0, 3, 2)), str(l)",
    "extend wrong": "l.extend(3)",
    "add": "str(l + [nn.Tanh()])",
    "iadd": "str(l.__iadd__([nn.Tanh()]))",
    "call": "l(1)",
}
DICT = {
    "repr": "str(d), list(d), len(d), 'a' in d",
    "items": "[(k, str(v)) for k, v in d.items()], list(d.keys())",
    "update": "d.update({'z': nn.Tanh(), 'b': nn.ReLU()}), str(d)",
    "update pairs": "d.update([['q', nn.Tanh()]]), str(d)",
    "update wrong": "d.update(3)",
    "update wrong length": "d.update([['q']])",
    "pop": "str(d.pop('a')), list(d)",
    "missing": "d['none']",
    "delete": "d.__delitem__('a'), list(d)",
    "clear": "d.clear(), len(d)",
    "taken": "nn.ModuleDict({'forward': nn.ReLU()})",
}
PARAMETERS = {
    "list": "str(pl), len(pl), [n for n, _ in pl.named_parameters()]",
    "list index": "pl[0], pl[-1], len(pl[1:])",
    "list out of range": "pl[9]",
    "list append": "str(pl.append(T.zeros(3, dtype=T.float64)))",
    "list extend": "str(pl.extend([T.zeros(1)]))",
    "list extend wrong": "pl.extend(3)",
    "list set": "pl.__setitem__(0, T.ones(2)), pl[0], type(pl[0]).__name__",
    "list call": "pl(1)",
    "list other": "str(nn.ParameterList([1, 'a', T.zeros(2)]))",
    "dict": "str(pd), list(pd), [n for n, _ in pd.named_parameters()]",
    "dict get": "pd.get('none', 3), pd['a'], 'a' in pd",
    "dict set": "pd.__setitem__('c', T.zeros(1)), str(pd)",
    "dict bad key": "pd.__setitem__(3, T.zeros(1))",
    "dict pop": "pd.pop('a'), list(pd)",
    "dict popitem": "pd.popitem()[0], list(pd)",
    "dict update": "pd.update({'z': T.zeros(1), 'b': T.ones(1)}), list(pd)",
    "dict or": "list(pd | nn.ParameterDict({'q': T.zeros(1)}))",
    "dict copy": "list(pd.copy()), pd.copy()['a'] is pd['a']",
    "dict fromkeys": "list(pd.fromkeys(['u', 'v'], T.zeros(1)))",
    "dict setdefault": "pd.setdefault('a', 3), pd.setdefault('new', T.zeros(1))",
    "dict reversed": "list(reversed(pd))",
    "dict call": "pd(1)",
    "dict sorted": "list(nn.ParameterDict({'b': T.zeros(1), 'a': T.zeros(1)}))",
}
ALL = {
    f"{kind}: {name}": text
    for kind, table in (
        ("sequential", SEQUENTIAL), ("list", LIST), ("dict", DICT), ("parameters", PARAMETERS),
    )
    for name, text in table.items()
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_container(name: str) -> None:
    def script(lib: Any) -> Any:
        nn = lib.nn
        scope = {
            "T": lib,
            "nn": nn,
            "OrderedDict": OrderedDict,
            "s": nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)),
            "l": nn.ModuleList([nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)]),
            "d": nn.ModuleDict({"b": nn.ReLU(), "a": nn.Linear(1, 2)}),
            "pl": nn.ParameterList([lib.zeros(2), nn.Parameter(lib.ones(2, 3))]),
            "pd": nn.ParameterDict({"a": lib.zeros(2), "b": nn.Parameter(lib.ones(2, 3))}),
        }
        return eval(ALL[name], scope)

    agree(script)
