"""What the tests of the bridge's Gemini dialect share: a codec, and the server's messages as it would write them."""

from __future__ import annotations

import base64
import json
import math
import struct

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.resample import FromPcm24k
from holdfast_bridge.providers.gemini_live import GeminiCodec
from holdfast_bridge.providers.gemini_session import LiveSession, Vertex

QUIET = bytes(960)
"""20 ms of silence at 24 kHz."""
TONE = struct.pack("<480h", *(round(8_000 * math.sin(math.tau * at / 24)) for at in range(480)))
HEARD = FromPcm24k().feed(TONE)
"""What 20 ms of a tone are to the caller, as the beginning of a line."""
FRAME = b"\xff" * 160
SPEECH = b"\x10\x90" * 80
"""20 ms of the caller, silent and loud."""
VERTEX = Vertex("clinic", "europe-west4")
REMARK = "[Not said by the caller, but an instruction to you]\n"


def codec(past: tuple[ev.Seed, ...] = (), **changes: object) -> GeminiCodec:
    session = LiveSession(model="gemini-3.8-live", voice="Kore", instructions="Be kind.", **changes)  # type: ignore[arg-type]
    return GeminiCodec(session, past)


def ready(**changes: object) -> GeminiCodec:
    """A codec that has had its history and has asked nothing yet."""
    c = codec(**changes)
    read(c, setupComplete={})
    c.encode(ev.SeedConversation((ev.SeedText("user", "hi"),)))
    return c


def read(c: GeminiCodec, **message: object) -> list[ev.Event]:
    return list(c.decode(json.dumps(message, separators=(",", ":")).encode()))


def said(c: GeminiCodec, **content: object) -> list[ev.Event]:
    return read(c, serverContent=content)


def blob(pcm: bytes, mime_type: str = "audio/pcm;rate=24000") -> dict[str, object]:
    return {"parts": [{"inlineData": {"mimeType": mime_type, "data": base64.b64encode(pcm).decode()}}]}


def sound(c: GeminiCodec, *, words: str = "", pcm: bytes = TONE) -> list[ev.Event]:
    return said(c, modelTurn=blob(pcm), **({"outputTranscription": {"text": words}} if words else {}))


def heard(c: GeminiCodec, text: str) -> list[ev.Event]:
    """The server has understood words of the caller."""
    return said(c, inputTranscription={"text": text})


def speak(c: GeminiCodec, ms: int, *, frame: bytes = SPEECH) -> list[ev.Event]:
    """The caller's sound goes out for so long; what the codec makes of it by itself."""
    for _ in range(ms // 20):
        c.append(frame)
    return c.noticed()


def ask_tool(c: GeminiCodec, name: str = "book", call: str = "f1") -> list[ev.Event]:
    return read(c, toolCall={"functionCalls": [{"id": call, "name": name, "args": {"day": "mon"}}]})


def sent(messages: list[bytes]) -> list[dict[str, object]]:
    return [json.loads(message) for message in messages]


def kinds(events: list[ev.Event]) -> list[str]:
    return [type(event).__name__ for event in events]
