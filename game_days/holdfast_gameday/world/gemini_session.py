"""One session of the simulated Live API: client messages in, server messages out.

It holds the setup, the conversation, its hearing and at most one turn of the model. It knows no sockets, no keys and no
clock: time reaches it as audio and through the timers of its wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from holdfast_gameday.world import gemini_mind
from holdfast_gameday.world import gemini_wire as wire_in
from holdfast_gameday.world.gemini_hearing import Hearing
from holdfast_gameday.world.gemini_turn import Speaker, Turn
from holdfast_gameday.world.gemini_wire import Closed, Content, Declaration, Part
from holdfast_gameday.world.openai_listening import Heard, SpeechStarted
from holdfast_gameday.world.openai_response import Timer
from holdfast_gameday.world.speaking_sound import Pace
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Wire

INVALID = "Request contains an invalid argument."
NOT_FOUND = "Requested entity was not found."
OUT_OF_QUOTA = "You exceeded your current quota, please check your plan and billing details."
EXHAUSTED = "Resource has been exhausted (e.g. check quota)."
_SILENCE_MS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """In what the models of the family differ."""

    content_only_as_history: bool = False
    no_audio_during_tools: bool = False
    demands_signatures: bool = True
    waits_after_tools: bool = False
    """The results of its tools alone do not make it go on."""
    together: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one connection, and of the handles by which another goes on."""

    life_s: float = 600.0
    notice_s: float = 60.0
    handle_s: float = 7_200.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A session that can be resumed."""

    model: str
    contents: tuple[Content, ...]


@dataclass(slots=True)
class House:
    """What all sessions of one server share."""

    models: Mapping[str, Model]
    pace: Pace
    limits: Limits
    waits_for_playback: bool
    kept: dict[str, Kept] = field(default_factory=dict)

    def forget(self, handle: str) -> None:
        self.kept.pop(handle, None)


class Session:
    def __init__(self, wire: Wire, number: int, *, house: House, vertex: bool, version: str) -> None:
        self.contents: list[Content] = []
        self.turns = 0
        self.cancelled: list[str] = []
        """The calls of tools that the model took back."""
        self.responses: list[str] = []
        """The calls that were answered, in order."""
        self._wire = wire
        self._number = number
        self._house = house
        self._vertex = vertex
        self._version = version
        self._setup: wire_in.Setup | None = None
        self._model = Model()
        self._hearing = Hearing()
        self._seeding = False
        self._turn: Turn | None = None
        self._pending: dict[str, None] = {}
        self._unanswered: list[Content] = []
        """What the caller said while the model spoke, and could not interrupt."""
        self._failure: Fault | None = None
        self._count = {"utterance": 0, "call": 0, "handle": 0}
        self._timers: list[Timer] = []

    @property
    def speaking(self) -> bool:
        return self._turn is not None

    # --- `vendor_sockets.Session`

    def open(self) -> None:
        """The server waits for the setup."""

    def receive(self, message: bytes, *, binary: bool) -> None:  # noqa: ARG002 - both kinds of frames hold JSON
        try:
            self._take(wire_in.read(message))
        except Closed as closed:
            self._wire.leave(closed.code, closed.reason)

    def fail(self, fault: Fault | None) -> None:
        """What is being said ends at once, or else what is asked next."""
        self._failure = fault
        if fault is not None and self._turn is not None:
            self._wire.leave(*_closing(fault))

    def close(self) -> None:
        if self._turn is not None:
            self._turn.stop()
        for timer in self._timers:
            timer.cancel()

    # --- client messages

    def _take(self, message: wire_in.Message) -> None:
        if isinstance(message, wire_in.Setup):
            if self._setup is not None:
                raise Closed(1007, "setup must be the first message and only the first")
            self._set_up(message)
            return
        if self._setup is None:
            raise Closed(1007, "setup must be the first message and only the first")
        match message:
            case wire_in.ClientContent():
                self._client_content(message)
            case wire_in.RealtimeInput():
                self._realtime_input(message)
            case wire_in.ToolResponse():
                self._tool_response(message)

    def _set_up(self, setup: wire_in.Setup) -> None:
        name = self._known_model(setup.model)
        if self._vertex and setup.history_config.initial_history_in_client_content:
            raise Closed(1007, INVALID)
        if setup.explicit_vad_signal and not self._vertex:
            raise Closed(1007, INVALID)
        if setup.realtime_input_config.automatic_activity_detection.disabled:
            raise Closed(1007, "The practice range detects activity by itself.")
        if setup.session_resumption is not None and setup.session_resumption.handle:
            kept = self._house.kept.get(setup.session_resumption.handle)
            if kept is None or kept.model != name:
                raise Closed(1008, "BidiGenerateContent session not found")
            self.contents = list(kept.contents)
        self._setup, self._model = setup, self._house.models[name]
        self._seeding = setup.history_config.initial_history_in_client_content
        limits = self._house.limits
        self._later(max(0.0, limits.life_s - limits.notice_s), self._go_away)
        self._later(limits.life_s, lambda: self._wire.leave(1008, "The operation was aborted."))
        self._send({"setupComplete": {"sessionId": f"session-{self._number}"} if self._vertex else {}})
        self._offer_handle()

    def _known_model(self, path: str) -> str:
        name = path.rpartition("/")[2]
        right = "/publishers/google/models/" in path if self._vertex else path == f"models/{name}"
        if right and name in self._house.models:
            return name
        if self._vertex:
            raise Closed(1008, f"Publisher Model `{path}` was not found or your project does not have access to it.")
        raise Closed(
            1008, f"{path} is not found for API version {self._version}, or is not supported for bidiGenerateContent. "
            "Call ListModels to see the list of available models and their supported methods.",
        )  # fmt: skip

    def _client_content(self, given: wire_in.ClientContent) -> None:
        if not self._seeding and self._model.content_only_as_history:
            raise Closed(1007, INVALID)
        for content in given.turns:
            if content.role not in ("user", "model"):
                raise Closed(1007, "Please use a valid role: user, model.")
            unsigned = any(part.function_call and not part.thought_signature for part in content.parts)
            if unsigned and self._model.demands_signatures:
                raise Closed(1007, "Function call is missing a thought_signature in functionCall parts.")
        if self._seeding:
            self.contents += given.turns
            self._seeding = not given.turn_complete
            return
        self._interrupt()
        self.contents += given.turns
        if given.turn_complete:
            self._generate()

    def _realtime_input(self, given: wire_in.RealtimeInput) -> None:
        if given.media_chunks or given.video is not None:
            raise Closed(1007, "The practice range takes audio and text only.")
        if given.activity_start is not None or given.activity_end is not None:
            raise Closed(
                1007, "Explicit activity control is not supported when automatic activity detection is enabled."
            )
        if (given.audio is not None) + (given.text is not None) + given.audio_stream_end != 1:
            raise Closed(1007, INVALID)
        if self._seeding:
            return  # The history is waited for, and nothing else is read.
        if given.audio is not None:
            if self._pending and self._model.no_audio_during_tools:
                raise Closed(1008, "Operation is not implemented, or supported, or enabled.")
            self._hear(self._hearing.feed(wire_in.audio(given.audio), silence_ms=self._silence_ms()))
        elif given.text is not None:
            self._interrupt()
            self.contents.append(Content(role="user", parts=[Part(text=given.text)]))
            self._generate()
        else:
            self._hear(self._hearing.end())

    def _tool_response(self, given: wire_in.ToolResponse) -> None:
        for answer in given.function_responses:
            if answer.id in self.cancelled:
                continue
            if answer.id not in self._pending:
                raise Closed(1008, NOT_FOUND)
            del self._pending[answer.id]
            self.responses.append(answer.id)
            part = Part(function_response={"id": answer.id, "name": answer.name, "response": answer.response})
            self.contents.append(Content(role="user", parts=[part]))
        if not self._pending and self._turn is not None:
            self._turn = None
            if not self._model.waits_after_tools:
                self._generate()

    # --- what audio and the model bring about

    def _hear(self, heard: Iterable[Heard]) -> None:
        for each in heard:
            if isinstance(each, SpeechStarted):
                self._activity("ACTIVITY_START")
                if self._interruptible():
                    self._interrupt()
                continue
            self._activity("ACTIVITY_END")
            self._transcribe(each.text)
            said = Content(role="user", parts=[Part(text=each.text)])
            if self._turn is None:
                self.contents.append(said)
                self._generate()
            else:
                self._unanswered.append(said)

    def _activity(self, kind: str) -> None:
        if self._setup is not None and self._setup.explicit_vad_signal:
            self._send({"voiceActivity": {"voiceActivityType": kind}})

    def _transcribe(self, text: str) -> None:
        if self._setup is None or self._setup.input_audio_transcription is None:
            return
        middle = len(text) // 2
        for piece in (text[:middle], text[middle:]):
            if piece:
                self._send({"serverContent": {"inputTranscription": {"text": piece}}})

    def _generate(self) -> None:
        if self._failure is not None:
            self._wire.leave(*_closing(self._failure))
            return
        self.turns += 1
        if self._setup is not None and self._setup.session_resumption is not None:
            self._send({"sessionResumptionUpdate": {}})
        instructions = self._setup.system_instruction if self._setup is not None else None
        outputs = gemini_mind.answer(self.contents, self._declared(), instructions)
        self._turn = Turn(self._speaker(), outputs, called=self._called, over=self._turn_over)

    def _called(self, call: str) -> None:
        """The turn stops here, until its calls are answered."""
        self._pending[call] = None
        self._remember()

    def _turn_over(self) -> None:
        self._remember()
        self._turn = None
        count = sum(len(part.text or "") for content in self.contents for part in content.parts) // 4 + 10
        usage = {"promptTokenCount": count, "responseTokenCount": 25, "totalTokenCount": count + 25}
        self._send({"serverContent": {"turnComplete": True}, "usageMetadata": usage})
        self._offer_handle()
        if self._unanswered:
            self._take_unanswered()
            self._generate()

    def _interrupt(self) -> None:
        """The turn under way ends here; what was sent of it stays in the conversation."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        turn.stop()
        if self._pending:
            taken_back, self._pending = list(self._pending), {}
            self.cancelled += taken_back
            self._send({"toolCallCancellation": {"ids": taken_back}})
        else:
            self._remember(turn)
        self._take_unanswered()
        self._send({"serverContent": {"interrupted": True}})
        self._send({"serverContent": {"turnComplete": True}})
        self._offer_handle()

    def _take_unanswered(self) -> None:
        said, self._unanswered = self._unanswered, []
        self.contents += said

    def _remember(self, turn: Turn | None = None) -> None:
        turn = turn or self._turn
        if turn is not None and turn.said:
            self.contents.append(Content(role="model", parts=list(turn.said)))
            turn.said.clear()

    # --- the connection

    def _go_away(self) -> None:
        left = min(self._house.limits.notice_s, self._house.limits.life_s)
        self._send({"goAway": {"timeLeft": f"{left:g}s"}})

    def _offer_handle(self) -> None:
        if self._setup is None or self._setup.session_resumption is None:
            return
        handle = f"handle-{self._number}-{self._next('handle')}"
        self._house.kept[handle] = Kept(self._setup.model.rpartition("/")[2], tuple(self.contents))
        # A handle outlives its connection.
        self._wire.later(self._house.limits.handle_s, lambda: self._house.forget(handle))
        self._send({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})

    def _speaker(self) -> Speaker:
        return Speaker(
            wire=self._wire, send=self._send, number=self._number, next_utterance=lambda: self._next("utterance"),
            next_call=lambda: f"function-call-{self._number}-{self._next('call')}", pace=self._house.pace,
            waits_for_playback=self._house.waits_for_playback, together=self._model.together,
            words=self._setup is not None and self._setup.output_audio_transcription is not None,
        )  # fmt: skip

    def _declared(self) -> list[Declaration]:
        return [each for tool in (self._setup.tools if self._setup else ()) for each in tool.function_declarations]

    def _interruptible(self) -> bool:
        return self._setup is None or self._setup.realtime_input_config.activity_handling != "NO_INTERRUPTION"

    def _silence_ms(self) -> int:
        detection = self._setup.realtime_input_config.automatic_activity_detection if self._setup else None
        return (detection.silence_duration_ms if detection else None) or _SILENCE_MS

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        self._timers.append(self._wire.later(delay_s, do))

    def _next(self, kind: str) -> int:
        self._count[kind] += 1
        return self._count[kind]

    def _send(self, message: dict[str, Any]) -> None:
        """The vendor's frames are binary, and hold JSON."""
        self._wire.binary(msgspec.json.encode(message))


def _closing(fault: Fault) -> tuple[int, str]:
    """The API has no errors within a session: it closes it."""
    if fault.error_code in ("insufficient_quota", "quota"):
        return 1011, OUT_OF_QUOTA
    if fault.error_code in ("rate_limit_exceeded", "RESOURCE_EXHAUSTED"):
        return 1011, EXHAUSTED
    return 1011, "Internal error encountered."
