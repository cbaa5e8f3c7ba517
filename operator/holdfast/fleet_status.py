"""Writes what the fleet knows into the statuses of the own cluster: only on a difference, by its own field manager.

Conditions about specs and pods belong to the handlers; here are only those about leadership, routes and reachability.
While calls wait for a move, people wait, too: thousands of agents may have something new to show just then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast import errors, kube
from holdfast.core import status
from holdfast.core.values import Reason
from holdfast.fleet_decisions import KEPT
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

FIELD_MANAGER = "holdfast-fleet"
LOOK_EVERY_S = 0.5
UNHURRIED_EVERY_S = 5.0
COUNTERS = frozenset({"activeCalls", "callsByPod", "readyPods"})
WORDS = frozenset({"message", "detail"})
MAX_EVENTS = 200
HELD_AT_MOST_S = 15.0
HELD_LOOK_S = 0.1

Target = tuple[kube.Resource, str | None, str]
Recorder = Callable[[Mapping[str, Any], Reason, bool], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The status that one object should show. `decisions` are put before those found there from earlier operators."""

    kind: str
    fields: Mapping[str, Any]
    conditions: Sequence[status.Condition]
    decisions: Sequence[Mapping[str, Any]] | None = None


@dataclass(slots=True)
class _Shown:
    """What an object shows, as we last read or wrote it."""

    uid: str
    generation: int
    conditions: list[Mapping[str, Any]]
    earlier: list[Mapping[str, Any]]
    written: Mapping[str, Any] = field(default_factory=dict)
    at: float = float("-inf")


class StatusBoard:
    """One writer for all statuses of the fleet. `wanted` is asked for the whole picture each time.

    `moving`: whether calls wait for a move; then nothing is written, but not for ever.
    """

    def __init__(
        self,
        *,
        client: kube.Kube,
        wanted: Callable[[], Mapping[Target, Wanted]],
        record: Recorder,
        moving: Callable[[], bool],
        clock: Callable[[], float],
        wall: Callable[[], str],
        metrics: Metrics,
    ) -> None:
        self._moving = moving
        self._moving_since: float | None = None
        self._kube = client
        self._wanted = wanted
        self._record = record
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._shown: dict[Target, _Shown] = {}
        self._refused: set[Target] = set()
        self._events: asyncio.Queue[tuple[Target, Reason, bool]] = asyncio.Queue(MAX_EVENTS)

    def tell(self, target: Target, reason: Reason, *, warning: bool) -> None:
        """An Event about an object. Best effort: when too many wait, the newest is dropped and counted."""
        try:
            self._events.put_nowait((target, reason, warning))
        except asyncio.QueueFull:
            self._metrics.failures.labels("events").inc()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_events())
            while True:
                await self.write()
                await asyncio.sleep(LOOK_EVERY_S)

    async def write(self) -> None:
        """Bring every status up to date; one that cannot be written does not stop the others."""
        if self._held():
            return
        for target, wanted in self._wanted().items():
            try:
                await self._show(target, wanted)
            except errors.NotFound:
                self._shown.pop(target, None)
                self._refused.discard(target)
            except errors.ClusterError as e:
                self._shown.pop(target, None)
                self._metrics.failures.labels("status").inc()
                self._not_written(target, e)
            else:
                self._refused.discard(target)

    def _not_written(self, target: Target, why: errors.ClusterError) -> None:
        """An API server that is away will be back; one that refuses a status refuses it until something is mended."""
        news = isinstance(why, errors.Rejected) and target not in self._refused
        if news:
            self._refused.add(target)
        log.log(logging.WARNING if news else logging.DEBUG, "status not written",
                extra={"object": target[2], "why": str(why)})  # fmt: skip

    def _held(self) -> bool:
        if not self._moving():
            self._moving_since = None
            return False
        if self._moving_since is None:
            self._moving_since = self._clock()
        return self._clock() - self._moving_since < HELD_AT_MOST_S

    async def _show(self, target: Target, wanted: Wanted) -> None:
        shown = self._shown.get(target)
        if shown is None:
            shown = self._shown[target] = await self._read(target)
        content = self._rendered(shown, wanted)
        if content == shown.written:
            return
        if _gist(content) == _gist(shown.written) and self._clock() - shown.at < UNHURRIED_EVERY_S:
            return
        if self._held():  # A move began in the middle of a round.
            return
        resource, namespace, name = target
        stored = await self._kube.apply_status(
            resource, name, content, kind=wanted.kind, manager=FIELD_MANAGER, namespace=namespace
        )
        shown.generation = int(stored["metadata"].get("generation") or shown.generation)
        shown.conditions, shown.written, shown.at = list(content["conditions"]), content, self._clock()

    async def _read(self, target: Target) -> _Shown:
        resource, namespace, name = target
        found = await self._kube.get(resource, name, namespace=namespace)
        seen = found.get("status") or {}
        return _Shown(
            uid=str(found["metadata"].get("uid", "")),
            generation=int(found["metadata"].get("generation") or 0),
            conditions=list(seen.get("conditions") or []),
            earlier=list(seen.get("lastDecisions") or []),
        )

    def _rendered(self, shown: _Shown, wanted: Wanted) -> Mapping[str, Any]:
        conditions = status.rendered(
            wanted.conditions, before=shown.conditions, generation=shown.generation, now=self._wall()
        )
        content: dict[str, Any] = {**wanted.fields, "conditions": conditions}
        if "observations" in content:
            content["observations"] = _steady(content["observations"], shown.written.get("observations") or [])
        if wanted.decisions is not None:
            ours = {(each["region"], each["decided"]) for each in wanted.decisions}
            earlier = [each for each in shown.earlier if (each.get("region"), each.get("decided")) not in ours]
            content["lastDecisions"] = [*wanted.decisions, *earlier][:KEPT]
        return content

    async def _write_events(self) -> None:
        while True:
            (resource, namespace, name), reason, warning = await self._events.get()
            while self._held():  # noqa: ASYNC110 - the end of a move is seen by looking
                await asyncio.sleep(HELD_LOOK_S)
            try:
                about = await self._kube.get(resource, name, namespace=namespace)
            except errors.ClusterError:
                continue
            await self._record(about, reason, warning)


def _steady(now: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Since when a verdict stands is told once: computed anew from ages each time, it would waver and be written."""
    told = {(each["observer"], each["verdict"]): each["since"] for each in before}
    return [{**each, "since": told.get((each["observer"], each["verdict"]), each["since"])} for each in now]


def _gist(content: Any) -> Any:
    """What must be shown at once. How many calls there are may wait, and so may other words for the same reason."""
    if isinstance(content, Mapping):
        return {key: _gist(value) for key, value in content.items() if key not in COUNTERS | WORDS}
    if isinstance(content, list):
        return [_gist(each) for each in content]
    return content
