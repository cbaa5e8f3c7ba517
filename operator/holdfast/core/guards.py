"""The checks that may only refuse. Each is a sentence: what would be wrong about this action, if anything.

They look at the state that would result and are asked in the order of `GUARDS`; the first refusal is the
one people read. A region confirmed lost is cordoned whenever enough others serve: `max_cordoned` and
`dwell` bind only moves away from, and back to, a region that still lives, so that a mild repair never
blocks a severe one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from holdfast.core import reasons
from holdfast.core.lease import LEADERSHIP_S
from holdfast.core.plans import Action, Move, SetOrigin, View
from holdfast.core.values import Fence, Intent, Observation, Reason

DOUBLINGS_MAX = 3

Guard = Callable[[Action, View], Reason | None]


def refuse(action: Action, view: View) -> Reason | None:
    """The first guard's word against an action, or None."""
    return next((reason for guard in GUARDS if (reason := guard(action, view))), None)


def authority(view: View) -> Fence | None:
    """The fence to write under; leadership ends with the age of its last majority, whoever else says what."""
    return view.fence if view.last_ack_age_s < LEADERSHIP_S else None


def dwell_s(region: str, view: View) -> float:
    """How long a region stays where it is; doubled for each time it fell again soon after coming back."""
    doublings = min(max(view.remembered(region).flaps - 1, 0), DOUBLINGS_MAX)
    return view.zone.dwell_s * float(2**doublings)


def no_quorum(_action: Action, view: View) -> Reason | None:
    if authority(view):
        return None
    return Reason(reasons.NO_QUORUM, "this operator does not hold a majority of the votes")


def stale_evidence(action: Action, view: View) -> Reason | None:
    """Refused for want of observers who have fallen silent; their last word no longer counts."""
    if not isinstance(action, Move) or _confirmed(action, view):
        return None
    tally = view.tally(action.region)
    if len(_testimony(action, view)) + len(tally.silent) < tally.needed:
        return None
    return Reason(reasons.STALE_EVIDENCE, f"not heard within 3 s: {', '.join(tally.silent)}; {tally.describe()}")


def observer_doubts(action: Action, view: View) -> Reason | None:
    """Refused for want of observers who cannot reach anything else either."""
    if not isinstance(action, Move) or _confirmed(action, view):
        return None
    tally = view.tally(action.region)
    if len(_testimony(action, view)) + len(tally.silent) + len(tally.doubting) < tally.needed:
        return None
    doubting = ", ".join(seen.observer for seen in tally.doubting)
    return Reason(reasons.OBSERVER_DOUBTS, f"in doubt of their own connection: {doubting}; {tally.describe()}")


def not_confirmed(action: Action, view: View) -> Reason | None:
    if not isinstance(action, Move) or _confirmed(action, view):
        return None
    tally = view.tally(action.region)
    if action.intent is Intent.CORDONED:
        return Reason(reasons.NOT_CONFIRMED, tally.describe())
    sentence = f"{len(tally.up)} of {tally.observers} observers see {action.region} up, {tally.needed} are needed"
    return Reason(reasons.NOT_CONFIRMED, sentence)


def target_lost(action: Action, view: View) -> Reason | None:
    """An origin is turned on only where somebody would answer."""
    if _takes_out(action) or not view.tally(action.region).lost:
        return None
    return Reason(reasons.TARGET_LOST, view.tally(action.region).describe())


def everything_ill(action: Action, view: View) -> Reason | None:
    """When no other region is seen up either, the fault is more likely ours: hold everything as it is."""
    others = _others(action.region, view)
    if not _takes_out(action) or not others or any(view.tally(name).seen_up for name in others):
        return None
    return Reason(reasons.EVERYTHING_ILL, f"no region of zone {view.zone.name} is seen up; routing is held as it is")


def last_serving(action: Action, view: View) -> Reason | None:
    if not _takes_out(action) or any(name != action.region for name in view.serving()):
        return None
    return Reason(reasons.LAST_SERVING, f"{action.region} is the last serving region of zone {view.zone.name}")


def min_serving(action: Action, view: View) -> Reason | None:
    if not _takes_out(action):
        return None
    left = _able(action.region, view)
    wanted = view.zone.guards.min_serving
    if len(left) >= wanted:
        return None
    message = f"without {action.region} only {len(left)} regions serve, minServing is {wanted}"
    return Reason(reasons.MIN_SERVING, message)


def never_empty(action: Action, view: View) -> Reason | None:
    """At each lever concerned, an origin must remain that is read to be on and whose region is seen up."""
    if not _takes_out(action):
        return None
    levers = (action.lever,) if isinstance(action, SetOrigin) else view.levers_of(action.region)
    able = _able(action.region, view)
    for lever in levers:
        if not any(view.enabled(lever, name) for name in able):
            return Reason(reasons.NEVER_EMPTY, f"lever {lever} would have no origin left that is on and well")
    return None


def max_cordoned(action: Action, view: View) -> Reason | None:
    """Does not bind for a region confirmed lost: taking calls away from it costs nothing."""
    if not isinstance(action, Move) or action.intent is Intent.SERVING or _confirmed(action, view):
        return None
    cordoned = len(view.zone.members) - len(view.serving())
    allowed = view.zone.guards.max_cordoned
    if cordoned < allowed:
        return None
    return Reason(reasons.MAX_CORDONED, f"{cordoned} regions are cordoned already, maxCordoned is {allowed}")


def unknown_history(action: Action, view: View) -> Reason | None:
    if not _must_dwell(action, view) or view.remembered(action.region).changed_ago_s is not None:
        return None
    return Reason(reasons.UNKNOWN_HISTORY, f"when {action.region} was last moved is unknown, which counts as just now")


def dwell(action: Action, view: View) -> Reason | None:
    """Opposite moves lie apart, and a region must have been well all that time before it comes back."""
    if not _must_dwell(action, view):
        return None
    needed = dwell_s(action.region, view)
    moved_ago = view.remembered(action.region).changed_ago_s or 0.0
    if moved_ago < needed:
        return Reason(reasons.DWELL, f"{action.region} was moved less than {needed:.0f} s ago")
    if action.intent is Intent.SERVING and view.tally(action.region).well_for_s < needed:
        return Reason(reasons.DWELL, f"{action.region} has been well for less than {needed:.0f} s")
    return None


# Authority, then evidence, then what would be left, then history.
GUARDS: tuple[Guard, ...] = (
    no_quorum,
    stale_evidence,
    observer_doubts,
    not_confirmed,
    target_lost,
    everything_ill,
    last_serving,
    min_serving,
    never_empty,
    max_cordoned,
    unknown_history,
    dwell,
)


def _takes_out(action: Action) -> bool:
    return action.intent is Intent.CORDONED if isinstance(action, Move) else not action.enabled


def _testimony(move: Move, view: View) -> tuple[Observation, ...]:
    """Those who speak for the move."""
    tally = view.tally(move.region)
    return tally.down if move.intent is Intent.CORDONED else tally.up


def _confirmed(move: Move, view: View) -> bool:
    return len(_testimony(move, view)) >= view.tally(move.region).needed


def _must_dwell(action: Action, view: View) -> TypeGuard[Move]:
    return isinstance(action, Move) and (action.intent is Intent.SERVING or not _confirmed(action, view))


def _others(region: str, view: View) -> tuple[str, ...]:
    return tuple(name for name in view.zone.members if name != region)


def _able(without: str, view: View) -> tuple[str, ...]:
    """The regions that would carry the calls: meant to serve, and seen up."""
    return tuple(name for name in view.serving() if name != without and view.tally(name).seen_up)
