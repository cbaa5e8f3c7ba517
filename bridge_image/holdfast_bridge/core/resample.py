"""A line's sound for providers that speak linear PCM: µ-law at 8 kHz up to 16 kHz, and 24 kHz down to µ-law at 8 kHz.

Streaming: what goes in comes out at once, 1.4 ms (up) and 1.5 ms (down) late, and it is the same however the input was
cut. PCM is signed, 16 bit, little-endian, mono. It knows no vendor, no frames and no time.

    up    half-band filter: every other sample of the output is one of the input, unaltered; those between are made
    down  low-pass filter at 24 kHz, flat to 3.4 kHz and down by 50 dB from 4.6 kHz on; every third value is kept

The filters' coefficients are multiples of 2^-15, so that every sum is exact, in whatever order it is made.
G.711: https://www.itu.int/rec/T-REC-G.711
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from holdfast_bridge.core.ulaw import BIAS, LEVELS

Samples: TypeAlias = NDArray[np.float64]

UP_TAPS = 24
DOWN_TAPS = 73
DOWN_STEP = 3
_UNIT = 1 << 15
_CLIP = 32_635
_TOGETHER = 16
"""Outputs in one row of a product of matrices; the outputs of a frame of 20 ms are a multiple of it."""


class ToPcm16k:
    """From µ-law at 8 kHz to PCM at 16 kHz: four bytes for each byte."""

    def __init__(self) -> None:
        self._bank = _BETWEEN
        self._past: Samples = np.zeros(UP_TAPS - 1)

    def feed(self, ulaw: bytes) -> bytes:
        if not ulaw:
            return b""
        block = np.concatenate((self._past, _LINEAR[np.frombuffer(ulaw, np.uint8)]))
        self._past = block[len(ulaw) :]
        pcm = np.empty(2 * len(ulaw), np.dtype("<i2"))
        pcm[0::2] = _fit(self._bank.run(block, len(ulaw)))
        pcm[1::2] = block[UP_TAPS // 2 : UP_TAPS // 2 + len(ulaw)]
        return pcm.tobytes()


class FromPcm24k:
    """From PCM at 24 kHz to µ-law at 8 kHz: one byte for each three samples, the first of them at once."""

    def __init__(self) -> None:
        self._bank = _LOW_PASS
        self._block: Samples = np.zeros(DOWN_TAPS - 1)
        self._odd = b""

    def feed(self, pcm: bytes) -> bytes:
        data = self._odd + pcm
        whole = len(data) & ~1
        self._odd = data[whole:]
        came = np.frombuffer(data[:whole], np.dtype("<i2")).astype(np.float64)
        block: Samples = np.concatenate((self._block, came))
        count = max(0, (len(block) - DOWN_TAPS) // DOWN_STEP + 1)
        self._block = block[count * DOWN_STEP :]
        if not count:
            return b""
        kept = _fit(self._bank.run(block, count)).astype(np.int16)
        return _CODES[kept.view(np.uint16)].tobytes()


@dataclass(frozen=True, slots=True)
class _Bank:
    """A filter as a matrix that makes `_TOGETHER` outputs of one stretch of the input, `step` samples apart."""

    matrix: Samples
    step: int

    def run(self, block: Samples, count: int) -> Samples:
        """The first `count` outputs. The block holds all the input that they need."""
        width = self.matrix.shape[0]
        hop = self.step * _TOGETHER
        rows = -(-count // _TOGETHER)
        missing = (rows - 1) * hop + width - len(block)
        if missing > 0:
            block = np.concatenate((block, np.zeros(missing)))
        size = block.itemsize
        stretches = np.lib.stride_tricks.as_strided(block, (rows, width), (hop * size, size), writeable=False)
        made: Samples = np.ascontiguousarray(stretches) @ self.matrix
        return made.reshape(-1)[:count]


def _bank(taps: Samples, step: int) -> _Bank:
    matrix = np.zeros((len(taps) + step * (_TOGETHER - 1), _TOGETHER))
    for output in range(_TOGETHER):
        matrix[output * step : output * step + len(taps), output] = taps
    return _Bank(matrix, step)


def _between() -> _Bank:
    """The samples half-way between those of the input: a windowed sinc, symmetrical."""
    at = np.arange(UP_TAPS) - (UP_TAPS - 1) / 2
    window = np.i0(5.0 * np.sqrt(1 - (at / (UP_TAPS / 2)) ** 2)) / np.i0(5.0)
    return _bank(_whole(np.sinc(at) * window), 1)


def _low_pass() -> _Bank:
    at = np.arange(DOWN_TAPS) - (DOWN_TAPS - 1) / 2
    return _bank(_whole(np.sinc(at / DOWN_STEP) * np.kaiser(DOWN_TAPS, 5.0)), DOWN_STEP)


def _whole(taps: Samples) -> Samples:
    """Multiples of 2^-15 whose sum is 1; what rounding took is given to the two in the middle."""
    rounded = np.rint(taps / taps.sum() * _UNIT)
    missing = _UNIT - rounded.sum()
    rounded[(len(taps) - 1) // 2] += missing // 2
    rounded[len(taps) // 2] += missing - missing // 2
    return np.asarray(rounded / _UNIT, np.float64)


def _fit(samples: Samples) -> Samples:
    """Whole numbers of 16 bit."""
    np.rint(samples, out=samples)
    np.minimum(samples, 32_767.0, out=samples)
    return np.maximum(samples, -32_768.0, out=samples)


def _linear() -> Samples:
    """The sample of each µ-law code."""
    size = np.array(LEVELS, np.float64)
    return np.where(np.arange(256) & 0x80, size, -size)


def _codes() -> NDArray[np.uint8]:
    """The µ-law code of each sample, by its 16 bits."""
    samples = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int64)
    size = np.minimum(np.abs(samples), _CLIP) + BIAS
    segment = np.log2(size).astype(np.int64) - 7
    code: NDArray[np.int64] = np.where(samples < 0, 0x80, 0) | segment << 4 | (size >> (segment + 3) & 0x0F)
    return (~code & 0xFF).astype(np.uint8)


_BETWEEN = _between()
_LOW_PASS = _low_pass()
_LINEAR = _linear()
_CODES = _codes()
