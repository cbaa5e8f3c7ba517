"""What is wrong with an agent or a policy beside the others: checks over several objects, as values naming the field.

What one object can tell about itself is refused by its schema at apply. What stands here takes two objects, which may
arrive in any order, so it ends in a condition and is looked at again whenever one of them changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from holdfast.core.agents import AgentSpec
from holdfast.core.values import AgentRef, Reason, Region, Tenant, Zone

ACCEPTED = "Accepted"
INVALID_SPEC = "InvalidSpec"
UNKNOWN_POLICY = "UnknownPolicy"
UNKNOWN_REGION = "UnknownRegion"
REGION_OUTSIDE_RESIDENCY = "RegionOutsideResidency"
MISSING_ORIGIN = "MissingOrigin"
MISSING_SECRET = "MissingSecret"  # noqa: S105 - a reason, not a secret
NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
CARRIER_NOT_ALLOWED = "CarrierNotAllowed"
NUMBER_NOT_ALLOWED = "NumberNotAllowed"
HOST_OUTSIDE_RESIDENCY = "HostOutsideResidency"
PARAMETERS_TOO_LARGE = "ParametersTooLarge"

PARAMETERS_BYTES_MAX = 16_384


def of_policy(zone: Zone, regions: Mapping[str, Region]) -> tuple[Reason, ...]:
    """Why this policy may not be followed. Until it is mended, what it said before stays in force."""
    return tuple(_of_policy(zone, regions))


def _of_policy(zone: Zone, regions: Mapping[str, Region]) -> Iterator[Reason]:
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
    for lever in zone.levers:
        for member in zone.members:
            if member in regions and lever.name not in regions[member].origins:
                yield Reason(
                    MISSING_ORIGIN, f"spec.levers[{lever.name}]: Region {member} has no spec.origins.{lever.name}"
                )


def of_agent(ref: AgentRef, spec: AgentSpec, zone: Zone | None) -> tuple[Reason, ...]:
    """Why this agent may not be placed as it is written."""
    if zone is None:
        text = f"spec.failoverPolicy: there is no accepted FailoverPolicy {spec.zone} in this cluster"
        return (Reason(UNKNOWN_POLICY, text),)
    tenants = tuple(tenant for tenant in zone.tenants if ref.namespace in tenant.namespaces)
    if not tenants:
        text = f"spec.failoverPolicy: FailoverPolicy {zone.name} names no tenant with namespace {ref.namespace}"
        return (Reason(NAMESPACE_NOT_ALLOWED, text),)
    return (*_numbers(ref, spec, tenants), *_hosts(ref, spec, tenants), *_tools(spec))


def _numbers(ref: AgentRef, spec: AgentSpec, tenants: tuple[Tenant, ...]) -> Iterator[Reason]:
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


def _hosts(ref: AgentRef, spec: AgentSpec, tenants: tuple[Tenant, ...]) -> Iterator[Reason]:
    for attempt in spec.attempts:
        host = urlsplit(attempt.base_url).hostname or ""
        if not any(host in tenant.hosts for tenant in tenants):
            yield Reason(
                HOST_OUTSIDE_RESIDENCY,
                f"spec.attempts[{attempt.name}].realtime.baseUrl: namespace {ref.namespace} may not send calls "
                f"to {host}, which is not among tenants[].hosts of FailoverPolicy {spec.zone}",
            )


def _tools(spec: AgentSpec) -> Iterator[Reason]:
    for tool in spec.tools:
        size = len(json.dumps(tool.parameters))
        if size > PARAMETERS_BYTES_MAX:
            yield Reason(
                PARAMETERS_TOO_LARGE,
                f"spec.tools[{tool.name}].parameters: {size} bytes, at most {PARAMETERS_BYTES_MAX} are allowed",
            )


def secrets_of(zone: Zone) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The Secrets of the operator's namespace that the zone needs: field, name and keys."""
    return (
        ("spec.signing", zone.signing_secret, ("current",)),
        *(
            (f"spec.carriers[{carrier.name}]", carrier.secret, ("authToken", "apiKey", "apiSecret"))
            for carrier in zone.carriers
        ),
        *((f"spec.levers[{lever.name}]", lever.secret, ("token",)) for lever in zone.levers),
    )
