"""Speech of the practice range: 20 ms voice frames inside a µ-law byte stream.

Every frame says who speaks, which utterance this is and how far it has come, so that a listener can prove what it heard
and how long a gap was. It knows nothing of calls, sockets or clocks.

    offset  0      4     5        9           13      15      17        18              159
            magic  kind  speaker  utterance   index   total   text len  text (utf-8)  0x7f …
            4      u8    u32      u32         u16     u16     u8        ≤ 140 bytes   padding    (big-endian)
"""

from __future__ import annotations

import enum
import math
import struct
from dataclasses import dataclass

FRAME_OCTETS = 160
FRAME_MS = 20
MAGIC = b"\x5a\xa5HF"
SILENT_OCTET = b"\xff"
SILENT_FRAME = SILENT_OCTET * FRAME_OCTETS
TEXT_OCTETS_MAX = 140
FRAMES_MIN = 15
FRAMES_MAX = 150

_PADDING_OCTET = b"\x7f"
_HEADER = struct.Struct(">4sBIIHHB")


class Speaker(enum.IntEnum):
    """The `kind` of a frame. An IntEnum because the number is what travels."""

    CALLER = 1
    AGENT = 2


@dataclass(frozen=True, slots=True)
class VoiceFrame:
    kind: int
    speaker: int
    utterance: int
    index: int
    total: int
    text: str

    @property
    def last(self) -> bool:
        return self.index >= self.total - 1


@dataclass(frozen=True, slots=True)
class Silence:
    """A run of bytes in which no voice frame lies."""

    octets: int


Sound = VoiceFrame | Silence


def frames_for(text: str) -> int:
    """How many frames an utterance takes: 0.3 to 3 s."""
    return min(FRAMES_MAX, max(FRAMES_MIN, frames_of_speech(text)))


def frames_of_speech(text: str) -> int:
    """The same for a piece of an utterance, which may be short: two letters a frame, or three frames a character of
    a script that writes syllables or words."""
    syllables = sum(letter >= "\u3040" for letter in text)
    return max(1, math.ceil((len(text) - syllables) / 2) + 3 * syllables)


def encode_frame(frame: VoiceFrame) -> bytes:
    text = _bounded(frame.text)
    header = _HEADER.pack(MAGIC, frame.kind, frame.speaker, frame.utterance, frame.index, frame.total, len(text))
    return (header + text).ljust(FRAME_OCTETS, _PADDING_OCTET)


def encode_utterance(kind: int, speaker: int, utterance: int, text: str, frames: int | None = None) -> bytes:
    """The whole utterance as one byte string of `frames` frames, by default as many as its text takes."""
    total = frames_for(text) if frames is None else frames
    return b"".join(encode_frame(VoiceFrame(kind, speaker, utterance, index, total, text)) for index in range(total))


def silence(frames: int) -> bytes:
    return SILENT_FRAME * frames


class VoiceScanner:
    """Finds voice frames in a byte stream that may have been cut anywhere.

    A frame is given out when its last byte has arrived. A frame that was cut off, or altered in any byte that can be
    checked, is not given out: its bytes count as `damaged`.
    """

    __slots__ = ("_held", "damaged")

    def __init__(self) -> None:
        self._held = b""
        self.damaged = 0

    def feed(self, data: bytes) -> list[Sound]:
        buffer = self._held + data if self._held else data
        sounds: list[Sound] = []
        position = 0
        while position < len(buffer):
            start = buffer.find(MAGIC, position)
            if start < 0:
                end = len(buffer) - _magic_begun(buffer, position)
                self._quiet(sounds, buffer[position:end])
                position = end
                break
            self._quiet(sounds, buffer[position:start])
            position = start
            if len(buffer) - start < FRAME_OCTETS and buffer.find(MAGIC, start + 1) < 0:
                break
            frame = _decode(buffer[start : start + FRAME_OCTETS])
            if frame is None:
                # Only the magic is passed over, so that the frame which cut this one short is found next.
                self._quiet(sounds, MAGIC)
                position = start + len(MAGIC)
            else:
                sounds.append(frame)
                position = start + FRAME_OCTETS
        self._held = bytes(buffer[position:])
        return sounds

    def _quiet(self, sounds: list[Sound], run: bytes) -> None:
        if not run:
            return
        self.damaged += len(run) - run.count(SILENT_OCTET)
        if sounds and isinstance(sounds[-1], Silence):
            sounds[-1] = Silence(sounds[-1].octets + len(run))
        else:
            sounds.append(Silence(len(run)))


def _bounded(text: str) -> bytes:
    """The text as UTF-8, cut between characters where it is too long for a frame."""
    return text.encode()[:TEXT_OCTETS_MAX].decode(errors="ignore").encode()


def _magic_begun(buffer: bytes, position: int) -> int:
    """How many bytes at the end of the buffer may be the beginning of a magic."""
    for length in range(min(len(MAGIC) - 1, len(buffer) - position), 0, -1):
        if buffer.endswith(MAGIC[:length]):
            return length
    return 0


def _decode(octets: bytes) -> VoiceFrame | None:
    if len(octets) < FRAME_OCTETS:
        return None
    _, kind, speaker, utterance, index, total, length = _HEADER.unpack_from(octets)
    end = _HEADER.size + length
    if kind not in (Speaker.CALLER, Speaker.AGENT) or length > TEXT_OCTETS_MAX or index >= total:
        return None
    if octets[end:] != _PADDING_OCTET * (FRAME_OCTETS - end):
        return None
    try:
        text = octets[_HEADER.size : end].decode()
    except UnicodeDecodeError:
        return None
    return VoiceFrame(kind, speaker, utterance, index, total, text)
