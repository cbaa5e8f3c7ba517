"""The checks that may only refuse. Each is a sentence: what would be wrong about this action, if anything.

They look at the state that would result and are asked in the order of `GUARDS`; the first refusal is the
one people read. What they ask depends on how grave the cause is:

                    on the way out                                          on the way back
    cause           quorum   capacity, maxCordoned   dwell                  quorum   capacity   dwell
    ILLEGAL         no guard but the right to write: residency is first     no       yes        no
    LOST            yes      no: its calls are gone  no                     yes      yes        yes
    ABSENT          yes      no                      no                     yes      yes        no: it only joins
    FOUND_OFF       -        -                       -                      yes      yes        yes
    WITHDRAWN       no       yes                     yes                    yes      yes        yes
    DEGRADED        yes      yes                     yes                    yes      yes        yes
    HUMAN, GAME_DAY no       yes                     no                     no       yes        no

Dwell is counted per region and cause, so a mild repair never blocks a grave one. A person may name one guard that
shall not bind for a region for a time (break-glass); what protects more than convenience cannot be named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from holdfast.core import dwells, reasons, room, wants
from holdfast.core.evidence import HEARD_WITHIN_S
from holdfast.core.lease import LEADERSHIP_S
from holdfast.core.plans import Action, CarrierMove, Move, Overridden, SetOrigin, Turn, View
from holdfast.core.values import NEVER_S, Cause, Fence, Observation, Override, Reason, Tier, Verdict

MILD = (Cause.WITHDRAWN, Cause.DEGRADED)
ON_PURPOSE = (Cause.HUMAN, Cause.GAME_DAY)
DWELLS = (Cause.LOST, Cause.FOUND_OFF, *MILD)

Guard = Callable[[Action, View], Reason | None]


def refuse(action: Action, view: View) -> tuple[Reason | None, tuple[Overridden, ...]]:
    """The first guard's word against an action, or None; and the guards that a person kept from binding."""
    overridden: list[Overridden] = []
    for guard in RESIDENCY_GUARDS if _for_residency(action, view) else GUARDS:
        reason = guard(action, view)
        if reason is None:
            continue
        override = _override(action.region, reason.code, view)
        if override is None:
            return reason, tuple(overridden)
        overridden.append(Overridden(action, reason, override))
    return None, tuple(overridden)


def authority(view: View) -> Fence | None:
    """The fence to write under; leadership ends with the age of its last majority, whoever else says what."""
    return view.fence if view.last_ack_age_s < LEADERSHIP_S else None


# The right to act.


def no_quorum(_action: Action | CarrierMove, view: View) -> Reason | None:
    """Only whoever holds a majority of the votes changes anything."""
    if authority(view):
        return None
    return Reason(reasons.NO_QUORUM, "this operator does not hold a majority of the votes")


def paused(_action: Action | CarrierMove, view: View) -> Reason | None:
    """While a person holds the fleet or the policy nothing moves, but what lies outside the residency still goes."""
    if view.paused:
        return Reason(reasons.PAUSED, f"the fleet is paused: {view.paused}")
    if view.zone.paused:
        return Reason(reasons.PAUSED, f"spec.paused of FailoverPolicy {view.zone.name} is true")
    return None


def incident(action: Action, view: View) -> Reason | None:
    """A rehearsal never begins while something is wrong in earnest."""
    if not isinstance(action, Move) or (action.turn, action.cause) != (Turn.OUT, Cause.GAME_DAY):
        return None
    troubled = wants.incident(view)
    return Reason(reasons.INCIDENT, f"no rehearsal while {troubled} is in trouble") if troubled else None


# Evidence.


def stale_evidence(action: Action, view: View) -> Reason | None:
    """Refused for want of observers who have fallen silent; their last word no longer counts."""
    if not _testified(action) or _confirmed(action, view):
        return None
    tally = view.tally(action.region)
    if len(_testimony(action, view)) + len(tally.silent) < tally.needed:
        return None
    silent = ", ".join(tally.silent)
    return Reason(reasons.STALE_EVIDENCE, f"not heard within {HEARD_WITHIN_S:.0f} s: {silent}; {_said(action, view)}")


def observer_doubts(action: Action, view: View) -> Reason | None:
    """Refused for want of observers who cannot reach anything else either."""
    if not _testified(action) or _confirmed(action, view):
        return None
    tally = view.tally(action.region)
    if len(_testimony(action, view)) + len(tally.silent) + len(tally.doubting) < tally.needed:
        return None
    doubting = ", ".join(seen.observer for seen in tally.doubting)
    return Reason(reasons.OBSERVER_DOUBTS, f"in doubt of their own connection: {doubting}; {_said(action, view)}")


def not_confirmed(action: Action, view: View) -> Reason | None:
    """More than half of all configured observers must say so, whether they are heard or not."""
    if not _testified(action) or _confirmed(action, view):
        return None
    return Reason(reasons.NOT_CONFIRMED, _said(action, view))


def seen_elsewhere(action: Action, view: View) -> Reason | None:
    """A region does not leave for a fault that the others share: its calls would meet it again there."""
    if not isinstance(action, Move) or (action.turn, action.cause) != (Turn.OUT, Cause.WITHDRAWN):
        return None
    asked = wants.request(action.region, view)
    shared = [name for name in asked.ill if _ill_elsewhere(name, action.region, view)] if asked else []
    if not shared:
        return None
    return Reason(reasons.SEEN_ELSEWHERE, f"not only {action.region} sees it: {', '.join(shared)}")


def only_some_agents(action: Action, view: View) -> Reason | None:
    """A region does not leave for some of its agents: their own order of attempts is the remedy."""
    if not isinstance(action, Move) or (action.turn, action.cause) != (Turn.OUT, Cause.WITHDRAWN):
        return None
    asked = wants.request(action.region, view)
    if asked is None or asked.agents >= asked.of_agents:
        return None
    message = f"only {asked.agents} of {asked.of_agents} agents of {action.region} are affected"
    return Reason(reasons.ONLY_SOME_AGENTS, message)


# What would be left, and what would be leaned on.


def target_lost(action: Action, view: View) -> Reason | None:
    """An origin is turned on only where somebody would answer."""
    if _takes_out(action) or not view.tally(action.region).lost:
        return None
    return Reason(reasons.TARGET_LOST, view.tally(action.region).describe())


def everything_ill(action: Action, view: View) -> Reason | None:
    """When no other region is seen up either, the fault is more likely ours: hold everything as it is."""
    others = [name for name in view.zone.members if name != action.region]
    if not _takes_out(action) or not others or any(view.tally(name).seen_up for name in others):
        return None
    return Reason(reasons.EVERYTHING_ILL, f"no region of zone {view.zone.name} is seen up; routing is held as it is")


def last_serving(action: Action, view: View) -> Reason | None:
    """The last region that serves stays, whatever is said of it."""
    if not _takes_out(action) or any(name != action.region for name in view.serving()):
        return None
    return Reason(reasons.LAST_SERVING, f"{action.region} is the last serving region of zone {view.zone.name}")


def never_empty(action: Action, view: View) -> Reason | None:
    """An origin that is read to be on, and not against our own last write, of a region seen up, must remain at the
    lever that is written, or for a move at one lever at least. One that cannot be read holds its own writes; one that
    points needs a region to point at."""
    if not _takes_out(action):
        return None
    levers = (action.lever,) if isinstance(action, SetOrigin) else view.levers_of(action.region)
    left = _left(action, view)
    if left and isinstance(action, Move) and any(each.points and not each.dry_run for each in view.zone.levers):
        return None
    emptied = [lever for lever in levers if not any(view.surely_on(lever, name) for name in left)]
    if len(emptied) < max(len(levers), 1):
        return None
    return Reason(reasons.NEVER_EMPTY, f"lever {emptied[0]} would have no origin left that is on and well")


def min_serving(action: Action, view: View) -> Reason | None:
    """As many regions as the policy asks for stay in service, and are seen up."""
    left, wanted = _left(action, view), view.zone.guards.min_serving
    if not _takes_out(action) or len(left) >= wanted:
        return None
    message = f"without {action.region} only {len(left)} regions serve, minServing is {wanted}"
    return Reason(reasons.MIN_SERVING, message)


def max_cordoned(action: Action, view: View) -> Reason | None:
    """No more regions are out than the policy allows; one confirmed lost goes all the same, since it serves nobody."""
    if not isinstance(action, Move) or not _from_the_living(action, view):
        return None
    cordoned = len(view.zone.members) - len(view.serving())
    allowed = view.zone.guards.max_cordoned
    if cordoned < allowed:
        return None
    return Reason(reasons.MAX_CORDONED, f"{cordoned} regions are cordoned already, maxCordoned is {allowed}")


def capacity(action: Action, view: View) -> Reason | None:
    """The target has room before calls move there, and before they move back. Headroom is kept for the unforeseen."""
    if not isinstance(action, Move) or not any(load.ready_pods for load in view.loads.values()):
        return None
    if action.turn is Turn.OUT:
        return room.elsewhere(action, view) if _from_the_living(action, view) else None
    return room.here(action, view) if _comes_to_serve(action, view) and not _desperate(view) else None


# History.


def rewound_history(action: Action, view: View) -> Reason | None:
    """A memory that is older than our own marks at the levers proves no dwell."""
    if not view.rewound or not _must_dwell(action, view):
        return None
    message = f"the memory of zone {view.zone.name} is older than our marks at the levers, as after a restored backup"
    return Reason(reasons.REWOUND_HISTORY, message)


def unknown_history(action: Action, view: View) -> Reason | None:
    """A move of unknown age counts as made just now."""
    if not _must_dwell(action, view) or _moved_ago_s(action, view) is not None:
        return None
    return Reason(reasons.UNKNOWN_HISTORY, f"when {action.region} was last moved is unknown, which counts as just now")


def dwell(action: Action, view: View) -> Reason | None:
    """Opposite moves lie apart, and a region must have been well all that time before it comes back."""
    if not _must_dwell(action, view):
        return None
    needed = dwells.dwell_s(action.region, action.cause, view)
    if (_moved_ago_s(action, view) or 0.0) < needed:
        return Reason(reasons.DWELL, f"{action.region} was moved less than {needed:.0f} s ago")
    if action.turn is Turn.BACK and view.tally(action.region).well_for_s < needed:
        return Reason(reasons.DWELL, f"{action.region} has been well for less than {needed:.0f} s")
    return None


def ramp(action: Action, view: View) -> Reason | None:
    """The next step is taken only after the last one has gone well for a while."""
    if not isinstance(action, Move) or action.turn is not Turn.RAISE:
        return None
    needed, stepped_ago_s = dwells.ramp_step_s(view), view.remembered(action.region).stepped_ago_s or 0.0
    if min(stepped_ago_s, view.tally(action.region).well_for_s) >= needed:
        return None
    return Reason(reasons.RAMP, f"{action.region} takes {view.share(action.region)} % for {needed:.0f} s first")


def drift(action: Action, view: View) -> Reason | None:
    """What others changed at a lever is put back only where the policy says so; a region that is out stays off."""
    if not isinstance(action, SetOrigin) or _takes_out(action) or view.lever(action.lever).enforce:
        return None
    state = view.origin(action.lever, action.region)
    if state.settled != (True, action.share if state.share is not None else None):
        return None
    seen = f"{action.region} was found {f'at {state.share} %' if state.enabled else 'off'} at lever {action.lever}"
    return Reason(reasons.DRIFT, f"{seen}, which somebody else did; its drift is report")


def dry_run(action: Action, view: View) -> Reason | None:
    """A lever on trial is never written."""
    if not isinstance(action, SetOrigin) or not view.lever(action.lever).dry_run:
        return None
    wished = "off" if not action.enabled else f"on at {action.share} %"
    return Reason(reasons.DRY_RUN, f"{action.region} would be turned {wished} at lever {action.lever}, which is dryRun")


def budget(action: Action, view: View) -> Reason | None:
    """Only failover may spend what is kept for failover; a vendor's lock-out would stop it for minutes."""
    if not isinstance(action, SetOrigin) or action.lever not in view.budgets:
        return None
    urgent = _urgent(action, view)
    left = view.budgets[action.lever]
    if left.left > (0 if urgent else left.reserve):
        return None
    kept = "" if urgent else f", {left.reserve} are kept for failover"
    return Reason(reasons.BUDGET, f"lever {action.lever} has {left.left} requests left{kept}")


# The right to act, then evidence, then what would be left, then history, then means.
GUARDS: tuple[Guard, ...] = (
    no_quorum,
    paused,
    incident,
    stale_evidence,
    observer_doubts,
    not_confirmed,
    seen_elsewhere,
    only_some_agents,
    target_lost,
    everything_ill,
    last_serving,
    never_empty,
    min_serving,
    max_cordoned,
    capacity,
    rewound_history,
    unknown_history,
    dwell,
    ramp,
    drift,
    dry_run,
    budget,
)

RESIDENCY_GUARDS: tuple[Guard, ...] = (no_quorum, dry_run)


def _for_residency(action: Action, view: View) -> bool:
    return not view.legal(action.region) and (
        not action.enabled if isinstance(action, SetOrigin) else action.turn is Turn.OUT
    )


def _override(region: str, code: str, view: View) -> Override | None:
    named = (each for each in view.overrides if (each.region, each.guard) == (region, code) and each.remaining_s > 0)
    return next(named, None) if code in reasons.OVERRIDABLE else None


def _takes_out(action: Action) -> bool:
    return action.turn is Turn.OUT if isinstance(action, Move) else not action.enabled


def _testified(action: Action) -> TypeGuard[Move]:
    """Whether the move rests on what observers say of the region's entry."""
    if not isinstance(action, Move):
        return False
    if action.turn is Turn.OUT:
        return action.cause in (Cause.LOST, Cause.ABSENT, Cause.DEGRADED)
    return action.cause not in (*ON_PURPOSE, Cause.ILLEGAL)


def _testimony(move: Move, view: View) -> tuple[Observation, ...]:
    """Those who speak for the move."""
    tally = view.tally(move.region)
    if move.turn is not Turn.OUT:
        return tally.up
    return tally.against if move.cause is Cause.DEGRADED else tally.down


def _said(move: Move, view: View) -> str:
    tally = view.tally(move.region)
    if move.turn is not Turn.OUT:
        return tally.describe_up()
    return tally.describe_ill() if move.cause is Cause.DEGRADED else tally.describe()


def _confirmed(move: Move, view: View) -> bool:
    """By a quorum; when nothing else could take a call, a region comes back on the word of all who are heard."""
    tally = view.tally(move.region)
    if len(_testimony(move, view)) >= tally.needed:
        return True
    return move.turn is Turn.BACK and bool(tally.up) and not tally.against and _desperate(view)


def _desperate(view: View) -> bool:
    return not view.able()


def _ill_elsewhere(target: str, region: str, view: View) -> bool:
    return any(
        seen.target == target and seen.verdict is Verdict.DOWN and seen.heard_age_s <= HEARD_WITHIN_S
        for seen in view.observations
        if seen.tier is Tier.PROVIDER and seen.observer != region
    )


def _from_the_living(move: Move, view: View) -> bool:
    """Whether calls are taken away from a region that could still serve them."""
    if move.turn is not Turn.OUT or move.region not in view.serving():
        return False
    return move.cause in (*MILD, *ON_PURPOSE) and not view.tally(move.region).lost


def _comes_to_serve(move: Move, view: View) -> bool:
    """Whether more calls would come to the region: a return only when its last cause falls silent."""
    return move.turn is Turn.RAISE or view.remembered(move.region).standing == (move.cause,)


def _must_dwell(action: Action, view: View) -> TypeGuard[Move]:
    if not isinstance(action, Move):
        return False
    if action.turn is Turn.OUT:
        return action.cause in MILD and view.remembered(action.region).changed_ago_s != NEVER_S
    return action.turn is Turn.BACK and action.cause in DWELLS and not _desperate(view)


def _moved_ago_s(move: Move, view: View) -> float | None:
    """On the way out any move counts; on the way back only that of the same cause."""
    remembered = view.remembered(move.region)
    return remembered.changed_ago_s if move.turn is Turn.OUT else remembered.cordons[move.cause].changed_ago_s


def _left(action: Action, view: View) -> tuple[str, ...]:
    return tuple(name for name in view.able() if name != action.region)


def _urgent(action: SetOrigin, view: View) -> bool:
    """A loss, or a region needed because nothing else serves."""
    return view.tally(action.region).lost if not action.enabled else _desperate(view)
