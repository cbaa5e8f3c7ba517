"""Gemini Live (BidiGenerateContent) both ways, PCM to it and from it, µ-law to us. Pure, one object per link.

What its messages mean to a call is in `gemini_turns`; what has to be said of the past, and how tools are told, is here.
What the caller did not hear of a line cannot be told: there is no word for `Truncate`, and the server keeps what it had
sent. Unknown messages and fields are let pass.

https://ai.google.dev/api/live
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.resample import ToPcm16k
from holdfast_bridge.providers import gemini_history, gemini_schema, history
from holdfast_bridge.providers import gemini_messages as wire
from holdfast_bridge.providers.gemini_session import Asks, LiveSession, setup
from holdfast_bridge.providers.gemini_turns import Turns
from holdfast_bridge.providers.tool_calls import CallIds

MAX_CALLS = 32
"""Of tools that are not answered yet, and as many that were taken back."""
MAX_NOTES = 64
MAX_HANDLE = 4_096
MAX_HELD_BYTES = 3 * 32_000
"""Three seconds of the caller at 16 kHz wait for a tool's end."""
_NUDGE = " "


class _Open(NamedTuple):
    """A call of a tool that is not answered yet."""

    name: str
    arguments: str
    theirs: str
    """The server's id of it, if it gave one."""


class GeminiCodec:
    silence_max_s = 0.0

    def __init__(self, session: LiveSession, past: tuple[ev.Seed, ...] = ()) -> None:
        self.resumption = ""
        """The handle with which another session can go on from here; empty while none can."""
        self._session = session
        self._turns = Turns(silence_ms=session.silence_ms, replies_to_all=session.replies_to_all)
        self._configured = False
        self._unreadable = 0
        self._up = ToPcm16k()
        self._seeding = session.seeds_by_config
        """The server waits for the conversation so far, and hears nothing until it has come."""
        self._past = past if session.packs else ()
        """What stands in the instructions of the session already."""
        self._begun = False
        self._notes: list[ev.Seed] = []
        """What the model has to know when it is asked next."""
        self._held = bytearray()
        self._ids = CallIds()
        self._calls: dict[str, _Open] = {}
        self._cancelled: dict[str, _Open] = {}
        self._noticed: list[ev.Event] = []

    # --- to the provider

    def opening(self) -> list[bytes]:
        return [wire.message(setup(self._session, past=gemini_history.packed(self._past)))]

    def append(self, payload: bytes) -> bytes:
        """Empty: there is nothing to be sent now."""
        self._noticed += self._turns.hear(payload)
        pcm = self._up.feed(payload)
        self._begun = True
        ending = self._end_of_history()
        if ending or (self._session.mute_during_tools and self._calls):
            self._held += pcm
            del self._held[:-MAX_HELD_BYTES]
            return ending[0] if ending else b""
        if self._held:
            pcm = bytes(self._held) + pcm
            self._held.clear()
        return wire.audio(pcm)

    def noticed(self) -> list[ev.Event]:
        """What the caller's own sound told since this was last asked, without a message of the server."""
        noticed, self._noticed = self._noticed, []
        return noticed

    def encode(self, effect: ev.ToProvider) -> list[bytes]:
        match effect:
            case ev.AppendAudio(payload=payload):
                message = self.append(payload)
                return [message] if message else []
            case ev.Truncate():
                return []
            case ev.SeedConversation(items=items):
                return self._seed(items)
            case ev.Respond(instructions=instructions):
                return self._ask(instructions)
            case ev.ToolOutput(id=call, output=output):
                return self._tool_output(call, output)

    def _seed(self, items: tuple[ev.Seed, ...]) -> list[bytes]:
        if not self._begun and (self._session.resume or items == self._past):
            return []  # The server has it already.
        if self._seeding:
            self._seeding, self._begun = False, True
            return [wire.content(gemini_history.turns(items), complete=True)]
        if self._begun or self._session.asks is Asks.REALTIME_TEXT:
            # Content in the middle of a conversation would silence the model.
            self._notes = [*self._notes, *items][-MAX_NOTES:]
            return []
        self._begun = True
        text = gemini_history.packed(items)
        return [wire.content([gemini_history.content(text)], complete=False)] if text else []

    def _ask(self, instructions: str | None) -> list[bytes]:
        by_text = self._session.asks is Asks.REALTIME_TEXT
        if instructions is None and self._turns.goes_on:
            return [wire.text(_NUDGE)] if by_text else []
        self._turns.ask()
        self._begun = True
        texts = [text for text in (gemini_history.packed(self._notes), gemini_history.asked(instructions)) if text]
        self._notes = []
        if by_text:
            return [*self._end_of_history(), wire.text("\n".join(texts))]
        return [*self._end_of_history(), wire.content([gemini_history.content(*texts)], complete=True)]

    def _tool_output(self, call: str, output: str) -> list[bytes]:
        if (cancelled := self._cancelled.pop(call, None)) is not None:
            self._notes.append(ev.SeedTool(call, cancelled.name, cancelled.arguments, output))
        if (opened := self._calls.pop(call, None)) is None:
            return []
        self._turns.tools_run = bool(self._calls)
        self._turns.tool_answered(last=not self._calls)
        answer: dict[str, Any] = {"name": opened.name, "response": gemini_schema.response(output)}
        if opened.theirs:
            answer["id"] = opened.theirs
        return [wire.message({"toolResponse": {"functionResponses": [answer]}})]

    def _end_of_history(self) -> list[bytes]:
        if not self._seeding:
            return []
        self._seeding = False
        return [wire.content([gemini_history.content(history.BEGAN)], complete=True)]

    # --- from the provider

    def decode(self, message: bytes) -> Iterable[ev.Event]:
        try:
            said = wire.decoder.decode(message)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._garbled()
        if said.server_content is not None and not wire.readable(said.server_content):
            return self._garbled()
        out = self.noticed()
        if said.server_content is not None:
            out += self._turns.content(said.server_content)
        if said.tool_call is not None:
            out += self._tools_asked(said.tool_call.function_calls)
        if said.tool_call_cancellation is not None:
            self._cancel(said.tool_call_cancellation.ids)
        if said.voice_activity is not None:
            out += self._turns.activity(said.voice_activity.voice_activity_type)
        if said.setup_complete is not None and not self._configured:
            self._configured = True
            out.append(ev.ProviderReady(attentive=self._session.tells_activity))
        if said.session_resumption_update is not None:
            update = said.session_resumption_update
            self.resumption = update.new_handle if update.resumable and len(update.new_handle) <= MAX_HANDLE else ""
        if said.go_away is not None:
            out.append(ev.ProviderEnding(wire.seconds(said.go_away.time_left)))
        return out

    def _garbled(self) -> Iterable[ev.Event]:
        self._unreadable += 1
        return (ev.ProviderLost("unreadable"),) if self._unreadable == failures.UNREADABLE_MAX else ()

    # --- tools

    def _tools_asked(self, calls: list[wire.Call]) -> list[ev.Event]:
        asked: list[ev.ToolCall] = []
        running = {opened.theirs for opened in self._calls.values() if opened.theirs}
        for call in calls:
            if call.id in running or len(self._calls) >= MAX_CALLS:
                continue
            ours, arguments = self._ids.of(call.id), wire.arguments(call)
            self._calls[ours] = _Open(call.name, arguments, call.id)
            running |= {call.id} - {""}
            asked.append(ev.ToolCall(ours, call.name, arguments))
        self._turns.tools_run = bool(self._calls)
        return self._turns.tools(asked) if asked else []

    def _cancel(self, theirs: list[str]) -> None:
        """Their results are not taken any more: they are told as a note when the model is asked next."""
        for ours, opened in list(self._calls.items()):
            if opened.theirs and opened.theirs in theirs:
                del self._calls[ours]
                if len(self._cancelled) < MAX_CALLS:
                    self._cancelled[ours] = opened
        self._turns.tools_run = bool(self._calls)
