"""Speech of the practice range for providers that speak linear PCM: voice frames as tones, which a resampler keeps.

A voice frame of `voice` is bytes, and a low-pass filter leaves no byte as it was. So a frame is said here by 49 tones
between 312 and 3 312 Hz: from each to the next the phase steps by a multiple of 45 degrees, which is three bits. Four
of the 48 steps are known beforehand; by them the reader finds how early or late it listens, to a fraction of a sample.

    | guard 4 ms | body 16 ms |      the guard is the body's end, so that a filter's echo of 2 ms does no harm

    kind  speaker  utterance  index  total  text piece  spare  check (CRC-32's low bits)
    1     24       16         8      8      48          3      24                           = 132 bits

The text is cut into pieces of six octets, one a frame, from the first frame on; after its end come zeros. So it may be
longer than one of `voice`: up to 1 530 octets. A frame that was altered is not heard. It knows nothing of calls,
sockets or clocks.
"""

from __future__ import annotations

import zlib
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast_gameday.world import voice
from holdfast_gameday.world.voice import Silence, Sound, VoiceFrame

Samples: TypeAlias = NDArray[Any]

PIECE_OCTETS = 6
FRAMES_MAX = 255
SPEAKERS = 1 << 24
UTTERANCES = 1 << 16
_TONE_HZ = 62.5
_FIRST_TONE, _TONES = 5, 49
_LEVEL = 620.0
"""Of each tone. Together they are as loud as speech, and hardly ever reach the end of 16 bits."""
_QUIET = 192
"""No sample of a pause is louder; the codes next to µ-law's zero and a filter's last echo are not."""
_STEPS = 8
_PILOTS = np.array([5, 17, 29, 41])
_DATA = np.setdiff1d(np.arange(_TONES - 1), _PILOTS)
_SCRAMBLE = np.random.default_rng(20_261_121).integers(0, _STEPS, _TONES - 1)
"""Added to every step, so that a frame of zeros is no single crack."""
_PAYLOAD_BITS, _CHECK_BITS = 108, 24
_TEXTS_KEPT = 8
_TRY_EVERY = 8
"""Samples at 8 kHz between two guesses of where a frame begins; the guard forgives more."""


def pieces_for(text: str) -> int:
    """How many frames it takes to say the text once."""
    return -(-len(_octets(text)) // PIECE_OCTETS)


def encode_utterance(
    kind: int, speaker: int, utterance: int, text: str, frames: int | None = None, *, rate: int
) -> bytes:
    """The utterance as 16-bit little-endian PCM: as long as `voice` makes it, or as its text needs."""
    if not (0 <= speaker < SPEAKERS and 0 <= utterance < UTTERANCES):
        raise ValueError(f"speaker {speaker} or utterance {utterance} is too large for a frame of tones")
    octets = _octets(text)
    total = min(FRAMES_MAX, max(frames or voice.frames_for(text), pieces_for(text)))
    said = bytearray()
    for index in range(total):
        piece = octets[index * PIECE_OCTETS :][:PIECE_OCTETS].ljust(PIECE_OCTETS, b"\0")
        fields = kind - 1
        for value, bits in ((speaker, 24), (utterance, 16), (index, 8), (total, 8)):
            fields = fields << bits | value
        said += _sound((fields << 48 | int.from_bytes(piece, "big")) << 3, rate)
    return bytes(said)


def ulaw_to_pcm(ulaw: bytes) -> bytes:
    """G.711 µ-law as 16-bit little-endian PCM."""
    return _LINEAR[np.frombuffer(ulaw, np.uint8)].tobytes()


class LinearScanner:
    """Finds frames of tones in a PCM stream that may have been cut anywhere. Silence is counted at 8 kHz."""

    def __init__(self, rate: int = 8_000) -> None:
        self.damaged = 0
        """Samples, counted at 8 kHz, that were loud and no frame."""
        self._frame = rate // 50
        self._body = round(rate / _TONE_HZ)
        self._guard = self._frame - self._body
        self._scale = rate // 8_000
        self._buffer: Samples = np.zeros(0, np.int16)
        self._odd = b""
        self._skip = 0
        """Samples still to come of a frame that was read before its end."""
        self._locked = False
        self._tried = 0
        """Where a beginning was looked for already."""
        self._texts: dict[tuple[int, int, int], dict[int, bytes]] = {}

    def feed(self, pcm: bytes) -> list[Sound]:
        data = self._odd + pcm
        whole = len(data) & ~1
        self._odd = data[whole:]
        came = np.frombuffer(data[:whole], np.dtype("<i2"))
        self._buffer = np.concatenate((self._buffer, came[self._skip :]))
        self._skip = max(0, self._skip - len(came))
        sounds: list[Sound] = []
        while self._step(sounds):
            pass
        return sounds

    def _step(self, sounds: list[Sound]) -> bool:
        """Deals with the next frame or the next pause; False when more samples are needed first."""
        if self._locked:
            if len(self._buffer) < self._guard // 2 + self._body:
                return False
            self._locked = self._read(0, sounds)
            return True
        loud = np.flatnonzero(np.abs(self._buffer.astype(np.int32)) > _QUIET)
        early = 2 * _TRY_EVERY * self._scale
        if not len(loud):
            self._pass_over(len(self._buffer) - early, sounds)
            return False
        self._pass_over(int(loud[0]) - early, sounds)
        last = len(self._buffer) - self._guard // 2 - self._body
        while self._tried <= min(last, self._frame + early):
            start, self._tried = self._tried, self._tried + _TRY_EVERY * self._scale
            if self._read(start, sounds):
                self._locked, self._tried = True, 0
                return True
        if self._tried <= self._frame + early:
            return False
        self._tried = 0
        if np.count_nonzero(loud < loud[0] + self._frame) > self._frame // 8:
            self.damaged += self._frame // self._scale
        self._pass_over(self._frame, sounds)
        return True

    def _read(self, start: int, sounds: list[Sound]) -> bool:
        """Takes the frame that begins about here, if there is one, and whatever is before it."""
        at = start + self._guard // 2
        found = _heard(self._buffer[at : at + self._body])
        frame = self._understood(found[0]) if found is not None else None
        if found is None or frame is None:
            return False
        self._pass_over(start, sounds)
        sounds.append(frame)
        early = round(-self._guard / 2 - found[1] * self._body)
        self._drop(self._frame + early)
        return True

    def _understood(self, bits: int) -> VoiceFrame | None:
        piece = (bits >> 3 & (1 << 48) - 1).to_bytes(PIECE_OCTETS, "big")
        fields = bits >> 51
        total, index = fields & 0xFF, fields >> 8 & 0xFF
        utterance, speaker = fields >> 16 & 0xFFFF, fields >> 32 & 0xFFFFFF
        kind = (fields >> 56) + 1
        if bits & 7 or index >= total:
            return None
        known = self._texts.setdefault((kind, speaker, utterance), {})
        known[index] = piece
        while len(self._texts) > _TEXTS_KEPT:
            self._texts.pop(next(iter(self._texts)))
        return VoiceFrame(kind, speaker, utterance, index, total, _joined(known))

    def _drop(self, samples: int) -> None:
        self._skip += max(0, samples - len(self._buffer))
        self._buffer = self._buffer[samples:]

    def _pass_over(self, samples: int, sounds: list[Sound]) -> None:
        if samples <= 0:
            return
        self._buffer = self._buffer[samples:]
        octets = samples // self._scale
        if sounds and isinstance(sounds[-1], Silence):
            sounds[-1] = Silence(sounds[-1].octets + octets)
        elif octets:
            sounds.append(Silence(octets))


class EitherScanner:
    """For a listener who does not know how the speaker speaks: finds the frames of both in a µ-law stream."""

    def __init__(self) -> None:
        self._plain = voice.VoiceScanner()
        self._linear = LinearScanner()

    @property
    def damaged(self) -> int:
        """What is no frame of the one kind may be of the other: nothing is known to be damaged."""
        return 0

    def feed(self, ulaw: bytes) -> list[VoiceFrame]:
        frames = [sound for sound in self._plain.feed(ulaw) if isinstance(sound, VoiceFrame)]
        if frames:
            self._linear = LinearScanner()
            return frames
        return [sound for sound in self._linear.feed(ulaw_to_pcm(ulaw)) if isinstance(sound, VoiceFrame)]


def _sound(payload: int, rate: int) -> bytes:
    """One frame. `payload`: 108 bits."""
    bits = payload << _CHECK_BITS | _check(payload)
    steps = np.zeros(_TONES - 1, np.int64)
    steps[_DATA] = [bits >> 3 * place & 7 for place in reversed(range(len(_DATA)))]
    phases = np.concatenate(([0], np.cumsum((steps + _SCRAMBLE) % _STEPS))) * (2 * np.pi / _STEPS)
    body = round(rate / _TONE_HZ)
    tones = np.zeros(body // 2 + 1, np.complex128)
    tones[_FIRST_TONE : _FIRST_TONE + _TONES] = np.exp(1j * phases) * (_LEVEL * body / 2)
    wave = np.fft.irfft(tones, body)
    guard = rate // 50 - body
    whole = np.concatenate((wave[-guard:], wave))
    return np.clip(np.rint(whole), -32_000, 32_000).astype("<i2").tobytes()


def _heard(body: Samples) -> tuple[int, float] | None:
    """The payload, if the check agrees; and by which share of the body we listened after its beginning."""
    tones = np.fft.rfft(body)[_FIRST_TONE : _FIRST_TONE + _TONES]
    turned = tones[1:] * np.conj(tones[:-1]) * _UNSCRAMBLE
    pilot = turned[_PILOTS].sum()
    steps = np.rint(np.angle(turned[_DATA] * np.conj(pilot)) * (_STEPS / (2 * np.pi))).astype(np.int64) % _STEPS
    bits = int("".join(map(str, steps.tolist())), 8)
    payload = bits >> _CHECK_BITS
    if bits & (1 << _CHECK_BITS) - 1 != _check(payload):
        return None
    return payload, float(np.angle(pilot) / (2 * np.pi))


def _check(payload: int) -> int:
    return zlib.crc32(payload.to_bytes(_PAYLOAD_BITS // 8 + 1, "big")) & (1 << _CHECK_BITS) - 1


def _octets(text: str) -> bytes:
    """The text as UTF-8, cut between characters where it is too long for an utterance."""
    return text.encode()[: PIECE_OCTETS * FRAMES_MAX].decode(errors="ignore").encode()


def _joined(pieces: dict[int, bytes]) -> str:
    """The text as far as it was heard without a hole."""
    heard = bytearray()
    for index in range(len(pieces)):
        if index not in pieces:
            break
        heard += pieces[index]
        if 0 in pieces[index]:
            break
    return bytes(heard).partition(b"\0")[0].decode(errors="ignore")


def _linear() -> NDArray[np.int16]:
    codes = ~np.arange(256) & 0xFF
    size = ((((codes & 0x0F) << 3) + 0x84) << (codes >> 4 & 7)) - 0x84
    return np.where(codes & 0x80, -size, size).astype("<i2")


_LINEAR = _linear()
_UNSCRAMBLE = np.exp(-2j * np.pi / _STEPS * _SCRAMBLE)
