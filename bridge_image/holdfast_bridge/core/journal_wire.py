"""The messages between a bridge and its buddy, as JSON text: a codec and nothing else.

    owner → buddy   {"t":"put","records":[…]}                     {"t":"intent","call","tool","seq"}
    buddy → owner   {"t":"ack","acks":[{call,seq}],"stale":[{call,epoch}]}   {"t":"intent-ack","call","tool","seq","ok"}

A peer that sends anything else gets its socket closed; a single bad record within a put makes the whole message bad,
because both ends are of one zone and one build.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from holdfast_bridge.core.journal import CallRecord

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
RECORDS_PER_PUT = 50
CALL_CHARS = 64


class Put(msgspec.Struct, frozen=True, tag_field="t", tag="put"):
    records: tuple[CallRecord, ...]


class Intent(msgspec.Struct, frozen=True, tag_field="t", tag="intent"):
    call: str
    tool: str
    seq: int


class Acked(msgspec.Struct, frozen=True):
    call: str
    seq: int


class Stale(msgspec.Struct, frozen=True):
    call: str
    epoch: int


class Ack(msgspec.Struct, frozen=True, tag_field="t", tag="ack"):
    acks: tuple[Acked, ...] = ()
    stale: tuple[Stale, ...] = ()


class IntentAck(msgspec.Struct, frozen=True, tag_field="t", tag="intent-ack"):
    call: str
    tool: str
    seq: int
    ok: bool


class Wanted(msgspec.Struct, frozen=True):
    """The body of a fetch."""

    call: str


class Found(msgspec.Struct, frozen=True):
    """The answer to a fetch."""

    record: CallRecord | None = None


_to_buddy = msgspec.json.Decoder(Put | Intent)
_to_owner = msgspec.json.Decoder(Ack | IntentAck)


def encode(message: Put | Intent | Ack | IntentAck | Wanted | Found) -> str:
    return msgspec.json.encode(message).decode()


def from_owner(text: str | bytes) -> Put | Intent | None:
    message: Put | Intent | None = None
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = _to_buddy.decode(text)
    return message


def from_buddy(text: str | bytes) -> Ack | IntentAck | None:
    message: Ack | IntentAck | None = None
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = _to_owner.decode(text)
    return message
