"""Deepgram Nova-3 (`/v1/listen`): the caller's µ-law goes out, pieces of text come back. Pure, one object per link.

The vendor knows speech and pauses but no turns, so they are built here:

    SpeechStarted, or the first words    the turn begins
    Results                              its words so far: the final pieces, and what is not final yet
    Results, speech_final                the turn ends with its final pieces
    UtteranceEnd                         the same, where noise hid the pause; without final pieces: nothing
    Results without words for too long   the same, also without pieces: speech that started and has no end

A turn whose words were never heard ends without words. Time is the audio's, as the vendor tells it. The vendor greets
nobody: audio has to be sent without waiting for `StageReady`, which comes with its first message. Unknown messages are
let pass; what cannot be read is dropped, and too much of it means the link is ill. An `Error` here does not end the
link: a close would follow.

https://developers.deepgram.com/docs/understand-endpointing-interim-results
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import deepgram

PATH = "/v1/listen"
REGIONAL = frozenset({
    "de-CH", "en-AU", "en-GB", "en-IN", "en-NZ", "en-US", "es-419", "fr-CA", "nl-BE", "pt-BR", "pt-PT",
    "zh-CN", "zh-HK", "zh-TW",
})  # fmt: skip
"""The languages with a region that the vendor knows; it refuses the link for others."""
KEEP_ALIVE_BYTES = 8_000
TURN_CHARACTERS_MAX = 20_000
"""Some twenty minutes of speech: a turn is ended there, whatever the vendor says."""
TURN_PIECES_MAX = 500
_SILENT_BYTE = b"\xff"
_CLOSE_STREAM = b'{"type":"CloseStream"}'
_SPACELESS = re.compile(r"[\u0e00-\u0e7f\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
"""Letters of Thai, Japanese and Chinese, whose words have no spaces between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NovaSession:
    """What a link is opened with. ValueError for what the vendor is known to refuse every link for."""

    model: str = "nova-3"
    language: str = "en"
    """A language tag, or "multi"."""
    silence_ms: int = 500
    """The pause that ends a turn."""
    utterance_end_ms: int = 1000
    """The time without a word (1000 to 5000) that ends a turn where noise hides the pause."""
    keyterms: tuple[str, ...] = ()
    no_store: bool = False
    """True: the vendor may not keep the audio to improve its models."""

    def __post_init__(self) -> None:
        if not 1000 <= self.utterance_end_ms <= 5000:
            raise ValueError("utteranceEndMs must be from 1000 to 5000")
        if self.silence_ms < 0:
            raise ValueError("silenceMs must not be below 0")


class _Message(msgspec.Struct, frozen=True, gc=False):
    """`channel` is an object in results, and a list of numbers elsewhere. Times are in seconds of audio."""

    type: str
    channel: msgspec.Raw = msgspec.Raw(b"null")
    is_final: bool | None = None
    speech_final: bool | None = None
    start: float = 0.0
    duration: float = 0.0
    timestamp: float = 0.0
    last_word_end: float = 0.0


class _Alternative(msgspec.Struct, frozen=True, gc=False):
    transcript: str = ""


class _Channel(msgspec.Struct, frozen=True):
    alternatives: list[_Alternative]


_message = msgspec.json.Decoder(_Message)
_channel = msgspec.json.Decoder(_Channel)


def link_url(base_url: str, session: NovaSession, query: Mapping[str, str]) -> str:
    """`base_url` ends before or with the endpoint's path, such as wss://api.eu.deepgram.com; `query` overrides."""
    language = session.language
    asked: dict[str, Any] = {
        "model": session.model,
        "encoding": "mulaw",
        "sample_rate": 8000,
        "channels": 1,
        "language": language if language in REGIONAL else language.partition("-")[0].lower(),
        "interim_results": "true",
        "endpointing": session.silence_ms,
        "utterance_end_ms": session.utterance_end_ms,
        "vad_events": "true",
        "punctuate": "true",
        "keyterm": session.keyterms,
    }
    if session.no_store:
        asked["mip_opt_out"] = "true"
    return deepgram.link_url(base_url, PATH, asked, query)


class NovaHearing:
    audio_is_binary = True
    keep_alive_s = 1.0
    silence_max_s = 4.0
    """The vendor says something every second of audio, be it silent."""

    def __init__(self, session: NovaSession) -> None:
        self.heard_ms = 0.0
        self._wordless_max_s = session.utterance_end_ms / 1000 + 1.0
        self._ready = False
        self._begun = False
        self._words_at_s = 0.0
        """Where in the audio the turn began, or its last words were understood."""
        self._over_at_s = 0.0
        """Where the last turn ended."""
        self._pieces: list[str] = []
        self._told = ""
        self._unreadable = 0

    # --- to the vendor

    def opening(self) -> list[bytes]:
        return []

    def append(self, payload: bytes) -> bytes | None:
        """An empty message would close the link."""
        return payload or None

    def keep_alive(self) -> bytes:
        """As much silence as audio was missing. The vendor's own word for it counts only after some audio, and lets its
        time stand still: a turn that has begun would never end."""
        return _SILENT_BYTE * KEEP_ALIVE_BYTES

    def closing(self) -> list[bytes]:
        return [_CLOSE_STREAM]

    # --- from the vendor

    def decode(self, message: bytes, *, binary: bool) -> Iterable[st.HearingEvent]:
        if binary:
            return ()
        try:
            said = _message.decode(message)
            heard = self._heard(said)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (st.StageLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()
        first, self._ready = not self._ready, True
        return (st.StageReady(), *heard) if first else heard

    def _heard(self, said: _Message) -> tuple[st.HearingEvent, ...]:
        match said.type:
            case "Results":
                return self._results(said)
            case "SpeechStarted":
                return self._begin(said.timestamp)
            # One that speaks of words before the present turn is late. The vendor tells -1 when there were none.
            case "UtteranceEnd" if said.last_word_end > self._over_at_s and self._pieces:
                self.heard_ms = 0.0  # It tells where the words ended, not how far it has listened.
                return self._end(said.last_word_end)
            case _:
                return ()

    def _results(self, said: _Message) -> tuple[st.HearingEvent, ...]:
        found = _channel.decode(said.channel).alternatives
        text = found[0].transcript.strip() if found else ""
        at_s = said.start + said.duration
        self.heard_ms = at_s * 1000
        begun: tuple[st.HearingEvent, ...] = ()
        so_far = _joined([*self._pieces, text])
        if text:
            begun, self._words_at_s = self._begin(at_s), at_s
            if said.is_final or said.speech_final:
                self._pieces.append(text)
        if self._begun and (said.speech_final or self._too_long(at_s)):
            return (*begun, *self._end(at_s))
        if not text or so_far == self._told:
            return begun
        self._told = so_far
        return (*begun, st.Words(so_far))

    def _too_long(self, at_s: float) -> bool:
        """No vendor's word has ended this turn: since its last words, or since it began, or by its length."""
        return at_s - self._words_at_s >= self._wordless_max_s or self._pieces_full()

    def _pieces_full(self) -> bool:
        return len(self._pieces) >= TURN_PIECES_MAX or sum(map(len, self._pieces)) >= TURN_CHARACTERS_MAX

    def _begin(self, at_s: float) -> tuple[st.HearingEvent, ...]:
        if self._begun:
            return ()
        self._begun, self._words_at_s = True, at_s
        return (st.TurnBegan(),)

    def _end(self, at_s: float) -> tuple[st.HearingEvent, ...]:
        whole = _joined(self._pieces)
        self._pieces.clear()
        self._begun, self._told, self._over_at_s = False, "", at_s
        return (st.TurnEnded(whole),)


def _joined(pieces: Iterable[str]) -> str:
    """Pieces of speech in a row, with a space between two unless the script of both has none."""
    whole = ""
    for piece in pieces:
        between = "" if _SPACELESS.match(whole[-1:]) and _SPACELESS.match(piece) else " "
        whole = f"{whole}{between}{piece}" if whole and piece else whole + piece
    return whole
