"""The sound that says "we are still here": two low notes that swell and fade, soft, never quite silent. µ-law, 8 kHz.

Made once, two seconds that join at their ends. It is meant to be unlike the tones of a network (dial, ring, busy:
ITU-T E.180), which would tell a caller something that is not so.
"""

from __future__ import annotations

import math

from holdfast_bridge.core.events import BYTES_PER_MS
from holdfast_bridge.core.ulaw import encoded

LOOP_S = 2
NOTES_HZ = (220, 277)
"""Whole numbers of waves fit into the loop."""
SWELL_HZ = 0.5
QUIETEST, LOUDEST = 260, 900
"""Of a 16-bit sample: 42 and 31 dB below full scale."""


def piece(at_bytes: int, length_ms: int) -> bytes:
    """So much of the sound, from where it had got to."""
    start = at_bytes % len(_LOOP)
    length = length_ms * BYTES_PER_MS
    return (_LOOP * (1 + (start + length) // len(_LOOP)))[start : start + length]


def _sample(at: int) -> int:
    seconds = at / (1000 * BYTES_PER_MS)
    swell = (1 - math.cos(2 * math.pi * SWELL_HZ * seconds)) / 2
    wave = sum(math.sin(2 * math.pi * note * seconds) for note in NOTES_HZ) / len(NOTES_HZ)
    return round((QUIETEST + (LOUDEST - QUIETEST) * swell) * wave)


_LOOP = bytes(encoded(_sample(at)) for at in range(LOOP_S * 1000 * BYTES_PER_MS))
