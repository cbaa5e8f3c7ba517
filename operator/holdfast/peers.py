"""Listening to the other regions: each peer's region Lease is read once a second, and its heartbeat aged on our clock.

A peer whose API server cannot be reached is *unheard*, which is no verdict at all: it only makes us look at that
region's entry at once. Peers are read with GET, never watched, so that what is counted is never a cached answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from holdfast import errors, heart, kube
from holdfast.core.values import Observation, Tier

log = logging.getLogger(__name__)

REGION_LEASE = "holdfast-region"
LISTEN_EVERY_S = 1.0
HURRIED_EVERY_S = 0.3
LISTEN_DEADLINE_S = 0.6
MISSED_AFTER_S = 1.8
FRESH_S = 3.0
CLOCKS_COMPARED = 30
"""Beats: the one that was read soonest after it was written tells best how far the clocks are apart."""
CLOCKS_ENOUGH = 10


@dataclass(slots=True)
class _Heard:
    """What was last heard of one peer, and when it last moved."""

    beat: heart.Heartbeat | None = None
    stamp: tuple[str, int] = ("", -1)
    moved_at: float = float("-inf")
    still_since: float = float("-inf")
    missed: bool = False
    ahead_s: deque[float] = field(default_factory=lambda: deque(maxlen=CLOCKS_COMPARED))


class Peers:
    """What this pod has heard. `on_missed` is called once per silence; while `hurried`, peers are asked more often."""

    def __init__(
        self,
        *,
        clients: Mapping[str, kube.Kube],
        namespace: str,
        clock: Callable[[], float],
        on_missed: Callable[[str], None],
        hurried: Callable[[], bool] = lambda: False,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._wall_s = wall_s
        self._clients = dict(clients)
        self._namespace = namespace
        self._clock = clock
        self._on_missed = on_missed
        self._hurried = hurried
        self._heard = {name: _Heard() for name in clients}

    @property
    def names(self) -> tuple[str, ...]:
        """The peers that are configured, heard or not."""
        return tuple(self._clients)

    async def run(self) -> None:
        """Listen to every peer until cancelled, each at its own pace: a hanging one delays nobody."""
        async with asyncio.TaskGroup() as group:
            for name in self._clients:
                group.create_task(self._follow(name), name=f"listen-{name}")

    async def _follow(self, name: str) -> None:
        while True:
            began = self._clock()
            await self.listen(name)
            every_s = HURRIED_EVERY_S if self._hurried() else LISTEN_EVERY_S
            await asyncio.sleep(max(0.05, every_s - (self._clock() - began)))

    async def listen(self, name: str) -> bool:
        """One GET. True when the heartbeat moved since the last one."""
        heard = self._heard[name]
        moved = False
        try:
            lease = await self._clients[name].get(
                kube.LEASES, REGION_LEASE, namespace=self._namespace, deadline_s=LISTEN_DEADLINE_S
            )
        except errors.ClusterError as e:
            log.debug("peer not heard", extra={"peer": name, "why": str(e)})
            self._miss(name, heard)
        else:
            moved = self._take(heard, lease)
            if moved:
                heard.missed = False
            elif self._clock() - heard.still_since > MISSED_AFTER_S:
                self._miss(name, heard)
        return moved

    async def listen_again(self, names: Iterable[str]) -> None:
        """Read some peers anew, at once: evidence is fresh from the server before anything is taken out of service."""
        async with asyncio.TaskGroup() as group:
            for name in names:
                if name in self._clients:
                    group.create_task(self.listen(name))

    def _take(self, heard: _Heard, lease: kube.Object) -> bool:
        text = (lease["metadata"].get("annotations") or {}).get(heart.HEARTBEAT_ANNOTATION, "")
        beat = heart.decode(text)
        if beat is None:
            return False
        stamp = (str((lease.get("spec") or {}).get("holderIdentity", "")), beat.seq)
        if stamp == heard.stamp:
            return False
        # The first beat we ever see may be an old one left behind by the dead: it proves nothing until it moves.
        first = heard.stamp[1] < 0
        heard.beat, heard.stamp, heard.still_since = beat, stamp, self._clock()
        if not first:
            heard.moved_at = heard.still_since
            if beat.at:
                heard.ahead_s.append(beat.at - self._wall_s())
        return not first

    def _miss(self, name: str, heard: _Heard) -> None:
        if not heard.missed:
            heard.missed = True
            self._on_missed(name)

    def age_s(self, name: str) -> float:
        """Since this peer's heartbeat last moved, on our clock; infinite when it never did."""
        return self._clock() - self._heard[name].moved_at

    def beat(self, name: str) -> heart.Heartbeat | None:
        """The last beat heard from this peer."""
        return self._heard[name].beat

    def skew(self) -> dict[str, float]:
        """How far each peer's clock is ahead of ours, in seconds; shown to people, for nothing here compares clocks."""
        return {
            name: max(heard.ahead_s) for name, heard in self._heard.items() if len(heard.ahead_s) >= CLOCKS_ENOUGH
        }

    def observations(self) -> list[Observation]:
        """Everything peers last said, with its age. Which of it still counts is for the core to say."""
        now = self._clock()
        return [
            Observation(
                observer=name,
                target=target,
                verdict=seen.verdict,
                heard_age_s=now - heard.moved_at,
                held_s=seen.held_s,
                self_doubt=heard.beat.self_doubt,
                detail=seen.detail,
                tier=tier,
            )
            for name, heard in self._heard.items()
            if heard.beat is not None
            for tier, table in {Tier.REGION: heard.beat.observations, **heard.beat.others}.items()
            for target, seen in table.items()
        ]
