"""The simulated ElevenLabs text to speech: `multi-stream-input` by contexts, and `stream-input`, which its SDK speaks.

Text is spoken as it comes in auto mode, else when so much is there as the schedule says, and always on a flush. A
context that is closed sounds to its end if it was flushed, and only then is its sound told to be complete. A wrong key
is let in and sent away on the socket, because the vendor takes keys in messages, too. It refuses what the vendor is
known to refuse, unknown names, and all sound but µ-law at 8 kHz. Beside it the probes `GET /v1/user/subscription` and
`GET /v1/models`. What a socket says is in this module's `Session`, one context in `_Context`.

https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec

from holdfast_gameday.world.speaking_sound import Outlet, Pace, Timed, Utterance, utterances
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, Wire

CONTEXTS_MAX = 5
INACTIVITY_S = 20
INACTIVITY_S_MAX = 180
SCHEDULE = (120, 160, 250, 290)
TRIGGER_MIN = 50
MODELS = ("eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_multilingual_v2")
_REASON_OCTETS_MAX = 123
_PATH = re.compile(r"^/v1/text-to-speech/([^/]+)/(multi-stream-input|stream-input)$")
_QUERY = frozenset({
    "model_id", "language_code", "enable_logging", "enable_ssml_parsing", "output_format", "inactivity_timeout",
    "sync_alignment", "auto_mode", "apply_text_normalization", "seed",
})  # fmt: skip
_TRUTHS = ("enable_logging", "enable_ssml_parsing", "sync_alignment", "auto_mode")
_WORDS = {"rate_limit_exceeded": "too_many_concurrent_requests", "insufficient_quota": "quota_exceeded"}
"""What others call otherwise."""


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str | None = None
    context_id: str | None = None
    context_id_of_sdk: str | None = msgspec.field(name="contextId", default=None)
    flush: bool | None = None
    close_context: bool | None = None
    close_socket: bool | None = None
    try_trigger_generation: bool | None = None
    voice_settings: dict[str, Any] | None = None
    generation_config: dict[str, Any] | None = None
    pronunciation_dictionary_locators: list[Any] | None = None
    xi_api_key: str | None = None
    authorization: str | None = None


_said = msgspec.json.Decoder(_Said)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a socket was opened with."""

    voice: str
    single: bool
    """`stream-input`: one context without a name, ended by an empty text."""
    auto_mode: bool = False
    sync_alignment: bool = False
    inactivity_s: float = INACTIVITY_S
    wrong: tuple[str, str] | None = None
    """The error and the message with which it is closed at once."""


class _Context:
    """Text in, sound out."""

    def __init__(self, session: Session, name: str, first: _Said) -> None:
        self.name = name
        self.settings = first.voice_settings
        self._session = session
        self._outlet = Outlet(session.wire, session.pace)
        self._schedule: Sequence[float] = (first.generation_config or {}).get("chunk_length_schedule") or SCHEDULE
        self._generated = 0
        self._text = ""
        self._flushed = False
        self._sounded = False

    @property
    def busy(self) -> bool:
        return self._outlet.busy

    def take(self, said: _Said) -> None:
        self._text += said.text or ""
        if said.text or said.flush:
            self._flushed = bool(said.flush)
        due = self._due(trigger=bool(said.try_trigger_generation))
        if said.flush or self._session.opened.auto_mode or len(self._text) >= due:
            self._generate()

    def finish(self, done: Callable[[], None]) -> None:
        """`done` when all that was flushed has been sent; what was not flushed is dropped."""
        if not self._flushed:
            self.drop()
        if self._outlet.busy:
            self._outlet.add(done)
        else:
            done()

    def drop(self) -> None:
        self._outlet.stop()

    def _due(self, *, trigger: bool) -> float:
        return TRIGGER_MIN if trigger else self._schedule[min(self._generated, len(self._schedule) - 1)]

    def _generate(self) -> None:
        text, self._text = self._text, ""
        spoken = self._session.spoken(text)
        self._generated += bool(spoken)
        chunk_ms = self._session.pace.chunk_ms
        for utterance in spoken:
            for index in range(len(utterance.chunks(chunk_ms))):
                self._outlet.add(partial(self._sound, utterance, index), ms=chunk_ms)

    def _sound(self, utterance: Utterance, index: int) -> None:
        chunk_ms = self._session.pace.chunk_ms
        timed = utterance.characters() if index == 0 else []
        if self._session.opened.sync_alignment:
            since, until = index * chunk_ms, (index + 1) * chunk_ms
            timed = [each for each in utterance.characters() if since <= each.start_ms < until]
            timed = [Timed(each.text, each.start_ms - since, each.end_ms - since) for each in timed]
        alignment = _alignment(timed) if timed else None
        audio = base64.b64encode(utterance.chunks(chunk_ms)[index]).decode()
        self._session.send(
            self, audio=audio, isFinal=None, normalizedAlignment=alignment, alignment=alignment
        )
        first, self._sounded = not self._sounded, True
        if first:
            self._session.wire.reached("speaking")


class Session:
    def __init__(self, wire: Wire, number: int, opened: Opened, *, pace: Pace, gone: Callable[[], None]) -> None:
        self.wire = wire
        self.opened = opened
        self.pace = pace
        self._number = number
        self._gone = gone
        self._contexts: dict[str, _Context] = {}
        self._ending: list[_Context] = []
        self._closes = False
        self._utterances = 0
        self._fault: Fault | None = None
        self._idle = wire.later(opened.inactivity_s, self._inactive)

    def open(self) -> None:
        """The vendor says nothing first, unless it has to refuse."""
        if self.opened.wrong is not None:
            self.refuse(*self.opened.wrong)

    def receive(self, message: bytes, *, binary: bool) -> None:
        self._idle.cancel()
        self._idle = self.wire.later(self.opened.inactivity_s, self._inactive)
        try:
            said = _said.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.refuse("invalid_input_message", "The message could not be read.")
            return
        if binary:
            self.refuse("invalid_input_message", "The message could not be read.")
        elif said.close_socket or (self.opened.single and said.text == "" and not said.flush):
            self._close_socket()
        elif said.close_context:
            self._close_context(self._name(said))
        else:
            self._take(self._name(said), said)

    def fail(self, fault: Fault | None) -> None:
        """What is being said ends at once, or else what is to be said next."""
        self._fault = fault
        if fault is not None and any(context.busy for context in (*self._contexts.values(), *self._ending)):
            self._broken(fault)

    def close(self) -> None:
        self._idle.cancel()
        for context in (*self._contexts.values(), *self._ending):
            context.drop()
        self._gone()

    # --- what contexts need

    def spoken(self, text: str) -> list[Utterance]:
        if self._fault is not None and text.strip():
            self._broken(self._fault)
            return []
        return utterances(text, speaker=self._number, number=self._next_utterance)

    def send(self, context: _Context, **said: object) -> None:
        named = {} if self.opened.single else {"contextId": context.name}
        self.wire.text(msgspec.json.encode({**said, **named}))

    def refuse(self, error: str, message: str) -> None:
        """The vendor's way to end a socket: an error, and a close that repeats as much of it as fits."""
        self.wire.text(msgspec.json.encode({"message": message, "error": error, "code": 1008}))
        self.wire.leave(1008, message[:_REASON_OCTETS_MAX])

    def _broken(self, fault: Fault) -> None:
        message = "We are sorry, something went wrong. You are not charged for this request."
        self.refuse(_WORDS.get(fault.error_code, fault.error_code), message)

    # --- messages

    def _name(self, said: _Said) -> str:
        return said.context_id or said.context_id_of_sdk or "default"

    def _take(self, name: str, said: _Said) -> None:
        context = self._contexts.get(name)
        if context is None:
            if not said.text and not said.flush:
                return
            if len(self._contexts) + len(self._ending) >= CONTEXTS_MAX:
                self.refuse(
                    "max_active_conversations",
                    f"Maximum simultaneous contexts per WebSocket connection exceeded ({CONTEXTS_MAX}). Please close "
                    "an existing context before opening a new one.",
                )
                return
            context = self._contexts[name] = _Context(self, name, said)
        elif said.voice_settings is not None and said.voice_settings != context.settings:
            message = "voice_settings can only be set in the first message, and must not change later."
            self.refuse("invalid_input_message", message)
            return
        context.take(said)

    def _close_context(self, name: str) -> None:
        context = self._contexts.pop(name, None)
        if context is not None:
            self._ending.append(context)
            context.finish(partial(self._ended, context))

    def _close_socket(self) -> None:
        """What was flushed is still heard; `stream-input` speaks all it was given."""
        self._closes = True
        for name, context in list(self._contexts.items()):
            if self.opened.single:
                context.take(_Said(flush=True))
            self._close_context(name)
        self._leave_when_done()

    def _ended(self, context: _Context) -> None:
        self._ending.remove(context)
        self.send(context, audio=None, isFinal=True)
        self._leave_when_done()

    def _leave_when_done(self) -> None:
        if self._closes and not self._ending and not self._contexts:
            self._closes = False
            self.wire.leave(1000)

    def _inactive(self) -> None:
        self.refuse(
            "input_timeout_exceeded",
            f"Have not received a new text input within the timeout of {self.opened.inactivity_s} seconds. Streaming "
            "input terminated. Please make sure to either feed the input in the timely manner, or to send the end of "
            'input text (empty string "") when done.',
        )

    def _next_utterance(self) -> int:
        self._utterances += 1
        return self._utterances


class ElevenLabs:
    """`keys` maps a key to the name by which faults and counts speak of it. `voices`: those that exist, None: all.

    `limit`: sockets at once, None: any. The vendor counts generations; how it refuses them on a socket is not
    documented, so the limit is met when one is opened.
    """

    kind = "elevenlabs"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        voices: Collection[str] | None = None,
        limit: int | None = None,
    ) -> None:
        self._keys = dict(keys)
        self._pace = pace
        self._voices = voices
        self._limit = limit
        self._links = 0

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        name = self._keys.get(asked.headers.get("xi-api-key", ""))
        if asked.path in _PROBES:
            if name is None:
                return _answer(401, "invalid_api_key", "Invalid API key")
            return Answer(200, _PROBES[asked.path], key_name=name)
        found = _PATH.match(asked.path)
        if found is None:
            return Answer(404, {"detail": "Not Found"})
        opened = _opened(asked, voice=unquote(found[1]), single=found[2] == "stream-input")
        if isinstance(opened, Answer):
            return opened
        if name is None:
            opened = replace(opened, wrong=("invalid_api_key", "Invalid API key"))
        elif self._voices is not None and opened.voice not in self._voices:
            message = f"A voice with voice_id {opened.voice} does not exist."
            opened = replace(opened, wrong=("voice_id_does_not_exist", message))
        if self._limit is not None and self._links >= self._limit:
            return _answer(429, "too_many_concurrent_requests", "Too many concurrent requests.")
        return Admitted(
            name or "",
            lambda wire, number: self._session(wire, number, opened),
            unstored=asked.one("enable_logging") == "false",
        )

    def refusal(self, fault: Fault) -> Answer:
        return _answer(fault.status, fault.error_code, "Refused on demand.", retry_after_s=fault.retry_after_s)

    def _session(self, wire: Wire, number: int, opened: Opened) -> Session:
        self._links += 1
        return Session(wire, number, opened, pace=self._pace, gone=self._left)

    def _left(self) -> None:
        self._links -= 1


def _opened(asked: Upgrade, *, voice: str, single: bool) -> Opened | Answer:
    unknown = sorted(set(asked.query) - _QUERY)
    if unknown:
        return _answer(400, "invalid_parameters", f"Unknown parameter '{unknown[0]}'.")
    if asked.one("model_id").startswith(("eleven_v3", "eleven_v4")):
        return _answer(403, "model_not_supported", "This model is not available on this WebSocket.")
    if asked.one("model_id", MODELS[0]) not in MODELS:
        return _answer(400, "model_not_found", f"A model with model ID {asked.one('model_id')} does not exist.")
    if asked.one("output_format") != "ulaw_8000":
        return _answer(400, "invalid_parameters", "The practice range speaks ulaw_8000 only.")
    for name in _TRUTHS:
        if asked.one(name, "false") not in ("true", "false"):
            return _answer(400, "invalid_parameters", f"'{name}' must be true or false.")
    inactivity = asked.one("inactivity_timeout", str(INACTIVITY_S))
    if not inactivity.isdecimal() or not 1 <= int(inactivity) <= INACTIVITY_S_MAX:
        return _answer(400, "invalid_parameters", f"'inactivity_timeout' must be 1 to {INACTIVITY_S_MAX}.")
    return Opened(
        voice, single, asked.one("auto_mode") == "true", asked.one("sync_alignment") == "true", int(inactivity)
    )


def _alignment(timed: Sequence[Timed]) -> dict[str, object]:
    return {
        "chars": [each.text for each in timed],
        "charStartTimesMs": [each.start_ms for each in timed],
        "charDurationsMs": [each.end_ms - each.start_ms for each in timed],
    }


def _answer(status: int, error: str, message: str, *, retry_after_s: int = 0) -> Answer:
    headers = {"Retry-After": str(retry_after_s)} if status == 429 and retry_after_s else {}
    return Answer(status, {"detail": {"status": error, "message": message}}, headers)


_PROBES: Mapping[str, object] = {
    "/v1/user/subscription": {
        "tier": "scale", "character_count": 1_000, "character_limit": 2_000_000, "status": "active",
        "max_credit_limit_extension": 0, "can_extend_character_limit": True,
        "allowed_to_extend_character_limit": False, "voice_slots_used": 1, "professional_voice_slots_used": 0,
        "professional_voice_slots_used_in_workspace": 0, "voice_limit": 660, "voice_add_edit_counter": 0,
        "professional_voice_limit": 3, "can_extend_voice_limit": False, "can_use_instant_voice_cloning": True,
        "can_use_professional_voice_cloning": True, "current_overage": {"amount": "0", "currency": "usd"},
    },
    "/v1/models": [
        {"model_id": model, "name": model, "can_do_text_to_speech": True, "languages": []} for model in MODELS
    ],
}  # fmt: skip
