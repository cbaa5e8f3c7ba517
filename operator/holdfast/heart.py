"""The heartbeat: what an operator tells its peers once a second, in an annotation of its own region's Lease.

Only text and values here: the Lease is written by the vote shell, and read by `holdfast.peers`. What a peer wrote is
outside input, and bounded. What it saw must be readable, or it is no heartbeat; of what people and the region itself
ask for, an entry that is not understood is left out, so that a newer version is still heard as alive.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

from holdfast.core import reasons
from holdfast.core.evidence import HEARD_WITHIN_S
from holdfast.core.values import Cause, Load, Observation, Override, Reason, Shift, Tier, Verdict, Withdrawal

HEARTBEAT_ANNOTATION = "holdfast.dev/heartbeat"
MAX_CHARS = 98_304  # the largest beat fits, even if every character of its words is escaped
MAX_ENTRIES = 32
MAX_ILL = 16
MAX_WORDS = 200
MAX_NAME = 63
MAX_TARGET = 100
MAX_OTHERS = 12  # of one tier
MAX_OTHERS_WORDS = 80
MAX_LATENCIES = 64
MAX_SKEW_S = 10.0**9
TIERS = {tier.value: tier for tier in Tier if tier is not Tier.REGION}
MAX_COUNT = 10**15
PAUSED_WITHOUT_WORDS = "no reason is given"

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Seen:
    """One verdict of the writer, and for how long it has stood."""

    verdict: Verdict
    held_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ZoneSeen:
    """What the writer knows about the leadership of a zone."""

    epoch: int
    leader: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One beat. `seq` moves with every beat: that it moves is the sign of life, not any clock.

    `room`: how many more calls the writer's pods take; None: it does not say. `cordons` and `overrides`: what people
    ordered in its cluster, with the seconds that were left when it wrote. `orders_known`: that is all of it; what is
    missing was taken back, which cannot be said by a writer that has not looked yet. `paused`: why people stopped
    the whole fleet. `withdraw`: the writer asks to be taken out of service itself. `others`: what it sees of targets
    that are no regions. `latencies`: milliseconds, by `tier/target`; `skew`: how far a peer's clock is ahead, in
    seconds; `at`: the writer's own clock, in Unix seconds. All three are shown to people and decide nothing.
    """

    seq: int
    region: str
    observations: Mapping[str, Seen] = field(default_factory=dict)
    self_doubt: bool = False
    active_calls: int = 0
    ready_pods: int = 0
    room: int | None = None
    zones: Mapping[str, ZoneSeen] = field(default_factory=dict)
    cordons: tuple[Shift, ...] = ()
    overrides: tuple[Override, ...] = ()
    orders_known: bool = True
    paused: str = ""
    withdraw: Withdrawal | None = None
    others: Mapping[Tier, Mapping[str, Seen]] = field(default_factory=dict)
    latencies: Mapping[str, int] = field(default_factory=dict)
    skew: Mapping[str, float] = field(default_factory=dict)
    at: float = 0.0


def by_tier(observations: Iterable[Observation]) -> dict[Tier, dict[str, Seen]]:
    """What a region sees of targets that are no regions, as its beat tells it."""
    found: dict[Tier, dict[str, Seen]] = {}
    for seen in observations:
        if seen.tier is not Tier.REGION:
            found.setdefault(seen.tier, {})[seen.target] = Seen(seen.verdict, seen.held_s, seen.detail)
    return found


# What the regions tell, together: each region's last beat and its age. A beat that is too old tells nothing.

Heard = Mapping[str, tuple[Heartbeat, float]]


def loads(heard: Heard) -> Mapping[str, Load]:
    """What each region says of its pods, if it says how much room they have."""
    return {
        region: Load(beat.ready_pods, beat.active_calls, beat.room)
        for region, beat, _ in _lately(heard)
        if beat.room is not None
    }


def shifts(heard: Heard) -> tuple[Shift, ...]:
    """The regions that people took out of service, in whichever cluster they said so."""
    return tuple(
        replace(shift, remaining_s=shift.remaining_s - age_s, told_by=teller)
        for teller, beat, age_s in _lately(heard)
        for shift in beat.cordons
        if shift.remaining_s > age_s
    )


def told_ago_s(heard: Heard) -> Mapping[str, float]:
    """How long ago each region told all of its orders; one that does not know them itself is left out."""
    return {region: age_s for region, (beat, age_s) in heard.items() if beat.orders_known}


def overrides(heard: Heard) -> tuple[Override, ...]:
    """The guards that people set aside."""
    return tuple(
        replace(override, remaining_s=override.remaining_s - age_s)
        for _, beat, age_s in _lately(heard)
        for override in beat.overrides
        if override.remaining_s > age_s
    )


def withdrawals(heard: Heard) -> tuple[Withdrawal, ...]:
    """The regions that ask to be taken out. Nobody can ask it for another."""
    return tuple(
        replace(beat.withdraw, region=region, heard_age_s=age_s)
        for region, beat, age_s in _lately(heard)
        if beat.withdraw is not None
    )


def providers_ill(heard: Heard) -> frozenset[str]:
    """The providers that any of these regions finds down. What a region in doubt of itself says is not counted."""
    return frozenset(
        name
        for _, beat, _ in _lately(heard)
        if not beat.self_doubt
        for name, seen in beat.others.get(Tier.PROVIDER, {}).items()
        if seen.verdict is Verdict.DOWN
    )


def paused(heard: Heard) -> str:
    """Why the fleet stands still, and in which clusters people said so; empty: it does not."""
    return "; ".join(f"{beat.paused} (said in {region})" for region, beat, _ in _lately(heard) if beat.paused)


def _lately(heard: Heard) -> list[tuple[str, Heartbeat, float]]:
    return [(region, beat, age_s) for region, (beat, age_s) in sorted(heard.items()) if age_s <= HEARD_WITHIN_S]


# The text.


def encode(beat: Heartbeat) -> str:
    """Compact JSON. Words are cut, so that an annotation stays far below its limit."""
    content = {
        "seq": beat.seq,
        "region": beat.region,
        "observations": _seen_out(beat.observations, MAX_ENTRIES, MAX_WORDS),
        "selfDoubt": beat.self_doubt,
        "activeCalls": beat.active_calls,
        "readyPods": beat.ready_pods,
        "room": beat.room,
        "zones": {name: {"epoch": z.epoch, "leader": _words(z.leader, MAX_NAME)} for name, z in _first(beat.zones)},
        "cordons": _cordons_out(beat.cordons) if beat.orders_known else None,
        "overrides": {
            each.region: {
                "guard": each.guard, "remaining": round(each.remaining_s, 1), "reason": _words(each.reason)
            }
            for each in beat.overrides[:MAX_ENTRIES]
        },
        "paused": _words(beat.paused),
        "withdraw": _withdraw_out(beat.withdraw),
        "others": {
            name: _seen_out(beat.others.get(tier, {}), MAX_OTHERS, MAX_OTHERS_WORDS) for name, tier in TIERS.items()
        },
        "latencies": {_words(name, MAX_TARGET): ms for name, ms in _first(beat.latencies, MAX_LATENCIES)},
        "at": round(beat.at, 3),
        "skew": {_words(name, MAX_NAME): round(ahead_s, 2) for name, ahead_s in _first(beat.skew)},
    }  # fmt: skip
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def _seen_out(table: Mapping[str, Seen], most: int, words: int) -> Mapping[str, Any]:
    return {
        _words(target, MAX_TARGET): {
            "verdict": seen.verdict.value, "since": round(seen.held_s, 1), "detail": _words(seen.detail, words)
        }
        for target, seen in _first(table, most)
    }  # fmt: skip


def _cordons_out(cordons: tuple[Shift, ...]) -> Mapping[str, Any]:
    return {
        shift.region: {
            "remaining": round(shift.remaining_s, 1),
            "reason": _words(shift.reason),
            **({"drain": True} if shift.drain else {}),
        }
        for shift in cordons[:MAX_ENTRIES]
    }


def _withdraw_out(asked: Withdrawal | None) -> Mapping[str, Any] | None:
    if asked is None:
        return None
    return {
        "reason": asked.reason.code,
        "message": _words(asked.reason.message),
        "agents": asked.agents,
        "ofAgents": asked.of_agents,
        "ill": [_words(name, MAX_NAME) for name in asked.ill[:MAX_ILL]],
    }


def _first(table: Mapping[str, Entry], most: int = MAX_ENTRIES) -> list[tuple[str, Entry]]:
    return sorted(table.items())[:most]


def _words(text: str, most: int = MAX_WORDS) -> str:
    """Cut, and free of what takes six characters to write."""
    return "".join(each if each.isprintable() else " " for each in text[:most])


def decode(text: str) -> Heartbeat | None:
    """The beat in an annotation, or None when it is none."""
    if len(text) > MAX_CHARS:
        return None
    try:
        raw = json.loads(text)
        room, ordered = raw.get("room"), raw.get("cordons")
        cordons = _readable(ordered, _cordon)
        return Heartbeat(
            seq=_count(raw["seq"]),
            region=str(raw["region"]),
            observations={str(target): _seen(entry) for target, entry in raw["observations"].items()},
            self_doubt=raw["selfDoubt"] is True,
            active_calls=_count(raw.get("activeCalls", 0)),
            ready_pods=_count(raw.get("readyPods", 0)),
            room=None if room is None else _count(room),
            zones={
                str(name): ZoneSeen(epoch=_count(entry["epoch"]), leader=str(entry["leader"]))
                for name, entry in (raw.get("zones") or {}).items()
            },
            cordons=cordons,
            overrides=_readable(raw.get("overrides"), _override),
            orders_known=isinstance(ordered, dict) and len(ordered) == len(cordons),
            paused=_paused(raw.get("paused")),
            withdraw=next(iter(_readable({str(raw["region"]): raw.get("withdraw")}, _withdraw)), None),
            others={
                tier: dict(_readable(_table(raw.get("others")).get(name), _target)) for name, tier in TIERS.items()
                if _table(_table(raw.get("others")).get(name))
            },
            latencies=dict(_readable(raw.get("latencies"), _latency, MAX_LATENCIES)),
            skew=dict(_readable(raw.get("skew"), _ahead)),
            at=next(iter(_readable({"at": raw.get("at")}, _at)), 0.0),
        )
    except UNREADABLE:
        return None


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _readable(table: object, read: Callable[[str, Any], Entry], most: int = MAX_ENTRIES) -> tuple[Entry, ...]:
    """The entries of a table that can be read; the others are left out."""
    found: list[Entry] = []
    for region, entry in islice(_table(table).items(), most):
        try:
            found.append(read(region, entry))
        except UNREADABLE:
            continue
    return tuple(found)


def _target(name: str, entry: Mapping[str, Any]) -> tuple[str, Seen]:
    return name[:MAX_TARGET], _seen(entry)


def _latency(name: str, value: Any) -> tuple[str, int]:
    return name[:MAX_TARGET], _count(value)


def _ahead(peer: str, value: Any) -> tuple[str, float]:
    seconds = float(value)
    if not abs(seconds) <= MAX_SKEW_S:
        raise ValueError("not a difference of clocks")
    return peer[:MAX_NAME], seconds


def _at(_name: str, value: Any) -> float:
    return _seconds(value)


def _seen(entry: Mapping[str, Any]) -> Seen:
    return Seen(
        verdict=Verdict(entry["verdict"]),
        held_s=_seconds(entry.get("since", 0.0)),
        detail=str(entry.get("detail", ""))[:MAX_WORDS],
    )


def _cordon(region: str, entry: Mapping[str, Any]) -> Shift:
    reason = str(entry["reason"])[:MAX_WORDS]
    return Shift(region, Cause.HUMAN, _seconds(entry["remaining"]), reason, drain=entry.get("drain") is True)


def _override(region: str, entry: Mapping[str, Any]) -> Override:
    if entry["guard"] not in reasons.OVERRIDABLE:
        raise ValueError("not a guard that may be overridden")
    return Override(region, entry["guard"], _seconds(entry["remaining"]), str(entry["reason"])[:MAX_WORDS])


def _withdraw(region: str, entry: Mapping[str, Any]) -> Withdrawal:
    return Withdrawal(
        region=region,
        reason=Reason(str(entry["reason"])[:MAX_NAME], str(entry["message"])[:MAX_WORDS]),
        heard_age_s=0.0,
        agents=_count(entry["agents"]),
        of_agents=_count(entry["ofAgents"]),
        ill=tuple(str(name)[:MAX_NAME] for name in list(entry["ill"])[:MAX_ILL]),
    )


def _paused(value: object) -> str:
    """Who says that the fleet is paused, in whatever words, is obeyed: to stand still does no harm."""
    if isinstance(value, str):
        return value[:MAX_WORDS]
    return PAUSED_WITHOUT_WORDS if value else ""


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        raise ValueError("not a length of time")
    return seconds


def _count(value: Any) -> int:
    count = int(value)
    if not 0 <= count <= MAX_COUNT:
        raise ValueError("not a count")
    return count
