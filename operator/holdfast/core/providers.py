"""Which speech providers a region should try, in which order: one breaker for each, and one order for each agent.

A region's operator decides this alone, from what all of its pods count and its own canary calls see.
Whether a call's turn goes to the next attempt is the pod's business, not decided here.

    a breaker is   CLOSED                       OPEN                          HALF_OPEN
    becomes it     at first; by a success       by failures                   when the cooldown is over
    tries          all                          none                          one at a time
    a success      changes nothing              came late, changes nothing    CLOSED
    a failure      OPEN, if enough              OPEN anew, if enough and      OPEN anew, for longer
                                                graver than what opened it

    failure                    enough is                             its cooldown begins at
    AUTH, QUOTA, CONFIG        one: the next would end the same      OURS_COOLDOWN_S
    ERROR, TIMEOUT, STALL      `failures` within `window_s`          `cooldown_s`
    RATE_LIMITED               the same, or one with Retry-After     Retry-After, else `cooldown_s`

Each of these three kinds has its own cooldown, doubled each time it opens again soon after it closed. A graver
kind never waits for a milder one's to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from holdfast.core import reasons
from holdfast.core.values import AgentRef, Reason, Verdict

OURS_COOLDOWN_S = 300.0
COOLDOWN_MAX_S = 600.0
RETRY_AFTER_MAX_S = 3_600.0
FORGIVEN_AFTER_COOLDOWNS = 10
TRIAL_S = 30.0
"""A trial that has no answer by then is taken for lost, so that the next may go."""


class Failure(Enum):
    """How a provider failed. The first four are the words of a policy's `provider.on`."""

    ERROR = "5xx"
    TIMEOUT = "timeout"
    STALL = "stall"
    RATE_LIMITED = "429"
    AUTH = "auth"
    QUOTA = "quota"
    CONFIG = "config"

    @property
    def ours(self) -> bool:
        """It lies with a key, an account or a spec: no outage, and never a reason to leave a region."""
        return self in _OURS

    @property
    def outage(self) -> bool:
        """It lies with the provider. A provider that asks us to wait is well."""
        return not self.ours and self is not Failure.RATE_LIMITED

    @property
    def gravity(self) -> int:
        """The kind of failure, as a rank: each kind has its own cooldown."""
        return 2 if self.ours else int(self.outage)


_OURS = frozenset({Failure.AUTH, Failure.QUOTA, Failure.CONFIG})
_BY_CODE = {
    401: Failure.AUTH,
    402: Failure.QUOTA,
    403: Failure.AUTH,
    404: Failure.CONFIG,
    429: Failure.RATE_LIMITED,
    498: Failure.RATE_LIMITED,
    1006: Failure.ERROR,
    1008: Failure.AUTH,
    1011: Failure.ERROR,
    1012: Failure.ERROR,
    1013: Failure.ERROR,
}


def failure_of(code: int, *, out_of_credit: bool = False) -> Failure | None:
    """What an HTTP status or a WebSocket close code says of the provider; None: nothing that counts against it.

    A request that is refused for its content (400, 422, 1007) speaks of that one call only. `out_of_credit`: the
    answer says so, which some vendors do under 429.
    """
    if out_of_credit:
        return Failure.QUOTA
    return Failure.ERROR if 500 <= code <= 599 else _BY_CODE.get(code)


class State(Enum):
    """Where a breaker is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a breaker opens and for how long. `on`: the failures that count besides our own, which always do."""

    failures: int = 2
    window_s: float = 30.0
    on: frozenset[Failure] = frozenset({Failure.ERROR, Failure.TIMEOUT, Failure.STALL, Failure.RATE_LIMITED})
    cooldown_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """What one region knows of one provider, or of one key there.

    `failures`: the times of those that count towards opening. `failure`: what it last opened for, `trips` times in a
    row. `closed_at` None: it has not closed since. `trial_at`: when the trial under way began.
    """

    failures: tuple[float, ...] = ()
    failure: Failure | None = None
    trips: int = 0
    opened_at: float = 0.0
    until: float = 0.0
    closed_at: float | None = None
    trial_at: float | None = None

    @property
    def closed(self) -> bool:
        return self.failure is None or self.closed_at is not None

    @property
    def verdict(self) -> Verdict:
        """What this region may tell the zone. What is ours, or merely asks us to wait, is no illness."""
        if self.closed:
            return Verdict.UP
        return Verdict.DOWN if self.failure is not None and self.failure.outage else Verdict.UNKNOWN


def state(breaker: Breaker, now: float) -> State:
    if breaker.closed:
        return State.CLOSED
    return State.OPEN if now < breaker.until else State.HALF_OPEN


def may_try(breaker: Breaker, now: float) -> bool:
    """Whether somebody may be sent there now; who goes says so by `tried`."""
    where = state(breaker, now)
    if where is State.HALF_OPEN:
        return breaker.trial_at is None or now - breaker.trial_at >= TRIAL_S
    return where is State.CLOSED


def tried(breaker: Breaker, now: float) -> Breaker:
    """Somebody was sent. Half-open, nobody else is until the outcome is known."""
    return replace(breaker, trial_at=now) if state(breaker, now) is State.HALF_OPEN else breaker


def observe(
    breaker: Breaker, failure: Failure | None, *, now: float, rule: Rule, retry_after_s: float = 0.0
) -> Breaker:
    """Fold one outcome in; `failure` None: it went well. `retry_after_s`: how long the provider asks us to wait."""
    where = state(breaker, now)
    if failure is None:
        return replace(breaker, closed_at=now, trial_at=None) if where is State.HALF_OPEN else breaker
    if not failure.ours and failure not in rule.on:
        return breaker
    if where is State.OPEN and not _graver(failure, breaker):
        return breaker
    recent = (*(at for at in breaker.failures if now - at < rule.window_s), now)
    asked_s = min(max(retry_after_s, 0.0), RETRY_AFTER_MAX_S) if failure is Failure.RATE_LIMITED else 0.0
    enough = failure.ours or asked_s > 0 or len(recent) >= rule.failures
    if not enough and where is not State.HALF_OPEN:
        return replace(breaker, failures=recent)
    return _opened(breaker, failure, now=now, rule=rule, asked_s=asked_s)


def _graver(failure: Failure, breaker: Breaker) -> bool:
    return breaker.failure is None or failure.gravity > breaker.failure.gravity


def _opened(breaker: Breaker, failure: Failure, *, now: float, rule: Rule, asked_s: float) -> Breaker:
    calm_s = 0.0 if breaker.closed_at is None else now - breaker.closed_at
    same_kind = breaker.failure is not None and breaker.failure.gravity == failure.gravity
    again = same_kind and calm_s < FORGIVEN_AFTER_COOLDOWNS * rule.cooldown_s
    trips = breaker.trips + 1 if again else 1
    first_s = asked_s or (OURS_COOLDOWN_S if failure.ours else rule.cooldown_s)
    # Every cap is reached by nine doublings; without a bound a long outage would overflow.
    wait_s = max(min(first_s * 2.0 ** min(trips - 1, 9), COOLDOWN_MAX_S), first_s)
    return Breaker(failure=failure, trips=trips, opened_at=now, until=now + wait_s)


def ill(breakers: Mapping[str, Breaker]) -> frozenset[str]:
    """The providers and keys that should be tried last: a trial is not an order's business."""
    return frozenset(name for name, breaker in breakers.items() if not breaker.closed)


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """One entry of an agent's provider list, as far as its order is concerned; or one stage of a cascade.

    `provider`, `key` and `own` are the names of its breakers: one for host and model, shared by everybody who uses
    them, one for the tenant's key, and one for what the attempt itself asks for. A cascade has none itself, but each
    of its `stages` has, and it is ill when any of them is. `regions` empty: everywhere.
    """

    name: str
    provider: str = ""
    key: str = ""
    host: str = ""
    weight: int = 0
    regions: frozenset[str] = frozenset()
    declares: frozenset[str] = frozenset()
    own: str = ""
    stages: tuple[AttemptLine, ...] = ()

    @property
    def parts(self) -> tuple[AttemptLine, ...]:
        """What of it outcomes are counted for and is tried by itself: its stages, else it itself."""
        return self.stages or (self,)

    @property
    def breakers(self) -> tuple[str, ...]:
        """The names of a part's."""
        return tuple([name for name in (self.provider, self.key, self.own) if name])

    def ailing(self, sick: frozenset[str]) -> tuple[AttemptLine, ...]:
        """Its parts whose provider or key is among the sick."""
        return tuple([part for part in self.parts if _is_sick(part, sick)])


@dataclass(frozen=True, slots=True)
class Attempts:
    """An agent's provider list in its spec's order, and what every entry must satisfy.

    `hosts`: those that the zone's policy grants its tenant; None: any.
    """

    lines: tuple[AttemptLine, ...]
    compliance: frozenset[str] = frozenset()
    hosts: frozenset[str] | None = None

    @property
    def parts(self) -> tuple[AttemptLine, ...]:
        """Those of every entry: what pods count, and try."""
        return tuple([part for line in self.lines for part in line.parts])

    def permitted(self, region: str) -> tuple[AttemptLine, ...]:
        """The entries that may be tried in a region at all, whatever their health."""
        return tuple([line for line in self.lines if not _forbidden(line, self, region)])

    def ailing(self, sick: frozenset[str]) -> list[AttemptLine]:
        """The entries of which any part is."""
        return [line for line in self.lines if _is_sick(line, sick)]


@dataclass(frozen=True, slots=True)
class Order:
    """What to try, in this order, and a reason for everything that is not as the spec has it.

    `turned`: it is not the usual order, which is the one with nothing ill; or there is nothing to try. `ill`: those of
    them that stand last for it, whoever calls: a call is drawn for one of those with a weight only where they are well.
    """

    names: tuple[str, ...]
    reasons: tuple[Reason, ...] = ()
    turned: bool = False
    ill: tuple[str, ...] = ()


def order(attempts: Attempts, sick: frozenset[str], *, region: str) -> Order:
    """Filter first, then the well before the ill. Which caller begins where is drawn in the pods.

    Nothing permitted is an empty order; everything ill is the spec's.
    """
    refused = [reason for line in attempts.lines if (reason := _forbidden(line, attempts, region))]
    lines = attempts.permitted(region)
    found_ill = [line for line in lines if _is_sick(line, sick)]
    if not lines:
        message = f"no attempt is permitted in {region}, so no call is taken there"
        found = [Reason(reasons.NO_ATTEMPT, message)]
    elif len(found_ill) == len(lines):
        message = f"every attempt is ill in {region}; they are tried as they stand in the spec"
        found = [Reason(reasons.ALL_ATTEMPTS_ILL, message)]
    else:
        found = [Reason(reasons.ATTEMPT_ILL, _tried_last(line, sick, region)) for line in found_ill]
    preferred = _preferred(lines)
    names = _arranged(lines, preferred, sick)
    return Order(
        names,
        reasons=(*refused, *found),
        turned=not names or names != tuple([line.name for line in preferred]),
        ill=tuple([line.name for line in found_ill]),
    )


def _tried_last(line: AttemptLine, sick: frozenset[str], region: str) -> str:
    parts = [part.name for part in line.ailing(sick)]
    if not line.stages:
        return f"{line.name} is ill in {region} and tried last"
    return f"{', '.join(parts)} {'is' if len(parts) == 1 else 'are'} ill in {region}, so {line.name} is tried last"


def orders(
    agents: Mapping[AgentRef, Attempts], sick_in: Mapping[str, frozenset[str]]
) -> dict[str, Mapping[AgentRef, tuple[str, ...]]]:
    """For each region the agents whose order there is not the usual one, which is the order with nothing ill.

    Regions in which the same is ill share one answer.
    """
    suspects = frozenset[str]().union(*sick_in.values())
    everywhere: dict[AgentRef, Attempts] = {}
    local: dict[AgentRef, Attempts] = {}
    for ref, attempts in agents.items():
        if attempts.ailing(suspects):
            (local if any(line.regions for line in attempts.lines) else everywhere)[ref] = attempts
    shared: dict[frozenset[str], dict[AgentRef, tuple[str, ...]]] = {}
    answer: dict[str, Mapping[AgentRef, tuple[str, ...]]] = {}
    for region, sick in sick_in.items():
        if sick not in shared:
            shared[sick] = _unusual(everywhere, sick, region)
        answer[region] = {**shared[sick], **_unusual(local, sick, region)} if local else shared[sick]
    return answer


def _unusual(
    agents: Mapping[AgentRef, Attempts], sick: frozenset[str], region: str
) -> dict[AgentRef, tuple[str, ...]]:
    unusual: dict[AgentRef, tuple[str, ...]] = {}
    for ref, attempts in agents.items() if sick else ():
        if attempts.ailing(sick):
            lines = attempts.permitted(region)
            usual = _preferred(lines)
            names = _arranged(lines, usual, sick)
            if names != tuple([line.name for line in usual]):
                unusual[ref] = names
    return unusual


def _forbidden(line: AttemptLine, attempts: Attempts, region: str) -> Reason | None:
    """Why an attempt may not be made at all, whatever its health."""
    if line.regions and region not in line.regions:
        return Reason(reasons.ATTEMPT_NOT_HERE, f"{line.name} is not meant for {region}")
    if missing := attempts.compliance - line.declares:
        words = ", ".join(sorted(missing))
        return Reason(reasons.ATTEMPT_NOT_COMPLIANT, f"{line.name} does not declare {words}")
    if attempts.hosts is None:
        return None
    for part in line.parts:
        if part.host not in attempts.hosts:
            return Reason(reasons.HOST_NOT_GRANTED, f"the policy does not grant {part.host}, the host of {part.name}")
    return None


def _preferred(lines: tuple[AttemptLine, ...]) -> tuple[AttemptLine, ...]:
    """The order when all are well: by weight, the same for every caller."""
    return tuple(sorted(lines, key=lambda line: -line.weight))


def _arranged(
    lines: tuple[AttemptLine, ...], preferred: tuple[AttemptLine, ...], sick: frozenset[str]
) -> tuple[str, ...]:
    """The well as they are preferred, then the ill as the spec has them."""
    well = [line.name for line in preferred if not _is_sick(line, sick)]
    return (*well, *[line.name for line in lines if _is_sick(line, sick)])


def _is_sick(line: AttemptLine, sick: frozenset[str]) -> bool:
    if line.stages:
        return any(_is_sick(stage, sick) for stage in line.stages)
    return line.provider in sick or line.key in sick or line.own in sick
