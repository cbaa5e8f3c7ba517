"""The input audio buffer: where speech begins and ends in the bytes appended, and what was said.

Time is the audio's own (8 bytes are a millisecond of µ-law): a caller who stops sending ends no turn, as at the vendor.
It knows neither events nor the conversation.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_gameday.world import voice

OCTETS_PER_MS = 8


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    at_ms: int
    text: str
    octets: int


Heard = SpeechStarted | SpeechStopped


class Ear:
    """Hears callers only: an agent's own frames that come back are an echo and count as silence."""

    __slots__ = ("_octets", "_quiet_octets", "_scanner", "_speech_octets", "_texts", "buffered_octets", "speaking")

    def __init__(self) -> None:
        self._scanner = voice.VoiceScanner()
        self._octets = 0
        self._quiet_octets = 0
        self._speech_octets = 0
        self._texts: dict[tuple[int, int], str] = {}
        self.speaking = False
        self.buffered_octets = 0

    @property
    def at_ms(self) -> int:
        return self._octets // OCTETS_PER_MS

    def feed(self, data: bytes, *, silence_ms: int) -> list[Heard]:
        self.buffered_octets += len(data)
        heard: list[Heard] = []
        for sound in self._scanner.feed(data):
            if isinstance(sound, voice.VoiceFrame) and sound.kind == voice.Speaker.CALLER:
                if not self.speaking:
                    self.speaking = True
                    heard.append(SpeechStarted(self.at_ms))
                self._octets += voice.FRAME_OCTETS
                self._speech_octets += voice.FRAME_OCTETS
                self._quiet_octets = 0
                self._texts[sound.speaker, sound.utterance] = sound.text
                continue
            octets = sound.octets if isinstance(sound, voice.Silence) else voice.FRAME_OCTETS
            self._octets += octets
            self._quiet_octets += octets
            if self.speaking and self._quiet_octets >= silence_ms * OCTETS_PER_MS:
                heard.append(self.take())
        return heard

    def take(self) -> SpeechStopped:
        """Ends the turn here, by the voice detector or by a commit, and empties the buffer."""
        stopped = SpeechStopped(self.at_ms, " ".join(self._texts.values()), self._speech_octets)
        self.clear()
        return stopped

    def clear(self) -> None:
        self._texts = {}
        self._speech_octets = 0
        self._quiet_octets = 0
        self.buffered_octets = 0
        self.speaking = False
