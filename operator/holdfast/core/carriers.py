"""In which order a zone's carriers are preferred: the policy's, with those behind that a quorum sees ill.

The zone's leader decides, as for regions: evidence suggests a move, and a guard may only refuse it. Nothing is
written at a carrier here; a carrier set back keeps its numbers and its calls, others are merely asked before it.

    a carrier is     moves by                              which waits for
    preferred        OUT, a quorum finds its API down      nothing
    preferred        OUT, a quorum finds it unreliable     a dwell since its last move
    set back         BACK, a quorum finds it well          a dwell since then, well all the while,
                                                           unless no preferred one answers

The dwell doubles each time the carrier fell again soon after it came back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from holdfast.core import dwells, evidence, guards, reasons
from holdfast.core.plans import CarrierMove, Refusal, Turn, View
from holdfast.core.values import NEVER_S, Cordon, Reason, Tier, Verdict

OUR_FAULTS = frozenset({400, 401, 403, 404, 429})


class CarrierFailure(Enum):
    """How a carrier's API failed a live call: the words of a pod's report."""

    ERROR = "5xx"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Choice:
    """The carriers in order, what was moved and refused, and what is to be remembered of them."""

    order: tuple[str, ...]
    moves: tuple[CarrierMove, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    memory: Mapping[str, Cordon] = field(default_factory=dict)


def verdict(status: int | None, *, suspended: bool = False) -> Verdict:
    """What an answer of a carrier's API says of the carrier; `status` None: there was none.

    A suspended account, a wrong key or too many requests of ours are no illness: another region would fare no better.
    """
    if suspended or status in OUR_FAULTS:
        return Verdict.UNKNOWN
    return Verdict.UP if status is not None and status < 500 else Verdict.DOWN


def decide(view: View) -> Choice:
    """Returns are decided first: they make what follows bearable."""
    sights = _sights(view)
    memory = {name: cordon for name, cordon in view.carriers.items() if name in sights}
    moves: list[CarrierMove] = []
    refusals: list[Refusal] = []
    for move in _wanted(Case(view, sights, memory)):
        case = Case(view, sights, memory)
        if reason := _refuse(move, case):
            refusals.append(Refusal(move, reason))
            continue
        moves.append(move)
        memory = {**memory, move.carrier: _moved(move, case)}
    preferred = Case(view, sights, memory).preferred()
    order = (*preferred, *(name for name in sights if name not in preferred))
    if guards.authority(view):
        memory = {name: _dated(cordon) for name, cordon in memory.items()}
    return Choice(order, tuple(moves), tuple(refusals), memory)


@dataclass(frozen=True, slots=True)
class Case:
    """What the guards look at: the zone, what is said of each carrier, and the moves decided so far."""

    view: View
    sights: Mapping[str, evidence.Tally]
    memory: Mapping[str, Cordon]

    def preferred(self) -> tuple[str, ...]:
        """Those that are not set back, in the policy's order."""
        return tuple(name for name in self.sights if not (name in self.memory and self.memory[name].stands))

    def moved_ago_s(self, carrier: str) -> float | None:
        return self.memory[carrier].changed_ago_s if carrier in self.memory else NEVER_S

    def dwell_s(self, carrier: str) -> float:
        return dwells.grown_s(self.memory.get(carrier), self.view)

    def testimony(self, move: CarrierMove) -> int:
        """How many speak for the move."""
        tally = self.sights[move.carrier]
        return len(tally.against if move.turn is Turn.OUT else tally.up)


Guard = Callable[[CarrierMove, Case], Reason | None]


def no_quorum(move: CarrierMove, case: Case) -> Reason | None:
    return guards.no_quorum(move, case.view)


def paused(move: CarrierMove, case: Case) -> Reason | None:
    return guards.paused(move, case.view)


def stale_evidence(move: CarrierMove, case: Case) -> Reason | None:
    """Refused for want of observers who have fallen silent; their last word no longer counts."""
    tally, said = case.sights[move.carrier], case.testimony(move)
    if said >= tally.needed or said + len(tally.silent) < tally.needed:
        return None
    message = f"not heard within {evidence.HEARD_WITHIN_S:.0f} s: {', '.join(tally.silent)}; {move.reason.message}"
    return Reason(reasons.STALE_EVIDENCE, message)


def not_confirmed(move: CarrierMove, case: Case) -> Reason | None:
    if case.testimony(move) >= case.sights[move.carrier].needed:
        return None
    return Reason(reasons.NOT_CONFIRMED, move.reason.message)


def every_carrier_ill(move: CarrierMove, case: Case) -> Reason | None:
    """With nobody better to prefer the fault is more likely ours: hold their order as it is."""
    if move.turn is not Turn.OUT or any(_better(name, move, case) for name in case.preferred()):
        return None
    message = f"no other carrier of zone {case.view.zone.name} is seen well; their order is held as it is"
    return Reason(reasons.EVERY_CARRIER_ILL, message)


def unknown_history(move: CarrierMove, case: Case) -> Reason | None:
    if not _must_dwell(move, case) or case.moved_ago_s(move.carrier) is not None:
        return None
    return Reason(reasons.UNKNOWN_HISTORY, f"when {move.carrier} was last moved is unknown, which counts as just now")


def dwell(move: CarrierMove, case: Case) -> Reason | None:
    """Opposite moves lie apart, and a carrier must have been well all that time before it comes back."""
    if not _must_dwell(move, case):
        return None
    needed = case.dwell_s(move.carrier)
    if (case.moved_ago_s(move.carrier) or 0.0) < needed:
        return Reason(reasons.DWELL, f"{move.carrier} was moved less than {needed:.0f} s ago")
    if move.turn is Turn.BACK and case.sights[move.carrier].well_for_s < needed:
        return Reason(reasons.DWELL, f"{move.carrier} has been well for less than {needed:.0f} s")
    return None


# The right to act, then evidence, then what would be left, then history.
GUARDS: tuple[Guard, ...] = (
    no_quorum,
    paused,
    stale_evidence,
    not_confirmed,
    every_carrier_ill,
    unknown_history,
    dwell,
)


def _refuse(move: CarrierMove, case: Case) -> Reason | None:
    return next((reason for guard in GUARDS if (reason := guard(move, case))), None)


def _must_dwell(move: CarrierMove, case: Case) -> bool:
    """Not when the carrier is down, nor when no other is left that answers: it comes back at once."""
    if move.turn is Turn.OUT:
        return not case.sights[move.carrier].lost
    return any(case.sights[name].seen_up for name in case.preferred())


def _better(name: str, move: CarrierMove, case: Case) -> bool:
    """Whether a carrier is fit to stand before one that is ill; before one that is down any that answers is."""
    sight = case.sights[name]
    return name != move.carrier and sight.seen_up and (case.sights[move.carrier].lost or not sight.ill)


def _sights(view: View) -> dict[str, evidence.Tally]:
    """What is said of each carrier, in the policy's order. Every voter counts, and a carrier is nobody's own."""
    said = [seen for seen in view.observations if seen.tier is Tier.CARRIER]
    return {
        carrier.name: evidence.tally(
            carrier.name, (seen for seen in said if seen.target == carrier.name), view.zone.voters
        )
        for carrier in view.zone.carriers
    }


def _wanted(case: Case) -> Iterator[CarrierMove]:
    """What the evidence suggests. One voice is enough to wish."""
    preferred = case.preferred()
    for name, tally in case.sights.items():
        if name not in preferred and tally.up:
            yield CarrierMove(name, Turn.BACK, Reason(reasons.CARRIER_RECOVERED, tally.describe_up()))
    for name in preferred:
        if case.sights[name].against:
            yield CarrierMove(name, Turn.OUT, Reason(reasons.CARRIER_ILL, case.sights[name].describe_ill()))


def _moved(move: CarrierMove, case: Case) -> Cordon:
    before = case.memory.get(move.carrier, Cordon(stands=False, changed_ago_s=NEVER_S))
    if move.turn is Turn.BACK:
        return replace(before, stands=False, changed_ago_s=0.0, reason=move.reason.message)
    return Cordon(True, 0.0, flaps=dwells.flaps(before, case.view), reason=move.reason.message)


def _dated(cordon: Cordon) -> Cordon:
    """Unknown history counts as moved just now, and from now on its age is known."""
    return replace(cordon, changed_ago_s=0.0) if cordon.changed_ago_s is None else cordon
