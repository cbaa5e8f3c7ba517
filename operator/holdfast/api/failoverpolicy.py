"""FailoverPolicy: the fleet's zone: regions, witnesses, levers, and what each namespace may use.

No tenant writes it, and the Secrets it names lie in the operator's namespace.
"""

import ipaddress
from typing import Annotated, ClassVar

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.carriers import Carrier
from holdfast.api.levers import CARRIER_RULES, Lever
from holdfast.api.providers import CanaryKey, Provider
from holdfast.api.schema import AS_SET, Model, StatusModel, by_key, cel, immutable, rules

Jurisdiction = Annotated[str, Field(max_length=16, pattern=r"^[a-z]{2,16}$")]
RegionName = schema.Name


def _lendable(network: str) -> str:
    """What a cluster's services may lie in; a pod's own addresses and its cloud's metadata are lent to no tool."""
    try:
        named = ipaddress.ip_network(network)
    except ValueError as error:
        raise ValueError("not a network: write its first address and the length of its prefix") from error
    if any(named.version == never.version and named.overlaps(never) for never in _NEVER):
        raise ValueError("loopback, link-local, multicast and unspecified addresses are lent to no tool")
    return network


_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::/127", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip
Network = Annotated[
    str, Field(max_length=43, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"), pydantic.AfterValidator(_lendable)
]


class PolicyRegion(Model):
    """A region of the zone. Weight 0 is a standby: warm, takes calls only on failover."""

    name: RegionName
    weight: Annotated[int, Field(ge=0, le=1_000)]


class Probe(Model):
    """How each region's public entry is called."""

    interval_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    timeout_ms: Annotated[int, Field(ge=100, le=10_000)] = 1_500
    confirmations: Annotated[int, Field(ge=1, le=10)] = 2
    confirm_every_ms: Annotated[int, Field(ge=100, le=5_000)] = 400


class RegionRules(Model):
    """How long a region must stay well before it is given calls again, and in which steps it is given them."""

    dwell_seconds: Annotated[int, Field(ge=0, le=86_400)] = 300
    ramp: Annotated[
        tuple[Annotated[int, Field(ge=1, le=100)], ...],
        Field(
            min_length=1,
            max_length=8,
            description="Percentages of its weight, in order, over one dwell.",
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules(
                    cel(
                        "self.isSorted() && self.all(step, self.exists_one(other, other == step))",
                        "region.ramp must ascend: each step gives more calls than the one before",
                    ),
                    cel("self[self.size() - 1] == 100", "region.ramp must end in 100: the whole weight"),
                ),
            },
        ),
    ] = (5, 25, 50, 100)


class Guards(Model):
    """Checks that may only refuse."""

    min_serving: Annotated[int, Field(ge=1, le=10)] = 1
    max_cordoned: Annotated[int, Field(ge=0, le=10)] = 1
    headroom_percent: Annotated[int, Field(ge=0, le=90)] = Field(
        default=20, description="The part of a region's room that a move of calls to it must leave free."
    )


class InFlight(Model):
    """What happens to calls that are being held."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.graceSeconds >= self.drainSeconds",
                "inFlight.graceSeconds must not be below inFlight.drainSeconds: calls would be cut off",
                at=".graceSeconds",
            )
        )
    )
    drain_seconds: Annotated[int, Field(ge=10, le=3_600)] = 600
    grace_seconds: Annotated[int, Field(ge=20, le=7_200)] = Field(
        default=660, description="How long a bridge pod may take to end: its terminationGracePeriodSeconds."
    )


class Tenant(Model):
    """What some namespaces may use."""

    namespaces: Annotated[tuple[schema.Namespace, ...], Field(min_length=1, max_length=50, json_schema_extra=AS_SET)]
    carriers: Annotated[tuple[schema.Name, ...], Field(max_length=10, json_schema_extra=AS_SET)] = ()
    numbers: Annotated[tuple[schema.Number, ...], Field(max_length=500, json_schema_extra=AS_SET)] = ()
    hosts: Annotated[tuple[schema.Host, ...], Field(max_length=50, json_schema_extra=AS_SET)] = Field(
        default=(), description="Hosts of speech providers and tools whose data stays inside the residency."
    )
    transfer_prefixes: Annotated[
        tuple[Annotated[str, Field(max_length=16, pattern=r"^\+[1-9][0-9]{0,14}$")], ...],
        Field(max_length=50, json_schema_extra=AS_SET),
    ] = Field(default=(), description="Beginnings of the numbers that callers may be transferred to.")
    tool_networks: Annotated[tuple[Network, ...], Field(max_length=16, json_schema_extra=AS_SET)] = Field(
        default=(),
        description="Where webhooks of tools that say `network: cluster` may lie beside public addresses, as CIDRs.",
    )
    max_replicas: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Bridge pods of all their agents together, in each region."
    )
    max_calls: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Calls of all their agents together for which pods are kept."
    )


class Signing(Model):
    """The zone key: a Secret in the operator's namespace with the key `current` and, while rotating, `previous`."""

    secret: schema.SecretName


class FailoverPolicySpec(Model):
    """The zone as the fleet wants it."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.witnesses) || self.witnesses.all(w, !self.regions.exists(r, r.name == w))",
                "a witness must not be one of the regions: it holds no keys and no calls",
            ),
            cel(
                "!has(self.guards) || self.guards.minServing <= self.regions.size()",
                "guards.minServing must not be above the number of regions",
            ),
            cel(
                "self.regions.size() == 1 || self.guards.maxCordoned < self.regions.size()",
                "guards.maxCordoned must be below the number of regions: the last one is never cordoned",
                at=".guards.maxCordoned",
            ),
            cel(
                # Before a loss is confirmed nothing is known to have lasted: a dwell that is shorter would be none.
                "self.region.dwellSeconds * 1000 >= self.probe.intervalSeconds * 1000"
                " + (self.probe.confirmations + 1) * (self.probe.timeoutMs + self.probe.confirmEveryMs)",
                "region.dwellSeconds must not be below the time in which a loss is detected: probe.intervalSeconds + "
                "(probe.confirmations + 1) * (probe.timeoutMs + probe.confirmEveryMs) / 1000; raise it or probe faster",
                at=".region.dwellSeconds",
            ),
            cel(
                "!has(self.tenants) || self.tenants.all(t, !has(t.carriers) || t.carriers.all(c, "
                "has(self.carriers) && self.carriers.exists(k, k.name == c)))",
                "tenants[].carriers must name carriers of this policy",
            ),
            *CARRIER_RULES,
        )
    )
    residency: Annotated[
        Jurisdiction, Field(json_schema_extra=immutable("residency", "calls already held were promised it"))
    ]
    host: schema.Host
    paused: bool = Field(
        default=False, description="Hold the zone as it is. Only a region outside the residency is still taken out."
    )
    regions: Annotated[
        tuple[PolicyRegion, ...],
        Field(
            min_length=1,
            max_length=10,
            json_schema_extra={
                **by_key("name"),
                **rules(cel("self.exists(r, r.weight > 0)", "at least one region must have a weight above 0")),
            },
        ),
    ]
    witnesses: Annotated[tuple[RegionName, ...], Field(max_length=10, json_schema_extra=AS_SET)] = ()
    probe: Probe = Probe()
    region: RegionRules = RegionRules()
    guards: Guards = Guards()
    in_flight: InFlight = InFlight()
    carriers: Annotated[tuple[Carrier, ...], Field(max_length=10, json_schema_extra=by_key("name"))] = ()
    tenants: Annotated[tuple[Tenant, ...], Field(max_length=50)] = ()
    levers: Annotated[tuple[Lever, ...], Field(max_length=8, json_schema_extra=by_key("name"))] = ()
    provider: Provider = Provider()
    canary_keys: Annotated[tuple[CanaryKey, ...], Field(max_length=16, json_schema_extra=by_key("name"))] = ()
    signing: Signing


class Decision(StatusModel):
    """One move of traffic: when it was seen, decided and read back. Times are RFC 3339 with milliseconds."""

    action: Annotated[str, Field(max_length=32)]
    region: Annotated[str, Field(max_length=40)]
    lever: Annotated[str, Field(max_length=40)] = ""
    reason: Annotated[str, Field(max_length=128)] = ""
    message: Annotated[str, Field(max_length=1024)] = ""
    epoch: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    leader: Annotated[str, Field(max_length=40)] = ""
    detected: Annotated[str, Field(max_length=40)] = ""
    decided: Annotated[str, Field(max_length=40)] = ""
    read_back: Annotated[str, Field(max_length=40)] = ""


Decisions = Annotated[
    tuple[Decision, ...], Field(max_length=20, json_schema_extra={"x-kubernetes-list-type": "atomic"})
]


class Readiness(StatusModel):
    """What the loss of one thing would do right now. `survived` is absent where that is not known."""

    tier: Annotated[str, Field(max_length=16)]
    target: Annotated[str, Field(max_length=128)]
    survived: bool | None = None
    instead: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(max_length=16)] = ()
    reason: Annotated[str, Field(max_length=128)] = ""
    message: Annotated[str, Field(max_length=1024)] = ""
    remedy: Annotated[str, Field(max_length=512)] = ""


class FailoverPolicyStatus(StatusModel):
    """The zone as this region's operator sees it."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    leader: Annotated[str, Field(max_length=40)] = ""
    epoch: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    serving: Annotated[tuple[RegionName, ...], Field(max_length=10)] = ()
    cordoned: Annotated[tuple[RegionName, ...], Field(max_length=10)] = ()
    last_decisions: Decisions = ()
    readiness: Annotated[
        tuple[Readiness, ...], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    conditions: schema.Conditions = ()


class FailoverPolicy(Model):
    """A zone: the regions between which calls may move, and the rules by which they do."""

    model_config = pydantic.ConfigDict(
        extra="ignore",  # apiVersion, kind and metadata are the API server's business.
        json_schema_extra=rules(
            cel(
                "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "the name must be a DNS label of at most 40 characters: the zone's Leases are named after it",
            )
        ),
    )
    names: ClassVar[schema.Json] = {
        "plural": "failoverpolicies", "singular": "failoverpolicy", "kind": "FailoverPolicy",
        "listKind": "FailoverPolicyList", "shortNames": ["fop"],
    }
    scope: ClassVar[str] = "Cluster"
    columns: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Residency", "string", ".spec.residency"),
        ("Host", "string", ".spec.host"),
        ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
        ("Leader", "string", ".status.leader"),
        ("Serving", "string", ".status.serving"),
        ("Cordoned", "string", ".status.cordoned"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    spec: FailoverPolicySpec
    status: FailoverPolicyStatus | None = None
