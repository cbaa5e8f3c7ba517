"""The bench's provider with faults: between its sessions and the sockets stands a line that can be spoilt.

It does what it is told, when it is told; what to do comes from the dice. It knows calls by their number only.
"""

from __future__ import annotations

import asyncio
import json
import time
from random import Random

import picows

from holdfast_gameday.bench_bridge import shapes
from holdfast_gameday.bench_bridge.provider import Provider, Session
from holdfast_gameday.soak_calls.dice import REFUSALS, Fault, Kind
from holdfast_gameday.soak_calls.voice import Ear

_TEXT = picows.WSMsgType.TEXT
_GARBAGE = b'{"type":"response.output_audio.delta","delta":'
_GARBAGE_TIMES = 3
"""So many messages that nobody can read end a link."""
_OF_THE_LINE = 5
"""Of the events that end a line: the last of them ends the response, and what follows is the caller's."""
_ERROR = json.dumps({"type": "error", "error": {"type": "server_error", "code": None, "message": "try again"}}).encode()


def agent_ends_call(line: int) -> list[bytes]:
    """What a session says when its agent ends the call in the middle of a line."""
    *ends, done = shapes.line_ends(line, 1)[:_OF_THE_LINE]
    call = {
        "id": f"item_end{line:08d}", "object": "realtime.item", "type": "function_call", "status": "completed",
        "call_id": f"call_end{line:08d}", "name": "end_call", "arguments": "{}",
    }  # fmt: skip
    asked = {"type": "response.output_item.done", "event_id": "event_end", "output_index": 1, "item": call}
    return [*ends, json.dumps(asked, separators=(",", ":")).encode(), done]


class Line(picows.WSListener):
    """One session's socket. `slow_s`: so long nothing of what the session says goes out."""

    def __init__(self, vendor: Vendor, session: Session, ear: Ear, slow_s: float) -> None:
        self._vendor = vendor
        self._session = session
        self._ear = ear
        self._slow_s = slow_s
        self._held: list[bytes] | None = [] if slow_s else None
        self._release: asyncio.TimerHandle | None = None
        self._transport: picows.WSTransport | None = None
        self.mute = False

    @property
    def number(self) -> int:
        return self._ear.number

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        self._vendor.lines.append(self)
        if self._held is not None:
            self._release = asyncio.get_running_loop().call_later(self._slow_s, self._let_go)
        self._session.begin(self._say)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self._session.on_ws_frame(transport, frame)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - the signature is picows'
        self._transport = None
        if self._release is not None:
            self._release.cancel()
        self._vendor.lines.remove(self)

    def cut(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.disconnect(graceful=False)

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.send_close(picows.WSCloseCode.INTERNAL_ERROR)
            transport.disconnect()

    def garbage(self) -> None:
        for _ in range(_GARBAGE_TIMES):
            self._say(_GARBAGE)

    def error(self) -> None:
        self._say(_ERROR)

    def end_call(self) -> None:
        """The agent ends its line, calls the tool, and has nothing more to say."""
        for message in agent_ends_call(self._session.line):
            self._say(message)
        self.mute = True

    def _say(self, message: bytes) -> None:
        if self.mute or self._transport is None:
            return
        if self._held is None:
            self._transport.send(_TEXT, message)
        else:
            self._held.append(message)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        for message in held or ():
            self._say(message)


class Vendor:
    """One provider. `down`: when it was wholly down, in nanoseconds of the monotonic clock."""

    def __init__(self, name: str, port: int, dice: Random) -> None:
        self.name = name
        self.lines: list[Line] = []
        self.down: list[tuple[int, int]] = []
        self.refused = 0
        self._port = port
        self._dice = dice
        self._weather: Fault | None = None
        self._weather_until = 0.0
        self._server: asyncio.Server | None = None
        self._ear = Ear()
        self._provider = Provider(self._sound)

    @property
    def sessions(self) -> int:
        """So many were opened so far."""
        return self._provider.opened

    async def open(self) -> None:
        self._server = await picows.ws_create_server(
            self._accept, "127.0.0.1", self._port, max_frame_size=1 << 20, logger_name="provider"
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for line in list(self.lines):
            line.cut()

    async def meet(self, fault: Fault) -> None:
        """Do what the fault says; returns when it is over."""
        match fault.kind:
            case Kind.DOWN:
                await self._go_down(fault.lasts_s)
            case Kind.SLOW | Kind.REFUSED_503 | Kind.REFUSED_429 | Kind.REFUSED_401:
                self._weather, self._weather_until = fault, time.monotonic() + fault.lasts_s
            case _:
                speaking = [line for line in self.lines if not line.mute]
                for line in self._dice.sample(speaking, min(fault.sessions, len(speaking))):
                    _spoil(line, fault.kind)

    def line_of(self, number: int) -> Line | None:
        """The one on which this call's sound is answered now."""
        return next((line for line in reversed(self.lines) if line.number == number and not line.mute), None)

    async def _go_down(self, seconds: float) -> None:
        began = time.monotonic_ns()
        self.close()
        await asyncio.sleep(seconds)
        await self.open()
        self.down.append((began, time.monotonic_ns()))

    def _accept(
        self, request: picows.WSUpgradeRequest
    ) -> picows.WSListener | picows.WSUpgradeResponseWithListener:
        weather = self._weather if time.monotonic() < self._weather_until else None
        hit = weather is not None and self._dice.random() < weather.share
        if weather is not None and hit and weather.kind in REFUSALS:
            self.refused += 1
            refusal = picows.WSUpgradeResponse.create_error_response(REFUSALS[weather.kind])
            return picows.WSUpgradeResponseWithListener(refusal, None)
        session = self._provider.accept(request)
        return Line(self, session, self._ear, weather.slow_s if weather is not None and hit else 0.0)

    def _sound(self) -> tuple[Ear, Ear]:
        """Of the session that is being accepted."""
        self._ear = Ear()
        return self._ear, self._ear


def _spoil(line: Line, kind: Kind) -> None:
    match kind:
        case Kind.CUT:
            line.cut()
        case Kind.CLOSED:
            line.close()
        case Kind.STALLED:
            line.mute = True
        case Kind.GARBAGE:
            line.garbage()
        case Kind.ERROR:
            line.error()
        case _:
            raise AssertionError(kind)
