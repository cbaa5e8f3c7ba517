"""What a region's Lease says: its operator's heartbeat, and how old that is. Pure.

Fields of another version are left out one by one: a heartbeat that says more, or less, is still a heartbeat.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast import heart
from holdfast.cli.clusters import Object

REGION_LEASE = "holdfast-region"
VOTE_PREFIX = "holdfast-fleet-"
FRESH_S = 15.0  # written each second; the rest is for the clocks of the reader and the writer to differ in
ENTRIES_MAX = 256
TIERS = ("provider", "relay", "carrier")


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat as it was read. `age_s`: by our clock and the writer's, so it is as good as they agree.

    `said` None: the Lease bears no heartbeat that can be read. `latencies`: milliseconds by target. `skew`: by how
    many seconds each peer's clock is ahead of the writer's, as the writer measured it.
    """

    age_s: float | None
    holder: str = ""
    said: heart.Heartbeat | None = None
    latencies: Mapping[str, float] = field(default_factory=dict)
    skew: Mapping[str, float] = field(default_factory=dict)
    agents: Mapping[str, int] = field(default_factory=dict)
    pods: Mapping[str, int] = field(default_factory=dict)

    @property
    def fresh(self) -> bool:
        """Whether an active operator wrote it lately."""
        return bool(self.holder) and self.said is not None and self.age_s is not None and self.age_s <= FRESH_S

    def seen(self, tier: str) -> Mapping[str, heart.Seen]:
        """What it sees of one tier, by the name behind the tier's; a bare name is a region."""
        found = self.said.observations if self.said else {}
        split = {target: target.partition("/") for target in found}
        if tier == "region":
            return {(rest if head == "region" else target): found[target] for target, (head, _, rest) in split.items()
                    if head == "region" or not rest}  # fmt: skip
        return {rest: found[target] for target, (head, _, rest) in split.items() if head == tier and rest}


def of(lease: Object, *, read_at: float) -> Beat:
    """The heartbeat of a region's Lease. `read_at`: seconds since 1970 by our clock."""
    annotations = (lease.get("metadata") or {}).get("annotations") or {}
    text = str(annotations.get(heart.HEARTBEAT_ANNOTATION, ""))
    raw = _object(text)
    calls = raw.get("calls") if isinstance(raw.get("calls"), dict) else {}
    return Beat(
        age_s=age_s(lease, read_at=read_at),
        holder=str((lease.get("spec") or {}).get("holderIdentity") or ""),
        said=heart.decode(text),
        latencies=_numbers(raw.get("latencies")),
        skew=_numbers(raw.get("skew")),
        agents=_counts((calls or {}).get("agents")),
        pods=_counts((calls or {}).get("pods")),
    )


def age_s(lease: Object, *, read_at: float) -> float | None:
    """Since a Lease was last renewed. A writer's clock ahead of ours makes it nought, not less."""
    renewed = renewed_at(lease)
    return None if renewed is None else max(read_at - renewed, 0.0)


def renewed_at(lease: Object) -> float | None:
    """By its writer's clock, in seconds since 1970."""
    try:
        return dt.datetime.fromisoformat(str((lease.get("spec") or {}).get("renewTime"))).timestamp()
    except ValueError:
        return None


def _object(text: str) -> Mapping[str, Any]:
    if len(text) > heart.MAX_CHARS:
        return {}
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}


def _numbers(table: object) -> Mapping[str, float]:
    found = {}
    for name, value in list(table.items())[:ENTRIES_MAX] if isinstance(table, dict) else ():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[str(name)] = float(value)
    return found


def _counts(table: object) -> Mapping[str, int]:
    return {name: int(value) for name, value in _numbers(table).items() if value >= 0}
