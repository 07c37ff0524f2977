"""Messages between two processes, with descriptors beside them.

Invariants: a message is whole or not there at all; what is read ahead of one stays in the channel.
The end that does not block (`is_patient`) keeps what the other has no room for and sends it later,
so it can never wait for an end that waits for it.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence

_HEAD = struct.Struct("<QQ")  # bytes and descriptors of a message; keeps what follows aligned
_CHUNK = 1 << 16
MOST_DESCRIPTORS = 200  # of one message; Linux takes 253
_ROOM = socket.CMSG_SPACE(MOST_DESCRIPTORS * 4)
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """One end of a pair of connected sockets."""

    def __init__(self, sock: socket.socket, is_patient: bool = False) -> None:
        self._sock = sock
        sock.setblocking(not is_patient)
        self._read = bytearray()
        self._descriptors: deque[int] = deque()
        self._unsent: deque[tuple[memoryview, list[int]]] = deque()

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._sock.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for room on the other side."""
        return bool(self._unsent)

    def send(self, payload: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a message. Raises: BrokenPipeError or ConnectionResetError when nobody reads."""
        frame = memoryview(_HEAD.pack(len(payload), len(descriptors)) + payload)
        if not self._unsent:
            sent = self._push(frame, descriptors)
            if sent == len(frame):
                return
            if sent:
                frame, descriptors = frame[sent:], ()
        self._unsent.append((frame, [os.dup(fd) for fd in descriptors]))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self._unsent:
            part, descriptors = self._unsent[0]
            sent = self._push(part, descriptors)
            if not sent:
                return
            for fd in descriptors:
                os.close(fd)
            if sent == len(part):
                self._unsent.popleft()
            else:
                self._unsent[0] = part[sent:], []

    def _push(self, part: memoryview, descriptors: Sequence[int]) -> int:
        """Send the beginning of a part; how many bytes of it."""
        try:
            if not descriptors:
                return self._sock.send(part)
            passed = array.array("i", descriptors)
            return self._sock.sendmsg([part], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        except BlockingIOError:
            return 0

    def receive(self) -> tuple[bytearray, list[int]]:
        """The next message, waiting for it. Raises: EOFError when the other end is closed."""
        while (found := self.take()) is None:
            self.fill()
        return found

    def fill(self) -> None:
        """Read what is there. Raises: EOFError when the other end is closed."""
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_CHUNK, _ROOM, _CLOSE_ON_EXEC)
        except BlockingIOError:
            return
        except ConnectionResetError:
            raise EOFError from None
        for level, kind, passed in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(passed[: len(passed) - len(passed) % numbers.itemsize])
                self._descriptors.extend(numbers)
        if not data:
            raise EOFError
        self._read += data

    def take(self) -> tuple[bytearray, list[int]] | None:
        """A message that has been read whole, if there is one, and the descriptors it owns."""
        read = self._read
        if len(read) < _HEAD.size:
            return None
        size, count = _HEAD.unpack_from(read)
        end = _HEAD.size + size
        if len(read) < end:
            return None
        descriptors = [self._descriptors.popleft() for _ in range(count)]
        if len(read) == end:
            self._read = bytearray()
            del read[: _HEAD.size]
            return read, descriptors
        payload = read[_HEAD.size : end]
        del read[:end]
        return payload, descriptors

    def close(self) -> None:
        """Close this end, and descriptors that nobody took or sent."""
        self._sock.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())
        while self._unsent:
            for fd in self._unsent.popleft()[1]:
                os.close(fd)
