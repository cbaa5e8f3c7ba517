"""What evidence, people and the regions themselves suggest for a zone, before any guard is asked.

Each cause speaks for itself, so that what is wished of a region is one table read twice:

    cause       speaks against a region while                          and is silent again when
    ILLEGAL     it lies outside the residency                          it does not
    LOST        anybody sees its entry down                            anybody sees it up
    ABSENT      the same, before it was ever seen well                 the same
    FOUND_OFF   (recorded by `failover`, when nobody knows why)        anybody sees it up
    WITHDRAWN   its own operator asks                                  its operator is heard, and does not ask
    DEGRADED    anybody sees it answer badly                           anybody sees it up
    HUMAN       a person's cordon runs                                 it ran out, or its cluster tells it no more
    GAME_DAY    a rehearsal's cordon runs, and there is no incident    either is so no more

One voice is enough to wish; that it takes a quorum to act is the guards' business. Of several causes each is wished by
itself, so that one which is refused hides no other; `needless` says which of them add nothing once one was granted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from holdfast.core import reasons
from holdfast.core.evidence import HEARD_WITHIN_S
from holdfast.core.plans import Move, Turn, View
from holdfast.core.values import NEVER_S, Cause, Intent, Reason, Shift, Withdrawal

INCIDENTS = (Cause.LOST, Cause.WITHDRAWN, Cause.DEGRADED)


def moves(view: View) -> Iterator[Move]:
    """Every wished move. What must not be anywhere goes first; returns come before losses, which they make bearable."""
    for name in view.zone.members:
        if not view.legal(name) and not needless(Cause.ILLEGAL, name, view):
            yield Move(name, Turn.OUT, Cause.ILLEGAL, _residency(name, view))
    yield from _returns(view)
    yield from _raises(view)
    yield from _losses(view)


def needless(cause: Cause, region: str, view: View) -> bool:
    """Whether a cause adds nothing to those that keep a region out. A loss, a person and the residency always do."""
    standing = view.remembered(region).standing
    if cause is Cause.LOST:
        return Cause.LOST in standing or Cause.ABSENT in standing
    return cause in standing if cause in (Cause.ILLEGAL, Cause.HUMAN) else bool(standing)


def incident(view: View) -> str:
    """The regions in trouble, or not yet back at their whole weight, in words; empty when a rehearsal may go on."""
    return ", ".join(name for name in view.zone.members if _troubled(name, view))


def _troubled(region: str, view: View) -> bool:
    remembered = view.remembered(region)
    out = any(cause in INCIDENTS for cause in remembered.standing)
    return out or remembered.step is not None or view.tally(region).ill


def request(region: str, view: View) -> Withdrawal | None:
    """What a region asks for itself, while its voice is fresh."""
    return next(
        (
            asked
            for asked in view.withdrawals
            if asked.region == region and asked.heard_age_s <= HEARD_WITHIN_S
        ),
        None,
    )


def shift(region: str, by: Cause, view: View) -> Shift | None:
    """The cordon of a person or a rehearsal that runs longest."""
    running = [each for each in view.shifts if (each.region, each.by) == (region, by) and each.remaining_s > 0]
    return max(running, key=lambda each: each.remaining_s, default=None)


def _returns(view: View) -> Iterator[Move]:
    for name in view.zone.members:
        for cause in view.remembered(name).standing:
            if why := _silent(cause, name, view):
                yield Move(name, Turn.BACK, cause, why)


def _raises(view: View) -> Iterator[Move]:
    for name in view.zone.members:
        remembered = view.remembered(name)
        if remembered.step is not None and remembered.intent is Intent.SERVING and view.tally(name).up:
            following = view.zone.ramp[remembered.step + 1 :]
            words = f"{name} goes on from {view.share(name)} % to {following[0] if following else 100} % of its weight"
            yield Move(name, Turn.RAISE, Cause.LOST, Reason(reasons.REGION_RAISED, words))


def _losses(view: View) -> Iterator[Move]:
    for name in filter(view.legal, view.zone.members):
        for cause, why in _against(name, view):
            if not needless(cause, name, view):
                yield Move(name, Turn.OUT, cause, why)


def _against(region: str, view: View) -> Iterator[tuple[Cause, Reason]]:
    """The causes that speak against a legal region now, the gravest first."""
    tally = view.tally(region)
    if tally.suspected and view.joined(region):
        yield Cause.LOST, Reason(reasons.REGION_LOST, tally.describe())
    elif tally.suspected:
        yield Cause.ABSENT, Reason(reasons.REGION_ABSENT, f"{tally.describe()}; it was never seen well")
    if asked := request(region, view):
        yield Cause.WITHDRAWN, Reason(reasons.REGION_WITHDRAWN, f"{region} asks: {asked.reason.message}")
    if tally.degraded:
        yield Cause.DEGRADED, Reason(reasons.REGION_DEGRADED, tally.describe_ill())
    if running := shift(region, Cause.HUMAN, view):
        yield Cause.HUMAN, Reason(reasons.HUMAN_SHIFT, _told(running))
    if running := shift(region, Cause.GAME_DAY, view):
        yield Cause.GAME_DAY, Reason(reasons.GAME_DAY_SHIFT, _told(running))


def _silent(cause: Cause, region: str, view: View) -> Reason | None:
    """Why this cause is no longer against the region; None while it is, or while that is unknown."""
    tally = view.tally(region)
    match cause:
        case Cause.ILLEGAL:
            words = f"{region} lies in {view.zone.residency} again"
            return Reason(reasons.REGION_RECOVERED, words) if view.legal(region) else None
        case Cause.LOST | Cause.FOUND_OFF | Cause.DEGRADED:
            return Reason(reasons.REGION_RECOVERED, tally.describe_up()) if tally.up else None
        case Cause.ABSENT:
            return Reason(reasons.REGION_JOINED, tally.describe_up()) if tally.up else None
        case Cause.WITHDRAWN:
            heard = view.heard_ago_s.get(region, NEVER_S) <= HEARD_WITHIN_S
            asks_no_more = heard and request(region, view) is None
            return Reason(reasons.REGION_RECOVERED, f"{region} no longer asks to be out") if asks_no_more else None
        case Cause.HUMAN | Cause.GAME_DAY:
            return _ended(cause, region, view)
        case _ as never:
            assert_never(never)


def _ended(cause: Cause, region: str, view: View) -> Reason | None:
    """A shift ends by its own time, or when the cluster that told of it is heard and tells it no more."""
    stood = view.remembered(region).cordons[cause]
    if cause is Cause.GAME_DAY and (troubled := incident(view)):
        return Reason(reasons.SHIFT_ENDED, f"the rehearsal gives way to the incident of {troubled}")
    if shift(region, cause, view):
        return None
    if stood.remaining_s is not None and stood.remaining_s <= 0:
        return Reason(reasons.SHIFT_ENDED, f"the time of the cordon of {region} is over: {stood.reason}")
    if view.heard_ago_s.get(stood.told_by, NEVER_S) <= HEARD_WITHIN_S:
        return Reason(reasons.SHIFT_ENDED, f"the cordon of {region} was lifted in {stood.told_by}")
    return None


def _residency(region: str, view: View) -> Reason:
    known = view.regions.get(region)
    where = f"lies in {known.jurisdiction}" if known else "is not known"
    words = f"{region} {where}, calls of {view.zone.name} stay in {view.zone.residency}"
    return Reason(reasons.OUTSIDE_RESIDENCY, words)


def _told(running: Shift) -> str:
    told_by = f", told in {running.told_by}" if running.told_by else ""
    return f"cordoned for another {running.remaining_s:.0f} s{told_by}: {running.reason}"
