"""The simulated Cartesia text to speech on `wss://…/tts/websocket`: contexts, continued, flushed, cancelled, expiring.

Text waits for more as long as `max_buffer_delay_ms` says, and no longer than to the end of a sentence; a flush, or the
end of its context, has it spoken at once. A context that is given nothing for a second after its sound is over is done,
and text for it is refused from then on; so is one that begins without a word. A cancel drops what has not begun to
sound. It refuses what Cartesia refuses, unknown names, and all sound but µ-law at 8 kHz. Beside it `GET /`, which asks
for no key.
How text for an expired context is refused is not documented and chosen here.

https://docs.cartesia.ai/api-reference/tts/websocket
"""

from __future__ import annotations

import base64
import itertools
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec

from holdfast_gameday.world.openai_response import Timer
from holdfast_gameday.world.speaking_sound import Outlet, Pace, Utterance, utterances
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, Wire

PATH = "/tts/websocket"
IDLE_S = 300.0
EXPIRY_S = 1.0
BUFFER_DELAY_MS = 3_000
BUFFER_DELAY_MS_MAX = 5_000
SOCKETS_PER_CONTEXT = 10
_OVER_MAX = 256
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_QUERY = frozenset({"api_key", "access_token", "cartesia_version"})
_VARIES = ("transcript", "continue", "flush", "duration", "cancel")
_WORDS = {"rate_limit_exceeded": (429, "concurrency_limited"), "insufficient_quota": (402, "quota_exceeded")}
"""What others call otherwise."""
_FORMAT = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000}


_Kind = TypeVar("_Kind")


class _Voice(msgspec.Struct, frozen=True):
    id: str
    mode: Literal["id"] = "id"


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    context_id: str
    model_id: str
    transcript: str
    voice: _Voice | str
    output_format: dict[str, Any]
    more: bool | None = msgspec.field(name="continue", default=None)
    flush: bool | None = None
    duration: float | None = None
    language: str | None = None
    add_timestamps: bool | None = None
    add_phoneme_timestamps: bool | None = None
    use_normalized_timestamps: bool | None = None
    max_buffer_delay_ms: int | None = None
    generation_config: dict[str, Any] | None = None
    pronunciation_dict_id: str | None = None
    speed: str | None = None


class _Cancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    context_id: str
    cancel: Literal[True]


class _Wrong(Exception):
    """An error event: (status, error code, title, message)."""

    def __init__(self, status: int, code: str | None, title: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.title = title


class _Context:
    """Text in, sound and the times of its words out."""

    def __init__(self, session: Session, first: _Asked) -> None:
        self.id = first.context_id
        self._session = session
        self._first = first
        self._outlet = Outlet(session.wire, session.pace)
        self._text = ""
        self._finished = False
        self._spoken_ms = 0
        self._flushes = 0
        self._sounded = False
        self._over = False
        self._timers: dict[str, Timer] = {}

    @property
    def busy(self) -> bool:
        return self._outlet.busy

    def same(self, asked: _Asked) -> bool:
        """All fields but those of the text have to stay as they were."""
        first, now = (msgspec.to_builtins(each) for each in (self._first, asked))
        return all(first[name] == now[name] for name in first if name not in _VARIES)

    def take(self, asked: _Asked) -> None:
        self._stop("expiry")
        self._text += asked.transcript
        delay_ms = BUFFER_DELAY_MS if asked.max_buffer_delay_ms is None else asked.max_buffer_delay_ms
        self._finished = not asked.more
        if self._finished or asked.flush or delay_ms == 0 or self._text.rstrip().endswith(_SENTENCE_ENDS):
            self._generate()
        elif "buffer" not in self._timers:
            self._timers["buffer"] = self._session.wire.later(delay_ms / 1000, self._generate)
        if asked.flush:
            self._flushes += 1
            self._add(partial(self._flushed, self._flushes))
        if self._finished:
            self._add(self._done)

    def cancel(self) -> None:
        """What has begun to sound is heard to the end of its request."""
        self._text = ""
        self._stop("expiry", "buffer")
        begun = self._outlet.stop() if self._sounded else []
        self._outlet.stop()
        for do in itertools.takewhile(lambda do: isinstance(do, partial) and do.func == self._sound, begun):
            self._outlet.add(do, ms=self._session.pace.chunk_ms)
        self._outlet.add(self._done)

    def drop(self) -> None:
        self._over = True
        self._outlet.stop()
        self._stop("expiry", "buffer")

    def _add(self, do: Callable[[], None], *, ms: int = 0) -> None:
        """Unless an error has ended it."""
        if not self._over:
            self._outlet.add(do, ms=ms)

    def _generate(self) -> None:
        self._stop("buffer")
        text, self._text = self._text, ""
        chunk_ms = self._session.pace.chunk_ms
        for utterance in self._session.spoken(self.id, text):
            since_ms, self._spoken_ms = self._spoken_ms, self._spoken_ms + utterance.ms
            for index in range(len(utterance.chunks(chunk_ms))):
                self._add(partial(self._sound, utterance, index, since_ms), ms=chunk_ms)
        if not self._finished:
            self._add(self._quiet)

    def _sound(self, utterance: Utterance, index: int, since_ms: int) -> None:
        chunk_ms = self._session.pace.chunk_ms
        data = base64.b64encode(utterance.chunks(chunk_ms)[index]).decode()
        self._send("chunk", data=data, step_time=float(chunk_ms))
        begun = [w for w in utterance.words() if index * chunk_ms <= w.start_ms < (index + 1) * chunk_ms]
        if begun and self._first.add_timestamps:
            self._send("timestamps", word_timestamps={
                "words": [word.text for word in begun],
                "start": [(since_ms + word.start_ms) / 1000 for word in begun],
                "end": [(since_ms + word.end_ms) / 1000 for word in begun],
            })  # fmt: skip
        first, self._sounded = not self._sounded, True
        if first:
            self._session.wire.reached("speaking")

    def _quiet(self) -> None:
        """All sound of what was asked so far is out."""
        if not self._outlet.busy and not self._text:
            self._timers["expiry"] = self._session.wire.later(EXPIRY_S, self._done)

    def _flushed(self, number: int) -> None:
        self._send("flush_done", flush_done=True, flush_id=number)

    def _done(self) -> None:
        self.drop()
        self._session.over(self.id)
        self._session.send("done", context_id=self.id, done=True, status_code=200)

    def _send(self, kind: str, **more: object) -> None:
        self._session.send(kind, context_id=self.id, done=False, status_code=206, **more)

    def _stop(self, *timers: str) -> None:
        for name in timers:
            if (timer := self._timers.pop(name, None)) is not None:
                timer.cancel()


class Session:
    def __init__(self, wire: Wire, number: int, *, vendor: Cartesia) -> None:
        self.wire = wire
        self.pace = vendor.pace
        self._number = number
        self._vendor = vendor
        self._contexts: dict[str, _Context] = {}
        self._over: deque[str] = deque(maxlen=_OVER_MAX)
        self._utterances = 0
        self._fault: Fault | None = None
        self._idle = wire.later(IDLE_S, self._inactive)

    def open(self) -> None:
        """The vendor says nothing first."""

    def receive(self, message: bytes, *, binary: bool) -> None:
        self._awake()
        context: str | None = None
        try:
            said = _decoded(b"" if binary else message)
            context = str(said.get("context_id") or "")
            if "cancel" in said:
                self._cancel(said)
            else:
                self._take(_asked(said))
        except _Wrong as wrong:
            self._error(wrong, context)

    def fail(self, fault: Fault | None) -> None:
        """What is being said ends at once, or else what is to be said next."""
        self._fault = fault
        for context in list(self._contexts.values()):
            if fault is not None and context.busy:
                self._error(_broken(fault), context.id)

    def close(self) -> None:
        self._idle.cancel()
        for context in self._contexts.values():
            context.drop()
        self._vendor.left(contexts=len(self._contexts))

    # --- what contexts need

    def spoken(self, context: str, text: str) -> list[Utterance]:
        if self._fault is not None and text.strip():
            self._error(_broken(self._fault), context)
            return []
        return utterances(text, speaker=self._number, number=self._next_utterance)

    def send(self, kind: str, **said: object) -> None:
        self._awake()
        self.wire.text(msgspec.json.encode({"type": kind, **said}))

    def over(self, context: str) -> None:
        if self._contexts.pop(context, None) is not None:
            self._over.append(context)
            self._vendor.context_over()

    # --- messages

    def _cancel(self, said: Mapping[str, object]) -> None:
        context = self._contexts.get(_converted(said, _Cancel).context_id)
        if context is not None:
            context.cancel()

    def _take(self, asked: _Asked) -> None:
        context = self._contexts.get(asked.context_id)
        if context is None:
            if asked.context_id in self._over:
                raise _Wrong(400, None, "Invalid context", "The context has expired or was finished.")
            if not any(sign.isalnum() for sign in asked.transcript):
                raise _Wrong(400, None, "Invalid transcript", "transcript empty or contains only punctuation")
            if not self._vendor.context_begins():
                raise _Wrong(
                    429, "concurrency_limited", "Too many concurrent requests",
                    "You have exceeded your plan's concurrency limit.",
                )  # fmt: skip
            context = self._contexts[asked.context_id] = _Context(self, asked)
        elif not context.same(asked):
            raise _Wrong(400, None, "Invalid request", "Inputs on the same context must keep all fields but the text.")
        context.take(asked)

    def _error(self, wrong: _Wrong, context: str | None) -> None:
        if context is not None and context in self._contexts:
            self._contexts[context].drop()
            self.over(context)
        named = {"context_id": context} if context else {}
        self.send(
            "error", done=True, status_code=wrong.status, error_code=wrong.code, title=wrong.title,
            message=str(wrong), request_id=str(uuid.uuid4()), **named,
        )  # fmt: skip

    def _awake(self) -> None:
        self._idle.cancel()
        self._idle = self.wire.later(IDLE_S, self._inactive)

    def _inactive(self) -> None:
        self.wire.leave(1000, "connection idle timeout")

    def _next_utterance(self) -> int:
        self._utterances += 1
        return self._utterances


class Cartesia:
    """`keys` maps a key to the name by which faults and counts speak of it.

    `limit`: contexts at once over all sockets, and a tenth of the sockets at once; None: any.
    """

    kind = "cartesia"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        limit: int | None = None,
    ) -> None:
        self.pace = pace
        self._keys = dict(keys)
        self._limit = limit
        self._links = 0
        self._contexts = 0

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        if asked.path == "/":
            return Answer(200, {"ok": True, "version": "practice"})
        if asked.path != PATH:
            return _answer(404, "not_found", "Not found", "There is nothing at this path.")
        name = self._keys.get(_key(asked))
        if name is None:
            return _answer(401, "unauthorized", "Unauthorized", "Invalid API key.")
        if not (asked.headers.get("cartesia-version") or asked.one("cartesia_version")):
            return _answer(400, None, "Missing version", "Send the header Cartesia-Version.")
        unknown = sorted(set(asked.query) - _QUERY)
        if unknown:
            return _answer(400, None, "Unknown parameter", f"There is no parameter {unknown[0]}.")
        if self._limit is not None and self._links >= self._limit * SOCKETS_PER_CONTEXT:
            return _answer(429, "concurrency_limited", "Too many connections", "Too many WebSocket connections.")
        return Admitted(name, self._session)

    def refusal(self, fault: Fault) -> Answer:
        return _answer(
            fault.status, fault.error_code, "Refused", "Refused on demand.", retry_after_s=fault.retry_after_s
        )

    def context_begins(self) -> bool:
        if self._limit is not None and self._contexts >= self._limit:
            return False
        self._contexts += 1
        return True

    def context_over(self) -> None:
        self._contexts -= 1

    def left(self, *, contexts: int) -> None:
        """A socket is gone, with so many contexts on it."""
        self._links -= 1
        self._contexts -= contexts

    def _session(self, wire: Wire, number: int) -> Session:
        self._links += 1
        return Session(wire, number, vendor=self)


def _broken(fault: Fault) -> _Wrong:
    status, code = _WORDS.get(fault.error_code, (fault.status, fault.error_code))
    return _Wrong(status, code, "Internal error", "Failed on demand.")


def _decoded(message: bytes) -> Mapping[str, object]:
    try:
        said = msgspec.json.decode(message, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Wrong(400, None, "Invalid message", "The message is not a JSON object.") from error
    return said


def _asked(said: Mapping[str, object]) -> _Asked:
    asked = _converted(said, _Asked)
    if asked.output_format != _FORMAT:
        raise _Wrong(400, None, "Invalid output format", "The practice range speaks raw pcm_mulaw at 8000 Hz only.")
    if not 0 <= (asked.max_buffer_delay_ms or 0) <= BUFFER_DELAY_MS_MAX:
        raise _Wrong(400, None, "Invalid request", "max_buffer_delay_ms must be between 0 and 5000.")
    if not asked.model_id.startswith("sonic"):
        raise _Wrong(400, "model_not_found", "Invalid model", "The model is not valid.")
    return asked


def _converted(said: Mapping[str, object], kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        raise _Wrong(400, None, "Invalid request", str(error)) from error


def _key(asked: Upgrade) -> str:
    scheme, _, key = asked.headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" else asked.headers.get("x-api-key") or asked.one("api_key")


def _answer(status: int, code: str | None, title: str, message: str, *, retry_after_s: int = 0) -> Answer:
    headers = {"Retry-After": str(retry_after_s)} if status == 429 and retry_after_s else {}
    body = {"error_code": code, "title": title, "message": message, "request_id": str(uuid.uuid4())}
    return Answer(status, body, headers)
