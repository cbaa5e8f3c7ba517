"""Handing over every call of this pod, at moments when nobody hears it.

Which call moves when is decided in `core.drain`; here it is done: the journal is brought up to date, the carrier is
told to fetch `next` where another pod will answer, and the pod waits until the sockets are gone or the time is up. A
call that could not be pushed is not lost: when its socket closes, the carrier asks `next` by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from holdfast_bridge.core import answer, drain
from holdfast_bridge.core.directive import Directive
from holdfast_bridge.core.drain import Carried
from holdfast_bridge.errors import CarrierError
from holdfast_bridge.journal import Journal
from holdfast_bridge.seams import CallBook, CarrierPort, LiveCall
from holdfast_bridge.settings import Settings
from holdfast_bridge.telemetry import Metrics

LOOK_EVERY_S = 0.05
ORDER_EVERY_S = 2.0
JOURNAL_S = 0.3
LEAVES_WITHIN_S = 8.0

log = logging.getLogger(__name__)


class Drain:
    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        directive: Callable[[], Directive],
        calls: CallBook,
        journal: Journal,
        carrier: CarrierPort,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._directive = directive
        self._calls = calls
        self._journal = journal
        self._carrier = carrier
        self._metrics = metrics
        self._leave_region = False
        self._moving: dict[str, float] = {}
        self._tried_at: dict[str, float] = {}

    async def run(
        self, *, within_s: float, leave_region: bool = False, wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Hand over until no call is left, the time is up, or the drain is no longer wanted.

        `leave_region`: the pod's siblings are being drained, too, so the calls go to the buddy.
        """
        self._leave_region = leave_region
        started = time.monotonic()
        forced_at = drain.forced_from(started, started + within_s)
        log.info("draining", extra={"calls": len(self._calls), "within_s": within_s})
        self._tried_at.clear()
        try:
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
                while len(self._calls) and wanted():
                    for call in self._due(forced_at):
                        self._moving[call.record.call] = time.monotonic()
                        group.create_task(self._hand_over(call))
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            log.warning("drain ended with calls left", extra={"calls": len(self._calls)})
        self._moving.clear()

    async def obey(self, ordered: Callable[[], bool]) -> None:
        """Hand over while the operator orders it; the pod stays and takes calls again when the order lapses."""
        while True:
            await asyncio.sleep(ORDER_EVERY_S)
            if ordered() and len(self._calls):
                await self.run(within_s=self._settings().agent.drain_seconds, leave_region=True, wanted=ordered)

    def _due(self, forced_at: float) -> list[LiveCall]:
        if self._settings().agent.carrier.kind == "canary":
            return []  # a probe is over by itself in seconds, and nobody could be told to move it
        live = {call.record.call: call for call in self._calls.all()}
        self._forget_moves(live.keys())
        carried = [
            Carried(
                call=name,
                silent=call.silent(),
                moving=name in self._moving,
                tried_at=self._tried_at.get(name),
            )
            for name, call in live.items()
        ]
        return [live[name] for name in drain.due(carried, now=time.monotonic(), forced_at=forced_at)]

    def _forget_moves(self, live: AbstractSet[str]) -> None:
        """A call that did not leave within seconds of being told to is told again."""
        for name, since in list(self._moving.items()):
            if name not in live:
                del self._moving[name]
            elif time.monotonic() - since > LEAVES_WITHIN_S:
                del self._moving[name]
                self._tried_at[name] = time.monotonic()

    async def _hand_over(self, call: LiveCall) -> None:
        record = call.record
        await self._journal.settle(record, timeout_s=JOURNAL_S)
        # Told before the carrier is: the `stop` that a redirect causes may arrive ahead of the redirect's answer.
        call.released()
        config = self._settings().agent
        try:
            await self._carrier.redirect(record.call, answer.next_url(config, self._target(), record.call, hop=0))
        except CarrierError as error:
            self._tried_at[record.call] = time.monotonic()
            self._moving.pop(record.call, None)
            self._metrics.handed_over("drain", ok=False)
            log.warning("hand-over refused by the carrier", extra={"status": error.status})
            return
        self._metrics.handed_over("drain", ok=True)

    def _target(self) -> str:
        """The own region while it has other ready pods, else the buddy, else the own region all the same."""
        config, directive = self._settings().agent, self._directive()
        buddy = None if directive.buddy is None else config.host_of(directive.buddy)
        stay = bool(directive.siblings) and not self._leave_region
        return config.own_host if stay or buddy is None else buddy
