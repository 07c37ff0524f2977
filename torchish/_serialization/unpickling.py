"""The unpicklers of checkpoints: a full one, and one that can only build data.

Invariant: the restricted unpickler executes an opcode only if it is in `_OPCODES`, calls only
objects of the allow-list, and finds them by name in a table; it imports nothing.
"""

from __future__ import annotations

import _codecs
import _compat_pickle
import contextlib
import functools
import pickle
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import IO, Any

from .. import _utils
from .._basics import dtypes
from .._basics.devices import device
from .._basics.size import Size
from ..storage import _CLASS_BY_NP, dtype_of_class
from . import locations
from .names import is_torch, resolve, torch_name

UnpicklingError = pickle.UnpicklingError
_BLOCKED_MODULES = ("sys", "os", "posix", "nt")
_REBUILDERS = (
    "_rebuild_parameter", "_rebuild_parameter_with_state", "_rebuild_qtensor", "_rebuild_tensor",
    "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_sparse_tensor",
    "_rebuild_meta_tensor_no_storage", "_rebuild_nested_tensor", "_rebuild_wrapper_subclass",
    "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor",
)  # fmt: skip


class StorageType:
    """What a storage class in a checkpoint stands for: the dtype of the elements."""

    def __init__(self, name: str) -> None:
        self.dtype = dtypes.uint8 if name == "UntypedStorage" else dtype_of_class(name)

    def __str__(self) -> str:
        return f"StorageType(dtype={self.dtype})"


# --- the allow-list ---

_user_globals: set[Any] = set()


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Let weights-only loading use these functions and classes (or (object, name) pairs)."""
    _user_globals.update(safe_globals)


def get_safe_globals() -> list[Any]:
    """The globals that the user added."""
    return list(_user_globals)


def clear_safe_globals() -> None:
    """Forget the globals that the user added."""
    _user_globals.clear()


class safe_globals:
    """Context manager that adds globals for its duration."""

    def __init__(self, safe_globals: list[Any]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        self._added = set(self.safe_globals) - _user_globals
        add_safe_globals(self.safe_globals)

    def __exit__(self, *exc: object) -> None:
        _user_globals.difference_update(self._added)


@functools.cache
def default_allowed() -> dict[str, Any]:
    """The names that any checkpoint may use, and our objects for them."""
    from .._tensor import host as _host
    from ..nn.parameter import Parameter

    table: dict[str, Any] = {
        "collections.OrderedDict": OrderedDict,
        "collections.Counter": Counter,
        "torch.nn.parameter.Parameter": Parameter,
        "torch.serialization._get_layout": locations._get_layout,
        "torch.Size": Size,
        "torch.Tensor": _host.tensor_class(),
        "torch.device": device,
        "_codecs.encode": _codecs.encode,
        "builtins.bytearray": bytearray,
        "builtins.set": set,
        "builtins.complex": complex,
        "torch._tensor._rebuild_from_type_v2": _utils._rebuild_from_type_v2,
        "torch.storage.UntypedStorage": StorageType("UntypedStorage"),
    }
    table.update({f"torch.{d.name}": d for d in dtypes.ALL})
    for name in _CLASS_BY_NP.values():
        table[f"torch.{name}"] = table[f"torch.cuda.{name}"] = StorageType(name)
    table.update({f"torch._utils.{name}": getattr(_utils, name) for name in _REBUILDERS})
    return table


def user_allowed() -> dict[str, Any]:
    """The user's safe globals by the name that a checkpoint uses for them."""
    table = {}
    for entry in _user_globals:
        if not isinstance(entry, tuple):
            module, name = torch_name(entry.__module__, entry.__qualname__) or (
                entry.__module__,
                entry.__qualname__,
            )
            table[f"{module}.{name}"] = entry
            continue
        if len(entry) != 2:
            raise ValueError(
                "Expected tuple of length 2 (global, str of callable full path), but got tuple of "
                f"length: {len(entry)}"
            )
        if type(entry[1]) is not str:
            raise TypeError(
                "Expected second item in tuple to be str of callable full path, but got: "
                f"{type(entry[1])}"
            )
        table[entry[1]] = entry[0]
    return table


# --- the restricted unpickler ---

_OPCODES = (
    *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.GLOBAL, pickle.REDUCE, pickle.NEWOBJ),
    *(pickle.BUILD, pickle.APPEND, pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.EMPTY_TUPLE),
    *(pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.EMPTY_SET),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BINFLOAT, pickle.LONG1),
    *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINUNICODE, pickle.SHORT_BINSTRING),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET, pickle.BINPERSID),
)


class _Dispatch(dict[int, Callable[[Any], None]]):
    def __missing__(self, opcode: int) -> Any:
        raise UnpicklingError(f"Unsupported operand {opcode}")


class Complete:
    """A file whose reads are complete, or raise EOFError."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError("Ran out of input")
        return data

    def readline(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("Ran out of input")
        return line


_Unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


def allowed_operations() -> dict[int, Callable[[Any], None]]:
    """What `pickle` does for the allowed opcodes; the others raise UnpicklingError."""
    return _Dispatch({op[0]: _Unpickler.dispatch[op[0]] for op in _OPCODES})


class RestrictedUnpickler(_Unpickler):  # type: ignore[misc]
    """Builds tensors, containers and numbers; refuses everything else."""

    dispatch = allowed_operations()

    def __init__(self, file: IO[bytes], *, encoding: str = "bytes", **ignored: Any) -> None:
        super().__init__(Complete(file), encoding=encoding)
        self._default = default_allowed()
        self._user = user_allowed()
        allowed = (*self._default.values(), *self._user.values())
        self._callables = {id(f) for f in allowed if callable(f)}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _compat_pickle.NAME_MAPPING:
            module, name = _compat_pickle.NAME_MAPPING[module, name]
        else:
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        path = f"{module}.{name}"
        if module in _BLOCKED_MODULES:
            raise UnpicklingError(
                f"Trying to load unsupported GLOBAL {path} whose module {module} is blocked."
            )
        for table in (self._default, self._user):
            if path in table:
                return table[path]
        path = path.removeprefix("builtins.")
        raise UnpicklingError(
            f"Unsupported global: GLOBAL {path} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{path}])` or the "
            f"`torch.serialization.safe_globals([{path}])` context manager to allowlist this "
            "global if you trust this class/function."
        )

    def _is_user_type(self, kind: type) -> bool:
        return any(kind is f for f in self._user.values())

    def load_proto(self) -> None:
        self.proto = self.read(1)[0]
        if self.proto != 2:
            warnings.warn(
                f"Detected pickle protocol {self.proto} in the checkpoint, which was not the "
                "default pickle protocol used by `torch.load` (2). The weights_only Unpickler "
                "might not support all instructions implemented by this protocol, please file an "
                "issue for adding support if you encounter this.",
                stacklevel=5,
            )

    def load_newobj(self) -> None:
        args = self.stack.pop()
        cls = self.stack.pop()
        if not isinstance(cls, type) or id(cls) not in self._callables:
            raise UnpicklingError(
                "Can only create new object for nn.Parameter or classes allowlisted via "
                f"`add_safe_globals` but got {cls}"
            )
        self.append(cls.__new__(cls, *args))

    def load_reduce(self) -> None:
        args = self.stack.pop()
        function = self.stack[-1]
        if id(function) not in self._callables:
            message = f"Trying to call reduce for unrecognized function {function}"
            if hasattr(function, "__self__"):
                message += f" which belongs to {function.__self__}"
            raise UnpicklingError(message)
        self.stack[-1] = function(*args)

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is OrderedDict:
            target.__dict__.update(state)
        elif self._is_user_type(type(target)):
            if hasattr(target, "__setstate__"):
                target.__setstate__(state)
            else:
                _utils._set_obj_state(target, state)
        else:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via "
                f"`add_safe_globals`, but got {type(target)}"
            )

    def load_append(self) -> None:
        item = self.stack.pop()
        self._list_on_top("append to").append(item)

    def load_appends(self) -> None:
        items = self.pop_mark()
        self._list_on_top("extend").extend(items)

    def _list_on_top(self, verb: str) -> list[Any]:
        target = self.stack[-1]
        if type(target) is not list:
            raise UnpicklingError(f"Can only {verb} lists, but got {type(target)}")
        return target

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._dict_on_top("SETITEM")[key] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        target = self._dict_on_top("SETITEMS")
        for at in range(0, len(items), 2):
            target[items[at]] = items[at + 1]

    def _dict_on_top(self, opcode: str) -> Any:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter):
            raise UnpicklingError(
                f"Can only {opcode} for dict, collections.OrderedDict, collections.Counter, but "
                f"got {type(target)}"
            )
        return target

    def load_binpersid(self) -> None:
        pid = self.stack.pop()
        if type(pid) is not tuple and type(pid) is not int:
            raise UnpicklingError(f"persistent_load id must be tuple or int, but got {type(pid)}")
        if type(pid) is tuple and pid and pid[0] not in ("storage", b"storage"):
            raise UnpicklingError(
                f"Only persistent_load of storage is allowed, but got {type(pid[0])}"
            )
        self.append(self.persistent_load(pid))

    def persistent_load(self, pid: Any) -> Any:
        raise UnpicklingError("unsupported persistent id encountered")


for _op, _name in (
    (pickle.PROTO, "load_proto"),
    (pickle.NEWOBJ, "load_newobj"),
    (pickle.REDUCE, "load_reduce"),
    (pickle.BUILD, "load_build"),
    (pickle.APPEND, "load_append"),
    (pickle.APPENDS, "load_appends"),
    (pickle.SETITEM, "load_setitem"),
    (pickle.SETITEMS, "load_setitems"),
    (pickle.BINPERSID, "load_binpersid"),
):
    RestrictedUnpickler.dispatch[_op[0]] = getattr(RestrictedUnpickler, _name)


# --- the full unpickler ---


def find_storage_type(module: str, name: str) -> StorageType | None:
    """What a storage class of PyTorch stands for; None for other names."""
    if module in ("torch", "torch.cuda", "torch.storage") and name.endswith("Storage"):
        with contextlib.suppress(KeyError):
            return StorageType(name)
    return None


def find_torch_class(module: str, name: str) -> Any:
    """Our object for a name under `torch`; None for a name elsewhere."""
    if not is_torch(module):
        return None
    storage_type = find_storage_type(module, name)
    if storage_type is not None:
        return storage_type
    if module == "torch" and name in dtypes.BY_NAME:
        return dtypes.BY_NAME[name]
    return default_allowed().get(f"{module}.{name}") or resolve(module, name)


@functools.cache
def unpickler_class(pickle_module: Any) -> type:
    """An Unpickler of `pickle_module` that finds our objects under PyTorch's names."""

    class CheckpointUnpickler(pickle_module.Unpickler):  # type: ignore[name-defined,misc]
        def find_class(self, module: str, name: str) -> Any:
            found = find_torch_class(module, name)
            return super().find_class(module, name) if found is None else found

    return CheckpointUnpickler


def globals_of(pickled: bytes) -> set[str]:
    """The names of all globals that a pickle refers to, found without running it."""
    import pickletools

    found: set[str] = set()
    strings: list[str] = []
    for opcode, arg, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            module, name = str(arg).split(" ", 1)
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
            found.add(f"{module}.{name}")
        elif opcode.name == "STACK_GLOBAL":
            found.add(".".join(strings[-2:]))
        elif isinstance(arg, str):
            strings.append(arg)
    return found


__all__ = [
    "RestrictedUnpickler",
    "StorageType",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "globals_of",
    "safe_globals",
    "unpickler_class",
]
