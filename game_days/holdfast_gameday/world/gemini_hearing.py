"""What the simulated Live API hears: the practice voice, taken back out of 16 kHz PCM, and the turns in it.

A half-band filter, which is what doubling a rate by a good resampler amounts to, keeps every other sample as it was.
Those are G.711 values, and the table leads from each back to its byte. One byte is lost on the way, because µ-law has
two zeros: 0x7f, with which voice frames are filled up, and 0xff, which is silence. Where a frame lies it is the first.
A client whose resampler alters those samples is not heard at all. It knows no messages.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from holdfast_gameday.world import voice
from holdfast_gameday.world.openai_listening import Ear, Heard
from holdfast_gameday.world.voice_linear import ulaw_to_pcm

RATE = 16_000
_HEADER_OCTETS = 18
_LENGTH_AT = 17
_ZERO, _OTHER_ZERO, _NOISE = 0xFF, 0x7F, 0x55


class Hearing:
    def __init__(self) -> None:
        self._ear = Ear()
        self._odd = b""
        self._lanes = (_Lane(), _Lane())
        """Every other sample from the first on, and from the second on: in one of them lies the voice."""
        self._lane: _Lane | None = None

    @property
    def speaking(self) -> bool:
        return self._ear.speaking

    def feed(self, pcm: bytes, *, silence_ms: int) -> list[Heard]:
        data = self._odd + pcm
        whole = len(data) & ~3
        self._odd = data[whole:]
        samples = np.frombuffer(data[:whole], np.dtype("<i2"))
        said = [lane.feed(_CODES[samples[at::2].view(np.uint16)].tobytes()) for at, lane in enumerate(self._lanes)]
        if self._lane is None:
            self._lane = next((lane for lane in self._lanes if lane.voiced), None)
        chosen = self._lane or self._lanes[0]
        return self._ear.feed(said[self._lanes.index(chosen)], silence_ms=silence_ms)

    def end(self) -> Iterable[Heard]:
        """The client says that the stream is over: so is the turn."""
        return (self._ear.take(),) if self._ear.speaking else ()


class _Lane:
    """Bytes of µ-law in which the zeros within voice frames are put right."""

    def __init__(self) -> None:
        self.voiced = False
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What comes out is late by at most three bytes, or by the beginning of a frame."""
        buffer = self._held + data
        out = bytearray()
        position = 0
        while (start := buffer.find(voice.MAGIC, position)) >= 0:
            self.voiced = True
            out += buffer[position:start]
            position = start
            end = buffer.find(voice.MAGIC, start + 1, start + voice.FRAME_OCTETS)
            if end < 0:
                end = start + voice.FRAME_OCTETS
                if end > len(buffer):
                    break
            out += _put_right(buffer[start:end])
            position = end
        if start < 0:
            end = max(position, len(buffer) - len(voice.MAGIC) + 1)
            out += buffer[position:end]
            position = end
        self._held = buffer[position:]
        return bytes(out)


def _put_right(frame: bytes) -> bytes:
    """Numbers and filling have the other zero. A text never has one: a hole in it is to be seen."""
    length = frame[_LENGTH_AT] if len(frame) > _LENGTH_AT else 0
    text = slice(_HEADER_OCTETS, _HEADER_OCTETS + (_OTHER_ZERO if length == _ZERO else length))
    other = frame.replace(bytes([_ZERO]), bytes([_OTHER_ZERO]))
    return other[: text.start] + frame[text] + other[text.stop :]


def _codes() -> NDArray[np.uint8]:
    """The code of each 16-bit value that is exactly one of G.711's; the others are noise."""
    codes = np.full(1 << 16, _NOISE, np.uint8)
    values = np.frombuffer(ulaw_to_pcm(bytes(range(256))), np.dtype("<i2"))
    codes[values.view(np.uint16)] = np.arange(256)
    codes[0] = _ZERO
    return codes


_CODES = _codes()
