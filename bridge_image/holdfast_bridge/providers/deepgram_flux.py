"""Deepgram Flux (`/v2/listen`): the caller's µ-law goes out, the caller's turns come back. Pure, one object per link.

All configuration is in the link's URL, so nothing is sent when it opens. The vendor decides where a turn ends and says
beforehand when it is likely to. Unknown messages are let pass; what cannot be read is dropped, and too much of it means
the link is ill.

https://developers.deepgram.com/docs/flux/state
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import deepgram

PATH = "/v2/listen"
ENGLISH = "flux-general-en"
MULTILINGUAL = "flux-general-multi"
LANGUAGES = frozenset({"en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})
"""All that `flux-general-multi` hears."""
KEYTERMS_MAX = 100
MESSAGE_BYTES = 640
"""80 ms of µ-law at 8 kHz: the vendor hears best in pieces of this length."""
KEEP_ALIVE_BYTES = 4_000
_SILENT_BYTE = b"\xff"
_CLOSE_STREAM = b'{"type":"CloseStream"}'

# The codes of fatal errors that do not lie with the server. `inactive`: it heard nothing from us for too long.
_NOT_THE_SERVERS: Mapping[str, tuple[str, bool]] = {
    "UNPARSABLE_CLIENT_MESSAGE": ("config", False),
    "DATA-0000": ("config", False),
    "INVALID_AUTH": ("auth", False),
    "INSUFFICIENT_PERMISSIONS": ("auth", False),
    "ASR_PAYMENT_REQUIRED": ("quota", False),
    "TOO_MANY_REQUESTS": ("rate", False),
    "INACTIVE_CLIENT": ("inactive", True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxSession:
    """What a link is opened with. ValueError for what the vendor is known to refuse every link for."""

    model: str = ENGLISH
    language_hints: tuple[str, ...] = ()
    """Languages such as "de" or "pt-BR" that are likely to be spoken."""
    eager_threshold: float | None = None
    """How sure (0.3 to 0.9, at most `end_threshold`) before a turn is said to be likely over; None: it never is."""
    end_threshold: float = 0.7
    """How sure (0.5 to 1.0) before a turn ends; 1.0: only silence ends it."""
    end_timeout_ms: int = 5000
    """Silence (500 to 60000) that ends a turn however unsure the vendor is."""
    keyterms: tuple[str, ...] = ()
    """Words or phrases to listen for."""
    no_store: bool = False
    """True: the vendor may not keep the audio to improve its models."""

    def __post_init__(self) -> None:
        spoken = {_base(hint) for hint in self.language_hints}
        if unknown := sorted(spoken - LANGUAGES):
            raise ValueError(f"Flux does not hear {', '.join(unknown)}; it hears {', '.join(sorted(LANGUAGES))}")
        if self.model == ENGLISH and spoken and "en" not in spoken:
            raise ValueError(f"{ENGLISH} hears English only; {', '.join(sorted(spoken))} needs {MULTILINGUAL}")
        if not 0.5 <= self.end_threshold <= 1.0:
            raise ValueError("endThreshold must be from 0.5 to 1.0")
        if self.eager_threshold is not None and not 0.3 <= self.eager_threshold <= min(0.9, self.end_threshold):
            raise ValueError("eagerThreshold must be from 0.3 to 0.9, and not above endThreshold")
        if not 500 <= self.end_timeout_ms <= 60_000:
            raise ValueError("endTimeoutMs must be from 500 to 60000")
        if len(self.keyterms) > KEYTERMS_MAX:
            raise ValueError(f"keyterms must be at most {KEYTERMS_MAX}")


class _Message(msgspec.Struct, frozen=True, gc=False):
    type: str
    event: str = ""
    turn_index: int | None = None
    transcript: str = ""
    audio_window_end: float = 0.0
    """In seconds of audio."""
    code: str = ""


_message = msgspec.json.Decoder(_Message)


def model_for(language: str) -> str:
    """The model for a language such as "en-US"."""
    return ENGLISH if _base(language) == "en" else MULTILINGUAL


def link_url(base_url: str, session: FluxSession, query: Mapping[str, str]) -> str:
    """`base_url` ends before or with the endpoint's path, such as wss://api.eu.deepgram.com; `query` overrides."""
    asked: dict[str, Any] = {
        "model": session.model,
        "encoding": "mulaw",
        "sample_rate": 8000,
        "eot_threshold": session.end_threshold,
        "eot_timeout_ms": session.end_timeout_ms,
    }
    if session.eager_threshold is not None:
        asked["eager_eot_threshold"] = session.eager_threshold
    if session.model == MULTILINGUAL:
        # Every other model refuses the link for a hint.
        asked["language_hint"] = list(dict.fromkeys(map(_base, session.language_hints)))
    asked["keyterm"] = session.keyterms
    if session.no_store:
        asked["mip_opt_out"] = "true"
    return deepgram.link_url(base_url, PATH, asked, query)


class FluxHearing:
    audio_is_binary = True
    keep_alive_s = 0.5
    silence_max_s = 2.0
    """The vendor says something every quarter of a second of audio, be it silent."""

    def __init__(self) -> None:
        self.heard_ms = 0.0
        self._held = b""
        self._ready = False
        self._begun = False
        self._ended: int | None = None
        """The index of the last turn that ended."""
        self._told = ""
        self._unreadable = 0

    # --- to the vendor

    def opening(self) -> list[bytes]:
        return []

    def append(self, payload: bytes) -> bytes | None:
        """Nothing but more audio, silence too, sends what is held: less than 80 ms."""
        self._held += payload
        if len(self._held) < MESSAGE_BYTES:
            return None
        message, self._held = self._held, b""
        return message

    def keep_alive(self) -> bytes:
        """As much audio as was missing, the end of it silent. There is no word for it: without audio the vendor's time
        stands still, and a turn that has begun would never end."""
        message, self._held = self._held.ljust(KEEP_ALIVE_BYTES, _SILENT_BYTE), b""
        return message

    def closing(self) -> list[bytes]:
        return [_CLOSE_STREAM]

    # --- from the vendor

    def decode(self, message: bytes, *, binary: bool) -> Iterable[st.HearingEvent]:
        if binary:
            return ()
        try:
            said = _message.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._unreadable += 1
            return (st.StageLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()
        match said.type:
            case "TurnInfo":
                self.heard_ms = said.audio_window_end * 1000
                return self._turn(said)
            case "Connected":
                first, self._ready = not self._ready, True
                return (st.StageReady(),) if first else ()
            case "Error":
                return (_lost(said.code),)
            case _:
                return ()

    def _turn(self, said: _Message) -> Iterable[st.HearingEvent]:
        """A turn whose beginning was missed is told whole, unless it is the one that has just ended."""
        text = said.transcript.strip()
        tellable = self._begun or (text != "" and (said.turn_index is None or said.turn_index != self._ended))
        match said.event:
            case "StartOfTurn":
                return (*self._begin(), *self._words(text))
            case "Update":
                return self._words(text)
            case "EagerEndOfTurn" if text and tellable:
                begun, self._told = self._begin(), text
                return (*begun, st.TurnLikelyOver(text))
            case "TurnResumed" if self._begun:
                return (st.TurnGoesOn(), *self._words(text))
            case "EndOfTurn" if tellable:
                begun = self._begin()
                self._begun, self._told, self._ended = False, "", said.turn_index
                return (*begun, st.TurnEnded(text))
            case _:
                return ()

    def _begin(self) -> tuple[st.HearingEvent, ...]:
        first, self._begun = not self._begun, True
        return (st.TurnBegan(),) if first else ()

    def _words(self, text: str) -> tuple[st.HearingEvent, ...]:
        """Updates come four times a second, whether anything new was understood or not."""
        if not self._begun or not text or text == self._told:
            return ()
        self._told = text
        return (st.Words(text),)


def _lost(code: str) -> st.StageLost:
    """The vendor ends the link after each of its errors."""
    word, retry_same = _NOT_THE_SERVERS.get(code, ("server_error", True))
    return st.StageLost(word, retry_same=retry_same)


def _base(language: str) -> str:
    return language.partition("-")[0].lower()
