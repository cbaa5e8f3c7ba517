"""The answer to one question as one value. Text and JSON are both made from it, so they cannot differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.core import audit, reasons
from holdfast.core.audit import Record
from holdfast.core.explain import Subject

SCHEMA = "holdfast.dev/explanation/v1"
WANTED_STATUS = {"ActionHeld": "False"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer in one line. `sign`: ok, bad, warning, unknown or info."""

    sign: str
    words: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """Who said what. Live, `since` tells since when; in the record, ages count back from the record's time."""

    observer: str
    verdict: str
    since: str = ""
    held_s: float | None = None
    heard_age_s: float | None = None
    doubt: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as the cluster of `by` shows it. `good`: it is as one wants it."""

    by: str
    type: str
    status: str
    reason: str
    message: str
    since: str

    @property
    def good(self) -> bool:
        return self.status == WANTED_STATUS.get(self.type, "True")


@dataclass(frozen=True, slots=True)
class Answer:
    """What `explain` says. `at` empty: now. Decisions and refusals are newest first."""

    subject: Subject
    zones: tuple[str, ...]
    as_of: str
    at: str
    verdict: Verdict
    seen: tuple[Seen, ...] = ()
    conditions: tuple[Condition, ...] = ()
    decisions: tuple[Record, ...] = ()
    refusals: tuple[Record, ...] = ()
    changes: Mapping[str, str] = field(default_factory=dict)
    read: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    next_command: str = ""

    @property
    def telling_refusals(self) -> tuple[Record, ...]:
        """Those that say more than that another region decided."""
        if not self.decisions:
            return self.refusals
        return tuple(record for record in self.refusals if record.entry.reason.code != reasons.NO_QUORUM)

    def rendered(self) -> dict[str, Any]:
        """As `-o json` prints it; docs/explain.schema.json describes it."""
        return {
            "schema": SCHEMA,
            "kind": self.subject.kind.value,
            "name": self.subject.name,
            "zones": list(self.zones),
            "asOf": self.as_of,
            "at": self.at or None,
            "verdict": {
                "sign": self.verdict.sign,
                "words": self.verdict.words,
                "reason": self.verdict.reason,
                "message": self.verdict.message,
            },
            "seen": [_seen_out(each) for each in self.seen],
            "conditions": [_condition_out(each) for each in self.conditions],
            "decisions": [_record_out(each) for each in self.decisions],
            "refusals": [_record_out(each) for each in self.refusals],
            "wouldHaveToChange": [{"reason": code, "remedy": remedy} for code, remedy in self.changes.items()],
            "read": list(self.read),
            "unread": [{"what": what, "why": why} for what, why in self.unread.items()],
            "next": self.next_command,
        }


def _seen_out(each: Seen) -> dict[str, Any]:
    return {
        "observer": each.observer,
        "verdict": each.verdict,
        "since": each.since or None,
        "heldS": each.held_s,
        "heardAgeS": each.heard_age_s,
        "doubt": each.doubt,
        "detail": each.detail,
    }


def _condition_out(each: Condition) -> dict[str, Any]:
    return {
        "by": each.by,
        "type": each.type,
        "status": each.status,
        "good": each.good,
        "reason": each.reason,
        "message": each.message,
        "since": each.since or None,
    }


def _record_out(record: Record) -> dict[str, Any]:
    return {**audit.rendered(record), "remedy": record.entry.remedy}
