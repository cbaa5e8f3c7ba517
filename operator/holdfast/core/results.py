"""From what pods count of their calls to what each breaker is told: totals to outcomes, outcomes to who is to blame.

A pod reports running totals, so that a report that is lost loses nothing; what is new is their difference. A failure
is told to what it lies with, and to nothing else:

    outcome               the provider's breaker   the key's    the attempt's own
    well                  well                     well         well
    5xx, timeout, stall   failed
    429                                            failed
    auth, quota           well: it answered        failed
    config                well: it answered                     failed

So a revoked key or a mistyped model never makes a provider ill for those who share it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from holdfast.core import providers
from holdfast.core.agents import AgentSpec, Attempt
from holdfast.core.means import ProviderRule
from holdfast.core.providers import AttemptLine, Attempts, Breaker, Failure, Rule
from holdfast.core.values import AgentRef, Zone

FRESH_S = 30.0
"""Of a pod that was never heard before, what is older than this is history."""
MOST_AT_ONCE = 16
NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class Failed:
    """One kind of failure: how often since the pod began, and how long ago lately."""

    count: int
    ago_s: float = 0.0
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What one pod counted of one attempt. `ok_ago_s` None: it was never well."""

    ok: int = 0
    ok_ago_s: float | None = None
    failed: Mapping[Failure, Failed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call or probe; `failure` None: it went well."""

    failure: Failure | None = None
    retry_after_s: float = 0.0


NOTHING = Tally()
UNHEARD = Breaker()


def outcomes(before: Tally | None, after: Tally) -> tuple[Outcome, ...]:
    """What happened between two reports, the eldest first.

    `before` None: the pod was not heard before, and only the latest of each kind is news. Totals that fell are those
    of a pod that began anew.
    """
    if before is not None and _fell(before, after):
        before = NOTHING
    found: list[tuple[float, Outcome]] = []
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


def _fell(before: Tally, after: Tally) -> bool:
    return after.ok < before.ok or any(
        failed.count > after.failed.get(failure, Failed(0)).count for failure, failed in before.failed.items()
    )


def told(line: AttemptLine, failure: Failure | None) -> Iterator[tuple[str, Failure | None]]:
    """Which breakers hear of an outcome, and what."""
    if failure is None:
        yield from ((name, None) for name in line.breakers)
    elif failure.outage:
        yield line.provider, failure
    elif failure is Failure.CONFIG:
        yield from ((line.provider, None), (line.own, failure))
    else:
        yield line.key, failure
        if failure is not Failure.RATE_LIMITED:
            yield line.provider, None


def fold(
    breakers: Mapping[str, Breaker], line: AttemptLine, outcome: Outcome, *, now: float, rule: Rule
) -> dict[str, Breaker]:
    """The breakers that one more outcome of one attempt changes. One that is not there is closed and heard nothing."""
    changed: dict[str, Breaker] = {}
    for name, failure in told(line, outcome.failure):
        before = breakers.get(name, UNHEARD)
        after = providers.observe(before, failure, now=now, rule=rule, retry_after_s=outcome.retry_after_s)
        if name and after != before:
            changed[name] = after
    return changed


def rule(told_by: ProviderRule) -> Rule:
    """A policy's rule with its words read; a word that is no kind of failure counts nothing."""
    words = {failure.value: failure for failure in Failure}
    return Rule(
        failures=told_by.failures,
        window_s=told_by.window_s,
        on=frozenset(words[word] for word in told_by.on if word in words),
        cooldown_s=told_by.cooldown_s,
    )


def provider_name(base_url: str, model: str) -> str:
    """What everybody shares who uses this host and model, of a length that every region can tell the others."""
    name = f"{urlsplit(base_url).netloc.rpartition('@')[2]}/{model}"
    if len(name) <= NAME_CHARS:
        return name
    return f"{name[: NAME_CHARS - 9]}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def attempts(ref: AgentRef, spec: AgentSpec, zone: Zone) -> Attempts:
    """An agent's provider list as its order needs it, with the hosts that the zone grants its namespace."""
    granted = (tenant.hosts for tenant in zone.tenants if ref.namespace in tenant.namespaces)
    return Attempts(
        lines=tuple(_line(ref, attempt) for attempt in spec.attempts),
        hosts=frozenset(host for hosts in granted for host in hosts),
    )


def _line(ref: AgentRef, attempt: Attempt) -> AttemptLine:
    key = attempt.key
    return AttemptLine(
        name=attempt.name,
        provider=provider_name(attempt.base_url, attempt.model),
        key=f"Secret {ref.namespace}/{key.secret} key {key.key}" if key else "",
        own=f"VoiceAgent {ref} attempt {attempt.name} model {attempt.model}",
        host=urlsplit(attempt.base_url).hostname or "",
    )
