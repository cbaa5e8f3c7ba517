"""Which region of the lab belongs to which zone, who votes where, and where each is at the edge. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast_gameday.lab import names


@dataclass(frozen=True, slots=True)
class Layout:
    """`zone_of`: the zone whose calls a region carries. `votes`: the zones in which each cluster has a vote.

    `jurisdictions`: where regions lie, if not where the lab's table has them. `relays`: the TURN servers that callers
    of every region may be offered.
    """

    zone_of: Mapping[str, str]
    votes: Mapping[str, tuple[str, ...]]
    jurisdictions: Mapping[str, str] = field(default_factory=dict)
    relays: tuple[str, ...] = ()

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.zone_of.values())))

    def members(self, zone: str) -> tuple[str, ...]:
        return tuple(name for name, owner in self.zone_of.items() if owner == zone)

    def jurisdiction(self, region: str) -> str:
        return self.jurisdictions.get(region, names.REGIONS[region].jurisdiction)


TWO_AND_WITNESS = Layout(
    zone_of={"fra": "eu", "ams": "eu", "iad": "us"},
    votes={"fra": ("eu",), "ams": ("eu",), "iad": ("eu", "us")},
)
THREE = Layout(
    zone_of={"fra": "eu", "ams": "eu", "iad": "eu"},
    votes={"fra": ("eu",), "ams": ("eu",), "iad": ("eu",)},
    jurisdictions={"iad": "eu"},
    relays=("turn-1", "turn-2"),
)
