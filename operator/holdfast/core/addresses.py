"""The addresses that carriers should hold for the agents of a zone: one per application, and one per number that a
lever names.

Which host comes first is `pointing`'s choice, which region stands behind it `fallback`'s. Who holds an address, and
how it is written there, is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from holdfast.core.agents import AgentSpec
from holdfast.core.fallback import Fallback
from holdfast.core.means import Carrier, Lever
from holdfast.core.pointing import Pointing
from holdfast.core.values import AgentRef, Region, Zone

NAME_MAX = 64  # the shortest of the vendors' limits on a name
APPLICATIONS = "applications of "
# How soon a carrier goes on to the second address, where it is told so in the address itself.
TIMEOUTS: Mapping[str, str] = {"twilio": "#ct=1000&rt=3000&rc=1"}
# A Telnyx number has no address of its own: it is given to the application that has them.
GIVES_APPLICATIONS = frozenset({"twilioApplication", "telnyxApplication", "telnyxNumber"})


@dataclass(frozen=True, slots=True)
class Address:
    """`holder`: the lever, or `applications of` a carrier. `name` finds it there. `enforce`, `dry_run`: the lever's."""

    holder: str
    name: str
    agent: AgentRef
    voice_url: str
    fallback_url: str
    enforce: bool = True
    dry_run: bool = False


def wanted(
    zone: Zone,
    agents: Mapping[AgentRef, AgentSpec],
    *,
    regions: Mapping[str, Region],
    pointing: Pointing,
    fallback: Fallback,
) -> tuple[Address, ...]:
    """All of them, the standing applications first."""
    second = regions[fallback.region].host
    levers = [lever for lever in zone.levers if lever.points]
    numbered = [lever for lever in levers if lever.kind.endswith("Number")]
    direct = {lever.carrier for lever in levers if lever.kind in GIVES_APPLICATIONS and not lever.dry_run}
    found: list[Address] = []
    for agent, spec in agents.items():
        for carrier in carriers_of(agent, spec, zone):
            first = pointing.host if carrier.name in direct else zone.host
            holder, name = applications(carrier.name), name_of(agent, zone)
            found.append(_address(holder, name, agent, first, second, timeouts=TIMEOUTS.get(carrier.kind, "")))
    kinds = {carrier.name: carrier.kind for carrier in zone.carriers}
    for agent, spec in agents.items():
        found += _numbers(agent, spec, numbered, kinds, first=pointing.host, second=second)
    return tuple(found)


def applications(carrier: str) -> str:
    """The holder of a carrier's applications."""
    return f"{APPLICATIONS}{carrier}"


def name_of(agent: AgentRef, zone: Zone) -> str:
    """The name of an agent's application, which is our mark. What is too long for a vendor ends in a digest of it."""
    whole = f"holdfast {zone.name}/{agent}"
    if len(whole) <= NAME_MAX:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: NAME_MAX - len(digest) - 1]}~{digest}"


def carriers_of(agent: AgentRef, spec: AgentSpec, zone: Zone) -> tuple[Carrier, ...]:
    """The accounts in which an agent has an application: those of its numbers, else those its namespace may use."""
    named = {number.carrier for number in spec.numbers}
    if not named:
        named = {c for tenant in zone.tenants if agent.namespace in tenant.namespaces for c in tenant.carriers}
    return tuple([carrier for carrier in zone.carriers if carrier.name in named])


def _numbers(
    agent: AgentRef,
    spec: AgentSpec,
    levers: Iterable[Lever],
    kinds: Mapping[str, str],
    *,
    first: str,
    second: str,
) -> Iterator[Address]:
    for lever in levers:
        for number in spec.numbers:
            if number.carrier == lever.carrier:
                timeouts = TIMEOUTS.get(kinds.get(number.carrier, ""), "")
                found = _address(lever.name, number.number, agent, first, second, timeouts=timeouts)
                yield replace(found, enforce=lever.enforce, dry_run=lever.dry_run)


def _address(holder: str, name: str, agent: AgentRef, first: str, second: str, *, timeouts: str) -> Address:
    return Address(
        holder=holder,
        name=name,
        agent=agent,
        voice_url=f"https://{first}/a/{agent}/voice{timeouts}",
        fallback_url=f"https://{second}/a/{agent}/fallback{timeouts}",
    )
