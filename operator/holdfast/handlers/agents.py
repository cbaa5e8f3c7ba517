"""One VoiceAgent in the own cluster: its objects as core.placement writes them, its conditions, and their end.

Deletion needs no step of ours: everything carries an owner reference to the agent, and no finalizer holds it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from holdfast import errors, kube
from holdfast.core import place, placement, problems
from holdfast.core.agents import Keys, Owner
from holdfast.core.status import Condition
from holdfast.core.values import AgentRef, Reason, Zone
from holdfast.desired import AgentEntry, Desired
from holdfast.handlers import statuses
from holdfast.handlers.children import Children, NameTaken
from holdfast.handlers.context import Context
from holdfast.handlers.intake import AGENT, Intake, Pods
from holdfast.handlers.pending import Key
from holdfast.handlers.scaling import Scaler

PLACED = Reason("Placed", "every object of the agent is in this cluster as the spec wants it")
OUTSIDE_ZONE = "OutsideZone"
APPLY_FAILED = "ApplyFailed"
MISSING_KEYS = "MissingKeys"
KEYS_PRESENT = Reason("KeysPresent", "no pod misses a provider key")
SETTINGS_REFUSED = "SettingsRefused"
SETTINGS_FOLLOWED = Reason("SettingsFollowed", "every pod follows all that it mounts")
PODS_READY = "PodsReady"
PODS_NOT_READY = "PodsNotReady"
ANSWERING = Reason("Answering", "new calls are answered in this region")
NOT_ASKED = Reason("NotPlaced", "no pod of the agent is here yet")


class Retry(errors.FleetError):
    """The status says what is wrong; the work is to be tried again later."""


async def reconcile(context: Context, intake: Intake, children: Children, scaler: Scaler, key: Key) -> None:
    """Level-based: looks at what is, whatever the event was."""
    ref = AgentRef(key.namespace, key.name)
    manifest = intake.manifests.get(key)
    if manifest is None:
        children.forget(ref.namespace, f"{ref.name}-bridge")
        scaler.forget(ref)
        return
    refused = intake.refused.get(key, ())
    placed = Condition("Placed", status=None, reason=NOT_ASKED)
    # A refused edit still keeps the last good one in its place.
    entry = context.desired.agents.get(ref)
    if entry is not None:
        placed = await _place(context, children, scaler, entry)
    here = entry is not None and placed.reason.code != OUTSIDE_ZONE
    pods = intake.pods.get(ref) if here else None
    conditions = (*_conditions(refused, placed, context.desired, ref, pods=pods), scaler.condition(ref))
    await _write(context, key, manifest, conditions=conditions, pods=pods, entry=entry)
    if placed.reason.code in {APPLY_FAILED, problems.MISSING_SECRET}:
        raise Retry(placed.reason.message)


async def _place(context: Context, children: Children, scaler: Scaler, entry: AgentEntry) -> Condition:
    zone = context.desired.zones.get(entry.zone)
    if zone is None:
        text = f"FailoverPolicy {entry.zone} is gone; what runs is left as it is"
        return Condition("Placed", status=None, reason=Reason(problems.UNKNOWN_POLICY, text))
    try:
        if context.release.region not in zone.members:
            scaler.forget(entry.ref)
            return await _leave(context, children, entry, zone)
        keys = await _keys(context, entry, zone)
        if isinstance(keys, Reason):
            return Condition("Placed", status=False, reason=keys)
        site = _site(context, entry, zone, keys)
        for manifest in placement.objects(site):
            await children.ensure(manifest, settle=scaler.held(site) if manifest["kind"] == "Deployment" else None)
        await scaler.follow(site)
    except (errors.ClusterError, NameTaken) as e:
        return Condition("Placed", status=False, reason=Reason(APPLY_FAILED, str(e)))
    return Condition("Placed", status=True, reason=PLACED)


async def _leave(context: Context, children: Children, entry: AgentEntry, zone: Zone) -> Condition:
    """The zone does not, or no longer, include this region: nothing of the agent stays here."""
    site = _site(context, entry, replace(zone, regions=()), Keys(zone_key=b""))
    if context.release.region in context.desired.regions and await _is_here(context, site):
        await children.remove(placement.objects(site))
    text = f"spec.failoverPolicy: region {context.release.region} is not in the zone {zone.name}"
    return Condition("Placed", status=False, reason=Reason(OUTSIDE_ZONE, text))


async def _is_here(context: Context, site: place.Place) -> bool:
    try:
        await context.kube.get(kube.CONFIG_MAPS, site.name, namespace=site.ref.namespace)
    except errors.NotFound:
        return False
    return True


def _site(context: Context, entry: AgentEntry, zone: Zone, keys: Keys) -> place.Place:
    return place.Place(
        ref=entry.ref,
        generation=entry.generation,
        spec=entry.spec,
        keys=keys,
        release=context.release,
        regions=context.desired.regions,
        zone=zone,
        owner=Owner("holdfast.dev/v1alpha1", AGENT, entry.ref.name, entry.uid),
    )


async def _keys(context: Context, entry: AgentEntry, zone: Zone) -> Keys | Reason:
    """Key material of the zone and of the agent's carrier, or which Secret is missing."""
    namespace = context.release.namespace
    try:
        signing = await context.secrets.read(zone.signing_secret)
    except errors.FleetError as e:
        return Reason(problems.MISSING_SECRET, f"FailoverPolicy {zone.name} spec.signing: {e}")
    if not signing.get("current"):
        text = f"FailoverPolicy {zone.name} spec.signing: Secret {namespace}/{zone.signing_secret} has no key current"
        return Reason(problems.MISSING_SECRET, text)
    keys = Keys(zone_key=signing["current"], zone_key_previous=signing.get("previous"))
    wanted = place.carrier_name(entry.spec, zone, entry.ref.namespace)
    carrier = next((each for each in zone.carriers if each.name == wanted), None)
    if carrier is None:
        return keys
    field = f"FailoverPolicy {zone.name} spec.carriers[{carrier.name}]"
    try:
        held = await context.secrets.read(carrier.secret)
    except errors.FleetError as e:
        return Reason(problems.MISSING_SECRET, f"{field}: {e}")
    if not held.get("authToken"):
        return Reason(problems.MISSING_SECRET, f"{field}: Secret {namespace}/{carrier.secret} has no key authToken")
    return replace(
        keys,
        carrier_token=held["authToken"],
        carrier_token_previous=held.get("authTokenPrevious"),
        carrier_api_key=held.get("apiKey"),
        carrier_api_secret=held.get("apiSecret"),
    )


def _conditions(
    refused: tuple[Reason, ...], placed: Condition, desired: Desired, ref: AgentRef, *, pods: Pods | None
) -> tuple[Condition, ...]:
    accepted = Condition("Accepted", status=True, reason=Reason(problems.ACCEPTED, "the spec is followed"))
    if refused:
        # The code is that of the first; the sentence names every field that is wrong.
        text = "; ".join(each.message for each in refused)
        accepted = Condition("Accepted", status=False, reason=Reason(refused[0].code, text))
    keys = Condition("KeysPresent", status=True, reason=KEYS_PRESENT)
    if missing := desired.missing_keys(ref):
        keys = Condition("KeysPresent", status=False, reason=Reason(MISSING_KEYS, "missing: " + ", ".join(missing)))
    followed = Condition("SettingsFollowed", status=True, reason=SETTINGS_FOLLOWED)
    if why := desired.problems(ref):
        followed = Condition("SettingsFollowed", status=False, reason=Reason(SETTINGS_REFUSED, "; ".join(why)))
    running = _running(pods)
    return (accepted, placed, keys, followed, running, _ready(accepted, placed, keys, followed, running))


def _running(pods: Pods | None) -> Condition:
    if pods is None:
        return Condition("PodsReady", status=None, reason=NOT_ASKED)
    enough = pods.ready >= pods.wanted > 0
    text = f"{pods.ready} of {pods.wanted} pods are ready"
    return Condition("PodsReady", status=enough, reason=Reason(PODS_READY if enough else PODS_NOT_READY, text))


def _ready(*needed: Condition) -> Condition:
    """The summary: the first that does not hold, in the order in which one would mend them."""
    for condition in needed:
        if condition.status is not True:
            return Condition("Ready", status=False, reason=condition.reason)
    return Condition("Ready", status=True, reason=ANSWERING)


async def _write(
    context: Context,
    key: Key,
    manifest: Mapping[str, Any],
    *,
    conditions: tuple[Condition, ...],
    pods: Pods | None,
    entry: AgentEntry | None,
) -> None:
    try:
        live = await context.kube.get(kube.AGENTS, key.name, namespace=key.namespace)
    except errors.NotFound:
        return
    if live["metadata"].get("uid") != manifest["metadata"].get("uid"):
        return  # Made anew meanwhile; its own event brings us back.
    fields = {
        "region": context.release.region,
        "pods": f"{pods.ready}/{pods.wanted}" if pods else "",
        "numbers": len(entry.spec.numbers) if entry else 0,
    }
    generation = int(manifest["metadata"].get("generation") or 0)
    await statuses.write(
        context, kube.AGENTS, live, conditions=conditions, fields=fields, generation=generation
    )
