"""Providers: what speech vendors say on a link, translated. Each is a pure codec; none knows of legs or of others.

A speech-to-speech provider is one codec on one socket. A cascade is three: one that hears, one that thinks, one that
speaks. What a codec gives out to be sent is text, unless its `audio_is_binary` says that the audio is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st


class ProviderCodec(Protocol):
    """Speech to speech. One object per link."""

    silence_max_s: float
    """A vendor whose messages never pause has stalled when none came for so long; 0: this one's may."""

    def opening(self) -> list[bytes]:
        """What to send as soon as the link is open."""
        ...

    def append(self, payload: bytes) -> bytes:
        """A piece of the caller's audio."""
        ...

    def noticed(self) -> Sequence[ev.Event]:
        """What the codec itself made of the caller's audio, where the vendor says nothing of it."""
        ...

    def encode(self, effect: ev.ToProvider) -> list[bytes]: ...

    def decode(self, message: bytes) -> Iterable[ev.Event]:
        """What a message means, whether it came as text or as a binary frame."""
        ...


class HearingCodec(Protocol):
    """Speech to text. One object per link."""

    audio_is_binary: bool
    keep_alive_s: float
    """Without audio for so long, `keep_alive` has to be sent; 0: never."""
    silence_max_s: float
    """While audio comes, an ear that said nothing for so long has stalled; 0: this one may be silent."""

    heard_ms: float
    """How far into all the audio that it was sent the last thing that it said goes; 0: it does not say."""

    def opening(self) -> list[bytes]: ...

    def append(self, payload: bytes) -> bytes | None:
        """What to send now for this piece of the caller's audio; None while more is collected."""
        ...

    def keep_alive(self) -> bytes:
        """Audio without a sound: a vendor's own word for it would let the time of the audio stand still."""
        ...

    def closing(self) -> list[bytes]:
        """What to send before the link is closed in order."""
        ...

    def decode(self, message: bytes, *, binary: bool) -> Iterable[st.HearingEvent]: ...


class Reply(Protocol):
    """Reads the stream of one answer."""

    @property
    def pieces(self) -> int:
        """How much of the answer came so far: what is no part of it (pings, comments, garbage) does not count."""
        ...

    def feed(self, chunk: bytes) -> Iterable[st.ThinkingEvent]:
        """The chunks of the body, cut anywhere."""
        ...

    def end(self) -> Iterable[st.ThinkingEvent]:
        """The body is over: `StageLost` when the reply was not whole."""
        ...


class ThinkingCodec(Protocol):
    """A language model, asked by one HTTP request per reply."""

    def request(self, thought: st.Thought, *, now: float) -> st.Request:
        """`now`: seconds since 1970, for vendors that want requests signed with the time."""
        ...

    def reply(self) -> Reply: ...

    def status_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> st.StageLost:
        """What an answer other than 200 says. Names of headers may be written in any way."""
        ...


class SpeakingCodec(Protocol):
    """Text to speech. One object per link; several lines may be under way on it."""

    audio_is_binary: bool
    keep_alive_s: float

    def opening(self) -> list[bytes]: ...

    def say(self, line: str, text: str) -> list[bytes]:
        """A piece of the line, ending between words; a new line is opened by its first piece."""
        ...

    def end(self, line: str) -> list[bytes]:
        """No more text of this line comes: all of its sound is wanted now."""
        ...

    def cancel(self, line: str) -> list[bytes]:
        """The line is not wanted any more: no sound of it is given out after this, whatever still comes."""
        ...

    def keep_alive(self) -> list[bytes]: ...

    def closing(self) -> list[bytes]: ...

    def decode(self, message: bytes, *, binary: bool) -> Iterable[st.SpeakingEvent]: ...
