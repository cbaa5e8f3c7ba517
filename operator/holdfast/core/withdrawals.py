"""Whether a region's own operator asks for its region to be taken out of service.

The one who sees a region from inside asks; the zone's leader decides, with a quorum and all its guards. Nobody asks
for what leaving would not cure: a fault that other regions see too, or one of only some agents, whose own order of
attempts is the remedy.

    an agent is affected when                                   and no longer when
    fewer than half of its wanted pods are ready                four fifths are
    no attempt works here, though one would work elsewhere      one works here, or none elsewhere

    the region         asks no more     suspects            asks
    a reason stands    suspects         asks after          asks
                                        CONFIRM_S of it
    none stands        asks no more     asks no more        asks no more after CALM_S of it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.core import reasons
from holdfast.core.providers import AttemptLine, Attempts
from holdfast.core.values import AgentRef, Reason, Withdrawal

READY_TO_ASK = 0.5
READY_TO_STAY = 0.8
CONFIRM_S = 10.0
"""Long enough for pods that are replaced one by one, and for the peers' word on a provider to arrive."""
CALM_S = 30.0

STARTING_S = 120.0
"""So long an agent's first pods may take to come up, images and all, before their absence counts as a fault."""

NO_ATTEMPTS = Attempts(())


@dataclass(frozen=True, slots=True)
class AgentHere:
    """One agent in this region: its pods, its calls, and what it could try."""

    ready_pods: int
    wanted_pods: int
    calls: int = 0
    attempts: Attempts = NO_ATTEMPTS


@dataclass(frozen=True, slots=True)
class LocalView:
    """What a region's operator knows of its own region, and has heard of its zone.

    `ill`: providers that this region finds ill, not counting what lies with a key, an account or a spec of ours.
    `ill_elsewhere`: those that any other region of the zone finds ill.
    """

    region: str
    agents: Mapping[AgentRef, AgentHere]
    ill: frozenset[str] = frozenset()
    ill_elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Standing:
    """Since when a reason has stood, or has been gone; and what the region tells its peers, if anything."""

    told: Withdrawal | None = None
    since: float | None = None


def wanted_pods(min_pods: int, *, were_ready: bool, known_for_s: float) -> int:
    """How many pods an agent should have by now: none that was never up here and is still on its way."""
    return min_pods if were_ready or known_for_s >= STARTING_S else 0


def were_ready(ready_pods: int, min_pods: int) -> bool:
    """Whether an agent has come up here, so that its pods are missed from now on."""
    return ready_pods >= READY_TO_STAY * min_pods


def wish(view: LocalView, *, asking: bool = False) -> Withdrawal | Reason | None:
    """What this moment suggests: to ask, why not to although something is ill, or nothing at all.

    `asking`: the region asks already, and wants to be better than merely not bad before it stops.
    """
    found = _found(view, READY_TO_STAY if asking else READY_TO_ASK)
    if not found.affected and not found.shared:
        return None
    if found.shared:
        words = ", ".join(sorted(found.shared))
        return Reason(reasons.SEEN_ELSEWHERE, f"not only {view.region} sees it: {words}")
    agents, of_agents = len(found.affected), len(found.concerned)
    if agents < of_agents:
        message = f"only {agents} of {of_agents} agents of {view.region} are affected"
        return Reason(reasons.ONLY_SOME_AGENTS, message)
    return Withdrawal(view.region, _why(found), 0.0, agents, of_agents, tuple(sorted(found.blamed)))


def standing(before: Standing, wished: Withdrawal | Reason | None, *, now: float) -> Standing:
    """Fold what is wished now into what is told."""
    asks = isinstance(wished, Withdrawal)
    if asks is (before.told is not None):
        return Standing(told=wished) if isinstance(wished, Withdrawal) else Standing()
    since = now if before.since is None else before.since
    if isinstance(wished, Withdrawal):
        return Standing(told=wished) if now - since >= CONFIRM_S else Standing(since=since)
    return Standing() if now - since >= CALM_S else Standing(told=before.told, since=since)


def taken_up(region: str, remembered: Iterable[str]) -> Standing:
    """Where an operator begins that was not here before: a region that is out for its own word still asks."""
    words = next(iter(remembered), None)
    if words is None:
        return Standing()
    return Standing(told=Withdrawal(region, Reason(reasons.PODS_NOT_READY, words), 0.0))


@dataclass(frozen=True, slots=True)
class _Found:
    """Which agents count, which of them are affected by what, and which providers are to blame.

    `shared`: ill elsewhere, too, and the reason why leaving would not give an agent an attempt that works.
    """

    concerned: frozenset[AgentRef]
    without_pods: frozenset[AgentRef]
    without_attempt: frozenset[AgentRef]
    blamed: frozenset[str]
    shared: frozenset[str]

    @property
    def affected(self) -> frozenset[AgentRef]:
        return self.without_pods | self.without_attempt


def _found(view: LocalView, ready_share: float) -> _Found:
    concerned = {ref: agent for ref, agent in view.agents.items() if agent.wanted_pods > 0 or agent.calls > 0}
    without_pods = {ref for ref, agent in concerned.items() if agent.ready_pods < ready_share * agent.wanted_pods}
    stuck = {ref: lines for ref in concerned.keys() - without_pods if (lines := _all_ill(ref, view))}
    without_attempt = {
        ref for ref, lines in stuck.items() if any(view.ill_elsewhere.isdisjoint(_providers(line)) for line in lines)
    }
    met = {ref: frozenset[str]().union(*map(_providers, lines)) for ref, lines in stuck.items()}
    return _Found(
        concerned=frozenset(concerned),
        without_pods=frozenset(without_pods),
        without_attempt=frozenset(without_attempt),
        blamed=frozenset().union(*(met[ref] & view.ill - view.ill_elsewhere for ref in without_attempt)),
        shared=frozenset().union(*(met[ref] & view.ill_elsewhere for ref in stuck.keys() - without_attempt)),
    )


def _all_ill(ref: AgentRef, view: LocalView) -> tuple[AttemptLine, ...]:
    """The attempts of an agent of which none works here; empty as long as one does."""
    lines = view.agents[ref].attempts.permitted(view.region)
    return () if any(view.ill.isdisjoint(_providers(line)) for line in lines) else lines


def _providers(line: AttemptLine) -> frozenset[str]:
    return frozenset([part.provider for part in line.parts])


def _why(found: _Found) -> Reason:
    pods, attempts = len(found.without_pods), len(found.without_attempt)
    words = [f"agents with too few ready pods: {pods}"] if pods else []
    if not attempts:
        return Reason(reasons.PODS_NOT_READY, words[0])
    words.append(f"agents without an attempt that works here: {attempts} (ill: {', '.join(sorted(found.blamed))})")
    return Reason(reasons.NO_WORKING_ATTEMPT, ", ".join(words))
