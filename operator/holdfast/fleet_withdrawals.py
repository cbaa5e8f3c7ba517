"""Whether this region asks to be taken out of service: looked at once a second, told in the heartbeat.

What is seen is what its own pods and their calls say, and what the other regions of its zones tell of providers. What
follows is decided in `holdfast.core.withdrawals`; the zone's leader decides again, with its guards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from holdfast import heart
from holdfast.bridges import Bridges
from holdfast.core import withdrawals
from holdfast.core.plans import View
from holdfast.core.values import AgentRef, Cause, Reason, Withdrawal
from holdfast.core.withdrawals import AgentHere, LocalView, Standing
from holdfast.desired import AgentEntry, Desired
from holdfast.fleet_providers import FleetProviders

log = logging.getLogger(__name__)

TICK_S = 1.0


class OwnRegion:
    """What this region wishes for itself.

    `heard`: the peers' last beats. `views`: what our zones' loops see, or None while any of them has not looked yet.
    """

    def __init__(
        self,
        *,
        region: str,
        desired: Desired,
        bridges: Bridges,
        providers: FleetProviders,
        heard: Callable[[], heart.Heard],
        views: Callable[[], Sequence[View] | None],
        clock: Callable[[], float],
    ) -> None:
        self._region = region
        self._desired = desired
        self._bridges = bridges
        self._providers = providers
        self._heard = heard
        self._views = views
        self._clock = clock
        self._known_at: dict[AgentRef, float] = {}
        self._were_ready: set[AgentRef] = set()
        self._standing: Standing | None = None
        self._wished: Withdrawal | Reason | None = None

    @property
    def asks(self) -> Withdrawal | None:
        """What the heartbeat tells."""
        return self._standing.told if self._standing is not None else None

    @property
    def settled(self) -> bool:
        """Whether silence means anything: not before it is known what this region asked before."""
        return self._standing is not None

    @property
    def why_not(self) -> Reason | None:
        """Why nothing is asked although something is ill here."""
        return self._wished if isinstance(self._wished, Reason) else None

    def begin(self) -> None:
        """This pod became its region's active one."""
        self._standing, self._wished = None, None
        self._known_at.clear()
        self._were_ready.clear()

    async def run(self) -> None:
        """Until cancelled."""
        self.begin()
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """Look once."""
        now, before = self._clock(), self._standing
        if before is None:
            views = self._views()
            if views is None:
                return
            before = withdrawals.taken_up(self._region, self._remembered(views))
            if before.told is not None:
                self._were_ready = set(self._desired.agents)
        if not self._bridges.hears_anybody():
            # Pods that do not reach us may carry calls all the same: what is not known is held as it is.
            self._standing = before
            return
        view = LocalView(
            region=self._region,
            agents={ref: self._agent(ref, entry, now) for ref, entry in self._placed()},
            ill=self._providers.ill(),
            ill_elsewhere=self._elsewhere(),
        )
        self._wished = withdrawals.wish(view, asking=before.told is not None)
        self._standing = withdrawals.standing(before, self._wished, now=now)
        if (self._standing.told is None) is not (before.told is None):
            told = self._standing.told
            log.warning("own region", extra={"asks": told is not None, "reason": told.reason.code if told else ""})

    def _remembered(self, views: Sequence[View]) -> list[str]:
        remembered = (view.remembered(self._region) for view in views)
        return [each.cordons[Cause.WITHDRAWN].reason for each in remembered if Cause.WITHDRAWN in each.standing]

    def _placed(self) -> list[tuple[AgentRef, AgentEntry]]:
        """The agents whose zone has them here."""
        zones = {zone.name for zone in self._desired.zones.values() if self._region in zone.members}
        return [(ref, entry) for ref, entry in self._desired.agents.items() if entry.zone in zones]

    def _agent(self, ref: AgentRef, entry: AgentEntry, now: float) -> AgentHere:
        ready, calls = self._bridges.here(ref)
        if withdrawals.were_ready(ready, entry.spec.min_pods):
            self._were_ready.add(ref)
        wanted = withdrawals.wanted_pods(
            entry.spec.min_pods,
            were_ready=ref in self._were_ready,
            known_for_s=now - self._known_at.setdefault(ref, now),
        )
        attempts = self._providers.attempts(ref) or withdrawals.NO_ATTEMPTS
        return AgentHere(ready_pods=ready, wanted_pods=wanted, calls=calls, attempts=attempts)

    def _elsewhere(self) -> frozenset[str]:
        """What any other region of our zones finds ill."""
        zones = [zone for zone in self._desired.zones.values() if self._region in zone.members]
        others = {name for zone in zones for name in zone.members} - {self._region}
        return heart.providers_ill({name: said for name, said in self._heard().items() if name in others})
