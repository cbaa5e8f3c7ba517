"""What a region's Lease says: its operator's heartbeat, and how old that is. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast import heart
from holdfast.cli.clusters import Object
from holdfast.core.values import Tier

REGION_LEASE = "holdfast-region"
VOTE_PREFIX = "holdfast-fleet-"
FRESH_S = 15.0  # written each second; the rest is for the clocks of the reader and the writer to differ in
TIERS = (Tier.PROVIDER, Tier.RELAY, Tier.CARRIER)


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat as it was read. `age_s`: by our clock and the writer's, so it is as good as they agree.

    `said` None: the Lease bears no heartbeat that can be read.
    """

    age_s: float | None
    holder: str = ""
    said: heart.Heartbeat | None = None

    @property
    def fresh(self) -> bool:
        """Whether an active operator wrote it lately."""
        return bool(self.holder) and self.said is not None and self.age_s is not None and self.age_s <= FRESH_S

    def seen(self, tier: Tier) -> Mapping[str, heart.Seen]:
        """What it sees of one tier that is not the regions'."""
        return self.said.others.get(tier, {}) if self.said else {}


def of(lease: Object, *, read_at: float) -> Beat:
    """The heartbeat of a region's Lease. `read_at`: seconds since 1970 by our clock."""
    annotations = (lease.get("metadata") or {}).get("annotations") or {}
    holder = str((lease.get("spec") or {}).get("holderIdentity") or "")
    said = heart.decode(str(annotations.get(heart.HEARTBEAT_ANNOTATION, "")))
    return Beat(age_s(lease, read_at=read_at), holder, said)


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
