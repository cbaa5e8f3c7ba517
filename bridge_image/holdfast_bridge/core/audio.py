"""Where the carrier's play-out is: which speech was sent, and how much of it the caller has heard, known by marks.

A mark comes back when all audio before it has been played. A `clear` brings marks back too, for audio that was thrown
away; those count for nothing. This module knows neither frames of a carrier nor texts of a conversation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from holdfast_bridge.core.events import BYTES_PER_MS

MARK_EVERY_BYTES = 200 * BYTES_PER_MS
MARKS_OUT = 1000
"""More than three minutes of speech unheard: a carrier that returns no marks costs no more memory than that."""
ITEMS_MAX = 500
"""Lines whose sound is counted at a time: more than a conversation keeps."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one mark proved: so much of the item was played; `last` if nothing of it is left."""

    item: str
    heard_ms: int
    last: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    item: str
    upto_bytes: int


class Playout:
    """The speech on its way to the caller's ear, in order."""

    def __init__(self) -> None:
        self._marks: deque[_Mark] = deque(maxlen=MARKS_OUT)
        self._sent: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        self._done: set[str] = set()
        self._unmarked_item = ""
        self._unmarked_bytes = 0
        self._next_mark = 0

    def sent(self, item: str, nbytes: int) -> str | None:
        """Count audio that goes out; returns the name of the mark to send behind it, if one is due."""
        if item not in self._sent and len(self._sent) >= ITEMS_MAX:
            self.forget(next(iter(self._sent)))
        self._sent[item] = self._sent.get(item, 0) + nbytes
        if item != self._unmarked_item:
            self._unmarked_item, self._unmarked_bytes = item, 0
        self._unmarked_bytes += nbytes
        if self._unmarked_bytes >= MARK_EVERY_BYTES:
            return self._mark(item)
        return None

    def item_done(self, item: str) -> str | None:
        """No more audio of this item will come; returns the mark to send, if its end is not marked yet."""
        if item not in self._sent:
            return None
        self._done.add(item)
        if item == self._unmarked_item and self._unmarked_bytes:
            return self._mark(item)
        return None

    def mark_back(self, name: str) -> Heard | None:
        """The carrier returned a mark; None if we did not send it or its audio was cleared."""
        if not any(mark.name == name for mark in self._marks):
            return None
        while True:
            mark = self._marks.popleft()
            if mark.name == name:
                break
        if mark.item not in self._sent:
            return None
        heard = mark.upto_bytes
        self._heard[mark.item] = heard
        last = mark.item in self._done and heard >= self._sent[mark.item]
        return Heard(mark.item, heard // BYTES_PER_MS, last)

    def cleared(self) -> None:
        """The carrier's buffer was emptied: what has not been heard never will be."""
        self._marks.clear()
        self._unmarked_bytes = 0

    def heard_ms(self, item: str) -> int:
        return self._heard.get(item, 0) // BYTES_PER_MS

    def sent_ms(self, item: str) -> int:
        return self._sent.get(item, 0) // BYTES_PER_MS

    def is_done(self, item: str) -> bool:
        """True when all audio of the item has been sent."""
        return item in self._done

    def quiet(self) -> bool:
        """True when nothing that was sent is still to be heard."""
        return not self._marks and not self._unmarked_bytes

    def forget(self, item: str) -> None:
        """Drop the books of an item that is long over, so that an hour's call stays small."""
        for book in (self._sent, self._heard):
            book.pop(item, None)
        self._done.discard(item)

    def _mark(self, item: str) -> str:
        name = f"m{self._next_mark}"
        self._next_mark += 1
        self._marks.append(_Mark(name, item, self._sent[item]))
        self._unmarked_bytes = 0
        return name


def pieces(payload: bytes) -> list[bytes]:
    """Cut a long delta so that a mark can follow each fifth of a second of it."""
    if len(payload) <= MARK_EVERY_BYTES:
        return [payload]
    return [payload[i : i + MARK_EVERY_BYTES] for i in range(0, len(payload), MARK_EVERY_BYTES)]
