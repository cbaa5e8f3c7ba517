"""How loud each code of G.711 µ-law is. Values only; it knows no frames and nobody who speaks.

https://www.itu.int/rec/T-REC-G.711
"""

from __future__ import annotations

BIAS = 0x84
_CLIP = 32_635


def _levels() -> tuple[int, ...]:
    inverted = (~code & 0xFF for code in range(256))
    return tuple((((bits & 0x0F) << 3) + BIAS << (bits >> 4 & 7)) - BIAS for bits in inverted)


LEVELS = _levels()
"""By code, the size of the 16-bit sample that it stands for, without its sign."""


def encoded(sample: int) -> int:
    """The code of a 16-bit sample; louder ones than there are codes for are clipped."""
    size = min(abs(sample), _CLIP) + BIAS
    exponent = size.bit_length() - 8
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | size >> exponent + 3 & 0x0F) & 0xFF
