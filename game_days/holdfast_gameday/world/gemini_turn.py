"""One turn of the simulated Gemini on its way out: sound at 24 kHz with its words, calls of tools, and its end.

It is given what to say and a wire; it knows neither the conversation's rules nor who may interrupt.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast_gameday.world import openai_model, voice, voice_linear
from holdfast_gameday.world.gemini_wire import Part
from holdfast_gameday.world.openai_response import Timer
from holdfast_gameday.world.speaking_sound import Outlet, Pace
from holdfast_gameday.world.vendor_sockets import Wire

RATE = 24_000
_OCTETS_PER_MS = RATE * 2 // 1000
_MIME = f"audio/pcm;rate={RATE}"
Send = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Speaker:
    """What a turn needs of its session."""

    wire: Wire
    send: Send
    number: int
    """The session's, by which its voice is known."""
    next_utterance: Callable[[], int]
    next_call: Callable[[], str]
    pace: Pace
    waits_for_playback: bool
    """The end of a turn comes when its sound would have been heard."""
    words: bool
    """Transcriptions were asked for."""
    together: bool
    """Sound and words come in one event, as newer models send them."""


class Turn:
    def __init__(
        self,
        by: Speaker,
        outputs: tuple[openai_model.Output, ...],
        *,
        called: Callable[[str], None],
        over: Callable[[], None],
    ) -> None:
        self.said: list[Part] = []
        """What has gone out of it, as it stands in the conversation."""
        self._by = by
        self._called = called
        self._over = over
        self._sound_ms = 0
        self._outlet = Outlet(by.wire, by.pace)
        self._end: Timer | None = None
        for output in outputs:
            if isinstance(output, openai_model.Call):
                self._outlet.add(lambda call=output: self._call(call))  # type: ignore[misc]
            else:
                self._say(output)
        if not outputs or not isinstance(outputs[-1], openai_model.Call):
            self._outlet.add(self._generated)

    def stop(self) -> None:
        """Nothing more of it goes out."""
        self._outlet.stop()
        if self._end is not None:
            self._end.cancel()

    def _say(self, say: openai_model.Say) -> None:
        """All of it in one utterance, so that a listener has it whole or knows what is missing."""
        pcm = voice_linear.encode_utterance(
            voice.Speaker.AGENT, self._by.number, self._by.next_utterance(), say.text, say.frames, rate=RATE
        )
        size = self._by.pace.chunk_ms * _OCTETS_PER_MS
        chunks = [pcm[at : at + size] for at in range(0, len(pcm), size)]
        for chunk, words in zip(chunks, _shared(say.text, len(chunks)), strict=True):
            ms = len(chunk) // _OCTETS_PER_MS
            self._outlet.add(lambda chunk=chunk, words=words: self._sound(chunk, words), ms=ms)  # type: ignore[misc]

    def _sound(self, pcm: bytes, words: str) -> None:
        first = not self._sound_ms
        self._sound_ms += len(pcm) // _OCTETS_PER_MS
        part = {"inlineData": {"mimeType": _MIME, "data": base64.b64encode(pcm).decode()}}
        sound: dict[str, Any] = {"modelTurn": {"role": "model", "parts": [part]}}
        text = {"outputTranscription": {"text": words}} if words and self._by.words else {}
        if self._by.together:
            self._by.send({"serverContent": sound | text})
        else:
            self._by.send({"serverContent": sound})
            if text:
                self._by.send({"serverContent": text})
        if self.said and self.said[-1].text is not None:
            self.said[-1] = Part(text=self.said[-1].text + words)
        else:
            self.said.append(Part(text=words))
        if first:
            self._by.wire.reached("speaking")

    def _call(self, call: openai_model.Call) -> None:
        given = {"id": self._by.next_call(), "name": call.name, "args": json.loads(call.arguments)}
        self.said.append(Part(function_call=given))
        self._called(given["id"])
        self._by.send({"toolCall": {"functionCalls": [given]}})
        self._by.wire.reached("tool")

    def _generated(self) -> None:
        self._by.send({"serverContent": {"generationComplete": True}})
        ahead_s = self._sound_ms / 1000 * (1 - 1 / self._by.pace.speed) if self._by.waits_for_playback else 0.0
        self._end = self._by.wire.later(max(0.0, ahead_s), self._over)


def _shared(text: str, shares: int) -> list[str]:
    """The text's characters over so many chunks of sound, words first, with a space behind the last of it."""
    text = f"{text} "
    return [text[len(text) * share // shares : len(text) * (share + 1) // shares] for share in range(shares)]
