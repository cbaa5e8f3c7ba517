"""From manifests to the core's values. An object that does not fit its model becomes reasons, never an exception.

The API server has checked the schema already; checking again costs little and means that a CRD of another version, or
an object older than a rule, is refused by name instead of breaking a loop.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pydantic
from pydantic.alias_generators import to_snake

from holdfast.api.attempts import Attempt, Hearing, Realtime, Speaking, Thinking, When
from holdfast.api.carriers import Carrier
from holdfast.api.failoverpolicy import FailoverPolicy, Tenant
from holdfast.api.levers import KINDS, Lever
from holdfast.api.providers import CanaryKey
from holdfast.api.region import Region
from holdfast.api.turn import TurnServer
from holdfast.api.voiceagent import Latency, Tool, Turns, VoiceAgent
from holdfast.core import agents, means, privacy, problems, values
from holdfast.core.values import Reason
from holdfast.shifts import Order, Orders

Refused = tuple[Reason, ...]
# Carriers ask an edge by the zone's host; what points names an address for each number or application.
EDGES = frozenset({"cloudflareLoadBalancer", "cloudflareTunnel"})
ISSUERS = ("coturnSecret", "cloudflare", "twilio")
POINTS = frozenset({"twilioApplication", "twilioNumber", "telnyxApplication", "telnyxNumber"})


def agent(manifest: Mapping[str, Any]) -> agents.AgentSpec | Refused:
    """A VoiceAgent's wish."""
    try:
        spec = VoiceAgent.model_validate(manifest).spec
    except pydantic.ValidationError as e:
        return _refused(e)
    off, attempts = spec.privacy.vendor_storage == "off", tuple(_attempt(each) for each in spec.attempts)
    return agents.AgentSpec(
        zone=spec.failover_policy,
        persona=agents.Persona(
            instructions=spec.persona.instructions,
            greeting=spec.persona.greeting,
            disclosure=spec.persona.disclosure,
            language=spec.persona.language,
        ),
        attempts=tuple(map(privacy.switched, attempts)) if off else attempts,
        tools=tuple(_tool(each) for each in spec.tools),
        numbers=tuple(agents.Number(each.carrier, each.number) for each in spec.telephony.numbers),
        min_pods=spec.replicas.min,
        max_pods=spec.replicas.max,
        turns=_turns(spec.turns),
        escalation=agents.Escalation(
            spec.telephony.escalation.transfer_to, spec.telephony.escalation.voicemail
        ),
        calls_per_pod=spec.limits.calls_per_pod,
        max_call_s=spec.limits.max_call_seconds,
        compliance=frozenset(spec.compliance),
        record=spec.privacy.record,
        vendors_keep=not off,
        latency=_budgets(spec.latency),
    )


def _turns(turns: Turns) -> agents.Turns:
    return agents.Turns(
        barge_in=turns.barge_in,
        silence_ms=turns.silence_ms,
        tone=turns.tone,
        tool_words=turns.while_tool.say,
        tool_words_after_ms=turns.while_tool.after_ms,
        prompt=turns.when_silent.say,
        prompt_after_s=turns.when_silent.after_seconds,
        prompts_max=turns.when_silent.times,
    )


def _tool(tool: Tool) -> agents.Tool:
    webhook = tool.webhook
    signing = (webhook.signing.current, webhook.signing.previous) if webhook.signing else ()
    return agents.Tool(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        url=webhook.url,
        timeout_ms=webhook.timeout_ms,
        side_effects=tool.side_effects,
        in_cluster=webhook.network == "cluster",
        cache_s=webhook.cache_seconds,
        signing=tuple(agents.KeyRef(each.secret, each.key) for each in signing if each is not None),
    )


def _budgets(latency: Latency | None) -> agents.Budgets:
    if latency is None:
        return agents.Budgets()
    return agents.Budgets(
        stt_ms=latency.stt_ms,
        llm_ms=latency.llm_ms,
        tts_ms=latency.tts_ms,
        first_audio_ms=latency.first_audio_ms,
    )


def _attempt(attempt: Attempt) -> agents.Attempt:
    """The voice is that of the link, or of the stage that speaks."""
    name, cascade = attempt.name, attempt.cascade
    if cascade is None:
        assert attempt.realtime is not None
        tried = _part(name, attempt.realtime, voice=attempt.voice)
    else:
        stages = (
            _part(f"{name}/hearing", cascade.stt),
            _part(f"{name}/thinking", cascade.llm),
            _part(f"{name}/speaking", cascade.tts, voice=attempt.voice),
        )
        tried = agents.Attempt(name=name, kind=agents.CASCADE, stages=stages)
    return dataclasses.replace(
        tried,
        weight=attempt.weight,
        when=_when(attempt.when) if attempt.when else None,
        regions=frozenset(attempt.regions),
        declares=frozenset(attempt.declares),
    )


def _when(when: When) -> agents.When:
    hours = when.hours
    return agents.When(
        called=when.called,
        callers=when.callers,
        hours=agents.Hours(start=hours.start, end=hours.end, zone=hours.zone, days=hours.days) if hours else None,
    )


def _part(name: str, said: Realtime | Hearing | Thinking | Speaking, *, voice: str = "") -> agents.Attempt:
    return agents.Attempt(
        name=name,
        kind=said.kind,
        voice=voice,
        model=said.model or "",
        base_url=said.base_url,
        query=said.query,
        headers=said.headers,
        options=said.options,
        key=agents.KeyRef(said.api_key.secret, said.api_key.key),
    )


def region(manifest: Mapping[str, Any]) -> values.Region | Refused:
    """One region of the fleet."""
    try:
        spec = Region.model_validate(manifest).spec
    except pydantic.ValidationError as e:
        return _refused(e)
    return values.Region(
        name=str(manifest["metadata"]["name"]),
        host=spec.host,
        jurisdiction=spec.jurisdiction,
        failure_domain=",".join(f"{kind}={name}" for kind, name in sorted(spec.failure_domains.items())),
        origins=spec.origins,
        turn=tuple(_turn_server(each) for each in spec.turn),
    )


def orders(manifest: Mapping[str, Any]) -> Orders | Refused:
    """What people order of a region for a time."""
    try:
        spec = Region.model_validate(manifest).spec
    except pydantic.ValidationError as e:
        return _refused(e)
    cordon, override = spec.cordon, spec.override
    return Orders(
        cordon=Order(cordon.until.timestamp(), cordon.reason, drain=cordon.drain) if cordon else None,
        override=Order(override.until.timestamp(), override.reason, override.guard) if override else None,
    )


def zone(manifest: Mapping[str, Any]) -> values.Zone | Refused:
    """The zone that a FailoverPolicy describes."""
    try:
        spec = FailoverPolicy.model_validate(manifest).spec
    except pydantic.ValidationError as e:
        return _refused(e)
    metadata = manifest["metadata"]
    return values.Zone(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation", 0)),
        residency=spec.residency,
        host=spec.host,
        regions=tuple(values.ZoneRegion(each.name, each.weight) for each in spec.regions),
        witnesses=spec.witnesses,
        probe=values.Probe(
            interval_s=float(spec.probe.interval_seconds),
            timeout_s=spec.probe.timeout_ms / 1000,
            confirmations=spec.probe.confirmations,
            confirm_every_s=spec.probe.confirm_every_ms / 1000,
        ),
        dwell_s=float(spec.region.dwell_seconds),
        ramp=spec.region.ramp,
        guards=values.Guards(
            min_serving=spec.guards.min_serving,
            max_cordoned=spec.guards.max_cordoned,
            headroom_percent=spec.guards.headroom_percent,
        ),
        drain_s=float(spec.in_flight.drain_seconds),
        grace_s=float(spec.in_flight.grace_seconds),
        paused=spec.paused,
        levers=tuple(_lever(each) for each in spec.levers),
        carriers=tuple(_carrier(each) for each in spec.carriers),
        tenants=tuple(_tenant(each) for each in spec.tenants),
        provider=means.ProviderRule(
            failures=spec.provider.failures,
            window_s=float(spec.provider.window_seconds),
            on=tuple(spec.provider.on),
            cooldown_s=float(spec.provider.cooldown_seconds),
        ),
        canary_keys=tuple(_canary_key(each) for each in spec.canary_keys),
        signing_secret=spec.signing.secret,
    )


def _tenant(tenant: Tenant) -> means.Tenant:
    return means.Tenant(
        namespaces=tenant.namespaces,
        carriers=tenant.carriers,
        numbers=tenant.numbers,
        hosts=tenant.hosts,
        transfer_prefixes=tenant.transfer_prefixes,
        max_replicas=tenant.max_replicas,
        max_calls=tenant.max_calls,
        tool_networks=tenant.tool_networks,
    )


def _canary_key(key: CanaryKey) -> means.CanaryKey:
    return means.CanaryKey(
        name=key.name,
        kind=key.kind,
        model=key.model,
        base_url=key.base_url,
        secret=key.key.secret,
        secret_key=key.key.key,
        query=key.query,
        headers=key.headers,
        interval_s=float(key.interval_seconds),
    )


def _turn_server(server: TurnServer) -> means.TurnServer:
    issuer = next(each for each in ISSUERS if getattr(server, to_snake(each)) is not None)
    written = getattr(server, to_snake(issuer)).model_dump(mode="json", by_alias=True)
    secret = written.pop("secret", "") or written.pop("credentials", {}).get("secret", "")
    asked, own = server.forbidden_peers, issuer == "coturnSecret"
    return means.TurnServer(
        name=server.name,
        jurisdiction=server.jurisdiction,
        urls={name: url for name, url in server.urls.model_dump().items() if url is not None},
        issuer=issuer,
        secret=secret,
        failure_domain=server.failure_domain,
        settings={name: value if isinstance(value, str) else json.dumps(value) for name, value in written.items()},
        forbidden=(tuple(asked.networks) if asked else ()) if own or asked else None,
        allowed=tuple(asked.allowed) if asked else (),
    )


def _lever(lever: Lever) -> means.Lever:
    """What its kind needs beyond the common fields stands in `settings`, under the manifest's own names."""
    kind = next(each for each in KINDS if getattr(lever, to_snake(each)) is not None)
    written = getattr(lever, to_snake(kind)).model_dump(mode="json", by_alias=True, exclude_none=True)
    secret = written.pop("credentials", {}).get("secret", "")
    return means.Lever(
        name=lever.name,
        kind=kind,
        api_url=written.pop("apiUrl", ""),
        account_id=written.pop("accountId", ""),
        secret=secret,
        weighted=written.get("shares", False) is True,
        edge=kind in EDGES,
        points=kind in POINTS,
        enforce=lever.drift == "enforce",
        dry_run=lever.dry_run,
        carrier=written.pop("carrier", ""),
        settings={name: value if isinstance(value, str) else json.dumps(value) for name, value in written.items()},
    )


def _carrier(carrier: Carrier) -> means.Carrier:
    if carrier.twilio is not None:
        return means.Carrier(
            name=carrier.name,
            kind="twilio",
            account_sid=carrier.twilio.account_sid,
            api_url=carrier.twilio.api_url,
            secret=carrier.twilio.credentials.secret,
            region=carrier.twilio.region,
            edge=carrier.twilio.edge,
            sip=carrier.sip or "",
        )
    assert carrier.telnyx is not None
    return means.Carrier(
        name=carrier.name,
        kind="telnyx",
        account_sid="",
        api_url=carrier.telnyx.api_url,
        secret=carrier.telnyx.credentials.secret,
        sort=carrier.telnyx.application,
        sip=carrier.sip or "",
    )


def _refused(error: pydantic.ValidationError) -> Refused:
    """One reason per field. What was written stays out: a misplaced credential must not reach a status."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(
        Reason(problems.INVALID_SPEC, f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}") for each in found
    )
