"""The simulated Deepgram text to speech, Aura on `wss://…/v1/speak`: one stream, flushed, cleared, closed.

It says what it was sent when a Flush comes, in order; a Clear empties text and sound, and one piece of sound that was
on its way still comes before Cleared. It refuses what Deepgram refuses and, beyond that, all sound but µ-law at 8 kHz.
The vendor may begin to speak before the Flush; when it does is not documented, and a line flushed whole is heard whole.
Not documented and chosen here: the code of the warning at too many flushes, and the close after an hour.
Beside it only `GET /v1/projects`, the cheap probe of a key. Flux TTS (`/v2/speak`) is not there.

https://developers.deepgram.com/docs/tts-websocket
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import msgspec

from holdfast_gameday.world.openai_response import Timer
from holdfast_gameday.world.speaking_sound import Outlet, Pace, utterances
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, Wire

PATH = "/v1/speak"
PROJECTS_PATH = "/v1/projects"
FLUSHES_PER_MINUTE = 20
SESSION_S_MAX = 3_600.0
_QUERY = frozenset({"model", "encoding", "sample_rate", "speed", "mip_opt_out"})
_NO_TEXT = "MESSAGE-0000: The message is not a text message."
_UNREADABLE = "DATA-0000: The payload cannot be decoded as a message of this API."
_NO_ANSWER = "NET-0000: Deepgram did not provide a response message within the timeout window."
_TOO_OLD = "NET-0003: The connection has reached its maximum duration."


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["Speak", "Flush", "Clear", "Close"]
    text: str | None = None


_said = msgspec.json.Decoder(_Said)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link was opened with, as the vendor's Metadata tells it."""

    model: str


class Session:
    def __init__(self, wire: Wire, number: int, opened: Opened, *, pace: Pace, gone: Callable[[], None]) -> None:
        self.opened = opened
        self._wire = wire
        self._number = number
        self._pace = pace
        self._gone = gone
        self._outlet = Outlet(wire, pace)
        self._text = ""
        self._utterances = 0
        self._flushed = 0
        self._cleared = 0
        self._fault: Fault | None = None
        self._flushes: deque[Timer] = deque()
        self._end = wire.later(SESSION_S_MAX, lambda: wire.leave(1011, _TOO_OLD))

    def open(self) -> None:
        self._send("Metadata", request_id=_id(), model_name=self.opened.model, model_version="2026-01-01.0",
                   model_uuid=_id())  # fmt: skip

    def receive(self, message: bytes, *, binary: bool) -> None:
        if binary:
            self._wire.leave(1003, _NO_TEXT)
            return
        try:
            said = _said.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._wire.leave(1008, _UNREADABLE)
            return
        if said.type == "Speak" and said.text is None:
            self._wire.leave(1008, _UNREADABLE)
        elif said.type == "Speak":
            self._text += said.text or ""
        elif said.type == "Flush":
            self._flush()
        elif said.type == "Clear":
            self._clear()
        else:
            self._wire.leave(1000)

    def fail(self, fault: Fault | None) -> None:
        """What is being said ends at once, or else what is flushed next: Aura has no other word for a failure."""
        self._fault = fault
        if fault is not None and self._outlet.busy:
            self._wire.leave(fault.code, _NO_ANSWER)

    def close(self) -> None:
        self._outlet.stop()
        self._end.cancel()
        while self._flushes:
            self._flushes.pop().cancel()
        self._gone()

    def _flush(self) -> None:
        if self._fault is not None:
            self._wire.leave(self._fault.code, _NO_ANSWER)
            return
        if len(self._flushes) >= FLUSHES_PER_MINUTE:
            self._send("Warning", code="FLUSH_LIMIT", description="No more than 20 flushes in 60 seconds.")
            return
        self._flushes.append(self._wire.later(60.0, self._forget_flush))
        text, self._text = self._text, ""
        first = True
        for utterance in utterances(text, speaker=self._number, number=self._next_utterance):
            for chunk in utterance.chunks(self._pace.chunk_ms):
                self._outlet.add(partial(self._sound, chunk, begins=first), ms=self._pace.chunk_ms)
                first = False
        self._outlet.add(self._told_flushed)

    def _forget_flush(self) -> None:
        self._flushes.popleft()

    def _clear(self) -> None:
        self._text = ""
        for on_its_way in self._outlet.stop()[:1]:
            on_its_way()
        self._send("Cleared", sequence_id=self._cleared)
        self._cleared += 1

    def _sound(self, chunk: bytes, *, begins: bool) -> None:
        self._wire.binary(chunk)
        if begins:
            self._wire.reached("speaking")

    def _told_flushed(self) -> None:
        self._send("Flushed", sequence_id=self._flushed)
        self._flushed += 1

    def _next_utterance(self) -> int:
        self._utterances += 1
        return self._utterances

    def _send(self, kind: str, **more: object) -> None:
        self._wire.text(msgspec.json.encode({"type": kind, **more}))


class DeepgramSpeak:
    """`keys` maps a key to the name by which faults and counts speak of it. `limit`: links at once, None: any."""

    kind = "deepgram-speak"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        limit: int | None = None,
    ) -> None:
        self._keys = dict(keys)
        self._pace = pace
        self._limit = limit
        self._links = 0

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        if asked.path not in (PATH, PROJECTS_PATH):
            return _answer(404, "NOT_FOUND", "The requested resource was not found.")
        # A Bearer token is one that was granted for a while; this project grants none.
        scheme, _, key = asked.headers.get("authorization", "").partition(" ")
        name = self._keys.get(key) if scheme.lower() == "token" else None
        if name is None:
            return _answer(401, "INVALID_AUTH", "Invalid credentials.")
        if asked.path == PROJECTS_PATH:
            return Answer(200, {"projects": [{"project_id": "practice", "name": name}]}, key_name=name)
        if (refused := _wrong(asked)) is not None:
            return _answer(400, "Bad Request", refused)
        if self._limit is not None and self._links >= self._limit:
            return _answer(429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later.")
        opened = Opened(asked.one("model", "aura-asteria-en"))
        return Admitted(
            name,
            lambda wire, number: self._session(wire, number, opened),
            {"dg-request-id": _id()},
            unstored=asked.one("mip_opt_out") == "true",
        )

    def refusal(self, fault: Fault) -> Answer:
        code = {401: "INVALID_AUTH", 402: "ASR_PAYMENT_REQUIRED", 403: "INSUFFICIENT_PERMISSIONS",
                429: "TOO_MANY_REQUESTS"}.get(fault.status, "INTERNAL_SERVER_ERROR")  # fmt: skip
        return _answer(fault.status, code, "Refused on demand.", retry_after_s=fault.retry_after_s)

    def _session(self, wire: Wire, number: int, opened: Opened) -> Session:
        self._links += 1
        return Session(wire, number, opened, pace=self._pace, gone=self._left)

    def _left(self) -> None:
        self._links -= 1


def _wrong(asked: Upgrade) -> str | None:
    """What Deepgram would refuse of the query, or what the practice range cannot speak."""
    unknown = sorted(set(asked.query) - _QUERY)
    if unknown:
        return f"Failed to deserialize query parameters: unknown field `{unknown[0]}`"
    if not asked.one("model", "aura-asteria-en").startswith("aura-"):
        return "No such model/language/tier combination found."
    if (asked.one("encoding", "linear16"), asked.one("sample_rate", "24000")) != ("mulaw", "8000"):
        return "Unsupported audio format: the practice range speaks mulaw at 8000 Hz only."
    return None


def _answer(status: int, code: str, message: str, *, retry_after_s: int = 0) -> Answer:
    request = _id()
    headers = {"dg-error": message, "dg-request-id": request}
    if status == 429 and retry_after_s:
        headers["Retry-After"] = str(retry_after_s)
    return Answer(status, {"err_code": code, "err_msg": message, "request_id": request}, headers)


def _id() -> str:
    return str(uuid.uuid4())
