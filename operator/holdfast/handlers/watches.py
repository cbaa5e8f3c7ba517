"""Registers the watches on an explicit registry. They note what they see and wake the reconciler; they never act.

Plain event handlers: kopf then adds no finalizer and keeps no progress in annotations, so nothing of it is left on
the objects and none of them hangs in deletion while no operator runs.
"""

from __future__ import annotations

from typing import Any

import kopf

from holdfast.handlers.context import Context
from holdfast.handlers.intake import AGENT, POLICY, REGION
from holdfast.handlers.reconciler import Reconciler

GROUP, VERSION = "holdfast.dev", "v1alpha1"
KINDS = ((AGENT, "voiceagents"), (POLICY, "failoverpolicies"), (REGION, "regions"))


def register(registry: kopf.OperatorRegistry, context: Context) -> Reconciler:
    """The reconciler must be run beside kopf, in the same event loop."""
    reconciler = Reconciler(context)
    for kind, plural in KINDS:
        _watch(registry, reconciler, kind=kind, plural=plural)

    @kopf.on.event(
        "apps", "v1", "deployments",
        registry=registry,
        id="holdfast-deployments",
        labels={"app.kubernetes.io/managed-by": "holdfast", "holdfast.dev/agent": kopf.PRESENT},
    )  # fmt: skip
    async def deployment_moved(event: Any, **_: Any) -> None:
        reconciler.wake(reconciler.intake.saw_deployment(event["type"], event["object"]))

    return reconciler


def _watch(registry: kopf.OperatorRegistry, reconciler: Reconciler, *, kind: str, plural: str) -> None:
    @kopf.on.event(GROUP, VERSION, plural, registry=registry, id=f"holdfast-{plural}")
    async def moved(event: Any, **_: Any) -> None:
        reconciler.wake(reconciler.intake.take(kind, event["type"], event["object"]))
