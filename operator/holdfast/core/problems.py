"""What is wrong with an agent or a policy beside the others: checks over several objects, as values naming the field.

What one object can tell about itself is refused by its schema at apply. What stands here takes two objects, which may
arrive in any order, so it ends in a condition and is looked at again whenever one of them changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from urllib.parse import urlsplit

from holdfast.core import kinds, results, tool_schemas
from holdfast.core.agents import AgentSpec, Attempt
from holdfast.core.means import Tenant
from holdfast.core.values import AgentRef, Reason, Region, Zone

ACCEPTED = "Accepted"
INVALID_SPEC = "InvalidSpec"
UNKNOWN_POLICY = "UnknownPolicy"
UNKNOWN_REGION = "UnknownRegion"
REGION_OUTSIDE_RESIDENCY = "RegionOutsideResidency"
NO_LEGAL_REGION = "NoLegalRegion"
CYCLIC_FALLBACK = "CyclicFallback"
NUMBER_CONTESTED = "NumberContested"
MISSING_ORIGIN = "MissingOrigin"
MISSING_SECRET = "MissingSecret"  # noqa: S105 - a reason, not a secret
NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
CARRIER_NOT_ALLOWED = "CarrierNotAllowed"
NUMBER_NOT_ALLOWED = "NumberNotAllowed"
TRANSFER_NOT_ALLOWED = "TransferNotAllowed"
HOST_OUTSIDE_RESIDENCY = "HostOutsideResidency"
NO_LEGAL_ATTEMPT = "NoLegalAttempt"
PARAMETERS_TOO_LARGE = "ParametersTooLarge"
NETWORK_NOT_ALLOWED = "NetworkNotAllowed"

KEYS_OF_CARRIER = {"twilio": ("authToken", "apiKey", "apiSecret"), "telnyx": ("apiKey",)}
COSTLY_PREFIXES = ("+870", "+878", "+881", "+882", "+883", "+888", "+979", "+1900")
"""Satellite, global and premium services (ITU-T E.164 country codes; NANP 900)."""
PARAMETERS_BYTES_MAX = 16_384
ALL_PARAMETERS_BYTES_MAX = 65_536
NUMBERS_SHOWN = 3


def of_policy(zone: Zone, regions: Mapping[str, Region]) -> tuple[Reason, ...]:
    """Why this policy may not be followed. Until it is mended, what it said before stays in force."""
    return (*_residency(zone, regions), *_origins(zone, regions), *_fallbacks(zone, regions))


def _residency(zone: Zone, regions: Mapping[str, Region]) -> Iterator[Reason]:
    lie_in = {member: regions[member].jurisdiction for member in zone.members if member in regions}
    if lie_in and zone.residency not in lie_in.values():
        seen = ", ".join(f"{member} lies in {jurisdiction}" for member, jurisdiction in lie_in.items())
        yield Reason(
            NO_LEGAL_REGION,
            f"spec.regions: no Region may take calls of residency {zone.residency} ({seen}); name one that lies there",
        )
    for member in zone.members:
        field = f"spec.regions[{member}]"
        if member not in regions:
            yield Reason(UNKNOWN_REGION, f"{field}: there is no Region {member}")
        elif regions[member].jurisdiction != zone.residency:
            yield Reason(
                REGION_OUTSIDE_RESIDENCY,
                f"{field}: Region {member} lies in {regions[member].jurisdiction}, the residency is {zone.residency}",
            )
    for witness in zone.witnesses:
        if witness not in regions:
            yield Reason(UNKNOWN_REGION, f"spec.witnesses: there is no Region {witness}")


def _origins(zone: Zone, regions: Mapping[str, Region]) -> Iterator[Reason]:
    for lever in zone.levers:
        for member in zone.members if not lever.points else ():
            if member in regions and lever.name not in regions[member].origins:
                yield Reason(
                    MISSING_ORIGIN, f"spec.levers[{lever.name}]: Region {member} has no spec.origins.{lever.name}"
                )


def _fallbacks(zone: Zone, regions: Mapping[str, Region]) -> Iterator[Reason]:
    """A call that fails in one region is sent to another; where two of them share an entry it goes in a circle."""
    known = [regions[member] for member in zone.members if member in regions]
    for one, other in combinations(known, 2):
        if one.host == other.host:
            yield _circle(f"spec.regions[{other.name}]", f"Region {one.name} has the same host {one.host}")
        for lever in zone.levers:
            origin = one.origins.get(lever.name)
            if origin is not None and origin == other.origins.get(lever.name):
                what = f"Regions {one.name} and {other.name} have the same origin {origin}"
                yield _circle(f"spec.levers[{lever.name}]", what)
    for region in known:
        if region.host == zone.host and len(zone.members) > 1:
            yield _circle("spec.host", f"{zone.host} is also the host of Region {region.name}")


def _circle(field: str, what: str) -> Reason:
    text = f"{field}: {what}, so a fallback may lead back to where it came from; give each its own"
    return Reason(CYCLIC_FALLBACK, text)


Contest = Mapping[str, tuple[str, ...]]
UNCONTESTED: Contest = {}


def contested(zone: Zone, others: Iterable[Zone]) -> Contest:
    """The numbers of a policy that other policies name as well, each with the names of all that do."""
    claims = {each.name: numbers_of(each) for each in (zone, *others)}
    claimants = {
        number: tuple(sorted(name for name, numbers in claims.items() if number in numbers))
        for number in sorted(numbers_of(zone))
    }
    return {number: names for number, names in claimants.items() if len(names) > 1}


def numbers_of(zone: Zone) -> frozenset[str]:
    return frozenset(number for tenant in zone.tenants for number in tenant.numbers)


def of_numbers(contest: Contest) -> tuple[Reason, ...]:
    """Why a policy may not have all of its numbers. It is followed in all else: its regions know no such dispute."""
    if not contest:
        return ()
    said = [f"{number} is named by FailoverPolicies {', '.join(names)}" for number, names in contest.items()]
    more = [f"{len(said) - NUMBERS_SHOWN} more are contested"] if len(said) > NUMBERS_SHOWN else []
    seen = "; ".join((*said[:NUMBERS_SHOWN], *more))
    text = f"spec.tenants[].numbers: {seen}; such a number stays as it is until only one policy names it"
    return (Reason(NUMBER_CONTESTED, text),)


def of_agent(
    ref: AgentRef, spec: AgentSpec, zone: Zone | None, *, contest: Contest = UNCONTESTED
) -> tuple[Reason, ...]:
    """Why this agent may not be placed as it is written. `contest`: the numbers of its policy that others name, too."""
    if zone is None:
        text = f"spec.failoverPolicy: there is no accepted FailoverPolicy {spec.zone} in this cluster"
        return (Reason(UNKNOWN_POLICY, text),)
    tenants = tuple(tenant for tenant in zone.tenants if ref.namespace in tenant.namespaces)
    if not tenants:
        text = f"spec.failoverPolicy: FailoverPolicy {zone.name} names no tenant with namespace {ref.namespace}"
        return (Reason(NAMESPACE_NOT_ALLOWED, text),)
    return (
        *_numbers(ref, spec, tenants, contest),
        *_escalation(ref, spec, tenants),
        *_hosts(ref, spec, tenants),
        *_legal(ref, spec, zone),
        *_kinds(spec),
        *_tools(ref, spec, tenants),
    )


def _numbers(ref: AgentRef, spec: AgentSpec, tenants: tuple[Tenant, ...], contest: Contest) -> Iterator[Reason]:
    for index, number in enumerate(spec.numbers):
        field = f"spec.telephony.numbers[{index}]"
        if not any(number.carrier in tenant.carriers for tenant in tenants):
            yield Reason(
                CARRIER_NOT_ALLOWED,
                f"{field}.carrier: namespace {ref.namespace} may not use carrier {number.carrier}",
            )
        if not any(number.number in tenant.numbers for tenant in tenants):
            yield Reason(
                NUMBER_NOT_ALLOWED, f"{field}.number: namespace {ref.namespace} may not use this number"
            )
        elif number.number in contest:
            names = ", ".join(contest[number.number])
            yield Reason(
                NUMBER_CONTESTED,
                f"{field}.number: FailoverPolicies {names} name this number; it stays as it is until only one does",
            )


def _escalation(ref: AgentRef, spec: AgentSpec, tenants: tuple[Tenant, ...]) -> Iterator[Reason]:
    """A number that nobody allowed would let anybody who may write an agent make the fleet call at any price."""
    to = spec.escalation.transfer_to
    if not to:
        return
    field = "spec.telephony.escalation.transferTo"
    if to.startswith(COSTLY_PREFIXES):
        yield Reason(TRANSFER_NOT_ALLOWED, f"{field}: callers are never transferred to satellite or premium numbers")
    elif not any(to.startswith(prefix) for tenant in tenants for prefix in tenant.transfer_prefixes):
        yield Reason(
            TRANSFER_NOT_ALLOWED,
            f"{field}: namespace {ref.namespace} may not transfer callers there; name the beginning of the number "
            f"in tenants[].transferPrefixes of FailoverPolicy {spec.zone}",
        )


_FIELDS = {"": "realtime", "hearing": "cascade.stt", "thinking": "cascade.llm", "speaking": "cascade.tts"}


def _parts(spec: AgentSpec) -> Iterator[tuple[str, Attempt]]:
    """Every link and every stage, with the field in which it stands."""
    for attempt in spec.attempts:
        for part in attempt.parts:
            yield f"spec.attempts[{attempt.name}].{_FIELDS[part.role]}", part


def _hosts(ref: AgentRef, spec: AgentSpec, tenants: tuple[Tenant, ...]) -> Iterator[Reason]:
    named = [(f"{field}.baseUrl", part.base_url) for field, part in _parts(spec)]
    named += [(f"spec.tools[{tool.name}].webhook.url", tool.url) for tool in spec.tools]
    for field, url in named:
        host = urlsplit(url).hostname or ""
        if not any(host in tenant.hosts for tenant in tenants):
            yield Reason(
                HOST_OUTSIDE_RESIDENCY,
                f"{field}: namespace {ref.namespace} may not send calls "
                f"to {host}, which is not among tenants[].hosts of FailoverPolicy {spec.zone}",
            )


def _legal(ref: AgentRef, spec: AgentSpec, zone: Zone) -> Iterator[Reason]:
    for attempt in spec.attempts:
        for name in sorted(attempt.regions.difference(zone.members)):
            text = f"spec.attempts[{attempt.name}].regions: FailoverPolicy {zone.name} has no region {name}"
            yield Reason(UNKNOWN_REGION, text)
    attempts = results.attempts(ref, spec, zone)
    bare = [member for member in zone.members if not attempts.permitted(member)]
    if bare:
        yield Reason(
            NO_LEGAL_ATTEMPT,
            f"spec.attempts: none of them may be used in {', '.join(bare)}, so no call could be answered there; name "
            f"an attempt that is meant for it, declares all of spec.compliance and lies at tenants[].hosts of "
            f"FailoverPolicy {spec.zone}",
        )


def _kinds(spec: AgentSpec) -> Iterator[Reason]:
    for field, part in _parts(spec):
        for name, what in kinds.wrong(part, language=spec.persona.language):
            yield Reason(INVALID_SPEC, f"{field}.{name}: {what}")


def _tools(ref: AgentRef, spec: AgentSpec, tenants: tuple[Tenant, ...]) -> Iterator[Reason]:
    sizes = {tool.name: len(json.dumps(tool.parameters)) for tool in spec.tools}
    if (whole := sum(sizes.values())) > ALL_PARAMETERS_BYTES_MAX:
        yield Reason(
            PARAMETERS_TOO_LARGE,
            f"spec.tools: {whole} bytes of parameters together, at most {ALL_PARAMETERS_BYTES_MAX} are allowed",
        )
        return
    for tool in spec.tools:
        if tool.in_cluster and not any(tenant.tool_networks for tenant in tenants):
            yield Reason(
                NETWORK_NOT_ALLOWED,
                f"spec.tools[{tool.name}].webhook.network: FailoverPolicy {spec.zone} names no tenants[].toolNetworks "
                f"for namespace {ref.namespace}; have one named, or say public",
            )
        if (size := sizes[tool.name]) > PARAMETERS_BYTES_MAX:
            yield Reason(
                PARAMETERS_TOO_LARGE,
                f"spec.tools[{tool.name}].parameters: {size} bytes, at most {PARAMETERS_BYTES_MAX} are allowed",
            )
        elif wrong := tool_schemas.wrong(tool.parameters):
            yield Reason(INVALID_SPEC, f"spec.tools[{tool.name}].parameters: {wrong}")


def secrets_of(zone: Zone) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The Secrets of the operator's namespace that the zone needs: field, name and keys."""
    return (
        ("spec.signing", zone.signing_secret, ("current",)),
        *(
            (f"spec.carriers[{carrier.name}]", carrier.secret, KEYS_OF_CARRIER.get(carrier.kind, ()))
            for carrier in zone.carriers
        ),
        *((f"spec.levers[{lever.name}]", lever.secret, ("token",)) for lever in zone.levers if lever.secret),
    )
