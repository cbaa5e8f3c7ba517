"""What the tests of the simulated Deepgram share: the vendor's own description as a validator, a bare client, our
codecs on a link, and a wire whose time is moved by hand."""

from __future__ import annotations

import asyncio
import functools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft202012Validator
from picows import WSListener, WSMsgType, ws_connect

from holdfast_gameday.world import voice
from holdfast_gameday.world.deepgram_listen import Pace

with warnings.catch_warnings():
    # The vendor's package takes the old client of `websockets`, whose import is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import deepgram.listen.v1.client
    import deepgram.listen.v2.client  # noqa: F401 - loaded here, where its warning is let pass
    from deepgram import AsyncDeepgramClient, DeepgramClientEnvironment

V1, V2 = "/v1/listen", "/v2/listen"
KEY = "dg-practice"
AUTHORIZED = {"Authorization": f"Token {KEY}"}
QUICK = Pace(latency_s=0.0, interim_ms=200)
FLUX_QUERY = "model=flux-general-en&encoding=mulaw&sample_rate=8000"
NOVA_QUERY = (
    "model=nova-3&encoding=mulaw&sample_rate=8000&interim_results=true&vad_events=true&endpointing=300"
    "&utterance_end_ms=1000"
)
SPEC = json.loads((Path(__file__).parents[1] / "contract/specs/deepgram-ws.asyncapi.json").read_text())
_SCHEMAS = SPEC["components"]["schemas"]

# What the vendor's Python package 7.17 knows and the description of 2026-07-22 does not yet.
_NEWER_FIELDS = {(V2, "TurnInfo"): {"trigger"}, (V2, "ConfigureFailure"): {"code", "description"}}
_NEWER_SERVER = {
    (V1, "Error"): {"type", "variant", "description", "message"},
    (V2, "Warning"): {"type", "request_id", "sequence_id", "code", "description"},
}
_NEWER_CLIENT = {(V2, "ForceEndTurn"): {"type"}}


def spoken(text: str, *, number: int = 1, silence_ms: int = 600) -> bytes:
    """An utterance of a caller, and the silence after it."""
    return voice.encode_utterance(voice.Speaker.CALLER, 1, number, text) + voice.silence(silence_ms // 20)


def check_server(path: str, message: dict[str, Any]) -> None:
    """Fails unless the vendor's description, or its newer package, has such a message with no other field."""
    _check(path, message, "publish", _NEWER_SERVER)


def check_client(path: str, message: bytes, *, binary: bool) -> None:
    """Fails unless the vendor takes such a message: any audio that is not empty, or a text that is described."""
    if binary:
        assert message
    else:
        _check(path, json.loads(message), "subscribe", _NEWER_CLIENT)


def check_url(url: str) -> None:
    """Fails unless every parameter is described, and has a value that is."""
    parts = urlsplit(url)
    described = SPEC["channels"][parts.path]["bindings"]["ws"]["query"]["properties"]
    query = parse_qs(parts.query, strict_parsing=True, keep_blank_values=True)
    assert set(query) <= set(described)
    for name, values in query.items():
        _validate(described[name], values if len(values) > 1 else values[0], name)


def _check(
    path: str, message: dict[str, Any], side: str, newer: dict[tuple[str, str], set[str]]
) -> None:
    kind = message["type"]
    if (path, kind) in newer:
        assert set(message) == newer[path, kind]
        return
    schema = _described(path, side).get(kind)
    assert schema is not None, f"{path} has no message {kind}"
    _validate(schema, message, kind)
    unknown = set(message) - set(schema["properties"]) - _NEWER_FIELDS.get((path, kind), set())
    assert not unknown, f"{kind}: unknown fields {unknown}"


@functools.cache
def _described(path: str, side: str) -> dict[str, dict[str, Any]]:
    """The type of each message of text -> the schema that describes it."""
    found: dict[str, dict[str, Any]] = {}
    for reference in SPEC["channels"][path][side]["message"]["oneOf"]:
        schema = _resolved(_resolved(reference)["payload"])
        if schema["type"] == "object":
            kinds = _resolved(schema["properties"]["type"])["enum"]
            found |= dict.fromkeys(kinds, schema)
    return found


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    group, _, name = schema["$ref"].removeprefix("#/components/").partition("/")
    return SPEC["components"][group][name]


def _validate(schema: dict[str, Any], value: object, where: str) -> None:
    validator = Draft202012Validator({**schema, "components": {"schemas": _SCHEMAS}})
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
    assert not errors, f"{where}: {errors}"


def vendors_client(address: object, http: Any, *, key: str = KEY) -> AsyncDeepgramClient:
    """`http`: an httpx.AsyncClient, which the caller closes."""
    ws, rest = f"ws://{address}", f"http://{address}"
    environment = DeepgramClientEnvironment(base=rest, production=ws, agent=ws, agent_rest=rest)
    return AsyncDeepgramClient(api_key=key, environment=environment, httpx_client=http)


class Link(WSListener):
    """A bare client: keeps what came, each message checked, and waits for a type."""

    def __init__(self, path: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.gone = asyncio.Event()
        self.headers: dict[str, str] = {}
        self._path = path
        self._came = asyncio.Event()
        self._transport: Any = None
        self._read = 0

    @classmethod
    async def open(cls, url: str, headers: dict[str, str] | None = None, **options: Any) -> Link:
        transport, link = await ws_connect(
            lambda: cls(urlsplit(url).path, **options),
            url,
            extra_headers=AUTHORIZED if headers is None else headers,
        )
        link.headers = {name.lower(): value for name, value in transport.response.headers.items()}
        return link

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.closed = (int(frame.get_close_code().value), (frame.get_close_message() or b"").decode())
            transport.disconnect()
            return
        self.take(frame.get_payload_as_bytes())
        self._came.set()

    def on_ws_disconnected(self, transport: Any) -> None:
        self.gone.set()
        self._came.set()

    def take(self, data: bytes) -> None:
        message = json.loads(data)
        check_server(self._path, message)
        self.messages.append(message)

    def send(self, message: bytes, *, binary: bool = False) -> None:
        self._transport.send(WSMsgType.BINARY if binary else WSMsgType.TEXT, message)

    def say(self, kind: str, **fields: Any) -> None:
        self.send(json.dumps({"type": kind, **fields}).encode())

    async def until(self, wanted: str, *, within: float = 30) -> dict[str, Any]:
        """The next message of this type, or about this event of a turn."""
        async with asyncio.timeout(within):
            while True:
                while self._read < len(self.messages):
                    message = self.messages[self._read]
                    self._read += 1
                    if wanted in (message["type"], message.get("event")):
                        return message
                await self._next(wanted)

    async def _next(self, wanted: object) -> None:
        if self.gone.is_set():
            raise ConnectionError(f"the socket closed before {wanted}")
        self._came.clear()
        await self._came.wait()

    def kinds(self) -> list[str]:
        """What came, in order; turns by their event, and what says nothing new left out."""
        kinds = [message.get("event") or message["type"] for message in self.messages]
        return [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind]

    def close(self) -> None:
        self._transport.disconnect()


class HearingLink(Link):
    """One of our codecs on a link: all it sends is checked, and all it understands is kept."""

    def __init__(self, path: str, codec: Any) -> None:
        super().__init__(path)
        self.codec = codec
        self.heard: list[Any] = []

    def take(self, data: bytes) -> None:
        super().take(data)
        self.heard.extend(self.codec.decode(data, binary=False))

    def hear(self, audio: bytes) -> None:
        """In frames of 20 ms, as they come from a carrier."""
        for start in range(0, len(audio), 160):
            message = self.codec.append(audio[start : start + 160])
            if message is not None:
                self._give(message, binary=self.codec.audio_is_binary)

    def keep_alive(self) -> None:
        self._give(self.codec.keep_alive(), binary=self.codec.audio_is_binary)

    def finish(self) -> None:
        for message in self.codec.closing():
            self._give(message, binary=False)

    async def until_heard(self, kind: type, *, times: int = 1, within: float = 30) -> Any:
        async with asyncio.timeout(within):
            while sum(isinstance(event, kind) for event in self.heard) < times:
                await self._next(kind)
        return [event for event in self.heard if isinstance(event, kind)][times - 1]

    def _give(self, message: bytes, *, binary: bool) -> None:
        check_client(self._path, message, binary=binary)
        self.send(message, binary=binary)


class StillWire:
    """A `vendor_sockets.Wire` in memory: nothing happens before `advance`."""

    def __init__(self, *, late_s: float = 0.0) -> None:
        self.messages: list[tuple[float, dict[str, Any]]] = []
        """Each with the second in which it left."""
        self.left: tuple[int, str] | None = None
        self.reached_at: list[tuple[float, str]] = []
        self.session: Any = None
        self.now = 0.0
        self._late_s = late_s
        self._timers: list[_Timer] = []

    def text(self, message: bytes) -> None:
        if self.left is None:
            self.messages.append((self.now, json.loads(message)))

    def binary(self, message: bytes) -> None:
        raise AssertionError("nothing that hears sends audio")

    def leave(self, code: int, reason: str = "") -> None:
        if self.left is None:
            self.left = (code, reason)
            self.session.close()

    def later(self, delay_s: float, do: Callable[[], None]) -> _Timer:
        self._timers.append(timer := _Timer(self.now + delay_s, do))
        return timer

    def reached(self, moment: str) -> None:
        self.reached_at.append((self.now, moment))

    def delay_s(self) -> float:
        return self._late_s

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self._timers if timer.at <= end]:
            timer = min(due, key=lambda timer: timer.at)
            self._timers.remove(timer)
            self.now = max(self.now, timer.at)
            if not timer.cancelled:
                timer.do()
        self.now = end

    @property
    def waiting(self) -> int:
        return sum(not timer.cancelled for timer in self._timers)


class _Timer:
    def __init__(self, at: float, do: Callable[[], None]) -> None:
        self.at = at
        self.do = do
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
