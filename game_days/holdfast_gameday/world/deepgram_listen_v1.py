"""One session of the simulated Deepgram Nova (`/v1/listen`): results, interim and final, and the events of its voice
detector. It knows no turns, no sockets and no keys.

    SpeechStarted    the first sound after a pause, with `vad_events`
    Results          what was understood since the last final one: interim now and then, with words or without; final
                     when a pause comes (`speech_final`), when too much has gathered, or when told to
    UtteranceEnd     no word for `utterance_end_ms` after the last final one
    Metadata         before the link is closed

https://developers.deepgram.com/docs/understand-endpointing-interim-results
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast_gameday.world.deepgram_listen import (
    Listener,
    Outbox,
    Refusal,
    Step,
    Surroundings,
    Watch,
    Word,
    flag,
    one,
    transcript,
    whole_number,
)
from holdfast_gameday.world.vendor_faults import Fault

PATH = "/v1/listen"
MODELS = frozenset({
    "nova-3", "nova-3-general", "nova-3-medical", "nova-2", "nova-2-general", "nova-2-phonecall",
    "nova-2-conversationalai",
})  # fmt: skip
_LANGUAGES = frozenset({
    "multi", "ar", "be", "bg", "bn", "bs", "ca", "cs", "da", "da-DK", "de", "de-CH", "el", "en", "en-AU",
    "en-GB", "en-IN", "en-NZ", "en-US", "es", "es-419", "et", "fa", "fi", "fr", "fr-CA", "he", "hi", "hr", "hu",
    "id", "it", "ja", "kn", "ko", "ko-KR", "lt", "lv", "mk", "mr", "ms", "nl", "nl-BE", "no", "pl", "pt",
    "pt-BR", "pt-PT", "ro", "ru", "sk", "sl", "sr", "sv", "sv-SE", "ta", "te", "th", "tl", "tr", "uk", "ur",
    "vi", "zh", "zh-CN", "zh-HK", "zh-TW",
})  # fmt: skip
NET_0000 = "Deepgram did not provide a response message within the timeout window. See https://dpgr.am/net0000"
NET_0001 = (
    "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
)
DATA_0000 = "DATA-0000"
_FLAGS = ("interim_results", "vad_events", "punctuate", "smart_format", "numerals", "diarize", "profanity_filter")
_PARAMETERS = frozenset({
    *_FLAGS, "model", "encoding", "sample_rate", "channels", "endpointing", "utterance_end_ms", "language",
    "language_hint", "keyterm", "mip_opt_out", "tag", "redact", "multichannel", "version", "extra",
})  # fmt: skip
_ENDPOINTING_MS = 10
_PAUSE_MS = 500
_CHANNEL = [0, 1]
_CREATED = "2026-11-22T00:00:00.000Z"
_MODEL_UUID = "4899aa60-f723-4517-9815-2042acc12a82"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a session was opened with."""

    model: str
    audible: bool
    """What will be sent can be understood: µ-law at 8 kHz is all that the practice range speaks."""
    interim: bool
    vad: bool
    endpointing_ms: int | None
    utterance_end_ms: int | None


def asked_for(query: Mapping[str, list[str]]) -> Asked:
    try:
        return _asked_for(query)
    except Refusal as refusal:
        description = f"Failed to deserialize query parameters: {refusal.description}"
        raise Refusal(description, "INVALID_QUERY_PARAMETER") from refusal


def _asked_for(query: Mapping[str, list[str]]) -> Asked:
    unknown = sorted(set(query) - _PARAMETERS)
    if unknown:
        raise Refusal(f"unknown field `{unknown[0]}`")
    model = one(query, "model", "nova-2-general")
    if model not in MODELS or one(query, "language", "en") not in _LANGUAGES:
        raise Refusal("No such model/language/tier combination found.")
    if one(query, "channels", "1") != "1":
        raise Refusal("the practice range has one channel only")
    on = {name: flag(query, name) for name in _FLAGS}
    endpointing: int | None = _ENDPOINTING_MS
    given = one(query, "endpointing", "true")
    if given == "false":
        endpointing = None
    elif given != "true":
        endpointing = whole_number(given, "endpointing", 0, 60_000)
    utterance_end: int | None = None
    if "utterance_end_ms" in query:
        utterance_end = whole_number(one(query, "utterance_end_ms"), "utterance_end_ms", 1000, 5000)
        if not on["interim_results"]:
            raise Refusal("utterance_end_ms requires interim_results=true")
    audible = (one(query, "encoding"), one(query, "sample_rate")) == ("mulaw", "8000")
    return Asked(model, audible, on["interim_results"], on["vad_events"], endpointing, utterance_end)


class ResultSession:
    def __init__(self, around: Surroundings, asked: Asked) -> None:
        self._around = around
        self._asked = asked
        self._out = Outbox(around)
        self._watch = Watch(around.wire, around.pace.nothing_heard_s, self._nothing_heard)
        self._ear = Listener()
        self._failing: Fault | None = None
        self._open = self._over = False
        self._voiced = False
        self._in_turn = False
        self._segment_ms = 0
        self._told_ms = 0
        self._last_word_ms: int | None = None
        """Where the last final word ended, until that was told to be the end of an utterance."""

    # --- `vendor_sockets.Session`

    def open(self) -> None:
        """The vendor says nothing here."""
        self._open = True
        self._watch.start()
        if self._failing is not None:
            self.fail(self._failing)

    def receive(self, message: bytes, *, binary: bool) -> None:
        if self._over:
            return
        if not binary:
            self._control(message)
        elif not message:
            self._finish()
        elif not self._asked.audible or message.startswith(b"{"):
            # µ-law has no such beginning by chance: somebody sent a message of text as audio.
            self._leave(1008, DATA_0000)
        else:
            self._watch.heard()
            for step in self._ear.steps(message):
                self._step(step)

    def fail(self, fault: Fault | None) -> None:
        """This endpoint has no word for an error of its own: it closes."""
        self._failing = fault
        if fault is not None and self._open:
            self._leave(1011, NET_0000)

    def close(self) -> None:
        self._over = True
        self._watch.stop()
        self._out.drop()
        self._around.left()

    # --- the caller's audio

    def _step(self, step: Step) -> None:
        asked, ear, pace = self._asked, self._ear, self._around.pace
        if step.speech and not self._voiced:
            self._voiced = True
            if asked.vad:
                self._say("SpeechStarted", begins=True, channel=_CHANNEL, timestamp=ear.at_ms / 1000)
        pause_ms = _PAUSE_MS if asked.endpointing_ms is None else asked.endpointing_ms
        paused = self._voiced and not step.speech and ear.quiet_ms >= pause_ms
        if paused:
            self._voiced = False
        if paused and asked.endpointing_ms is not None:
            self._result(final=True, pause=True)
            self._in_turn = False
        elif ear.at_ms - self._segment_ms >= pace.final_ms:
            # Silence alone is final, too, and a pause without words.
            self._result(final=True, pause=not self._voiced and not ear.words and asked.endpointing_ms is not None)
        elif asked.interim and ear.at_ms - self._told_ms >= pace.interim_ms:
            self._result(final=False, pause=False)
        self._look_for_a_gap()

    def _look_for_a_gap(self) -> None:
        asked, last_ms = self._asked, self._last_word_ms
        if asked.utterance_end_ms is None or last_ms is None or self._ear.words:
            return
        if self._ear.at_ms - last_ms >= asked.utterance_end_ms:
            self._last_word_ms = None
            self._in_turn = self._in_turn and self._voiced
            self._say("UtteranceEnd", channel=_CHANNEL, last_word_end=last_ms / 1000)

    def _result(self, *, final: bool, pause: bool, asked_to: bool = False) -> None:
        at_ms, start_ms = self._ear.at_ms, self._segment_ms
        words = self._ear.take() if final else self._ear.words
        self._told_ms = at_ms
        if final:
            self._segment_ms = at_ms
            self._last_word_ms = words[-1].end_ms if words else self._last_word_ms
        self._say(
            "Results",
            begins=bool(words),
            channel_index=_CHANNEL,
            duration=(at_ms - start_ms) / 1000,
            start=start_ms / 1000,
            is_final=final,
            speech_final=pause,
            channel={"alternatives": [_alternative(words)]},
            metadata={
                "request_id": self._around.request_id,
                "model_info": {"name": self._asked.model, "version": "practice", "arch": "nova"},
                "model_uuid": _MODEL_UUID,
            },
            from_finalize=asked_to,
        )

    # --- what the client says

    def _control(self, message: bytes) -> None:
        try:
            said = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = None
        match said:
            case {"type": "KeepAlive"}:
                # It keeps up a stream of audio; one that has not begun is not kept up by it.
                if self._ear.at_ms:
                    self._watch.heard()
            case {"type": "Finalize"}:
                self._result(final=True, pause=False, asked_to=True)
            case {"type": "CloseStream"}:
                self._finish()
            case _:
                self._say(
                    "Error",
                    variant="SchemaError",
                    description="Could not deserialize last text message.",
                    message=message.decode(errors="replace"),
                )

    # --- ends

    def _finish(self) -> None:
        if self._ear.words:
            self._result(final=True, pause=False)
        self._leave(1000)

    def _nothing_heard(self) -> None:
        self._leave(1011, NET_0001)

    def _leave(self, code: int, reason: str = "") -> None:
        self._say(
            "Metadata",
            transaction_key="deprecated",
            request_id=self._around.request_id,
            sha256="incomplete",
            created=_CREATED,
            duration=self._ear.at_ms / 1000,
            channels=1,
        )
        self._out.flush()
        self._around.wire.leave(code, reason)

    def _say(self, kind: str, *, begins: bool = False, **fields: Any) -> None:
        """`begins`: it is of a turn, and the first of it unless one has gone before."""
        first, self._in_turn = begins and not self._in_turn, self._in_turn or begins
        self._out.put(msgspec.json.encode({"type": kind, **fields}), begins=first)


def _alternative(words: list[Word]) -> dict[str, Any]:
    shown = [
        {
            "word": word.text.strip().strip(".,?!").lower(),
            "start": word.start_ms / 1000,
            "end": word.end_ms / 1000,
            "confidence": 0.98,
            "punctuated_word": word.text.strip(),
        }
        for word in words
    ]
    return {"transcript": transcript(words), "confidence": 0.98 if words else 0.0, "words": shown}
