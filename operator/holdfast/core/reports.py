"""What is new in a pod's report: it tells running totals, so that a report that is lost loses nothing.

What the outcomes speak of, a provider or a tool, is not known here; `Kind` are its kinds of failure. The generic ones
have no slots: Python 3.11 cannot make a frozen one with slots by an alias such as `Outcome[Failure]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

FRESH_S = 30.0
"""Of a pod that was never heard before, what is older than this is history."""
MOST_AT_ONCE = 16

Kind = TypeVar("Kind", bound=Enum)


@dataclass(frozen=True, slots=True)
class Failed:
    """One kind of failure: how often since the pod began, and how long ago lately."""

    count: int
    ago_s: float = 0.0
    retry_after_s: float = 0.0


@dataclass(frozen=True)
class Tally(Generic[Kind]):
    """What one pod counted of one name. `ok_ago_s` None: it was never well."""

    ok: int = 0
    ok_ago_s: float | None = None
    failed: Mapping[Kind, Failed] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome(Generic[Kind]):
    """One call or probe; `failure` None: it went well."""

    failure: Kind | None = None
    retry_after_s: float = 0.0


@dataclass(frozen=True)
class Report(Generic[Kind]):
    """All that one pod counted, by name. `began` tells one life of it from the next."""

    began: int
    tallies: Mapping[str, Tally[Kind]] = field(default_factory=dict)


def news(known: Report[Kind] | None, now: Report[Kind], name: str) -> tuple[Outcome[Kind], ...]:
    """What happened to this name since the pod's last report; `known` None: it was not heard before."""
    tally = now.tallies.get(name)
    if tally is None:
        return ()
    if known is None:
        return outcomes(None, tally)
    return outcomes(known.tallies.get(name, Tally()) if known.began == now.began else Tally(), tally)


def outcomes(before: Tally[Kind] | None, after: Tally[Kind]) -> tuple[Outcome[Kind], ...]:
    """What happened between two reports, the eldest first.

    `before` None: the pod was not heard before, and only the latest of each kind is news. Totals that fell are those
    of a pod that began anew.
    """
    if before is not None and _fell(before, after):
        before = Tally()
    found: list[tuple[float, Outcome[Kind]]] = []
    if after.ok_ago_s is not None and _new(None if before is None else before.ok, after.ok, after.ok_ago_s):
        found.append((after.ok_ago_s, Outcome()))
    for failure, failed in after.failed.items():
        known = None if before is None else before.failed.get(failure, Failed(0)).count
        new = _new(known, failed.count, failed.ago_s)
        found += [(failed.ago_s, Outcome(failure, failed.retry_after_s))] * min(new, MOST_AT_ONCE)
    return tuple(outcome for _, outcome in sorted(found, key=lambda each: -each[0]))


def _new(before: int | None, after: int, ago_s: float) -> int:
    if before is None:
        return int(after > 0 and ago_s <= FRESH_S)
    return after - before


def _fell(before: Tally[Kind], after: Tally[Kind]) -> bool:
    return after.ok < before.ok or any(
        failed.count > after.failed.get(failure, Failed(0)).count for failure, failed in before.failed.items()
    )
