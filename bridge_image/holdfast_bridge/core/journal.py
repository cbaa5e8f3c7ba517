"""What must survive of a call, and which of two accounts of it holds.

Values and pure functions. It does not know where records are kept, who sends them, or what time it is.

The order of accounts: the higher owner epoch wins; within an epoch the higher sequence number wins. An owner writes
its own sequence, so two different records with the same (epoch, seq) mean two owners that believe in one epoch; the one
that says the call ended wins, because a finished call must not be revived.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

MAX_CALLS = 5_000
MAX_ITEMS = 200
MAX_TOOLS = 100
MAX_TEXT = 4_000
MAX_ARGUMENTS = 4_000
MAX_CHARS = 120_000
MAX_RECORD_BYTES = 1024 * 1024
MAX_TURNS = 50
MAX_SWITCHES = 20

State = Literal["live", "ended"]
Role = Literal["user", "assistant"]
ToolState = Literal["intent", "done", "asked"]


class Item(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One thing said. For the assistant, `heard_ms` is how much of it the caller has certainly heard.

    `audio_ms` is how long all of `text` takes to speak, as far as is known: together they say which words were heard.
    """

    id: str
    role: Role
    text: str = ""
    heard_ms: int | None = None
    audio_ms: int | None = None
    final: bool = False


class ToolUse(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One tool call: `intent` before it runs, `done` with its result, `asked` when a hand-over lost the result."""

    id: str
    name: str
    arguments: str = ""
    state: ToolState = "intent"
    result: str | None = None
    after: str = ""
    """The id of the last thing said when the tool was called: its place in the conversation."""


class TurnTimes(msgspec.Struct, frozen=True, array_like=True):
    """One turn of the caller's and what came of it, in milliseconds. None: there was none of it.

    `first_audio_ms`: from the end of the turn until the first sound was handed to the carrier. The stages: how much of
    the time since the end of the turn each was waited for, several waits for one added up. `network_ms`: the carrier's
    way to the caller's ear and back. `silent_ms`: all its silences that are counted.
    """

    first_audio_ms: int | None = None
    hearing_ms: int | None = None
    thinking_ms: int | None = None
    tool_ms: int | None = None
    speaking_ms: int | None = None
    network_ms: int | None = None
    silences: int = 0
    silent_ms: int = 0


class SwitchTimes(msgspec.Struct, frozen=True, array_like=True):
    """One change of the provider, a new link to the same one, or a request that was repeated.

    `turn`: how many turns there were before. `what`: switch, retry, repeat, or change of a session whose time was over.
    `outcome`: ready or failed. `added_ms`: from the loss until the next was ready or had failed, too; `heard_ms`: until
    it was heard, when it was to speak.
    """

    turn: int
    what: str
    outcome: str
    added_ms: int
    heard_ms: int | None = None


class Latency(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How long things took in a call. Of many turns and switches the last are kept, and all are counted."""

    turns: tuple[TurnTimes, ...] = ()
    count: int = 0
    answered: int = 0
    """Turns after which anything was heard; `first_audio_ms` is the sum of theirs."""
    first_audio_ms: int = 0
    silences: int = 0
    silent_ms: int = 0
    switches: tuple[SwitchTimes, ...] = ()
    switch_count: int = 0


class CallRecord(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Everything another bridge needs to take up a call."""

    call: str
    agent: str
    epoch: int
    seq: int
    state: State = "live"
    region: str
    pod: str
    started_at: float
    taken_at: float = 0.0
    """When the present owner epoch was handed the call; 0 for the first owner, who took it at `started_at`."""
    disclosure_heard: bool = False
    items: tuple[Item, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    latency: Latency = Latency()
    updated_at: float
    attempt: str = ""
    """Which one the call was using and had not lost: who takes the call up goes on with it where it can."""


_decoder = msgspec.json.Decoder(CallRecord)
_encoder = msgspec.json.Encoder()


def encode(record: CallRecord) -> bytes:
    return _encoder.encode(record)


def decode(data: bytes | str) -> CallRecord | None:
    """The record in `data`, or None when it is not one: a store's contents are input like any other."""
    if len(data) > MAX_RECORD_BYTES:
        return None
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return None


def only_the_end(record: CallRecord) -> CallRecord:
    """Whose the call was and that it is over: all that any bridge asks of a call that has ended."""
    return msgspec.structs.replace(record, items=(), tools=(), latency=Latency())


def rank(record: CallRecord) -> tuple[int, int, bool]:
    return (record.epoch, record.seq, record.state == "ended")


def supersedes(candidate: CallRecord, known: CallRecord | None) -> bool:
    """True when `candidate` is to be kept in place of `known`."""
    return known is None or rank(candidate) > rank(known)


def newest(records: Iterable[CallRecord | None]) -> CallRecord | None:
    return max((record for record in records if record is not None), key=rank, default=None)


def merge(known: CallRecord | None, candidate: CallRecord) -> CallRecord:
    return candidate if known is None or supersedes(candidate, known) else known


def keep(records: dict[str, CallRecord], record: CallRecord, *, limit: int = MAX_CALLS) -> None:
    """Keep the newer record of its call in `records`, and not more calls than a pod could ever carry."""
    records[record.call] = merge(records.pop(record.call, None), record)
    if len(records) > limit:
        records.pop(next(iter(records)))


def stale(candidate: CallRecord, known: CallRecord | None) -> bool:
    """True when somebody else owns the call by now: the sender of `candidate` must fall silent."""
    return known is not None and candidate.epoch < known.epoch


def raised(record: CallRecord, *, epoch: int, region: str, now: float) -> CallRecord:
    """The same call under a new owner epoch, not yet carried by any pod."""
    return msgspec.structs.replace(
        record, epoch=epoch, seq=0, region=region, pod="", taken_at=now, updated_at=now
    )


def given_up(record: CallRecord, *, owners: int, region: str, now: float) -> CallRecord:
    """The call that nobody carries any more: its end, under an epoch of its own, which keeps everybody from it.

    `owners`: so many may have come after the one of the record without a word of them having reached this region.
    """
    ended = raised(record, epoch=record.epoch + owners + 1, region=region, now=now)
    return msgspec.structs.replace(ended, state="ended")


def bounded(record: CallRecord) -> CallRecord:
    """The record cut to size: the oldest items go first, and finished tools go before one whose result is open."""
    if _fits(record):
        return record
    items = [_short_item(item) for item in record.items[-MAX_ITEMS:]]
    tools = [_short_tool(tool) for tool in _kept_tools(record.tools)]
    surplus = sum(map(_size, tools), sum(map(_size, items))) - MAX_CHARS
    for entries in (items, tools):
        while surplus > 0 and len(entries) > 1:
            surplus -= _size(entries.pop(0))
    return msgspec.structs.replace(record, items=tuple(items), tools=tuple(tools))


def _fits(record: CallRecord) -> bool:
    """Asked of every record of every call once a second, so it is one plain pass."""
    if len(record.items) > MAX_ITEMS or len(record.tools) > MAX_TOOLS:
        return False
    chars = 0
    for item in record.items:
        length = len(item.text)
        if length > MAX_TEXT:
            return False
        chars += length
    for tool in record.tools:
        if len(tool.arguments) > MAX_ARGUMENTS or len(tool.result or "") > MAX_TEXT:
            return False
        chars += _size(tool)
    return chars <= MAX_CHARS


def _size(entry: Item | ToolUse) -> int:
    return len(entry.text) if isinstance(entry, Item) else len(entry.arguments) + len(entry.result or "")


def _short_item(item: Item) -> Item:
    return item if len(item.text) <= MAX_TEXT else msgspec.structs.replace(item, text=item.text[:MAX_TEXT])


def _short_tool(tool: ToolUse) -> ToolUse:
    if len(tool.arguments) <= MAX_ARGUMENTS and len(tool.result or "") <= MAX_TEXT:
        return tool
    result = None if tool.result is None else tool.result[:MAX_TEXT]
    return msgspec.structs.replace(tool, arguments=tool.arguments[:MAX_ARGUMENTS], result=result)


def _kept_tools(tools: tuple[ToolUse, ...]) -> tuple[ToolUse, ...]:
    surplus = len(tools) - MAX_TOOLS
    kept: list[ToolUse] = []
    for tool in tools:
        if surplus > 0 and tool.state != "intent":
            surplus -= 1
            continue
        kept.append(tool)
    return tuple(kept[-MAX_TOOLS:])
