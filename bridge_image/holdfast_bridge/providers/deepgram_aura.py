"""Deepgram Aura, text to speech on one stream, µ-law at 8 kHz. Pure, one object per link.

Aura knows no lines: it speaks what it was sent, in order, and `Flushed` closes what was flushed. So the order of lines
is kept here. `Clear` empties all that was sent, whoever's it was: lines behind the cancelled one are sent again.

    the line is                       `cancel` means
    not sent: one before it is open   forget it
    the first that is wanted          Clear, and no sound of anything until Cleared
    behind one that is wanted         flush it where that was not done, and give out nothing of it

A flush that is refused, because there were too many in a minute, would never end its line: it loses the stage.
Flux TTS is another protocol and is not spoken here. Aura tells nothing of which words a sound holds.

https://developers.deepgram.com/docs/tts-websocket
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import deepgram
from holdfast_bridge.providers.line_sound import LinesOver

PATH = "/v1/speak"
_FLUSH = b'{"type":"Flush"}'
_CLEAR = b'{"type":"Clear"}'
_CLOSE = b'{"type":"Close"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class AuraVoice:
    """What a link is opened with. The vendor's one name for model, voice and language may be given as `voice`."""

    voice: str = "thalia"
    model: str = "aura-2"
    language: str = "en"
    no_store: bool = False
    """Opts out of the vendor's use of what is said; it costs more."""
    speed: float | None = None

    @property
    def name(self) -> str:
        if self.voice.startswith("aura"):
            return self.voice
        return f"{self.model}-{self.voice}-{self.language.partition('-')[0].lower()}"


class _Said(msgspec.Struct, frozen=True):
    type: str
    description: str | None = None


_said = msgspec.json.Decoder(_Said)


@dataclass(slots=True, eq=False)
class _Line:
    id: str
    texts: list[str] = field(default_factory=list)
    ended: bool = False
    wanted: bool = True


def link_url(base_url: str, session: AuraVoice, query: Mapping[str, str]) -> str:
    """`base_url` ends before or with the endpoint's path, such as wss://api.eu.deepgram.com; `query` overrides."""
    asked = {"model": session.name, "encoding": "mulaw", "sample_rate": "8000"}
    if session.no_store:
        asked["mip_opt_out"] = "true"
    if session.speed is not None:
        asked["speed"] = f"{session.speed:g}"
    return deepgram.link_url(base_url, PATH, asked, query)


class AuraSpeaking:
    audio_is_binary = True
    keep_alive_s = 0.0

    def __init__(self) -> None:
        self._lines: deque[_Line] = deque()
        """In the order of their sound. All up to the first that has not ended are sent; those after it wait."""
        self._over = LinesOver()
        self._clears = 0
        self._unreadable = 0

    # --- to the provider

    def opening(self) -> list[bytes]:
        return []

    def say(self, line: str, text: str) -> list[bytes]:
        if not text or line in self._over:
            return []
        found = self._find(line)
        if found is None:
            found = _Line(line)
            self._lines.append(found)
        if found.ended:
            return []
        found.texts.append(text)
        return [_speak(text)] if self._sent(found) else []

    def end(self, line: str) -> list[bytes]:
        found = self._find(line)
        if found is None or found.ended:
            return []
        sent = self._sent(found)
        found.ended = True
        return [_FLUSH, *self._sending(after=found)] if sent else []

    def cancel(self, line: str) -> list[bytes]:
        self._over.add(line)
        found = self._find(line)
        if found is None:
            return []
        if not self._sent(found):
            self._lines.remove(found)
            return []
        found.wanted = False
        if not any(each.wanted for each in self._before(found)):
            self._clears += 1
            self._lines = deque(each for each in self._lines if each.wanted)
            return [_CLEAR, *self._sending(after=None)]
        if found.ended:
            return []
        found.ended = True
        return [_FLUSH, *self._sending(after=found)]

    def keep_alive(self) -> list[bytes]:
        return []

    def closing(self) -> list[bytes]:
        return [_CLOSE]

    # --- from the provider

    def decode(self, message: bytes, *, binary: bool) -> Iterable[st.SpeakingEvent]:
        if binary:
            return self._sound(message)
        try:
            said = _said.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (st.StageLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()
        if said.type == "Flushed":
            return self._flushed()
        if said.type == "Cleared":
            self._clears = max(0, self._clears - 1)
        elif said.type == "Warning" and "flush" in (said.description or "").lower():
            return (st.StageLost("rate", retry_same=False),)
        elif said.type == "Error":
            return (st.StageLost("server"),)
        return ()

    def _sound(self, payload: bytes) -> Iterable[st.SpeakingEvent]:
        if not payload or self._clears or not self._lines or not self._lines[0].wanted:
            return ()
        return (st.Sound(self._lines[0].id, payload),)

    def _flushed(self) -> Iterable[st.SpeakingEvent]:
        if self._clears or not self._lines or not self._lines[0].ended:
            return ()
        done = self._lines.popleft()
        self._over.add(done.id)
        return (st.LineDone(done.id),) if done.wanted else ()

    # --- the order of lines

    def _find(self, line: str) -> _Line | None:
        return next((each for each in self._lines if each.id == line and each.wanted), None)

    def _before(self, line: _Line) -> list[_Line]:
        lines = list(self._lines)
        return lines[: lines.index(line)]

    def _sent(self, line: _Line) -> bool:
        return all(each.ended for each in self._before(line))

    def _sending(self, *, after: _Line | None) -> list[bytes]:
        """What has to be sent of the lines behind this one (None: of all), up to the first that has not ended."""
        lines = list(self._lines)
        out: list[bytes] = []
        for line in lines[lines.index(after) + 1 if after is not None else 0 :]:
            out += [_speak(text) for text in line.texts]
            if not line.ended:
                break
            out.append(_FLUSH)
        return out


def _speak(text: str) -> bytes:
    return msgspec.json.encode({"type": "Speak", "text": text})
