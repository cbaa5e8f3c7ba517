"""GPT-Live's codec with its session started, and the place in time that the vendor's words have. Pure."""

from __future__ import annotations

import base64
import json
from typing import Any

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.gpt_live import GptLiveCodec, LiveSession

SOUND = b"\x10" * 800
"""A tenth of a second of loud sound."""
SILENCE = b"\xff" * 800
BOOK = {"name": "book", "description": "Books a table.", "parameters": {}}


class Live:
    def __init__(self, *history: ev.Seed, **changes: Any) -> None:
        session = {"model": "gpt-live-1", "backend_model": "gpt-5.5", "instructions": "Be kind.", **changes}
        self.codec = GptLiveCodec(LiveSession(**session), history)
        self.at_ms = 0
        self.ready = self.read(type="session.started", session={"id": "s", "expires_at": 1_800_000_000})

    def read(self, **event: Any) -> list[ev.Event]:
        return list(self.codec.decode(json.dumps(event).encode()))

    def sent(self, *effects: ev.ToProvider) -> list[dict[str, Any]]:
        return [json.loads(message) for effect in effects for message in self.codec.encode(effect)]

    def sounds(self, *chunks: bytes) -> list[ev.Event]:
        told: list[ev.Event] = []
        for chunk in chunks:
            told += self.read(type="session.output_audio.delta", delta=base64.b64encode(chunk).decode())
            self.at_ms += len(chunk) // 8
        return told

    def agent(self, text: str) -> list[ev.Event]:
        """Words of the last 200 ms."""
        span = {"start_ms": self.at_ms - 200, "end_ms": self.at_ms}
        return self.read(type="session.output_transcript.delta", event_id="e", delta=text, **span)

    def caller(self, text: str) -> list[ev.Event]:
        span = {"start_ms": self.at_ms - 200, "end_ms": self.at_ms}
        return self.read(type="session.input_transcript.delta", event_id="e", delta=text, **span)

    def line(self, text: str) -> list[ev.Event]:
        """Half a second of speech and what ends it."""
        return [*self.sounds(*[SOUND] * 5), *self.agent(text), *self.sounds(*[SILENCE] * 8)]

    def inner(self, kind: str, delegation: str | None = "d1", **fields: Any) -> list[ev.Event]:
        return self.read(type="response.event", delegation_id=delegation, event={"type": kind, **fields})

    def asks(self, call: str, name: str = "book", delegation: str | None = "d1", **more: Any) -> list[ev.Event]:
        item = {"type": "function_call", "call_id": call, "name": name, "arguments": "{}", "status": "completed"}
        return self.inner("response.output_item.done", delegation, item={**item, **more})


def without_sound(told: list[ev.Event]) -> list[ev.Event]:
    return [event for event in told if not isinstance(event, ev.ProviderAudio)]


def sound_of(told: list[ev.Event]) -> bytes:
    return b"".join(event.payload for event in told if isinstance(event, ev.ProviderAudio))
