"""Which fleets are simulated: their regions, their witnesses, and the policy they run under."""

from __future__ import annotations

import random
from dataclasses import dataclass

from holdfast.core.means import Carrier, Lever
from holdfast.core.values import Guards, Region, Zone, ZoneRegion

REGIONS = ("fra", "ams", "par", "dub", "mad", "waw", "mil", "sto", "hel")
WITNESS = "iad"
CALLS_PER_POD = 10
DOMAINS = ("hetzner", "leaseweb", "ovh", "aws", "gcp")
RESIDENCY = "eu"

# Name, regions, witnesses, and how often of a hundred it is drawn.
SHAPES = (
    ("2", 2, 0, 15),
    ("2+witness", 2, 1, 30),
    ("3", 3, 0, 30),
    ("5", 5, 0, 17),
    ("9", 9, 0, 8),
)
BY_NAME = {name: (regions, witnesses) for name, regions, witnesses, _ in SHAPES}


@dataclass(frozen=True, slots=True)
class Topology:
    """A fleet of one zone. `pods` a region has, `calls` the zone carries when all is well.

    `fullness` of the fullest region is below what the headroom leaves, so that a whole fleet has room.
    """

    name: str
    zone: Zone
    regions: dict[str, Region]
    pods: int
    calls: int
    write_budget: int
    attempts: int
    calls_per_pod: int = CALLS_PER_POD


def draw(dice: random.Random) -> Topology:
    name = dice.choices([shape[0] for shape in SHAPES], [shape[3] for shape in SHAPES])[0]
    return build(
        name,
        dwell_s=dice.choice((20.0, 30.0, 45.0, 60.0)),
        ramp=dice.choice(((5, 25, 50, 100), (10, 50, 100), (100,))),
        guards=Guards(1, dice.choice((1, 1, 2)), dice.choice((0, 20))),
        standby=dice.random() < 0.3,
        levers=dice.choice((1, 2)),
        carriers=dice.choice((1, 2)),
        pods=dice.choice((6, 8, 12)),
        fullness=dice.choice((0.25, 0.5, 0.7)),
        write_budget=dice.choice((1200, 1200, 60)),
        attempts=dice.choice((1, 2)),
    )


def build(
    name: str,
    *,
    dwell_s: float = 60.0,
    ramp: tuple[int, ...] = (5, 25, 50, 100),
    guards: Guards | None = None,
    standby: bool = False,
    levers: int = 1,
    carriers: int = 1,
    pods: int = 8,
    fullness: float = 0.5,
    write_budget: int = 1200,
    attempts: int = 1,
    calls_per_pod: int = CALLS_PER_POD,
) -> Topology:
    count, witnesses = BY_NAME[name]
    members = REGIONS[:count]
    lever_names = ("edge", "trunk")[:levers]
    zone = Zone(
        name=RESIDENCY,
        uid="zone-1",
        generation=1,
        residency=RESIDENCY,
        host="eu.voice.example.com",
        regions=tuple(_place(index, region, count, standby=standby) for index, region in enumerate(members)),
        witnesses=(WITNESS,) * witnesses,
        dwell_s=dwell_s,
        ramp=ramp,
        guards=guards or Guards(),
        levers=tuple(Lever(lever, "simulated", "", "", "", weighted=lever == "edge") for lever in lever_names),
        carriers=tuple(Carrier(carrier, "simulated", "", "", "") for carrier in ("twilio", "telnyx")[:carriers]),
    )
    regions = {
        region: Region(
            region,
            f"{region}.voice.example.com",
            RESIDENCY if region != WITNESS else "us",
            DOMAINS[index % len(DOMAINS)],
            dict.fromkeys(lever_names, f"pool-{region}") if region != WITNESS else {},
        )
        for index, region in enumerate(zone.voters)
    }
    weights = [region.weight for region in zone.regions]
    calls = int(fullness * pods * calls_per_pod * sum(weights) / max(weights))
    return Topology(name, zone, regions, pods, calls, write_budget, attempts, calls_per_pod)


def _place(index: int, region: str, count: int, *, standby: bool) -> ZoneRegion:
    """The last one of three or more may be a standby; the others share the calls unevenly, as fleets do."""
    if standby and count > 2 and index == count - 1:
        return ZoneRegion(region, 0)
    return ZoneRegion(region, (50, 50, 30, 20, 20, 10, 10, 10, 10)[index])
