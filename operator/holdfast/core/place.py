"""One agent in one region, and what its pods are told: `agent_json(place)`. Pure: the same place gives the same bytes.

A place is an agent, its zone and the region it stands in; the fleet's own canary is a place without a zone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.core import results
from holdfast.core.agents import AgentSpec, Attempt, KeyRef, Keys, Owner, Persona, Tool, Turns
from holdfast.core.values import AgentRef, Region, Zone

OPERATOR_PORT = 8090
MOUNT = "/etc/holdfast"
CANARY = "canary"
LOOPBACK = "loopback"
CANARY_DRAIN_S = 10
CANARY_GRACE_S = 40


@dataclass(frozen=True, slots=True)
class Release:
    """What this operator's own release says about every place in its cluster."""

    region: str
    namespace: str
    bridge_image: str
    image_pull_policy: str = "IfNotPresent"
    ingress_class: str = ""
    redis_url: str = ""
    extra_ca: str = ""  # PEM; empty: the image's own authorities
    ingress_from: tuple[Mapping[str, Any], ...] = ()  # NetworkPolicy peers; empty: from anywhere
    cluster_ranges: tuple[str, ...] = ()  # CIDRs where the pods' TLS may not go; empty: it goes anywhere

    @property
    def operator_url(self) -> str:
        return f"http://holdfast-operator.{self.namespace}.svc:{OPERATOR_PORT}"


@dataclass(frozen=True, slots=True)
class Place:
    """One agent in one region. `zone` is None for the fleet's canary, which belongs to no zone.

    `replicas`: how many pods it has; 0: the spec's minimum; None: somebody else scales it, and the field is not ours.
    """

    ref: AgentRef
    generation: int
    spec: AgentSpec
    keys: Keys
    release: Release
    regions: Mapping[str, Region]
    zone: Zone | None = None
    owner: Owner | None = None
    replicas: int | None = 0

    @property
    def name(self) -> str:
        return f"{self.ref.name}-bridge"

    @property
    def here(self) -> Region:
        return self.regions[self.release.region]

    @property
    def policy_host(self) -> str:
        return self.zone.host if self.zone else self.here.host

    @property
    def hosts(self) -> tuple[str, ...]:
        """The region's own host first; the zone's webhook name is answered here too."""
        return tuple(dict.fromkeys((self.here.host, self.policy_host)))

    @property
    def drain_s(self) -> int:
        return int(self.zone.drain_s) if self.zone else CANARY_DRAIN_S

    @property
    def grace_s(self) -> int:
        return int(self.zone.grace_s) if self.zone else CANARY_GRACE_S


def canary(
    release: Release, regions: Mapping[str, Region], *, probe_key: bytes, pods: int, owner: Owner | None
) -> Place:
    """The fleet's own agent: a loop-back provider behind the public entry, called by every region's probes."""
    spec = AgentSpec(
        zone="",
        persona=Persona(instructions="", greeting=""),
        attempts=(Attempt(name=LOOPBACK, kind=LOOPBACK),),
        min_pods=pods,
        max_pods=pods,
        max_call_s=60,
    )
    return Place(
        ref=AgentRef(release.namespace, CANARY),
        generation=1,
        spec=spec,
        keys=Keys(zone_key=probe_key, carrier_token=probe_key),
        release=release,
        regions=regions,
        owner=owner,
    )


def agent_json(place: Place) -> dict[str, Any]:
    """The bridge's configuration, version 1."""
    spec, release = place.spec, place.release
    return {
        "version": 1,
        "namespace": place.ref.namespace,
        "agent": place.ref.name,
        "generation": place.generation,
        "region": release.region,
        "zone": place.zone.name if place.zone else CANARY,  # the canary is the fleet's, of no zone
        "policyHost": place.policy_host,
        "regions": _regions(place),
        "buddy": buddy(place),
        "persona": {
            "instructions": spec.persona.instructions,
            "greeting": spec.persona.greeting,
            "disclosure": spec.persona.disclosure,
            "language": spec.persona.language,
        },
        "attempts": [_attempt(place, each) for each in _permitted(place)],
        "tools": [_tool(place, each) for each in spec.tools],
        "turns": _turns(spec.turns),
        "limits": {"callsPerPod": spec.calls_per_pod, "maxCallSeconds": spec.max_call_s},
        "escalation": {"transferTo": spec.escalation.transfer_to, "voicemail": spec.escalation.voicemail},
        "latency": {name: budget_ms for name, budget_ms in _budgets(spec).items() if budget_ms is not None},
        "privacy": {"record": spec.record, "vendorStorage": "default" if spec.vendors_keep else "off"},
        "carrier": _carrier(place),
        "operatorUrl": release.operator_url,
        "redisUrl": release.redis_url,
        "drainSeconds": place.drain_s,
    }


def _budgets(spec: AgentSpec) -> dict[str, int | None]:
    told = spec.latency
    return {
        "sttMs": told.stt_ms, "llmMs": told.llm_ms, "ttsMs": told.tts_ms, "firstAudioMs": told.first_audio_ms,
    }  # fmt: skip


def buddy(place: Place) -> str | None:
    """Who keeps this region's journals until a directive says otherwise: one that does not fail with this one."""
    if place.zone is None:
        return None
    others = [place.regions[name] for name in place.zone.members if name != place.here.name and name in place.regions]
    apart = [other for other in others if other.failure_domain != place.here.failure_domain]
    return next((other.name for other in (*apart, *others)), None)


def carrier_name(spec: AgentSpec, zone: Zone, namespace: str) -> str | None:
    """The carrier of the agent's numbers; without numbers the first that its namespace may use."""
    if spec.numbers:
        return spec.numbers[0].carrier
    return next((name for tenant in zone.tenants if namespace in tenant.namespaces for name in tenant.carriers), None)


def _regions(place: Place) -> list[dict[str, Any]]:
    if place.zone is None:
        return [{"name": place.here.name, "host": place.here.host, "weight": 1}]
    return [
        {"name": each.name, "host": place.regions[each.name].host, "weight": each.weight}
        for each in place.zone.regions
        if each.name in place.regions
    ]


def _turns(turns: Turns) -> dict[str, object]:
    return {
        "bargeIn": turns.barge_in,
        "silenceMs": turns.silence_ms,
        "tone": turns.tone,
        "whileTool": {"say": turns.tool_words, "afterMs": turns.tool_words_after_ms},
        "whenSilent": {"say": turns.prompt, "afterSeconds": turns.prompt_after_s, "times": turns.prompts_max},
    }


def _permitted(place: Place) -> tuple[Attempt, ...]:
    """Those that may be made here at all: a pod that has not heard its operator yet must not try the others.

    With none of them a pod does not start, and calls are answered elsewhere.
    """
    if place.zone is None:
        return place.spec.attempts
    lines = results.attempts(place.ref, place.spec, place.zone).permitted(place.release.region)
    names = {line.name for line in lines}
    return tuple(attempt for attempt in place.spec.attempts if attempt.name in names)


def _attempt(place: Place, attempt: Attempt) -> dict[str, Any]:
    if attempt.kind == LOOPBACK:
        return {"name": attempt.name, "kind": attempt.kind}
    named = {"name": attempt.name, "weight": attempt.weight, **_when(attempt)}
    if attempt.stages:
        return {**named, "kind": attempt.kind, **{stage.role: _part(place, stage) for stage in attempt.stages}}
    return {**named, **_part(place, attempt)}


def _when(attempt: Attempt) -> dict[str, Any]:
    if attempt.when is None:
        return {}
    when = attempt.when
    written: dict[str, Any] = {"called": list(when.called), "callers": list(when.callers)}
    if when.hours is not None:
        hours = when.hours
        written["hours"] = {"start": hours.start, "end": hours.end, "zone": hours.zone, "days": list(hours.days)}
    return {"when": written}


def _part(place: Place, part: Attempt) -> dict[str, Any]:
    written: dict[str, Any] = {
        "kind": part.kind,
        "voice": part.voice,
        "model": part.model,
        "baseUrl": part.base_url,
        "query": dict(part.query),
        "headers": dict(part.headers),
        "options": dict(part.options),
    }
    if part.key is not None:
        written["keyFile"] = f"{MOUNT}/{key_path(part)}"
        written["keySource"] = f"Secret {place.ref.namespace}/{part.key.secret} key {part.key.key}"
    return written


def key_path(part: Attempt) -> str:
    """Where the key of a link or a stage lies in what a pod mounts."""
    return f"provider/{part.name}/key"


def _tool(place: Place, tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "url": tool.url,
        "timeoutMs": tool.timeout_ms,
        "sideEffects": tool.side_effects,
        "networks": list(tool_networks(place.zone, place.ref.namespace)) if tool.in_cluster else [],
        "cacheSeconds": tool.cache_s,
        "signingFiles": [f"{MOUNT}/{path}" for path, _ in signing_paths(tool)],
        "signingSources": [f"Secret {place.ref.namespace}/{key.secret} key {key.key}" for key in tool.signing],
    }


def signing_paths(tool: Tool) -> tuple[tuple[str, KeyRef], ...]:
    """Where the secrets that sign a tool's requests lie in what a pod mounts, the current one first."""
    return tuple(
        (f"tool/{tool.name}/{name}", key) for name, key in zip(("current", "previous"), tool.signing, strict=False)
    )


def tool_networks(zone: Zone | None, namespace: str) -> tuple[str, ...]:
    """What the zone grants to tools of this namespace beside public addresses."""
    tenants = zone.tenants if zone is not None else ()
    named = [each for tenant in tenants if namespace in tenant.namespaces for each in tenant.tool_networks]
    return tuple(dict.fromkeys(named))


def _carrier(place: Place) -> dict[str, Any]:
    if place.zone is None:
        return {"name": CANARY, "kind": CANARY}
    wanted = carrier_name(place.spec, place.zone, place.ref.namespace)
    for carrier in place.zone.carriers:
        if carrier.name == wanted:
            return {
                "name": carrier.name,
                "kind": carrier.kind,
                "accountSid": carrier.account_sid,
                "apiUrl": carrier.api_url,
            }
    return {"name": "", "kind": "none"}


def operator_token(zone_key: bytes, ref: AgentRef) -> str:
    """What a pod shows its operator: derived, so that it opens nothing else."""
    mac = hmac.new(zone_key, f"poll {ref}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
