"""What the caller said and no provider has understood yet: so much of it is said to the next one, word for word.

Frames of the caller's audio, µ-law, 20 ms each. It knows no providers and no text: it is told when a provider notices
speech and when that has been dealt with. It also listens itself, roughly, because a provider that has stopped listening
says nothing at all: speech that nobody notices by the end of a pause was spoken to a deaf one.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from holdfast_bridge.core.ulaw import LEVELS

KEPT_FRAMES = 150
"""Three seconds; older words are asked for again."""
BEFORE_SPEECH_FRAMES = 15
"""A detector needs 300 ms to be sure: the words began before it said so."""
SURE_FRAMES = 6
"""Loud frames, more or less in a row, that are taken for speech."""
WORD_FRAMES, SENTENCE_FRAMES = 12, 40
"""Loud frames that nobody can have missed; and so many that only a provider which failed can have."""
PAUSE_FRAMES = 100
_STEP = 8
"""Every eighth sample says enough of how loud a frame is."""
_LOUD_SAMPLES = 160 // _STEP // 5
_LOUD_LEVEL = 800
"""Of a 16-bit sample: 32 dB below full scale."""


class Deaf(Enum):
    """What a pause after speech that nobody noticed says of the provider."""

    PERHAPS = "perhaps"
    """A word or a cough: it may have thought that nothing was said."""
    SURELY = "surely"


class Unheard:
    def __init__(self) -> None:
        self.attentive = True
        """The provider always says when it hears speech; of another one, silence proves nothing."""
        self._ring: deque[bytes] = deque(maxlen=KEPT_FRAMES)
        self._frames: int | None = None
        """How many of the newest frames count; None: the caller has said nothing that is not dealt with."""
        self._speech = False
        """There are words among them."""
        self._sure = 0
        self._loud = 0
        self._pause = 0

    @property
    def words(self) -> bool:
        """The caller said something that nobody has dealt with."""
        return self._speech

    def frame(self, payload: bytes) -> Deaf | None:
        """The next frame; whether the provider can have heard anything of late."""
        self._ring.append(payload)
        if self._frames is not None:
            self._frames += 1
        if payload[::_STEP].translate(_LOUDNESS).count(1) >= _LOUD_SAMPLES:
            self._loud_frame()
            return None
        self._sure = max(0, self._sure - 1)
        if self._loud < WORD_FRAMES or not self.attentive:
            return None
        self._pause += 1
        if self._pause != PAUSE_FRAMES:
            return None
        found = Deaf.SURELY if self._loud >= SENTENCE_FRAMES else Deaf.PERHAPS
        self._loud = 0
        return found

    def speech_started(self) -> None:
        self._speech = True
        if self._frames is None:
            self._frames = min(len(self._ring), BEFORE_SPEECH_FRAMES)

    def noticed(self) -> None:
        """The provider said something: it is there."""
        self._loud = self._pause = 0

    def dealt_with(self) -> None:
        """The words are known as text, or their answer is being heard, or there were none."""
        self._frames, self._speech = None, False
        self._sure = self._loud = self._pause = 0

    def hold(self) -> bool:
        """No provider listens any more: every frame counts from now on. Whether words are open."""
        self._frames = self._frames or 0
        return self._speech

    def release(self) -> list[bytes]:
        """A provider listens: the frames to say to it, in order. Words among them stay open till it deals with them."""
        frames = list(self._ring)[-self._frames :] if self._frames else []
        self._frames = self._frames if self._speech else None
        self._loud = self._pause = 0
        return frames

    def _loud_frame(self) -> None:
        self._sure = min(self._sure + 1, SURE_FRAMES)
        self._loud += 1
        self._pause = 0
        if self._sure == SURE_FRAMES:
            self.speech_started()


_LOUDNESS = bytes(level >= _LOUD_LEVEL for level in LEVELS)
"""Of each µ-law code, 1 when its sample is loud."""
