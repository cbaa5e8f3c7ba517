"""The ways in which a fleet can come apart, one by one and with nothing else wrong: the rows of `docs/partitions.md`.

A cut is a few faults of the one vocabulary that begin and end together; fra leads when they begin. What has to come of
it is written beside it by hand, and the simulation has to agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from holdfast_gameday.faults import Fault, Kind
from holdfast_gameday.simulation import topology

AT_S = 60.0
FOR_S = 120.0
SHAPES = ("2", "2+witness", "3", "5")
FRA, AMS = topology.REGIONS[:2]
LEVER = "edge"
NOBODY = ("",)


@dataclass(frozen=True, slots=True)
class Cut:
    """`leads`: one of these does when it ends. `out`: who is taken out by then; None: chance says which of them."""

    words: str
    faults: tuple[Fault, ...]
    leads: tuple[str, ...] = (FRA,)
    out: tuple[str, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who is there. Without a third voter nobody has a majority on his own side of any cut."""

    members: tuple[str, ...]
    voters: tuple[str, ...]

    @property
    def outlives_one(self) -> bool:
        return len(self.voters) > 2

    @property
    def successors(self) -> tuple[str, ...]:
        """Who may lead when fra does not: a witness never does."""
        return self.members[1:]


def of(shape: str) -> tuple[Cut, ...]:
    """Every cut of a fleet of this shape."""
    return tuple(cut for group in groups(shape).values() for cut in group)


def groups(shape: str) -> dict[str, tuple[Cut, ...]]:
    """The same by what they strike at."""
    regions, witnesses = topology.BY_NAME[shape]
    members = topology.REGIONS[:regions]
    fleet = Fleet(members, members + (topology.WITNESS,) * witnesses)
    found = {
        "a whole region": _regions(fleet),
        "a part of a region": _parts(fleet),
        "the operators among themselves": _operators(fleet),
        "the eyes of one operator": _eyes(fleet),
        "the vendor of the lever": _vendor(fleet),
        "the witness": _witness() if witnesses else (),
        "two sides that do not reach each other, callers reach both": _sides(members) if regions > 3 else (),
    }
    return {words: group for words, group in found.items() if group}


def _regions(fleet: Fleet) -> tuple[Cut, ...]:
    most = fleet.members[: len(fleet.members) // 2 + 1]
    one = (
        _lost("ams falls silent: nothing gets in or out", Kind.BLACKHOLE, AMS, fleet),
        _lost("fra, which leads, falls silent", Kind.BLACKHOLE, FRA, fleet),
        _lost("fra dies: its sockets close", Kind.KILL, FRA, fleet),
    )
    if len(fleet.members) < 3:
        return one
    return (*one, Cut(f"{_and(most)} fall silent at once", _each(Kind.BLACKHOLE, *most), NOBODY))


def _lost(words: str, kind: Kind, region: str, fleet: Fleet) -> Cut:
    if not fleet.outlives_one:
        return Cut(words, _each(kind, region), NOBODY)
    return Cut(words, _each(kind, region), fleet.successors if region == FRA else (FRA,), (region,))


def _parts(fleet: Fleet) -> tuple[Cut, ...]:
    """An operator is not its API server: the vote is there as long as that answers."""
    without_an_api = (FRA,) if fleet.outlives_one else NOBODY
    return (
        Cut("the entry of ams is dead, all else of ams lives", _each(Kind.ENTRY_DOWN, AMS), out=(AMS,)),
        Cut("the entry of fra is dead, all else of fra lives", _each(Kind.ENTRY_DOWN, FRA), out=(FRA,)),
        Cut("every entry is dead, all else lives", _each(Kind.ENTRY_DOWN, *fleet.members), out=None),
        Cut("the operator of ams is gone, all else of ams lives", _each(Kind.RESTART, AMS)),
        Cut("the operator of fra is gone, all else of fra lives", _each(Kind.RESTART, FRA), fleet.successors),
        Cut("the API server of ams is gone, all else lives", _each(Kind.API_DOWN, AMS), without_an_api),
        Cut("the API server of fra is gone, all else lives", _each(Kind.API_DOWN, FRA), without_an_api),
    )


def _operators(fleet: Fleet) -> tuple[Cut, ...]:
    """Operators and API servers of different clusters; callers reach every entry."""
    others = [voter for voter in fleet.voters if voter != FRA]
    all_pairs = [(one, other) for one, other in product(fleet.voters, fleet.voters) if one != other]
    away, home = [(FRA, other) for other in others], [(other, FRA) for other in others]
    apart = Cut("fra is parted from all others, callers reach all", _pairs(Kind.SPLIT, away), NOBODY)
    if fleet.outlives_one:
        apart = Cut(apart.words, apart.faults, fleet.successors, (FRA,))
    return (
        apart,
        Cut("no operator reaches another's API server; all reach the entries", _pairs(Kind.CUT, all_pairs), NOBODY),
        Cut("fra reaches no other API server, the others reach that of fra", _pairs(Kind.CUT, away), fleet.successors),
        Cut("no other operator reaches the API server of fra, fra reaches theirs", _pairs(Kind.CUT, home)),
        Cut("what fra asks of other API servers is done, no answer returns", _pairs(Kind.REPLIES_LOST, away),
            fleet.successors),
    )  # fmt: skip


def _eyes(fleet: Fleet) -> tuple[Cut, ...]:
    """What observers see; of two regions each is seen by one observer only."""
    believed = () if fleet.outlives_one else (AMS,)
    return (
        Cut("the operator of ams reaches nothing but API servers", _each(Kind.EGRESS, AMS)),
        Cut("the operator of fra reaches nothing but API servers", _each(Kind.EGRESS, FRA)),
        Cut("only fra does not reach the entry of ams", _pairs(Kind.PROBE_CUT, [(FRA, AMS)]), out=believed),
    )


def _vendor(fleet: Fleet) -> tuple[Cut, ...]:
    """The vendor of the lever cannot be reached just when it is needed."""
    dead = _each(Kind.ENTRY_DOWN, AMS)
    here, anywhere = _pairs(Kind.VENDOR_CUT, [(FRA, LEVER)]), _pairs(Kind.VENDOR_CUT, product(fleet.voters, [LEVER]))
    return (
        Cut("fra does not reach the lever, and the entry of ams dies", (*here, *dead), out=(AMS,)),
        Cut("nobody reaches the lever, and the entry of ams dies", (*anywhere, *dead), out=(AMS,)),
    )


def _witness() -> tuple[Cut, ...]:
    gone = (*_each(Kind.RESTART, topology.WITNESS), *_each(Kind.API_DOWN, topology.WITNESS))
    return (
        Cut("the witness is gone", gone),
        Cut("the witness is gone, and ams falls silent", (*gone, *_each(Kind.BLACKHOLE, AMS)), NOBODY),
    )


def _sides(members: tuple[str, ...]) -> tuple[Cut, ...]:
    """Two sides of which neither reaches the other; callers reach both."""
    return tuple(
        Cut(f"{_and(here)} are parted from {_and(there)}", _pairs(Kind.SPLIT, product(here, there)), leads, out)
        for here, there, leads, out in (
            (members[:3], members[3:], (FRA,), members[3:]),
            (members[:2], members[2:], members[2:], members[:2]),
        )
    )


def _each(kind: Kind, *targets: str) -> tuple[Fault, ...]:
    return tuple(Fault(kind, target, AT_S, FOR_S) for target in targets)


def _pairs(kind: Kind, pairs: Iterable[tuple[str, str]]) -> tuple[Fault, ...]:
    return tuple(Fault(kind, target, AT_S, FOR_S, other) for target, other in pairs)


def _and(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
