"""Cartesia, text to speech by contexts on one socket, µ-law at 8 kHz. Pure, one object per link.

One context per line. A context that was given nothing for a second after its sound is over expires, with the same
`done` as one that was finished; the line then goes on in a context of its own, and its counting goes on, too. Text that
crosses with that `done` has not been spoken: an error tells, or that no sound came for it. Then the stage is lost.
A context has to begin with a word: signs before the first one wait for it. A cancel does not stop what is being
generated: sound of contexts that nobody waits for is dropped.

The socket is closed after five idle minutes with code 1000, which is planned; the vendor has no word to prevent it.
What the vendor keeps is a setting of the account: there is no switch for it here.

https://docs.cartesia.ai/api-reference/tts/websocket
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.line_sound import LineSound, LinesOver

PATH = "/tts/websocket"
VERSION = "2026-03-01"
STRAY_MAX = 16
"""So many characters of a line may lie between two words that the vendor times, as punctuation does."""
_EXPIRED = ("session_expired", True)
_OF_THE_ACCOUNT = (401, 402, 403, 429)
_OUT_OF_CREDIT = "quota_exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class CartesiaVoice:
    """How each line is asked for. `voice` is an identifier."""

    voice: Annotated[str, msgspec.Meta(min_length=1)]
    model: str = "sonic-3"
    language: str = "en"
    speed: Annotated[float, msgspec.Meta(ge=0.6, le=1.5)] | None = None
    volume: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] | None = None
    emotion: str = ""
    max_buffer_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 0
    """How long the vendor may wait for more text before it speaks: not at all, as it is given whole clauses."""


class _Words(msgspec.Struct, frozen=True):
    words: list[str] = []
    end: list[float] = []


class _Said(msgspec.Struct, frozen=True):
    type: str
    context_id: str | None = None
    data: bytes = b""
    word_timestamps: _Words | None = None
    status_code: int | None = None
    error_code: str | None = None
    message: str | None = None


_said = msgspec.json.Decoder(_Said)


@dataclass(slots=True)
class _Line:
    sound: LineSound
    text: str = ""
    at: int = 0
    """How many characters of the text have their place in the sound."""
    held: str = ""
    """Signs without a word, with which no context may begin."""
    context: str = ""
    """The context that is open for it; empty: none."""
    contexts: int = 0
    begun_ms: int = 0
    """Where in the line's sound the present context began."""
    sounded: bool = False
    """The present context has given sound."""
    owed: bool = False
    """Words were sent, and no sound has come since."""
    ended: bool = False


def link_url(base_url: str, session: CartesiaVoice, query: Mapping[str, str]) -> str:  # noqa: ARG001 - as its siblings
    """`base_url` ends before or with `PATH`, such as wss://api.cartesia.ai. What a session asks goes with each line."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix(PATH) + PATH
    return urlunsplit(parts._replace(path=path, query=urlencode(query)))


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Cartesia-Version": VERSION}


class CartesiaSpeaking:
    audio_is_binary = False
    keep_alive_s = 0.0

    def __init__(self, session: CartesiaVoice) -> None:
        self._lines: dict[str, _Line] = {}
        self._contexts: dict[str, str] = {}
        """The line of each context, open or expired, as long as that line is waited for."""
        self._over = LinesOver()
        self._unreadable = 0
        self._asked = _asked(session)

    # --- to the provider

    def opening(self) -> list[bytes]:
        return []

    def say(self, line: str, text: str) -> list[bytes]:
        if not text or line in self._over:
            return []
        found = self._lines.setdefault(line, _Line(LineSound(line)))
        if found.ended:
            return []
        found.text += text
        found.held += text
        if not found.context and not _speakable(found.held):
            return []
        return [self._input(line, found, more=True)]

    def end(self, line: str) -> list[bytes]:
        found = self._lines.get(line)
        if found is None or found.ended:
            return []
        found.ended = True
        return [self._input(line, found, more=False)]

    def cancel(self, line: str) -> list[bytes]:
        self._over.add(line)
        found = self._lines.get(line)
        if found is None:
            return []
        self._forget(line)
        return [_json({"context_id": found.context, "cancel": True})] if found.context else []

    def keep_alive(self) -> list[bytes]:
        return []

    def closing(self) -> list[bytes]:
        return []

    def _input(self, line: str, found: _Line, *, more: bool) -> bytes:
        if not found.context:
            found.contexts += 1
            found.context = line if found.contexts == 1 else f"{line}.{found.contexts}"
            found.begun_ms = found.sound.ms
            found.sounded = False
            self._contexts[found.context] = line
        text, found.held = found.held, ""
        found.owed = found.owed or _speakable(text)
        return _json({**self._asked, "context_id": found.context, "transcript": text, "continue": more})

    def _forget(self, line: str) -> None:
        del self._lines[line]
        self._contexts = {context: of for context, of in self._contexts.items() if of != line}

    # --- from the provider

    def decode(self, message: bytes, *, binary: bool) -> Iterable[st.SpeakingEvent]:
        if binary:
            return ()
        try:
            said = _said.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (st.StageLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()
        line = self._contexts.get(said.context_id or "", "")
        found = self._lines.get(line)
        if said.type == "error" and (found is not None or not said.context_id):
            return self._failed(line, found, said)
        if found is None or said.context_id != found.context:
            return ()
        if said.type == "chunk" and said.data:
            found.sounded, found.owed = True, False
            return found.sound.came(said.data)
        if said.type == "timestamps" and said.word_timestamps is not None:
            _align(found, said.word_timestamps)
            return found.sound.reached()
        return self._sounded(line, found) if said.type == "done" else ()

    def _sounded(self, line: str, found: _Line) -> list[st.SpeakingEvent]:
        """All sound of this context has come."""
        out: list[st.SpeakingEvent] = [*found.sound.reached(whole=True)]
        if found.owed:
            return [*out, st.StageLost(*_EXPIRED)]
        found.context = ""
        if found.ended:
            self._forget(line)
            self._over.add(line)
            out.append(st.LineDone(line))
        return out

    def _failed(self, line: str, found: _Line | None, said: _Said) -> Iterable[st.SpeakingEvent]:
        status = said.status_code or 0
        if found is not None and 400 <= status < 500 and status not in _OF_THE_ACCOUNT:
            if found.sounded or said.context_id != found.context:
                return (st.StageLost(*_EXPIRED),)
            if not found.owed:
                # It was opened only to be finished, or with signs that are not to be spoken.
                return self._sounded(line, found)
        if said.error_code == _OUT_OF_CREDIT:
            return (st.StageLost("quota", retry_same=False),)
        refused = failures.refused(status or 500, body=f"{said.error_code} {said.message}")
        return (st.StageLost(refused.word, refused.retry_same, refused.retry_after_s),)


def _asked(session: CartesiaVoice) -> dict[str, Any]:
    """What is the same in every message of a line, as the vendor wants it to be."""
    asked: dict[str, Any] = {
        "model_id": session.model,
        "voice": {"mode": "id", "id": session.voice},
        "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000},
        "add_timestamps": True,
        "use_normalized_timestamps": False,
        "max_buffer_delay_ms": session.max_buffer_delay_ms,
    }
    if session.language:
        asked["language"] = session.language.partition("-")[0].lower()
    tuning = {"speed": session.speed, "volume": session.volume, "emotion": session.emotion or None}
    if given := {name: value for name, value in tuning.items() if value is not None}:
        asked["generation_config"] = given
    return asked


def _speakable(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def _align(found: _Line, timed: _Words) -> None:
    """Times count from the beginning of the context, in seconds; words are those of the text."""
    for word, end in zip(timed.words, timed.end, strict=False):
        found.at = _after(found.text, found.at, word)
        found.sound.place(found.at, found.begun_ms + end * 1000)


def _after(text: str, at: int, word: str) -> int:
    """Where in the text one stands after this word; one that is not found stands for as many characters."""
    place = text.find(word, at, at + STRAY_MAX + len(word))
    if place >= 0:
        return place + len(word)
    while text[at : at + 1].isspace():
        at += 1
    return min(len(text), at + len(word))


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)
