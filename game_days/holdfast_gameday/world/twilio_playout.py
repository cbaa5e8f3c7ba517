"""The carrier's play-out buffer: what the agent sent and the caller has not heard yet. Pure; told when 20 ms pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from holdfast_gameday.world import voice

CAPACITY_OCTETS = 10 * 60 * 8000


class PlayOut:
    """Bytes go in faster than real time and come out 160 at a tick; a mark comes back when all before it has played.

    `on_sound`: told when sound comes while nothing is left to be played. The next tick is up to 20 ms later.
    """

    __slots__ = ("_buffer", "_marks", "_on_sound", "_played", "_written", "overflowed")

    def __init__(self, on_sound: Callable[[], None] = lambda: None) -> None:
        self._on_sound = on_sound
        self._buffer = bytearray()
        self._marks: deque[tuple[int, str]] = deque()
        self._written = 0
        self._played = 0
        self.overflowed = 0

    @property
    def waiting_octets(self) -> int:
        return len(self._buffer)

    def write(self, sound: bytes) -> None:
        if sound and not self._buffer:
            self._on_sound()
        room = CAPACITY_OCTETS - len(self._buffer)
        if len(sound) > room:
            self.overflowed += len(sound) - room
            sound = sound[:room]
        self._buffer += sound
        self._written += len(sound)

    def mark(self, name: str) -> list[str]:
        """The marks to echo at once: this one, when nothing is left to be played before it."""
        self._marks.append((self._written, name))
        return self._due()

    def clear(self) -> list[str]:
        """Empties the buffer; all pending marks come back, although what they marked was not heard."""
        self._buffer.clear()
        self._played = self._written
        return self._due()

    def play(self) -> tuple[bytes, list[str]]:
        """The next 20 ms (shorter or empty when the agent sent no more) and the marks that it completes."""
        if not self._buffer:
            return b"", []
        sound = bytes(self._buffer[: voice.FRAME_OCTETS])
        del self._buffer[: voice.FRAME_OCTETS]
        self._played += len(sound)
        return sound, self._due() if self._marks else []

    def _due(self) -> list[str]:
        names: list[str] = []
        while self._marks and self._marks[0][0] <= self._played:
            names.append(self._marks.popleft()[1])
        return names
