"""One session of the simulated Deepgram Flux (`/v2/listen`): turns, told as its state machine tells them.

    before a turn     Update, without words
    StartOfTurn       the first word
    Update            every quarter of a second in which nothing else happened
    EagerEndOfTurn    sure enough for `eager_eot_threshold`, if that was asked for
    TurnResumed       after that, the words changed
    EndOfTurn         sure enough for `eot_threshold`, or silent for `eot_timeout_ms`, or told to

How sure it is grows with the silence alone: what was said does not matter to it. It knows no sockets and no keys.

https://developers.deepgram.com/docs/flux/state
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from holdfast_gameday.world.deepgram_listen import (
    Listener,
    Outbox,
    Refusal,
    Step,
    Surroundings,
    Watch,
    flag,
    one,
    transcript,
)
from holdfast_gameday.world.vendor_faults import Fault

PATH = "/v2/listen"
MULTILINGUAL = "flux-general-multi"
MODELS = ("flux-general-en", MULTILINGUAL)
LANGUAGES = frozenset({"en", "es", "fr", "de", "hi", "ru", "pt", "ja", "it", "nl"})
KEYTERMS_MAX = 100
SUREST = 0.99
_PARAMETERS = frozenset({
    "model", "encoding", "sample_rate", "eager_eot_threshold", "eot_threshold", "eot_timeout_ms", "keyterm",
    "language_hint", "profanity_filter", "numerals", "redact", "mip_opt_out", "tag",
})  # fmt: skip
_WEIGHT = re.compile(r":\d*\.?\d+$")
_ERROR_CODES = {"internal_error": "INTERNAL_SERVER_ERROR"}


@dataclass(frozen=True, slots=True)
class Thresholds:
    eager: float | None = None
    end: float = 0.7
    timeout_ms: float = 5000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a session was opened with, and reconfigured to."""

    model: str
    thresholds: Thresholds
    keyterms: tuple[str, ...]
    hints: tuple[str, ...]


def asked_for(query: Mapping[str, list[str]]) -> Asked:
    unknown = sorted(set(query) - _PARAMETERS)
    if unknown:
        raise Refusal(f"unknown query parameter: {unknown[0]}")
    model = one(query, "model")
    if model not in MODELS:
        raise Refusal(f"model must be one of {', '.join(MODELS)}")
    if (one(query, "encoding"), one(query, "sample_rate")) != ("mulaw", "8000"):
        raise Refusal("the practice range hears encoding=mulaw at sample_rate=8000 only")
    for name in ("profanity_filter", "numerals", "mip_opt_out"):
        flag(query, name)
    names = ("eager_eot_threshold", "eot_threshold", "eot_timeout_ms")
    given = {name: query[name][0] for name in names if name in query}
    thresholds = _thresholds(given, Thresholds())
    return Asked(model, thresholds, _keyterms(query.get("keyterm", ())), _hints(query.get("language_hint", ()), model))


def _thresholds(given: Mapping[str, object], now: Thresholds) -> Thresholds:
    eager = _number(given, "eager_eot_threshold", now.eager, 0.3, 0.9)
    end = _number(given, "eot_threshold", now.end, 0.5, 1.0)
    timeout_ms = _number(given, "eot_timeout_ms", now.timeout_ms, 500, 60_000)
    assert end is not None
    assert timeout_ms is not None
    if eager is not None and eager > end:
        raise Refusal("eager_eot_threshold must be less than or equal to eot_threshold", "INVALID_THRESHOLD")
    return Thresholds(eager, end, timeout_ms)


def _number(
    given: Mapping[str, object], name: str, now: float | None, least: float, most: float
) -> float | None:
    if name not in given:
        return now
    try:
        number = float(str(given[name]))
    except ValueError as error:
        raise Refusal(f"{name} must be a number", "INVALID_THRESHOLD") from error
    if not least <= number <= most:
        raise Refusal(f"{name} must be between {least} and {most}", "INVALID_THRESHOLD")
    return number


def _fields(given: object) -> Mapping[str, object]:
    if given is not None and not isinstance(given, dict):
        raise Refusal("thresholds must be an object")
    return given or {}


def _texts(given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal("keyterms and language_hints must be lists of strings")
    return texts


def _keyterms(given: Sequence[str]) -> tuple[str, ...]:
    if len(given) > KEYTERMS_MAX:
        raise Refusal(f"at most {KEYTERMS_MAX} keyterms are allowed")
    weighted = [term for term in given if _WEIGHT.search(term)]
    if weighted:
        raise Refusal("keyterm does not support weights")
    return tuple(given)


def _hints(given: Sequence[str], model: str) -> tuple[str, ...]:
    if given and model != MULTILINGUAL:
        raise Refusal(f"language_hint is not supported for model {model}")
    if any(code.partition("-")[0] not in LANGUAGES for code in given):
        raise Refusal("language_hint: unsupported language code")
    return tuple(given)


class TurnSession:
    def __init__(self, around: Surroundings, asked: Asked) -> None:
        self._around = around
        self._asked = asked
        self._out = Outbox(around)
        self._watch = Watch(around.wire, around.pace.inactive_s, self._inactive)
        self._ear = Listener()
        self._failing: Fault | None = None
        self._open = self._over = False
        self._messages = 0
        self._turn = 0
        self._in_turn = False
        self._likely_over = False
        self._window_ms = 0
        self._told_ms = 0

    # --- `vendor_sockets.Session`

    def open(self) -> None:
        self._open = True
        self._say("Connected", request_id=self._around.request_id)
        self._out.flush()
        self._watch.start()
        if self._failing is not None:
            self.fail(self._failing)

    def receive(self, message: bytes, *, binary: bool) -> None:
        if self._over:
            return
        if not binary:
            self._control(message)
        elif message.startswith(b"{"):
            # µ-law has no such beginning by chance: somebody sent a message of text as audio.
            self._unparsable()
        else:
            self._watch.heard()
            for step in self._ear.steps(message):
                self._step(step)

    def fail(self, fault: Fault | None) -> None:
        self._failing = fault
        if fault is not None and self._open:
            self._fatal(_ERROR_CODES.get(fault.error_code, fault.error_code), "The server had an error on demand.")

    def close(self) -> None:
        self._over = True
        self._watch.stop()
        self._out.drop()
        self._around.left()

    # --- the caller's audio

    def _step(self, step: Step) -> None:
        if not self._in_turn:
            if self._ear.words:
                self._in_turn = True
                self._tell("StartOfTurn", begins=True)
            else:
                self._update()
            return
        if self._likely_over and step.grew:
            self._likely_over = False
            self._tell("TurnResumed")
            return
        thresholds, sure = self._asked.thresholds, self._sure
        ended = "model" if sure >= thresholds.end else ""
        if not ended and self._ear.quiet_ms >= thresholds.timeout_ms:
            ended = "timeout"
        if thresholds.eager is not None and not self._likely_over and (ended or sure >= thresholds.eager):
            self._likely_over = True
            self._tell("EagerEndOfTurn")
        if ended:
            self._end(ended)
        else:
            self._update()

    @property
    def _sure(self) -> float:
        return round(min(SUREST, self._ear.quiet_ms / self._around.pace.sure_after_ms), 4)

    def _end(self, trigger: str) -> None:
        self._tell("EndOfTurn", trigger=trigger)
        self._ear.take()
        self._turn += 1
        self._in_turn = self._likely_over = False
        self._window_ms = self._ear.at_ms

    def _update(self) -> None:
        if self._ear.at_ms - self._told_ms >= self._around.pace.update_ms:
            self._tell("Update")

    def _tell(self, event: str, *, begins: bool = False, **more: Any) -> None:
        words = self._ear.words
        self._told_ms = self._ear.at_ms
        if self._asked.model == MULTILINGUAL:
            more["languages"] = [self._asked.hints[0] if self._asked.hints else "en"] if words else []
            more["languages_hinted"] = list(self._asked.hints)
        self._say(
            "TurnInfo",
            begins=begins,
            request_id=self._around.request_id,
            event=event,
            turn_index=self._turn,
            audio_window_start=self._window_ms / 1000,
            audio_window_end=self._ear.at_ms / 1000,
            transcript=transcript(words),
            words=[
                {"word": w.text.strip(), "confidence": 0.95, "start": w.start_ms / 1000, "end": w.end_ms / 1000}
                for w in words
            ],
            end_of_turn_confidence=self._sure,
            **more,
        )

    # --- what the client says

    def _control(self, message: bytes) -> None:
        try:
            said = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = None
        match said:
            case {"type": "CloseStream"}:
                self._tell("Update")
                self._out.flush()
                self._around.wire.leave(1000)
            case {"type": "Configure"}:
                self._configure(said)
            case {"type": "ForceEndTurn"} if self._in_turn:
                self._end("manual")
            case {"type": "ForceEndTurn"}:
                self._say(
                    "Warning",
                    request_id=self._around.request_id,
                    code="FORCE_END_TURN_NO_ACTIVE_TURN",
                    description="There is no active turn to end.",
                )
            case _:
                self._unparsable()

    def _configure(self, said: Mapping[str, Any]) -> None:
        now, who = self._asked, self._around.request_id
        keyterms, hints = said.get("keyterms"), said.get("language_hints")
        try:
            self._asked = replace(
                now,
                thresholds=_thresholds(_fields(said.get("thresholds")), now.thresholds),
                keyterms=now.keyterms if keyterms is None else _keyterms(_texts(keyterms)),
                hints=now.hints if hints is None else _hints(_texts(hints), now.model),
            )
        except Refusal as refusal:
            self._say("ConfigureFailure", request_id=who, code=refusal.code, description=refusal.description)
            return
        now = self._asked
        shown = {"eot_threshold": now.thresholds.end, "eot_timeout_ms": now.thresholds.timeout_ms}
        if now.thresholds.eager is not None:
            shown["eager_eot_threshold"] = now.thresholds.eager
        self._say("ConfigureSuccess", request_id=who, thresholds=shown, keyterms=now.keyterms, language_hints=now.hints)

    # --- ends

    def _unparsable(self) -> None:
        self._fatal(
            "UNPARSABLE_CLIENT_MESSAGE",
            "Text message received from client did not match any of the formats we expect.",
        )

    def _inactive(self) -> None:
        self._fatal("INACTIVE_CLIENT", "No audio was received from the client for too long.")

    def _fatal(self, code: str, description: str) -> None:
        self._say("Error", code=code, description=description)
        self._out.flush()
        # The vendor closes without a status here, which this wire cannot say.
        self._around.wire.leave(1011, code)

    def _say(self, kind: str, *, begins: bool = False, **fields: Any) -> None:
        message = {"type": kind, "sequence_id": self._messages, **fields}
        self._messages += 1
        self._out.put(msgspec.json.encode(message), begins=begins)
