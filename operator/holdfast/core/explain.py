"""What was decided or refused, as values that people can be shown: one entry for each decision and each refusal.

An entry invents no words about why: its reason is the very value that is logged, evented and put in the condition.
It adds what stood behind that reason at that moment: who said what and how long ago, under which epoch, and what would
have to change. This module decides nothing and keeps nothing; `audit` keeps.

    outcome      what it says                                              whose word the reason is
    decided      this is done                                              the decision's
    overridden   this is done although a guard refused it                  the guard's; `wanted` is the decision's
    refused      this was wanted and is not done                           the guard's; `wanted` is the wish's
    held         the same, by a guard that holds everything as it is       the guard's
    shed         calls that no region can take are turned away             the decision's
    preferred    among several that may be used, this order is taken       the choice's
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from holdfast.core import reasons, remedies
from holdfast.core.plans import Action, CarrierMove, Move, Overridden, Plan, Refusal, SetOrigin, Turn, View
from holdfast.core.values import Observation, Reason, Tier

HOLDING = frozenset({reasons.NO_QUORUM, reasons.PAUSED, reasons.EVERYTHING_ILL, reasons.EVERY_CARRIER_ILL})


class Kind(Enum):
    """What a question may be about."""

    REGION = "region"
    LEVER = "lever"
    AGENT = "agent"
    CARRIER = "carrier"
    ZONE = "zone"


class Outcome(Enum):
    """What became of a wish. The module's docstring has the table."""

    DECIDED = "decided"
    OVERRIDDEN = "overridden"
    REFUSED = "refused"
    HELD = "held"
    SHED = "shed"
    PREFERRED = "preferred"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an entry is about, by the name that people type."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Said:
    """One observer's word at that moment. `heard_age_s` None: it was not heard at all, and has said nothing."""

    observer: str
    verdict: str = "silent"
    heard_age_s: float | None = None
    held_s: float | None = None
    doubt: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision or refusal. `region`: the region concerned where the subject is not one itself.

    `guard`: the code of the guard that refused, also when a person overrode it in the words of `override`.
    `epoch` 0: a decision that needs no leader.
    """

    subject: Subject
    zone: str
    outcome: Outcome
    action: str
    reason: Reason
    region: str = ""
    guard: str = ""
    wanted: Reason | None = None
    override: str = ""
    evidence: tuple[Said, ...] = ()
    epoch: int = 0

    @property
    def done(self) -> bool:
        """Whether what it tells of was done."""
        return self.outcome not in (Outcome.REFUSED, Outcome.HELD)

    @property
    def overrode(self) -> str:
        """The guard that a person kept from refusing this."""
        return self.guard if self.outcome is Outcome.OVERRIDDEN else ""

    @property
    def remedy(self) -> str:
        """What would have to change."""
        return remedies.of(self.reason.code)

    def concerns(self, subject: Subject) -> bool:
        """Whether it answers a question about this subject."""
        return subject == self.subject or (subject.kind is Kind.REGION and subject.name == self.region)


def entries(plan: Plan, view: View) -> tuple[Entry, ...]:
    """Everything that a plan decides and refuses, what is done first. A follower's plan decides nothing."""
    epoch = view.fence.epoch if view.fence else 0
    # What is read back, and what is stored, are means and no decisions.
    writes = tuple(step for step in plan.steps if isinstance(step, SetOrigin))
    acts: tuple[Action | CarrierMove, ...] = (*plan.moves, *plan.carrier_moves, *writes)
    return (
        *(_of(act, view, Outcome.DECIDED, act.reason, epoch=epoch) for act in acts),
        *(_overridden(each, view, epoch) for each in plan.overridden),
        *(_refused(each, view, epoch) for each in plan.refusals),
        *_standing(plan, view, epoch),
    )


def own(
    outcome: Outcome,
    subject: Subject,
    *,
    zone: str,
    region: str,
    action: str,
    reason: Reason,
    evidence: Iterable[Said] = (),
) -> Entry:
    """What a region's operator decides or refuses alone: orders of providers, ICE servers, a wish to be withdrawn."""
    done = outcome not in (Outcome.REFUSED, Outcome.HELD)
    return Entry(
        subject, zone, outcome, action, reason,
        region="" if subject.kind is Kind.REGION else region,
        guard="" if done else reason.code,
        evidence=tuple(evidence),
    )  # fmt: skip


def testimony(
    observations: Iterable[Observation], *, target: str, tier: Tier, observers: Sequence[str]
) -> tuple[Said, ...]:
    """What each configured observer says of a target; one that was never heard is named as silent."""
    said = {seen.observer: seen for seen in observations if (seen.target, seen.tier) == (target, tier)}
    return tuple(_testimony(said[name]) if name in said else Said(name) for name in observers)


def words(action: Action | CarrierMove, view: View) -> str:
    """An action as people say it. The same action has the same words, so that they tell repetitions."""
    match action:
        case Move(turn=Turn.OUT):
            return f"cordon {action.region} ({action.cause.value})"
        case Move(turn=Turn.BACK):
            return f"lift the cordon of {action.region} ({action.cause.value})"
        case Move():
            return f"raise {action.region} above {view.share(action.region)} % of its weight"
        case SetOrigin():
            return f"turn {action.region} {'on' if action.enabled else 'off'} at {action.lever}"
        case CarrierMove():
            return f"put {action.carrier} {'behind' if action.turn is Turn.OUT else 'back before'} other carriers"
        case _ as never:
            assert_never(never)


def _overridden(each: Overridden, view: View, epoch: int) -> Entry:
    return _of(
        each.action, view, Outcome.OVERRIDDEN, each.guard,
        wanted=each.action.reason, override=each.override.reason, epoch=epoch,
    )  # fmt: skip


def _refused(each: Refusal, view: View, epoch: int) -> Entry:
    outcome = Outcome.HELD if each.reason.code in HOLDING else Outcome.REFUSED
    return _of(each.action, view, outcome, each.reason, wanted=each.action.reason, epoch=epoch)


def _standing(plan: Plan, view: View, epoch: int) -> Iterator[Entry]:
    """What stands as long as it is wanted: the carrier's fallback, and calls that are turned away."""
    zone = Subject(Kind.ZONE, view.zone.name)
    if plan.shed is not None:
        yield Entry(zone, zone.name, Outcome.SHED, "turn calls away in words", plan.shed.reason, epoch=epoch)
    if plan.fallback is not None and view.fence is not None:
        action = f"keep {plan.fallback.region} as the carriers' own fallback"
        yield Entry(zone, zone.name, Outcome.PREFERRED, action, plan.fallback.reason, epoch=epoch)


def _of(
    action: Action | CarrierMove,
    view: View,
    outcome: Outcome,
    reason: Reason,
    *,
    epoch: int,
    wanted: Reason | None = None,
    override: str = "",
) -> Entry:
    return Entry(
        _subject(action), view.zone.name, outcome, words(action, view), reason,
        region=action.region if isinstance(action, SetOrigin) else "",
        guard="" if outcome is Outcome.DECIDED else reason.code,
        wanted=wanted, override=override, evidence=_evidence(action, view), epoch=epoch,
    )  # fmt: skip


def _subject(action: Action | CarrierMove) -> Subject:
    match action:
        case Move():
            return Subject(Kind.REGION, action.region)
        case SetOrigin():
            return Subject(Kind.LEVER, action.lever)
        case CarrierMove():
            return Subject(Kind.CARRIER, action.carrier)
        case _ as never:
            assert_never(never)


def _evidence(action: Action | CarrierMove, view: View) -> tuple[Said, ...]:
    """A carrier is seen by every voter; of a region its own voice does not count."""
    if isinstance(action, CarrierMove):
        return testimony(
            view.observations, target=action.carrier, tier=Tier.CARRIER, observers=view.zone.voters
        )
    observers = view.zone.observers_of(action.region)
    return testimony(view.observations, target=action.region, tier=Tier.REGION, observers=observers)


def _testimony(seen: Observation) -> Said:
    return Said(seen.observer, seen.verdict.value, seen.heard_age_s, seen.held_s, seen.self_doubt, seen.detail)
