"""The heartbeat: what an operator tells its peers once a second, in an annotation of its own region's Lease.

Only text and values here: the Lease is written by the vote shell, and read by `holdfast.peers`. What a peer wrote is
outside input: bounded, and anything that is not understood is no heartbeat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.core.values import Verdict

HEARTBEAT_ANNOTATION = "holdfast.dev/heartbeat"
MAX_BYTES = 16_384
MAX_DETAIL = 200


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
    """One beat. `seq` moves with every beat: that it moves is the sign of life, not any clock."""

    seq: int
    region: str
    observations: Mapping[str, Seen] = field(default_factory=dict)
    self_doubt: bool = False
    active_calls: int = 0
    ready_pods: int = 0
    zones: Mapping[str, ZoneSeen] = field(default_factory=dict)


def encode(beat: Heartbeat) -> str:
    """Compact JSON. Details are cut, so that an annotation stays far below its limit."""
    return json.dumps(
        {
            "seq": beat.seq,
            "region": beat.region,
            "observations": {
                target: {
                    "verdict": seen.verdict.value,
                    "since": round(seen.held_s, 1),
                    "detail": seen.detail[:MAX_DETAIL],
                }
                for target, seen in sorted(beat.observations.items())
            },
            "selfDoubt": beat.self_doubt,
            "activeCalls": beat.active_calls,
            "readyPods": beat.ready_pods,
            "zones": {name: {"epoch": z.epoch, "leader": z.leader} for name, z in sorted(beat.zones.items())},
        },
        separators=(",", ":"),
    )


def decode(text: str) -> Heartbeat | None:
    """The beat in an annotation, or None when it is none."""
    if len(text) > MAX_BYTES:
        return None
    try:
        raw = json.loads(text)
        return Heartbeat(
            seq=int(raw["seq"]),
            region=str(raw["region"]),
            observations={str(target): _seen(entry) for target, entry in raw["observations"].items()},
            self_doubt=raw["selfDoubt"] is True,
            active_calls=int(raw.get("activeCalls", 0)),
            ready_pods=int(raw.get("readyPods", 0)),
            zones={
                str(name): ZoneSeen(epoch=int(entry["epoch"]), leader=str(entry["leader"]))
                for name, entry in (raw.get("zones") or {}).items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _seen(entry: Mapping[str, Any]) -> Seen:
    return Seen(
        verdict=Verdict(entry["verdict"]),
        held_s=float(entry.get("since", 0.0)),
        detail=str(entry.get("detail", ""))[:MAX_DETAIL],
    )
