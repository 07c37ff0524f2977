"""Random generators: PyTorch's CPU stream, and counters for other devices.

Invariant: a CPU generator holds exactly the state that PyTorch's holds (MT19937 words, position,
the normal value kept back), so each can continue the other's stream through `get_state`. Whoever
draws holds `lock` for the whole tensor, so that threads never interleave inside one.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from .._basics import devices
from .._basics.devices import device as Device
from .._basics.forking import free_in_children, new_lock, new_rlock
from .._basics.state import state

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_SEED = 67280421310721  # seed of a `Generator()` that nobody seeded
STATE_SIZE = 5056
_WORDS = 624

# The bytes of a CPU generator's state: MT19937 first, then the normal value kept back.
_STATE = np.dtype(
    {
        "names": ["seed", "left", "seeded", "next", "words", "normal", "has_normal"],
        "formats": ["<u8", "<i4", "<i4", "<u8", ("<u8", _WORDS), "<f8", "<i4"],
        "offsets": [0, 8, 12, 16, 24, 24 + 8 * _WORDS + 8, 24 + 8 * _WORDS + 24],
        "itemsize": STATE_SIZE,
    }
)
_COUNTER_STATE = np.dtype([("seed", "<u8"), ("offset", "<i8")])


class Generator:
    """A source of random numbers, as `torch.Generator(device="cpu")`.

    On the CPU it is MT19937 with PyTorch's seeding and state; on other devices a seed and a counter
    from which programs derive their keys.

    Raises: ValueError for a seed outside 64 bits, RuntimeError for a state of the wrong layout.
    """

    __module__ = "torch._C"

    def __init__(self, device: Any = "cpu") -> None:
        dev = Device(device)
        _check_device(dev)
        self.device = Device("cpu") if dev.type == "cpu" else dev
        self.is_host = self.device.type == "cpu"
        self.lock = new_rlock()
        self._seed = 0
        self._offset = 0
        self.kept_normal: float | None = None
        if self.is_host:
            self._bits = np.random.MT19937(0)
            free_in_children(self._bits.lock)
            self._seeder = np.random.RandomState(self._bits)
        self.manual_seed(DEFAULT_SEED if self.is_host else 0)

    # -- seeding -------------------------------------------------------------------------------

    def manual_seed(self, seed: Any) -> Generator:
        """Restart the stream at `seed`, an integer of 64 bits (negative ones wrap around)."""
        if isinstance(seed, bool) or not (isinstance(seed, int) or _is_numpy_int(seed)):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        with self.lock:
            self._seed = seed % 2**64
            self._offset = 0
            self.kept_normal = None
            if self.is_host:
                self._seeder.seed(self._seed & 0xFFFFFFFF)
                self._untouched = True
        return self

    def seed(self) -> int:
        """Restart the stream at a seed from the operating system and return it."""
        fresh = random_seed()
        self.manual_seed(fresh)
        return fresh

    def initial_seed(self) -> int:
        """The seed of the current stream."""
        return self._seed

    # -- raw words -----------------------------------------------------------------------------

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` 32-bit words (in a uint64 array, as numpy gives them)."""
        if count:
            self._untouched = False
        return self._bits.random_raw(count)

    def mark(self) -> Any:
        """The position in the stream, for `rewind`."""
        return self._bits.state, self._untouched, self.kept_normal

    def rewind(self, mark: Any, words: int) -> None:
        """Go back to `mark` and from there skip `words` words; the kept normal value stays."""
        self._bits.state, self._untouched, _ = mark
        if words:
            self._untouched = False
            self._bits.random_raw(words, output=False)

    def next_counter(self) -> tuple[int, int]:
        """Seed and counter of the next draw on a device; each call advances the counter."""
        with self.lock:
            counter = self._offset
            self._offset += 4  # PyTorch's counters advance by fours
            return self._seed, counter

    # -- state ---------------------------------------------------------------------------------

    def state_array(self) -> NDArray[np.uint8]:
        """The state as bytes, in PyTorch's layout."""
        with self.lock:
            if not self.is_host:
                raw = np.zeros((), _COUNTER_STATE)
                raw["seed"], raw["offset"] = self._seed, self._offset
                return np.frombuffer(raw.tobytes(), np.uint8).copy()
            inner = self._bits.state["state"]
            raw = np.zeros((), _STATE)
            position = 0 if self._untouched else int(inner["pos"])
            raw["seed"] = self._seed
            raw["left"] = 1 if self._untouched else 1 + _WORDS - position
            raw["seeded"] = 1
            raw["next"] = position
            raw["words"] = inner["key"]
            if self.kept_normal is not None:
                raw["normal"], raw["has_normal"] = self.kept_normal, 1
            return np.frombuffer(raw.tobytes(), np.uint8).copy()

    def load_state_array(self, array: NDArray[np.uint8]) -> None:
        """Continue from bytes that `state_array` or PyTorch made."""
        name = "CPUGeneratorImplState" if self.is_host else "16 byte generator state"
        size = STATE_SIZE if self.is_host else _COUNTER_STATE.itemsize
        if array.size != size:
            raise RuntimeError(
                f"Expected a {name} of size {size} but found the input RNG state size to be "
                f"{array.size}"
                if self.is_host
                else "RNG state is wrong size"
            )
        data = np.ascontiguousarray(array).tobytes()
        with self.lock:
            if not self.is_host:
                raw = np.frombuffer(data, _COUNTER_STATE)[0]
                self._seed, self._offset = int(raw["seed"]), int(raw["offset"])
                return
            raw = np.frombuffer(data, _STATE)[0]
            left, position = int(raw["left"]), int(raw["next"])
            if not raw["seeded"] or not 0 < left <= _WORDS or position > _WORDS:
                raise RuntimeError("Invalid mt19937 state")
            self._seed = int(raw["seed"])
            self._untouched = left == 1 and position == 0
            self._bits.state = {
                "bit_generator": "MT19937",
                "state": {"key": raw["words"].astype(np.uint32), "pos": 1 + _WORDS - left},
            }
            self.kept_normal = float(raw["normal"]) if raw["has_normal"] else None

    def get_state(self) -> Any:
        """The state as a uint8 tensor on the CPU."""
        from .._autograd.interop import wrap_host

        return wrap_host(self.state_array())

    def set_state(self, new_state: Any) -> None:
        """Continue from a state that `get_state` (here or in PyTorch) returned."""
        from .._autograd.interop import host_array
        from .._basics import dtypes

        if not hasattr(new_state, "dtype"):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        if new_state.dtype is not dtypes.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        self.load_state_array(host_array(new_state))

    def clone_state(self) -> Generator:
        """An independent generator at the same place of the same stream."""
        twin = Generator(self.device)
        twin.load_state_array(self.state_array())
        return twin

    def get_offset(self) -> int:
        """The counter of a device's generator."""
        self._refuse_offset()
        return self._offset

    def set_offset(self, offset: int) -> None:
        """Set the counter of a device's generator (a multiple of four)."""
        self._refuse_offset()
        if offset % 4:
            raise RuntimeError("offset must be a multiple of 4")
        self._offset = int(offset)

    def _refuse_offset(self) -> None:
        if self.is_host:
            raise RuntimeError("CPU Generator does not use offset")

    def graphsafe_get_state(self) -> Generator:
        """PyTorch's hook for CUDA graphs; here only device generators have it."""
        if self.is_host:
            raise NotImplementedError("graphsafe_get_state is not supported in this Generator")
        return self

    def __reduce__(self) -> Any:
        offset = None if self.is_host else self._offset
        return Generator, (self.device,), (self._seed, offset, self.state_array())

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For plain pickles, which do not find classes named after PyTorch's modules."""
        return _rebuild, (str(self.device),), self.__reduce__()[2]

    def __setstate__(self, saved: Any) -> None:
        _, _, array = saved
        if not isinstance(array, np.ndarray):  # a tensor, as PyTorch pickles it
            self.set_state(array)
        else:
            self.load_state_array(array)


def _rebuild(device: str) -> Generator:
    """What a plain pickle calls."""
    return Generator(device)


def _check_device(dev: Device) -> None:
    """Raise torch's error for a device type that has no generators here."""
    if dev.type == "meta":
        raise RuntimeError("META device type not an accelerator.")
    if dev.type != "cpu" and not devices.jax_devices(dev.type):
        name = dev.type.upper()
        raise RuntimeError(f"Cannot get {name} generator without a {name} device.")


def _is_numpy_int(value: Any) -> bool:
    return isinstance(value, np.integer)


def random_seed() -> int:
    """A seed from the operating system."""
    return secrets.randbits(64)


default_generator = Generator()
default_generator.seed()


def thread_generator() -> Generator:
    """The CPU generator that draws use when none is given (a DataLoader worker has its own)."""
    return state.generator or default_generator


_device_defaults: dict[Any, Generator] = {}
_device_seed: int | None = None
_table_lock = new_lock()


def device_generator(dev: Any) -> Generator:
    """The default generator of a device (the CPU's is `default_generator`)."""
    if dev.type in ("cpu", "meta"):
        return default_generator
    with _table_lock:
        found = _device_defaults.get(dev)
        if found is None:
            found = _device_defaults[dev] = Generator(dev)
            found.manual_seed(random_seed() if _device_seed is None else _device_seed)
        return found


def seed_devices(seed: int) -> None:
    """Seed the default generator of every device but the CPU, those not yet made too."""
    global _device_seed
    with _table_lock:
        _device_seed = seed
        for generator in _device_defaults.values():
            generator.manual_seed(seed)
