"""Region: one cluster of the fleet as all the others know it. The chart of each cluster renders every one of them."""

from typing import Annotated, ClassVar

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.failoverpolicy import Decisions, Jurisdiction
from holdfast.api.schema import Model, StatusModel, by_key, cel, rules
from holdfast.api.turn import TurnServer
from holdfast.core import reasons
from holdfast.core.values import Verdict


def _may_be_overridden(guard: str) -> str:
    if guard not in reasons.OVERRIDABLE:
        raise ValueError(f"must be one of {', '.join(sorted(reasons.OVERRIDABLE))}")
    return guard


Until = Annotated[pydantic.AwareDatetime, Field(json_schema_extra={"maxLength": 40})]
Why = Annotated[str, Field(min_length=1, max_length=256)]
Guard = Annotated[
    str,
    pydantic.AfterValidator(_may_be_overridden),
    Field(max_length=40, json_schema_extra={"enum": sorted(reasons.OVERRIDABLE)}),
]


class Cordon(Model):
    """No new calls, until then."""

    until: Until
    reason: Why
    drain: bool = Field(default=False, description="Hand over the calls under way, too.")


class Override(Model):
    """Break-glass: until then the one guard that is named does not bind for this region."""

    guard: Guard
    until: Until
    reason: Why


class RegionSpec(Model):
    """What a region is, and what a person orders it to do for a time."""

    jurisdiction: Jurisdiction
    host: schema.Host
    failure_domains: Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=63)]], Field(max_length=8)] = (
        Field(default_factory=dict, description="What it shares with others that fail with it, such as cloud.")
    )
    origins: Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=16)] = Field(
        default_factory=dict, description="Its entry in each lever, by the lever's name."
    )
    turn: Annotated[tuple[TurnServer, ...], Field(max_length=8, json_schema_extra=by_key("name"))] = ()
    cordon: Cordon | None = None
    override: Override | None = None


class Observation(StatusModel):
    """One region's verdict on this one."""

    observer: Annotated[str, Field(max_length=40)]
    verdict: Annotated[str, Field(json_schema_extra={"enum": [each.value for each in Verdict]}, max_length=8)]
    since: Annotated[str, Field(max_length=40)] = ""
    detail: Annotated[str, Field(max_length=256)] = ""


class RegionStatus(StatusModel):
    """The region as this cluster's operator sees it."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    leader: Annotated[str, Field(max_length=253)] = ""
    serving: bool | None = None
    observations: Annotated[tuple[Observation, ...], Field(max_length=32, json_schema_extra=by_key("observer"))] = ()
    active_calls: Annotated[int, Field(ge=0)] | None = None
    ready_pods: Annotated[int, Field(ge=0)] | None = None
    last_decisions: Decisions = ()
    conditions: schema.Conditions = ()


class Region(Model):
    """One cluster, one Holdfast release, one public hostname, one jurisdiction."""

    model_config = pydantic.ConfigDict(
        extra="ignore",  # apiVersion, kind and metadata are the API server's business.
        json_schema_extra=rules(
            cel(
                "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "the name must be a DNS label of at most 40 characters",
            )
        ),
    )
    names: ClassVar[schema.Json] = {
        "plural": "regions", "singular": "region", "kind": "Region", "listKind": "RegionList",
    }
    scope: ClassVar[str] = "Cluster"
    columns: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Jurisdiction", "string", ".spec.jurisdiction"),
        ("Host", "string", ".spec.host"),
        ("Serving", "boolean", ".status.serving"),
        ("Calls", "integer", ".status.activeCalls"),
        ("Leader", "string", ".status.leader"),
        ("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    spec: RegionSpec
    status: RegionStatus | None = None
