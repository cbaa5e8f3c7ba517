"""One session of the simulated GPT-Live: client events in, server events out, and sound all the time.

The speaking model answers by itself what needs no tool, stops at once when the caller speaks, and delegates the rest to
the `responses` backend, whose result it then speaks. It knows no sockets and no keys: time reaches it as audio and
through the timers it is given.

What of the vendor it leaves out: fixtures, decisions, client delegation (which it accepts and never uses), WebRTC.

https://developers.openai.com/api/docs/guides/voice-websockets
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from holdfast_gameday.world import gpt_live_shapes as shapes
from holdfast_gameday.world.gpt_live_backend import Backend
from holdfast_gameday.world.gpt_live_hearing import Began, Ended, Hearing, Piece
from holdfast_gameday.world.gpt_live_mind import Mind, called, spoken, text_item
from holdfast_gameday.world.gpt_live_mouth import OCTETS_PER_MS, Mouth, Pace, Timer
from holdfast_gameday.world.openai_errors import Refusal
from holdfast_gameday.world.openai_model import Call, Say
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Wire

Event = dict[str, Any]
ON_DEMAND = "The server had an error on demand."
QUIET_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Stored:
    """What a fork goes on from."""

    settings: Mapping[str, Any]
    items: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    wire: Wire
    clock: Callable[[], float]  # seconds
    number: int  # the `speaker` of this session's voice frames
    session: str
    started_at: int
    expires_at: int
    session_s: float
    pace: Pace
    check_models: Callable[[Mapping[str, Any]], None]
    sent: Callable[[Event], None]
    acknowledgement: str = ""
    """What the model says while the backend works."""
    fork_of: Stored | None = None
    kept: dict[str, Stored] = field(default_factory=dict)
    """Where a session that is to be stored leaves itself."""


class Session:
    def __init__(self, around: Surroundings) -> None:
        self.settings: dict[str, Any] = {}
        self.mind = Mind()
        self.delegations = 0
        self._around = around
        self._wire = around.wire
        self._ids = 0
        self._failing: Fault | None = None
        self._starting = self._started = self._muted = False
        self._closing: str | None = None
        self._close_event: Event = {}
        self._timers: set[Timer] = set()
        self._work: set[Timer] = set()
        """Those of the timers that something will be said or done by."""
        self._answer_timer: Timer | None = None
        self._piece_from_ms = 0
        self._hearing = Hearing(silence_ms=around.pace.silence_ms)
        self._backend = Backend(send=self._send, new_id=self._new_id, created_at=around.started_at)
        self._mouth = Mouth(
            speaker=around.number, pace=around.pace, clock=around.clock, later=around.wire.later,
            send_audio=around.wire.text, send_words=self._send, begins=lambda: around.wire.reached("speaking"),
            tick=self._tick,
        )  # fmt: skip
        self._handlers: dict[str, Callable[[Event], None]] = {
            "session.start": self._start,
            "session.update": self._update,
            "session.input_audio.append": self._append,
            "session.input_audio.mute": lambda event: self._mute(event, muted=True),
            "session.input_audio.unmute": lambda event: self._mute(event, muted=False),
            "session.instructions.append": self._note,
            "session.thinking.append": self._note,
            "session.commentary.append": self._comment,
            "response.item.create": self._create_item,
            "response.create": self._create_response,
            "session.close": self._close,
        }

    # --- vendor_sockets.Session

    def open(self) -> None:
        """The vendor says nothing before it is told to start."""

    def receive(self, message: bytes, *, binary: bool) -> None:
        event: Event = {}
        try:
            event = shapes.decoded(message, binary=binary, starting=self._starting, started=self._started)
            self._handlers[event["type"]](event)
        except Refusal as refusal:
            self._error("invalid_request_error", refusal.code or "invalid_value", refusal.message, refusal.param, event)

    def fail(self, fault: Fault | None) -> None:
        self._failing = fault
        if fault is not None and not self._mouth.idle:
            self._mouth.hush()
            self._failed()

    def close(self) -> None:
        self._mouth.stop()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._work.clear()
        if self.settings.get("store"):
            self._around.kept[self._around.session] = Stored(self.settings, self.mind.items)

    # --- the session

    def _start(self, event: Event) -> None:
        stored = self._around.fork_of
        if stored is None:
            self.settings = deepcopy(shapes.check_start(event["session"]))
            self.settings["delegation"] = self.settings.get("delegation") or {"type": "client"}
            self.mind = Mind(self.settings.get("input", ()))
        else:
            changed = shapes.check_fork(event["session"], delegation=stored.settings["delegation"]["type"])
            self.settings = _merged(deepcopy(dict(stored.settings)), changed)
            self.mind = Mind(deepcopy(stored.items))
        self._around.check_models(self.settings)
        self._starting = True
        self._after(self._around.pace.start_s + self._wire.delay_s(), lambda: self._begin(event))

    def _begin(self, event: Event) -> None:
        self._started = True
        self._send({"type": "session.started", "session": self._resource()}, event)
        self._mouth.start()
        self._after(self._around.session_s, lambda: self._ended("expired"), works=False)

    def _update(self, event: Event) -> None:
        updated = _merged(self.settings, shapes.check_update(event["session"], delegation=self._delegation))
        self._around.check_models(updated)
        self.settings = updated
        self._send({"type": "session.updated", "session": self._resource()}, event)

    def _mute(self, event: Event, *, muted: bool) -> None:
        self._muted = muted
        self._hearing.clear()
        self._send({"type": f"session.input_audio.{'muted' if muted else 'unmuted'}"}, event)

    def _close(self, event: Event) -> None:
        """What is under way is said to its end first, but for no longer than the vendor waits."""
        self._closing, self._close_event = "close_requested", event
        self._after(self._around.pace.drain_s, lambda: self._ended("close_requested"), works=False)

    def _ended(self, reason: str) -> None:
        closed = {"type": "session.closed", "reason": reason, "session": self._resource(), "usage": self._usage()}
        self._send(closed, self._close_event)
        self._wire.leave(1000, reason)

    def _tick(self) -> None:
        if self._mouth.at_ms % self._around.pace.usage_ms == 0:
            ratio = min(1.0, len(self.mind.items) / 1_000)
            self._send(
                {"type": "session.usage.updated", "usage": self._usage(), "context_window": {"usage_ratio": ratio}}
            )
        if self._closing is not None and self._mouth.idle and not self._work:
            self._ended(self._closing)

    # --- the caller

    def _append(self, event: Event) -> None:
        audio = shapes.audio_of(event)
        self._mouth.heard_ms += len(audio) // OCTETS_PER_MS
        if self._muted:
            return
        for heard in self._hearing.feed(audio):
            match heard:
                case Began():
                    self._piece_from_ms = self._mouth.at_ms
                    self._drop_answer()
                    self._mouth.hush()
                case Piece(text=text):
                    span = {"start_ms": self._piece_from_ms, "end_ms": self._mouth.at_ms}
                    self._piece_from_ms = self._mouth.at_ms
                    self._send({"type": "session.input_transcript.delta", "delta": text, **span})
                case Ended(text=text):
                    self.mind.heard(text)
                    self._answer_later()

    def _answer_later(self) -> None:
        self._drop_answer()
        delay_s = self._around.pace.first_audio_s + self._wire.delay_s()
        self._answer_timer = self._after(delay_s, self._answer)

    def _drop_answer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._timers.discard(self._answer_timer)
            self._work.discard(self._answer_timer)
            self._answer_timer = None

    def _answer(self) -> None:
        self._answer_timer = None
        if self._failed():
            return
        outputs = self.mind.answer(self._tools)
        self._say(*spoken(outputs))
        if calls := called(outputs):
            self._delegate(calls)

    # --- what the client tells it

    def _note(self, event: Event) -> None:
        self.mind.told(shapes.check_append(event, delegation=self._delegation))
        self._appended(event)

    def _comment(self, event: Event) -> None:
        text = shapes.check_append(event, delegation=self._delegation)
        self._appended(event)
        delay_s = self._around.pace.first_audio_s + self._wire.delay_s()
        self._after(delay_s, lambda: self._say_comment(text))

    def _say_comment(self, text: str) -> None:
        if not self._failed():
            self._say_when_quiet(*spoken(self.mind.commented(text)))

    def _appended(self, event: Event) -> None:
        kind = event["type"].replace(".append", ".appended")
        self._send({"type": kind, "start_ms": self._mouth.at_ms, "end_ms": self._mouth.at_ms}, event)

    # --- delegation

    def _delegate(self, calls: list[Call]) -> None:
        self.delegations += 1
        delegation, response = self._new_id("dlg"), self._new_id("resp")
        self._backend.delegation = delegation
        about = {"id": delegation, "type": "delegation", "target": "responses", "response_id": response}
        self._send({"type": "session.delegation.created", "delegation": about, "offset_ms": self._mouth.at_ms})
        if self._around.acknowledgement:
            self._say(Say(self._around.acknowledgement))
        self._after(self._around.pace.backend_s, lambda: self._call(response, calls))

    def _call(self, response: str, calls: list[Call]) -> None:
        self.mind.items += self._backend.calls(self._backend_model, response, calls)
        self._wire.reached("tool")

    def _create_item(self, event: Event) -> None:
        self._require_responses(event)
        item = shapes.check_item(event["item"])
        if item["type"] == "function_call_output":
            self._backend.returned(item["call_id"])
            self.mind.items.append(dict(item))
        else:
            content = item["content"]
            text = content if isinstance(content, str) else " ".join(part["text"] for part in content)
            self.mind.items.append(text_item(item["role"], text))

    def _create_response(self, event: Event) -> None:
        self._require_responses(event)
        self._backend.check_complete()
        self._after(self._around.pace.backend_s + self._wire.delay_s(), self._continue)

    def _continue(self) -> None:
        response = self._new_id("resp")
        if self._failing is not None:
            self._backend.fail(self._backend_model, response, self._failing)
            self._failed()
            return
        outputs = self.mind.answer(self._tools)
        if calls := called(outputs):
            self._call(response, calls)
            return
        says = spoken(outputs)
        self._backend.text(self._backend_model, response, " ".join(say.text for say in says))
        self._after(self._around.pace.first_audio_s, lambda: self._say_when_quiet(*says))

    def _require_responses(self, event: Event) -> None:
        if self._delegation != "responses":
            raise Refusal(f"{event['type']} requires Responses delegation.", "invalid_value", "type")

    # --- what it all comes to

    def _say(self, *says: Say) -> None:
        for say in says:
            item = self.mind.said(say.text)

            def over(said: str, item: dict[str, Any] = item) -> None:
                item["content"][0]["text"] = said

            self._mouth.say(say.text, over, frames=say.frames)

    def _say_when_quiet(self, *says: Say) -> None:
        """What nobody asked for just now waits until the caller has finished."""
        if self._hearing.speaking:
            self._after(QUIET_EVERY_S, lambda: self._say_when_quiet(*says))
        else:
            self._say(*says)

    def _failed(self) -> bool:
        if self._failing is None:
            return False
        self._error(self._failing.error_type, self._failing.error_code, ON_DEMAND, None, {})
        return True

    @property
    def _delegation(self) -> str:
        kind: str = self.settings["delegation"]["type"]
        return kind

    @property
    def _backend_model(self) -> str:
        model: str = self.settings["delegation"]["responses"]["model"]
        return model

    @property
    def _tools(self) -> list[Mapping[str, Any]]:
        responses = self.settings["delegation"].get("responses") or {}
        return [] if responses.get("tool_choice") == "none" else responses.get("tools") or []

    def _resource(self) -> Event:
        about = {"id": self._around.session, "expires_at": self._around.expires_at, "status": "active"}
        return {**self.settings, **about}

    def _usage(self) -> Event:
        return {"seconds": self._mouth.at_ms / 1000}

    def _error(self, kind: str, code: str, text: str, param: str | None, event: Event) -> None:
        error = {"type": kind, "code": code, "message": text, "param": param}
        if event.get("event_id"):
            error["client_event_id"] = event["event_id"]
        self._send({"type": "error", "error": error}, event)

    def _send(self, event: Event, answers: Mapping[str, Any] | None = None) -> None:
        """`answers`: the client's event that brought it about."""
        whole = {"type": event["type"], "event_id": self._new_id("event"), **event}
        if answers and answers.get("event_id"):
            whole["client_event_id"] = answers["event_id"]
        self._around.sent(whole)
        self._wire.text(msgspec.json.encode(whole))

    def _after(self, delay_s: float, do: Callable[[], None], *, works: bool = True) -> Timer:
        """A timer that is forgotten when it has fired."""

        def fire() -> None:
            self._timers.discard(timer)
            self._work.discard(timer)
            do()

        timer: Timer = self._wire.later(delay_s, fire)
        self._timers.add(timer)
        if works:
            self._work.add(timer)
        return timer

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._around.session}_{self._ids:x}"


def _merged(settings: dict[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """What is given replaces what was set; of the audio and of the backend, only those fields that are given."""
    merged = {**settings, **changed}
    if changed.get("audio"):
        merged["audio"] = {**(settings.get("audio") or {}), **changed["audio"]}
    if changed.get("delegation"):
        own, given = settings["delegation"], changed["delegation"]
        merged["delegation"] = {**own, **given}
        if "responses" in own:
            merged["delegation"]["responses"] = {**own["responses"], **(given.get("responses") or {})}
    return merged
