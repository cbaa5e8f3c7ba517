"""ElevenLabs, text to speech on `multi-stream-input`, µ-law at 8 kHz. Pure, one object per link.

One context per line, under the line's own identifier. The vendor says that a context's sound is complete (`isFinal`)
only after the context was closed, and a context that was flushed before sounds to its end: so the end of a line is a
flush and a close at once. A context that is not ours any more is never named again, because naming one opens it, and a
socket bears five. What is said of contexts that nobody waits for is dropped: that is all that a cancelled line needs.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import msgspec

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers.line_sound import LineSound, LinesOver

PATH = "/v1/text-to-speech"
INACTIVITY_S = 180
"""The longest that the vendor can be asked to bear silence for."""
TAKE_LANGUAGE = ("eleven_flash_v2_5", "eleven_turbo_v2_5")
"""Other models take the language from the text, and refuse to be told."""
_LOST: Mapping[str, tuple[str, bool]] = {
    "invalid_api_key": ("auth", False),
    "missing_permissions": ("auth", False),
    "needs_authorization": ("auth", False),
    "detected_unusual_activity": ("auth", False),
    "quota_exceeded": ("quota", False),
    "too_many_concurrent_requests": ("rate", False),
    "rate_limit_exceeded": ("rate", False),
    "system_busy": ("rate", False),
    "voice_not_found": ("config", False),
    "voice_id_does_not_exist": ("config", False),
    "model_not_found": ("config", False),
    "invalid_input_message": ("config", False),
    "invalid_parameters": ("config", False),
    # A new socket cures both, and neither is a fault of the vendor's.
    "input_timeout_exceeded": ("session_expired", True),
    "max_active_conversations": ("session_expired", True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ElevenLabsVoice:
    """What a link is opened with. Settings of the voice that are None stay as they are kept with the voice."""

    voice: Annotated[str, msgspec.Meta(min_length=1)]
    model: str = "eleven_flash_v2_5"
    language: str = ""
    no_store: bool = False
    """Nothing of it is logged; the vendor grants that to enterprise customers only and refuses others."""
    stability: float | None = None
    similarity_boost: float | None = None
    style: float | None = None
    use_speaker_boost: bool | None = None
    speed: float | None = None

    @property
    def settings(self) -> dict[str, float | bool]:
        given = {
            "stability": self.stability,
            "similarity_boost": self.similarity_boost,
            "style": self.style,
            "use_speaker_boost": self.use_speaker_boost,
            "speed": self.speed,
        }
        return {name: value for name, value in given.items() if value is not None}


class _Alignment(msgspec.Struct, frozen=True, rename="camel"):
    """The description of the API writes `charsDurationsMs`, its server and its SDK `charDurationsMs`."""

    chars: list[str] = []
    char_start_times_ms: list[float] = []
    char_durations_ms: list[float] = []
    chars_durations_ms: list[float] = []


class _Said(msgspec.Struct, frozen=True, rename="camel"):
    """The description and the SDK know a context by `contextId`; the server was seen to send `context_id`."""

    audio: bytes | None = None
    context_id: str | None = None
    context: str | None = msgspec.field(default=None, name="context_id")
    is_final: bool | None = None
    alignment: _Alignment | None = None
    error: Any = None


_said = msgspec.json.Decoder(_Said)


@dataclass(slots=True)
class _Line:
    sound: LineSound
    text: str = ""
    at: int = 0
    """How many characters of the text have their place in the sound."""
    open: bool = False
    ended: bool = False


def link_url(base_url: str, session: ElevenLabsVoice, query: Mapping[str, str]) -> str:
    """`base_url` ends before or with `PATH`, such as wss://api.eu.residency.elevenlabs.io; `query` overrides."""
    asked = {
        "model_id": session.model,
        "output_format": "ulaw_8000",
        "auto_mode": "true",
        "sync_alignment": "true",
        "inactivity_timeout": str(INACTIVITY_S),
    }
    if session.no_store:
        asked["enable_logging"] = "false"
    if session.language and session.model in TAKE_LANGUAGE:
        asked["language_code"] = session.language.partition("-")[0].lower()
    parts = urlsplit(base_url)
    path = f"{parts.path.rstrip('/').removesuffix(PATH)}{PATH}/{quote(session.voice, safe='')}/multi-stream-input"
    return urlunsplit(parts._replace(path=path, query=urlencode({**asked, **query})))


def headers(key: str) -> dict[str, str]:
    return {"xi-api-key": key}


class ElevenLabsSpeaking:
    audio_is_binary = False
    keep_alive_s = 15.0
    """The vendor drops what was silent for 20 s, unless it was asked for longer."""

    def __init__(self, session: ElevenLabsVoice) -> None:
        self._lines: dict[str, _Line] = {}
        self._over = LinesOver()
        self._unreadable = 0
        self._first: dict[str, Any] = {"text": " "}
        if session.settings:
            self._first["voice_settings"] = session.settings

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
        # The vendor wants each text to end in a space.
        spaced = text if text[-1].isspace() else f"{text} "
        return [*self._open(line, found), _json({"text": spaced, "context_id": line})]

    def end(self, line: str) -> list[bytes]:
        found = self._lines.get(line)
        if found is None or found.ended:
            return []
        out = self._open(line, found)
        found.ended = True
        return [*out, _json({"context_id": line, "flush": True}), _close(line)]

    def cancel(self, line: str) -> list[bytes]:
        self._over.add(line)
        found = self._lines.pop(line, None)
        return [_close(line)] if found is not None and found.open and not found.ended else []

    def keep_alive(self) -> list[bytes]:
        waiting = [line for line, found in self._lines.items() if found.open and not found.ended]
        return [_json({"text": "", "context_id": line}) for line in waiting] or [_json({"text": ""})]

    def closing(self) -> list[bytes]:
        return [_json({"close_socket": True})]

    def _open(self, line: str, found: _Line) -> list[bytes]:
        """Settings of the voice may only stand in the first message of a context."""
        if found.open:
            return []
        found.open = True
        return [_json({**self._first, "context_id": line})]

    # --- from the provider

    def decode(self, message: bytes, *, binary: bool) -> Iterable[st.SpeakingEvent]:
        if binary:
            return ()
        try:
            said = _said.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (st.StageLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()
        line = said.context_id or said.context or ""
        found = self._lines.get(line)
        if said.error and (found is not None or not line):
            word, retry_same = _LOST.get(str(said.error), ("server", True))
            return (st.StageLost(word, retry_same),)
        return self._heard(line, found, said) if found is not None else ()

    def _heard(self, line: str, found: _Line, said: _Said) -> Iterable[st.SpeakingEvent]:
        if said.alignment is not None:
            # Times count from this message's sound on, also where it speaks for that of the next ones.
            _align(found, said.alignment, from_ms=found.sound.ms)
        out: list[st.SpeakingEvent] = []
        out += found.sound.came(said.audio) if said.audio else found.sound.reached()
        if not said.is_final:
            return out
        out += found.sound.reached(whole=True)
        if found.ended:
            del self._lines[line]
            self._over.add(line)
            out.append(st.LineDone(line))
        # Else it was closed by the vendor: what is still to be said opens it again.
        found.open = False
        return out


def _align(found: _Line, alignment: _Alignment, *, from_ms: int) -> None:
    """Each end of a word has its place in the sound, and the end of what was told."""
    durations = alignment.char_durations_ms or alignment.chars_durations_ms
    upto_ms = float(from_ms)
    for spoken, start, lasts in zip(alignment.chars, alignment.char_start_times_ms, durations, strict=False):
        if spoken.isspace():
            found.sound.place(found.at, upto_ms)
        found.at = _after(found.text, found.at, spoken)
        upto_ms = from_ms + start + lasts
    found.sound.place(found.at, upto_ms)


def _after(text: str, at: int, spoken: str) -> int:
    """Where in the text one stands after this was spoken. Spaces that were added or left out count for nothing."""
    if spoken.isspace():
        return at + 1 if text[at : at + 1].isspace() else at
    while text[at : at + 1].isspace():
        at += 1
    return min(len(text), at + len(spoken))


def _close(line: str) -> bytes:
    return _json({"context_id": line, "close_context": True})


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)
