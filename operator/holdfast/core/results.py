"""From the outcomes of calls and probes to what each breaker is told: who is to blame.

A failure of a part of an attempt is told to what it lies with, and to nothing else:

    outcome               the provider's breaker   the key's    the part's own
    well                  well                     well         well
    5xx, timeout, stall   failed
    429                                            failed
    auth, quota           well: it answered        failed
    config                well: it answered                     failed

So a revoked key or a mistyped model never makes a provider ill for those who share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias
from urllib.parse import urlsplit

from holdfast.core import providers, reports
from holdfast.core.agents import AgentSpec, Attempt
from holdfast.core.means import ProviderRule
from holdfast.core.providers import AttemptLine, Attempts, Breaker, Failure, Rule
from holdfast.core.values import AgentRef, Zone

NAME_CHARS = 100

Tally: TypeAlias = reports.Tally[Failure]
Outcome: TypeAlias = reports.Outcome[Failure]
UNHEARD = Breaker()


def told(part: AttemptLine, failure: Failure | None) -> Iterator[tuple[str, Failure | None]]:
    """Which breakers hear of an outcome, and what."""
    if failure is None:
        yield from ((name, None) for name in part.breakers)
    elif failure.outage:
        yield part.provider, failure
    elif failure is Failure.CONFIG:
        yield from ((part.provider, None), (part.own, failure))
    else:
        yield part.key, failure
        if failure is not Failure.RATE_LIMITED:
            yield part.provider, None


def fold(
    breakers: Mapping[str, Breaker], part: AttemptLine, outcome: Outcome, *, now: float, rule: Rule
) -> dict[str, Breaker]:
    """The breakers that one more outcome of one part changes. One that is not there is closed and heard nothing."""
    changed: dict[str, Breaker] = {}
    for name, failure in told(part, outcome.failure):
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
        compliance=spec.compliance,
        hosts=frozenset(host for hosts in granted for host in hosts),
    )


def _line(ref: AgentRef, attempt: Attempt) -> AttemptLine:
    alone = AttemptLine(attempt.name) if attempt.stages else _part(ref, attempt)
    return replace(
        alone,
        weight=attempt.weight,
        regions=attempt.regions,
        declares=attempt.declares,
        stages=tuple(_part(ref, stage) for stage in attempt.stages),
    )


def _part(ref: AgentRef, part: Attempt) -> AttemptLine:
    key = part.key
    return AttemptLine(
        name=part.name,
        # Where its kind's usual model is meant, the kind stands for it.
        provider=provider_name(part.base_url, part.model or part.kind),
        key=f"Secret {ref.namespace}/{key.secret} key {key.key}" if key else "",
        own=f"VoiceAgent {ref} attempt {part.name} as {_asked(part)}",
        host=urlsplit(part.base_url).hostname or "",
    )


def _asked(part: Attempt) -> str:
    """What a part asks of its provider, in few letters: when it is mended, what was found of it before is history."""
    asked = [part.kind, part.voice, part.model, part.base_url, *map(dict, (part.query, part.headers, part.options))]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
