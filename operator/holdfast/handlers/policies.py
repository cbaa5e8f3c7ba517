"""FailoverPolicies and Regions: whether they are followed, as conditions. What the fleet does with them is not here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast import errors, kube
from holdfast.core import problems
from holdfast.core.placement import Manifest
from holdfast.core.status import Condition
from holdfast.core.values import Reason, Zone
from holdfast.handlers import statuses
from holdfast.handlers.context import Context
from holdfast.handlers.intake import POLICY, Intake
from holdfast.handlers.pending import Key

SECRETS_FOUND = Reason("SecretsFound", "every Secret that the policy names is there with its keys")
SECRETS_NOT_NEEDED = Reason("SecretsNotNeeded", "a cluster outside the zone holds none of its keys")


async def reconcile(context: Context, intake: Intake, key: Key) -> None:
    """Writes the conditions Accepted and, for a policy, SecretsFound."""
    manifest = intake.manifests.get(key)
    if manifest is None:
        return
    refused = intake.refused.get(key, ())
    conditions = [_accepted(refused)]
    resource = kube.POLICIES if key.kind == POLICY else kube.REGIONS
    zone = context.desired.zones.get(key.name) if key.kind == POLICY else None
    if zone is not None:
        conditions.append(await _secrets_found(context, zone))
    try:
        live = await context.kube.get(resource, key.name)
    except errors.NotFound:
        return
    if live["metadata"].get("uid") != manifest["metadata"].get("uid"):
        return  # Made anew meanwhile; its own event brings us back.
    generation = int(manifest["metadata"].get("generation") or 0)
    await statuses.write(context, resource, live, conditions=conditions, fields={}, generation=generation)


def region_manifest(told: Mapping[str, Any]) -> Manifest:
    """One Region as this release's settings tell it.

    They are told in the settings because Helm cannot create objects of a kind that the same release brings along.
    """
    return {
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Region",
        "metadata": {"name": told["name"], "labels": {"app.kubernetes.io/managed-by": "holdfast"}},
        "spec": {key: value for key, value in told.items() if key != "name" and value not in (None, {}, [])},
    }


def _accepted(refused: tuple[Reason, ...]) -> Condition:
    if not refused:
        return Condition("Accepted", status=True, reason=Reason(problems.ACCEPTED, "the spec is followed"))
    text = "; ".join(each.message for each in refused)
    return Condition("Accepted", status=False, reason=Reason(refused[0].code, text))


async def _secrets_found(context: Context, zone: Zone) -> Condition:
    if context.release.region not in zone.members:
        return Condition("SecretsFound", status=True, reason=SECRETS_NOT_NEEDED)
    missing: list[str] = []
    for field, name, keys in problems.secrets_of(zone):
        try:
            held = await context.secrets.read(name)
        except errors.FleetError as e:
            missing.append(f"{field}: {e}")
            continue
        missing += [
            f"{field}: Secret {context.release.namespace}/{name} has no key {each}"
            for each in keys
            if not held.get(each)
        ]
    if missing:
        return Condition(
            "SecretsFound", status=False, reason=Reason(problems.MISSING_SECRET, "; ".join(missing))
        )
    return Condition("SecretsFound", status=True, reason=SECRETS_FOUND)
