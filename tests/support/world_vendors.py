"""What the tests of the simulated vendors share: the vendors' own descriptions as validators, and a Realtime client."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from pathlib import Path
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from picows import WSListener, WSMsgType, ws_connect

SPECS = Path(__file__).parents[1] / "contract" / "specs"
KEY = "sk-practice"
ULAW = {"type": "audio/pcmu"}


@functools.cache
def _spec(name: str) -> dict[str, Any]:
    return json.loads((SPECS / f"{name}.json").read_text())


@functools.cache
def _event_kinds() -> dict[str, str]:
    """The type of each server event -> the schema that describes it."""
    schemas = _spec("openai-realtime")["components"]["schemas"]
    members = schemas["RealtimeServerEvent"].get("anyOf") or schemas["RealtimeServerEvent"]["oneOf"]
    names = [member["$ref"].rpartition("/")[2] for member in members]
    return {_constant(schemas[name]["properties"]["type"]): name for name in names}


def _constant(schema: dict[str, Any]) -> str:
    return schema.get("const") or schema["enum"][0]


@functools.cache
def _event_validator(kind: str) -> Draft202012Validator:
    spec = _spec("openai-realtime")
    return Draft202012Validator({"$ref": f"#/components/schemas/{kind}", "components": spec["components"]})


def check_realtime_event(event: dict[str, Any]) -> None:
    """Fails unless the vendor's description holds the event, with every field it requires."""
    kind = _event_kinds().get(event["type"])
    assert kind is not None, f"the description has no event {event['type']}"
    errors = [f"{error.json_path}: {error.message}" for error in _event_validator(kind).iter_errors(event)]
    assert not errors, f"{event['type']}: {errors}"


class RealtimeClient(WSListener):
    """A bare client: sends events, keeps what came, waits for a type."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.gone = asyncio.Event()
        self._came = asyncio.Event()
        self._transport: Any = None
        self._read = 0

    @classmethod
    async def connect(cls, address: Any, *, key: str = KEY, headers: dict[str, str] | None = None) -> RealtimeClient:
        _, client = await ws_connect(
            cls,
            f"ws://{address}/v1/realtime?model=gpt-realtime",
            extra_headers={"Authorization": f"Bearer {key}", **(headers or {})},
        )
        return client

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.close_code = int(frame.get_close_code())
            transport.disconnect()
            return
        self.events.append(json.loads(frame.get_payload_as_bytes()))
        self._came.set()

    def on_ws_disconnected(self, transport: Any) -> None:
        self.gone.set()
        self._came.set()

    def send(self, kind: str, **fields: Any) -> None:
        self._transport.send(WSMsgType.TEXT, msgspec.json.encode({"type": kind, **fields}))

    def send_raw(self, data: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, data)

    def speak(self, audio: bytes) -> None:
        """In 20 ms messages, as a bridge does."""
        for start in range(0, len(audio), 160):
            self.send("input_audio_buffer.append", audio=base64.b64encode(audio[start : start + 160]).decode())

    def send_fragments(self, first: bytes, last: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, first, fin=False)
        self._transport.send(WSMsgType.CONTINUATION, last)

    def send_binary(self, data: bytes) -> None:
        self._transport.send(WSMsgType.BINARY, data)

    async def until(self, kind: str, *, within: float = 30) -> dict[str, Any]:
        """The next event of the type after the last one asked for."""
        async with asyncio.timeout(within):
            while True:
                while self._read < len(self.events):
                    event = self.events[self._read]
                    self._read += 1
                    if event["type"] == kind:
                        return event
                if self.gone.is_set():
                    raise ConnectionError(f"the socket closed before {kind}")
                self._came.clear()
                await self._came.wait()

    async def ready(self, **session: Any) -> RealtimeClient:
        """Sets up a telephone session."""
        await self.until("session.created")
        self.send("session.update", session=telephone_session(**session))
        await self.until("session.updated")
        return self

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def audio(self, response_id: str) -> bytes:
        return b"".join(
            base64.b64decode(event["delta"])
            for event in self.events
            if event["type"] == "response.output_audio.delta" and event["response_id"] == response_id
        )

    def close(self) -> None:
        self._transport.disconnect()


def telephone_session(**more: Any) -> dict[str, Any]:
    turns = more.pop("turn_detection", {"type": "server_vad", "silence_duration_ms": 200})
    return {
        "type": "realtime",
        "audio": {
            "input": {"format": ULAW, "transcription": {"model": "gpt-transcribe"}, "turn_detection": turns},
            "output": {"format": ULAW, "voice": "marin"},
        },
        **more,
    }
