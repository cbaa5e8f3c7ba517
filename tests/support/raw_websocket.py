"""Both ends of a WebSocket made of bytes, so that they can say what no library would send. Only what they are asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bridge_world import ACCOUNT, HOST, PATH

from holdfast_bridge.core import signature

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x11\x22\x33\x44"
KEY = base64.b64encode(bytes(16)).decode()
ABORTED = -1
"""In the place of a close code: the socket ended without one."""


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, length: bytes = b""
) -> bytes:
    """`length`: what stands in the place of the length, from its seven bits on."""
    length = length or _length(len(payload))
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | length[0]]) + length[1:]
    if not masked:
        return head + payload
    return head + MASK + bytes(octet ^ MASK[at % 4] for at, octet in enumerate(payload))


def _length(size: int) -> bytes:
    if size < 126:
        return bytes([size])
    return b"\x7e" + size.to_bytes(2) if size < 65_536 else b"\x7f" + size.to_bytes(8)


def closing(code: int, reason: bytes = b"", *, masked: bool = True) -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason, masked=masked)


def head(
    *more: str, drop: str = "", line: str = f"GET {PATH} HTTP/1.1", host: str = HOST, key: str = "carrier"
) -> bytes:
    """An upgrade that is in order, but for what is added and the header that is dropped."""
    lines = [
        f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}", f"X-Twilio-Signature: {signature.sign(f'wss://{HOST}{PATH}', None, key)}",
    ]  # fmt: skip
    kept = [each for each in lines if not drop or not each.startswith(drop)]
    return "\r\n".join((line, *kept, *more, "", "")).encode("latin-1")


def said(event: str, **fields: Any) -> bytes:
    return json.dumps({"event": event, "streamSid": "MZ1", **fields}).encode()


def start(token: str, call: str, *, account: str = ACCOUNT) -> bytes:
    body = {
        "accountSid": account, "callSid": call, "customParameters": {"token": token},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }  # fmt: skip
    return said("start", start=body)


def media(payload: bytes) -> bytes:
    return said("media", media={"payload": base64.b64encode(payload).decode()})


@dataclass(slots=True)
class RawClient:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    async def dribble(self, data: bytes) -> None:
        """A byte at a time, each in a segment of its own as far as that can be asked for."""
        for octet in data:
            self.writer.write(bytes([octet]))
            await self.writer.drain()
            await asyncio.sleep(0)

    async def status(self) -> int:
        """Of the answer to the upgrade; `ABORTED` when there was none."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            async with asyncio.timeout(30):
                answer = await self.reader.readuntil(b"\r\n\r\n")
            return int(answer.split()[1])
        return ABORTED

    async def begin(self, call: str) -> None:
        """A call of its own, up to its first message of sound."""
        self.send(head())
        assert await self.status() == 101
        self.send(frame(TEXT, said("connected")), frame(TEXT, start(f"good {call} 1", call)))

    async def next(self) -> tuple[int, bytes]:
        """The next frame: its opcode and its payload. At the end of the socket: CLOSE, and nothing."""
        try:
            async with asyncio.timeout(30):
                first, second = await self.reader.readexactly(2)
                size = second & 127
                if size > 125:
                    size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
                return first & 15, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return CLOSE, b""

    async def close_code(self) -> int:
        """With which the other side closes, whatever it says before."""
        while True:
            opcode, payload = await self.next()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2]) if payload else ABORTED

    async def gone(self) -> None:
        """The other side has let go of the socket itself."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(30):
                while await self.reader.read(65_536):
                    pass


@contextlib.asynccontextmanager
async def raw_client(port: int) -> AsyncIterator[RawClient]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


def accepted(request: bytes) -> bytes:
    """The answer that takes this upgrade."""
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")).split()[1]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest), b"", b"",
    ]  # fmt: skip
    return b"\r\n".join(lines)


Script = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[str]:
    """Reads the head of a request and lets `script` answer; gives the address. Waits for the script at its end."""
    meetings: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await script(await reader.readuntil(b"\r\n\r\n"), reader, writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meetings.add(asyncio.create_task(meet(reader, writer)))

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
    finally:
        server.close()
        for task in meetings:
            task.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)
