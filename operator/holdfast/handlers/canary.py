"""The fleet-owned canary agent of this region: what every region's synthetic calls reach. It belongs to no tenant."""

from __future__ import annotations

from holdfast import errors, kube
from holdfast.core import place, placement
from holdfast.core.agents import Owner
from holdfast.handlers.children import Children
from holdfast.handlers.context import Context

OPERATOR = "holdfast-operator"
DEPLOYMENTS = kube.Resource("apps/v1", "deployments")


async def reconcile(context: Context, children: Children) -> None:
    """Places it as soon as this region's own Region object and the probe key are there."""
    if context.canary_pods == 0 or context.release.region not in context.desired.regions:
        return
    held = await context.secrets.read(context.probe_secret)
    site = place.canary(
        context.release,
        context.desired.regions,
        probe_key=held["current"],
        pods=context.canary_pods,
        owner=await _owner(context),
    )
    for manifest in placement.objects(site):
        await children.ensure(manifest)


async def _owner(context: Context) -> Owner | None:
    """The operator's own Deployment, so that `helm uninstall` takes the canary with it; none when run by hand."""
    try:
        found = await context.kube.get(DEPLOYMENTS, OPERATOR, namespace=context.release.namespace)
    except errors.NotFound:
        return None
    return Owner("apps/v1", "Deployment", OPERATOR, str(found["metadata"]["uid"]))
