"""What an operator keeps of its decisions, and what many of them say together: a ring of records, newest last.

A ring holds at most 500 records and at most 512 KiB of text, one record a line, and forgets the oldest first. A line
that cannot be read is skipped and counted. Nothing is kept but the bounded fields below: no caller, no number, no word
that was said.

Times are RFC 3339 text in UTC with milliseconds and a Z, given by whoever has a clock. That text has one width, so its
order is the order of time; nothing here parses it. Two regions' clocks may differ, so an order across regions is only
as good as they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.core import reasons
from holdfast.core.explain import Entry, Kind, Outcome, Said, Subject
from holdfast.core.values import Reason

STORE = "holdfast-decisions"  # what a trail is kept under in its operator's cluster, and in which fields
RECORDS_FIELD = "records"
REGION_FIELD = "region"

RECORDS_MAX = 500
BYTES_MAX = 512 * 1024

NAME_CHARS_MAX = 128
MESSAGE_CHARS_MAX = 1024
DETAIL_CHARS_MAX = 128
WITNESSES_MAX = 32

ACTS = (Outcome.DECIDED, Outcome.OVERRIDDEN)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry, when it came about, and the region whose operator says so."""

    at: str
    by: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Trail:
    """The records of one operator, oldest first. `unreadable`: lines that were skipped."""

    records: tuple[Record, ...] = ()
    unreadable: int = 0


def news(trail: Trail, entries: Iterable[Entry], *, before: Iterable[Entry] | None) -> tuple[Entry, ...]:
    """What of a round's entries is worth a record: what did not stand in the round before, and is not told already.

    `before` None: the first round after a start. Then what the trail says last about a thing is taken to stand.
    """
    stood = _last_words(trail) if before is None else {_key(entry) for entry in before}
    return tuple(entry for entry in entries if _key(entry) not in stood and not _told(entry, trail))


def added(trail: Trail, entries: Iterable[Entry], *, at: str, by: str) -> Trail:
    """The trail with these entries as its newest records, their texts cut to their bounds."""
    newest = (parsed(rendered(Record(at, by, entry))) for entry in entries)
    return Trail(_bounded((*trail.records, *newest)), trail.unreadable)


def joined(one: Trail, other: Trail) -> Trail:
    """Two copies of one trail that were written to apart: each record once, in time order."""
    together = sorted(dict.fromkeys((*one.records, *other.records)), key=lambda record: record.at)
    return Trail(_bounded(tuple(together)), max(one.unreadable, other.unreadable))


def merge(trails: Mapping[str, Trail]) -> tuple[Record, ...]:
    """The records of many regions in time order; at the same moment the regions follow by name."""
    return tuple(
        record
        for _, _, record in sorted(
            ((record.at, region, record) for region, trail in trails.items() for record in trail.records),
            key=lambda each: each[:2],
        )
    )


def at(trails: Mapping[str, Trail], subject: Subject, time: str) -> Record | None:
    """The latest record of a subject at or before a time.

    That an operator has no quorum says only that another decides: it is the answer only where nobody decided.
    """
    told = [record for record in merge(trails) if record.at <= time and record.entry.concerns(subject)]
    decided = [record for record in told if record.entry.reason.code != reasons.NO_QUORUM]
    return next(reversed(decided or told), None)


def encode(trail: Trail) -> str:
    """As text, one record a line."""
    return "\n".join(_line(record) for record in trail.records)


def decode(text: str) -> Trail:
    """What can be read of a text, at most as much as a trail holds. Nothing that is in it is an error."""
    lines = [line for line in text.split("\n") if line.strip()]
    records = [_record(line) for line in lines]
    readable = tuple(record for record in records if record is not None)
    return Trail(_bounded(readable), len(lines) - len(readable))


def rendered(record: Record) -> dict[str, Any]:
    """A record as JSON has it, its texts cut to their bounds. What may be missing and is empty is left out."""
    entry = record.entry
    optional = {
        "region": entry.region[:NAME_CHARS_MAX],
        "guard": entry.guard[:NAME_CHARS_MAX],
        "wanted": _reason_out(entry.wanted) if entry.wanted else None,
        "override": entry.override[:MESSAGE_CHARS_MAX],
        "epoch": entry.epoch,
        "evidence": [_testimony_out(each) for each in entry.evidence[:WITNESSES_MAX]],
    }
    return {
        "at": record.at,
        "by": record.by[:NAME_CHARS_MAX],
        "kind": entry.subject.kind.value,
        "name": entry.subject.name[:NAME_CHARS_MAX],
        "zone": entry.zone[:NAME_CHARS_MAX],
        "outcome": entry.outcome.value,
        "action": entry.action[:NAME_CHARS_MAX],
        **_reason_out(entry.reason),
        **{key: value for key, value in optional.items() if value},
    }


def parsed(content: Mapping[str, Any]) -> Record:
    """The record that was rendered so; ValueError, TypeError or KeyError when it is none."""
    if not TIME.fullmatch(str(content["at"])):
        raise ValueError(content["at"])
    wanted = content.get("wanted")
    entry = Entry(
        Subject(Kind(content["kind"]), str(content["name"])),
        str(content["zone"]),
        Outcome(content["outcome"]),
        str(content["action"]),
        _reason_in(content),
        region=str(content.get("region", "")),
        guard=str(content.get("guard", "")),
        wanted=_reason_in(wanted) if wanted else None,
        override=str(content.get("override", "")),
        evidence=tuple(_testimony_in(each) for each in content.get("evidence", ())),
        epoch=int(content.get("epoch", 0)),
    )
    return Record(str(content["at"]), str(content["by"]), entry)


def _last_words(trail: Trail) -> set[tuple[str, ...]]:
    return set({_topic(record.entry): _key(record.entry) for record in trail.records}.values())


def _told(entry: Entry, trail: Trail) -> bool:
    """A refusal is told once between two acts in its zone, or one that flickers would push the acts out of the ring.

    A zone always has a fallback while it can have one: the one told last stands until another is told, whoever led
    meanwhile. An order of attempts also ends without a word, and is told again when it comes back.
    """
    if entry.outcome is Outcome.PREFERRED and entry.subject.kind is Kind.ZONE:
        return _key(entry) in _last_words(trail)
    if entry.outcome in (*ACTS, Outcome.PREFERRED):
        return False
    for record in reversed(trail.records):
        if record.entry.zone == entry.zone:
            if record.entry.outcome in ACTS:
                return False
            if _key(record.entry) == _key(entry):
                return True
    return False


def _topic(entry: Entry) -> tuple[str, ...]:
    """What an entry is an answer to."""
    return (entry.zone, entry.subject.kind.value, entry.subject.name, entry.region, entry.outcome.value)


def _key(entry: Entry) -> tuple[str, ...]:
    """Entries with this in common are the same news: messages waver with every second."""
    return (*_topic(entry), entry.action, entry.reason.code)


def _bounded(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The newest that fit."""
    kept: list[Record] = []
    left = BYTES_MAX
    for record in reversed(records[-RECORDS_MAX:]):
        left -= len(_line(record)) + 1
        if left < 0:
            break
        kept.append(record)
    return tuple(reversed(kept))


def _line(record: Record) -> str:
    # ASCII only, so that characters are bytes, whatever a message holds.
    return json.dumps(rendered(record), separators=(",", ":"))


def _record(line: str) -> Record | None:
    if len(line) > BYTES_MAX:
        return None
    try:
        return parsed(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None


def _reason_out(reason: Reason) -> dict[str, Any]:
    return {"reason": reason.code[:NAME_CHARS_MAX], "message": reason.message[:MESSAGE_CHARS_MAX]}


def _reason_in(content: Mapping[str, Any]) -> Reason:
    return Reason(str(content["reason"]), str(content["message"]))


def _testimony_out(said: Said) -> dict[str, Any]:
    return {
        "observer": said.observer[:NAME_CHARS_MAX],
        "verdict": said.verdict[:NAME_CHARS_MAX],
        "heardAgeS": _seconds(said.heard_age_s),
        "heldS": _seconds(said.held_s),
        "doubt": said.doubt,
        "detail": said.detail[:DETAIL_CHARS_MAX],
    }


def _testimony_in(content: Mapping[str, Any]) -> Said:
    return Said(
        str(content["observer"]),
        str(content["verdict"]),
        _seconds(content["heardAgeS"]),
        _seconds(content["heldS"]),
        bool(content["doubt"]),
        str(content["detail"]),
    )


def _seconds(value: float | None) -> float | None:
    """To a tenth; an age without end is none at all, and JSON has no word for it."""
    return round(value, 1) if value is not None and 0 <= value < math.inf else None
