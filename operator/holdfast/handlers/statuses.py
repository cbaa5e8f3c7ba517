"""Writes our conditions into an object's status: only ours, only on a difference, with an Event when one turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast import kube
from holdfast.core.status import Condition, rendered
from holdfast.core.values import Reason
from holdfast.handlers.children import matches
from holdfast.handlers.context import Context

FIELD_MANAGER = "holdfast-handlers"


async def write(
    context: Context,
    resource: kube.Resource,
    live: Mapping[str, Any],
    *,
    conditions: Sequence[Condition],
    fields: Mapping[str, Any],
    generation: int,
) -> bool:
    """`live` is the object as just read. Returns whether anything was written."""
    metadata = live["metadata"]
    seen = live.get("status") or {}
    before = seen.get("conditions") or []
    wanted = {
        **fields,
        "observedGeneration": generation,
        "conditions": rendered(conditions, before=before, generation=generation, now=context.wall()),
    }
    if _same(wanted, seen):
        return False
    context.ensure_active()
    await context.kube.apply_status(
        resource,
        str(metadata["name"]),
        wanted,
        kind=str(live["kind"]),
        manager=FIELD_MANAGER,
        namespace=metadata.get("namespace"),
    )
    await _tell(context, live, before, wanted["conditions"])
    return True


def _same(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    by_type = {str(each["type"]): each for each in seen.get("conditions") or []}
    plain = {key: value for key, value in wanted.items() if key != "conditions"}
    return matches(plain, seen) and all(
        matches(each, by_type.get(each["type"])) for each in wanted["conditions"]
    )


async def _tell(
    context: Context, live: Mapping[str, Any], before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> None:
    """An Event for each condition whose status or reason changed, but none for those that were good from the start."""
    known = {str(each["type"]): (each["status"], each["reason"]) for each in before}
    for each in after:
        news = (each["status"], each["reason"])
        if known.get(each["type"]) == news or (each["type"] not in known and each["status"] != "False"):
            continue
        reason = Reason(str(each["reason"]), str(each["message"]))
        await context.events.record(live, reason, warning=each["status"] == "False")
