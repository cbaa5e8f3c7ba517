"""One response on its way out: items, transcript and audio, paced as the vendor paces them.

It is given what to say and a way to send and to wait; it knows neither the conversation's rules nor sockets.
One timer is pending per response that speaks.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast_gameday.world import openai_model, voice
from holdfast_gameday.world.openai_conversation import Conversation
from holdfast_gameday.world.openai_listening import OCTETS_PER_MS

Event = dict[str, Any]


class Timer(Protocol):
    def cancel(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How the model speaks. The defaults resemble the vendor: first audio soon, then faster than it is heard."""

    first_audio_s: float = 0.15
    chunk_ms: int = 200
    speed: float = 3.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a response needs of its session."""

    conversation: Conversation
    send: Callable[[Event], None]
    later: Callable[[float, Callable[[], None]], Timer]
    new_id: Callable[[str], str]
    next_utterance: Callable[[], int]
    speaker: int
    pace: Pace
    late_s: Callable[[], float] = lambda: 0.0
    """By how much the first event of a response has to be late now."""


class Response:
    __slots__ = (
        "_announced", "_around", "_audio", "_done", "_input_tokens", "_item", "_kept", "_outputs", "_position",
        "_shown", "_texts", "_timer", "audio_octets", "id", "modality", "output",
    )  # fmt: skip

    def __init__(
        self,
        around: Surroundings,
        outputs: tuple[openai_model.Output, ...],
        *,
        modality: str,
        in_conversation: bool,
        done: Callable[[], None],
    ) -> None:
        self._around = around
        self._outputs = outputs
        self._kept = in_conversation
        self._done = done
        self._input_tokens = sum(len(openai_model.text_of(item)) for item in around.conversation.items) // 4 + 10
        self._timer: Timer | None = None
        self._item: Event | None = None  # the message being spoken
        self._audio = b""
        self._texts: list[str] = []
        self._position = 0
        self._shown = 0
        self._announced = False
        self.id = around.new_id("resp")
        self.modality = modality
        self.output: list[Event] = []
        self.audio_octets = 0

    def start(self) -> None:
        late_s = self._around.late_s()
        if late_s > 0:
            self._timer = self._around.later(late_s, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._announce()
        limits = [
            {"name": "requests", "limit": 5000, "remaining": 4999, "reset_seconds": 0.012},
            {"name": "tokens", "limit": 400_000, "remaining": 395_000, "reset_seconds": 0.75},
        ]
        self._around.send({"type": "rate_limits.updated", "rate_limits": limits})
        self._timer = self._around.later(self._around.pace.first_audio_s, self._next_output)

    def cancel(self, reason: str) -> None:
        """Ends it where it is; what was already sent stays sent."""
        self._stop()
        self._finish({"type": "cancelled", "reason": reason})

    def fail(self, kind: str, code: str) -> None:
        """Ends it where it is, or before it has begun."""
        self._stop()
        self._finish({"type": "failed", "error": {"type": kind, "code": code}})

    def drop(self) -> None:
        """The socket is gone: nothing more is sent."""
        if self._timer is not None:
            self._timer.cancel()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._announce()
        if self._item is not None:
            self._close_message("incomplete")

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._around.send({"type": "response.created", "response": self._snapshot("in_progress")})

    def _next_output(self) -> None:
        if len(self.output) == len(self._outputs):
            self._finish({"type": "completed"})
            return
        output = self._outputs[len(self.output)]
        if isinstance(output, openai_model.Call):
            self._call(output)
        else:
            self._open_message(output)

    def _call(self, call: openai_model.Call) -> None:
        item = {
            "id": self._around.new_id("item"), "object": "realtime.item", "type": "function_call",
            "status": "in_progress", "name": call.name, "call_id": self._around.new_id("call"), "arguments": "",
        }  # fmt: skip
        self._added(item)
        where = {"response_id": self.id, "item_id": item["id"], "output_index": len(self.output) - 1}
        where["call_id"] = item["call_id"]
        half = (len(call.arguments) + 1) // 2
        for delta in (call.arguments[:half], call.arguments[half:]):
            self._around.send({"type": "response.function_call_arguments.delta", **where, "delta": delta})
        item["arguments"] = call.arguments
        self._around.send(
            {"type": "response.function_call_arguments.done", **where, "name": call.name, "arguments": call.arguments}
        )
        self._item_done(item, "completed")
        self._next_output()

    def _open_message(self, say: openai_model.Say) -> None:
        item: Event = {
            "id": self._around.new_id("item"), "object": "realtime.item", "type": "message",
            "status": "in_progress", "role": "assistant", "content": [],
        }  # fmt: skip
        self._item = item
        self._position = self._shown = 0
        self._added(item)
        part: Event = {"type": "text", "text": ""}
        pieces = _pieces(say.text)
        if self.modality == "audio":
            part = {"type": "audio", "transcript": ""}
            self._around.conversation.audio_ms[item["id"]] = 0
            self._audio = b"".join(
                voice.encode_utterance(
                    voice.Speaker.AGENT, self._around.speaker, self._around.next_utterance(), piece, say.frames
                )
                for piece in pieces
            )
        self._texts = say.text.split(" ")
        self._send_part("response.content_part.added", part=part)
        self._speak()

    def _speak(self) -> None:
        """Sends the next chunk; the timer brings it back here until nothing is left."""
        if self.modality == "text":
            self._send_part("response.output_text.delta", delta=" ".join(self._texts))
            self._end_message()
            return
        pace = self._around.pace
        chunk = self._audio[self._position : self._position + pace.chunk_ms * OCTETS_PER_MS]
        self._position += len(chunk)
        words = self._words_until(self._position / max(1, len(self._audio)))
        if words:
            self._send_part("response.output_audio_transcript.delta", delta=words)
        if chunk:
            assert self._item is not None
            self.audio_octets += len(chunk)
            self._around.conversation.audio_ms[self._item["id"]] += len(chunk) // OCTETS_PER_MS
            self._send_part("response.output_audio.delta", delta=base64.b64encode(chunk).decode())
        if self._position < len(self._audio):
            self._timer = self._around.later(pace.chunk_ms / 1000 / pace.speed, self._speak)
        else:
            self._end_message()

    def _words_until(self, share: float) -> str:
        upto = round(len(self._texts) * share)
        words = self._texts[self._shown : upto]
        begun = self._shown > 0
        self._shown = upto
        return (" " if begun and words else "") + " ".join(words)

    def _end_message(self) -> None:
        self._shown = len(self._texts)
        self._close_message("completed")
        self._next_output()

    def _close_message(self, status: str) -> None:
        item = self._item
        assert item is not None
        said = " ".join(self._texts[: self._shown])
        if self.modality == "text":
            self._send_part("response.output_text.done", text=said)
            part: Event = {"type": "text", "text": said}
            item["content"] = [{"type": "output_text", "text": said}]
        else:
            self._send_part("response.output_audio.done")
            self._send_part("response.output_audio_transcript.done", transcript=said)
            part = {"type": "audio", "transcript": said}
            item["content"] = [{"type": "output_audio", "transcript": said}]
        self._send_part("response.content_part.done", part=part)
        self._item = None
        self._item_done(item, status)

    def _added(self, item: Event) -> None:
        self.output.append(item)
        where = {"response_id": self.id, "output_index": len(self.output) - 1}
        self._around.send({"type": "response.output_item.added", **where, "item": item})
        if self._kept:
            previous = self._around.conversation.append(item)
            self._around.send({"type": "conversation.item.added", "previous_item_id": previous, "item": item})

    def _item_done(self, item: Event, status: str) -> None:
        item["status"] = status
        index = self.output.index(item)
        self._around.send(
            {"type": "response.output_item.done", "response_id": self.id, "output_index": index, "item": item}
        )
        if self._kept:
            items = self._around.conversation.items
            place = next((i for i, kept in enumerate(items) if kept is item), 0)
            previous = items[place - 1]["id"] if place else None
            self._around.send({"type": "conversation.item.done", "previous_item_id": previous, "item": item})

    def _send_part(self, kind: str, **more: object) -> None:
        assert self._item is not None
        where = {"response_id": self.id, "item_id": self._item["id"], "output_index": len(self.output) - 1}
        self._around.send({"type": kind, **where, "content_index": 0, **more})

    def _finish(self, details: Event) -> None:
        self._timer = None
        snapshot = self._snapshot(details["type"])
        if details["type"] != "completed":
            snapshot["status_details"] = details
        snapshot["usage"] = self._usage()
        self._done()
        self._around.send({"type": "response.done", "response": snapshot})

    def _snapshot(self, status: str) -> Event:
        return {
            "id": self.id, "object": "realtime.response", "status": status, "output": list(self.output),
            "output_modalities": [self.modality], "max_output_tokens": "inf", "conversation_id": "conv_1",
        }  # fmt: skip

    def _usage(self) -> Event:
        """The vendor bills a token per 50 ms of speech made; the text share is an estimate of four letters a token."""
        audio = self.audio_octets // OCTETS_PER_MS // 50
        text = sum(len(openai_model.text_of(item)) for item in self.output) // 4
        return {
            "total_tokens": self._input_tokens + audio + text,
            "input_tokens": self._input_tokens,
            "output_tokens": audio + text,
            "input_token_details": {"text_tokens": self._input_tokens, "audio_tokens": 0, "cached_tokens": 0},
            "output_token_details": {"text_tokens": text, "audio_tokens": audio},
        }


def _pieces(text: str) -> list[str]:
    """Text cut between words so that each piece fits a voice frame."""
    pieces: list[str] = []
    for word in text.split():
        longer = f"{pieces[-1]} {word}" if pieces else word
        if pieces and len(longer.encode()) <= voice.TEXT_OCTETS_MAX:
            pieces[-1] = longer
        else:
            pieces.append(word)
    return pieces
