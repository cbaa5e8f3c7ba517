"""A claim about a fleet, the picture that it is judged by, and what is found. Values, and the one function that judges.

Objects in a picture are those of the API server as they are: that one is of another version is one of the faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Outcome(Enum):
    """How a claim came out, the gravest first."""

    FAILED = "failed"
    WARNING = "warning"
    SKIPPED = "skipped"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that speaks against a claim, or keeps it from being judged."""

    detail: str
    outcome: Outcome = Outcome.FAILED


@dataclass(frozen=True, slots=True)
class Token:
    """A credential for a peer. `state`: ok, missing, expired, refused, or unread."""

    peer: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """A zone's Lease in one cluster."""

    holder: str
    age_s: float | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """One region's cluster as it was read. None: that part could not be read, and `unread` may say why.

    `pods`: ready and wanted ones of the operator. `alive`: its heartbeat was seen to move, or is young. `clock`: the
    least and the most seconds by which its clock can be ahead of the reader's. `skew`: what its operator measures of
    its peers' clocks. `peers`: the names it is configured with.
    """

    region: str
    regions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    agents: Mapping[str, Mapping[str, Any]] | None = None
    crds: Mapping[str, Mapping[str, Any]] | None = None
    pods: tuple[int, int] | None = None
    active: bool = False
    alive: bool = False
    doubts: bool = False
    paused: str = ""
    votes: Mapping[str, Vote] = field(default_factory=dict)
    tokens: tuple[Token, ...] | None = None
    peers: tuple[str, ...] | None = None
    clock: tuple[float, float] | None = None
    skew: Mapping[str, float] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """The fleet at one moment. `silent`: the clusters that could not be read, and why. `hosts`: what each public name
    answered, empty text for an answer; None: nobody asked them.
    """

    clusters: tuple[Cluster, ...]
    regions: tuple[str, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] | None = None

    @property
    def telling(self) -> tuple[Cluster, ...]:
        """Those to believe about zones, levers and agents."""
        return tuple(each for each in self.clusters if each.alive) or self.clusters


@dataclass(frozen=True, slots=True)
class Claim:
    """`code` is stable, and the anchor in the documentation is made from it. `words` say it in the present tense."""

    code: str
    category: str
    words: str
    check: Callable[[Any], Iterable[Trouble]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim that was judged. Details only where it does not hold."""

    code: str
    category: str
    claim: str
    outcome: Outcome
    details: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        return self.code.lower()


def judge(claims: Iterable[Claim], picture: object) -> tuple[Finding, ...]:
    """Every claim, in the order of the table. A part that could not be read hides no fault in another."""
    found = []
    for claim in claims:
        troubles = tuple(dict.fromkeys(claim.check(picture)))
        worst = next((each for each in Outcome if any(trouble.outcome is each for trouble in troubles)), Outcome.OK)
        details = tuple(trouble.detail for trouble in troubles)
        found.append(Finding(claim.code, claim.category, claim.words, worst, details))
    return tuple(found)


def skipped(detail: str) -> Trouble:
    return Trouble(detail, Outcome.SKIPPED)


def warning(detail: str) -> Trouble:
    return Trouble(detail, Outcome.WARNING)
