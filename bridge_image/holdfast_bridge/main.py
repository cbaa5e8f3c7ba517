"""The composition root of a bridge pod: builds every part, joins them, and ends them in order.

Nothing is decided here. Loops that only help (Redis, the buddy, the operator) are restarted when they fail, because
calls in progress must not end with them; the two ports are the pod, and their failure ends it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop
from aiohttp import web

from holdfast_bridge import http_out, journal_store, loop_watch, providing, settings, telemetry, tools
from holdfast_bridge.audio_port import AudioPort
from holdfast_bridge.calls import Calls, TokenDesk
from holdfast_bridge.carrier import CarrierFailure, TwilioRest
from holdfast_bridge.control_port import ControlPort, Surroundings
from holdfast_bridge.core import directive
from holdfast_bridge.core.loop_lag import LoopLag
from holdfast_bridge.drain import Drain
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.health import Health
from holdfast_bridge.journal import Journal, Zone
from holdfast_bridge.journal_desk import JournalDesk
from holdfast_bridge.journal_fetch import ZoneFetch
from holdfast_bridge.journal_link import BuddyLink, Peer
from holdfast_bridge.journal_store import MemoryStore
from holdfast_bridge.poll import Directives, Poller, Seen
from holdfast_bridge.provider_probe import Prober
from holdfast_bridge.rescue import Rescue
from holdfast_bridge.seams import Services
from holdfast_bridge.settings import Settings, SettingsFile
from holdfast_bridge.tallies import ProviderResults, Tallies
from holdfast_bridge.timings import Timings
from holdfast_bridge.tools import ToolFailure
from holdfast_bridge.vertex_tokens import VertexTokens

CONTROL_PORT = 8080
AUDIO_PORT = 8081
MAX_PORT = 65_535
CONTROL_IDLE_S = 75.0
"""A connection to the control port lives so long without a whole request. Load balancers keep an idle one for a minute
and must be the first to close it."""
RELOAD_EVERY_S = 2.0
RESTART_AFTER_S = 1.0
OUT_OF_ROTATION_S = 1.0
"""After SIGTERM the entry needs a moment to stop sending here: till then webhooks are answered and no call is moved."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where to listen, and how other regions are reached; anything but the defaults is for tests."""

    host: str = "0.0.0.0"  # noqa: S104  the pod's own network
    control: int = CONTROL_PORT
    audio: int = AUDIO_PORT
    peer_scheme: str = "https"


class Bridge:
    """One pod's parts, joined. `run` serves until `stop` is called and the calls are handed over."""

    def __init__(
        self,
        read: Callable[[], Settings],
        *,
        ports: Ports = Ports(),
        fit: Callable[[Settings], Settings] = lambda found: found,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fit`: what of settings can be used, or SettingsError. `clock`: by which breakers open and close."""
        self._files = SettingsFile(read, fit)
        self._ports = ports
        self._stop = asyncio.Event()
        self.bound = asyncio.Event()
        self.control_port = 0
        self.audio_port = 0
        agent = self._files().agent
        self.metrics = telemetry.Metrics()
        self.memory = MemoryStore()
        self.redis = journal_store.connect(agent.redis_url, agent=agent.id) if agent.redis_url else None
        self.calls = Calls(on_change=self._news)
        self.directives = Directives(self._files, on_change=self._directive_changed)
        self._told = self.directives()
        self.link = BuddyLink(self._peer(), snapshot=self.calls.records, on_stale=self.calls.newer)
        self.journal = Journal(
            memory=self.memory,
            redis=self.redis,
            link=self.link,
            zone=Zone(reachable=self._reachable, fetch=self._fetch()),
            on_newer=self.calls.newer,
        )
        later, newer = self.journal.to_region, self.calls.newer
        self.desk = JournalDesk(agent=agent.id, memory=self.memory, redis=self.redis, on_newer=newer, unwritten=later)
        self.lag = LoopLag()
        self.health = Health(
            settings=self._settings_in_order,
            calls=self.calls,
            drain_ordered=self.directives.drain_ordered,
            lag=self.lag,
            elsewhere=lambda: bool(self.directives().siblings) or bool(self._reachable()),
        )
        self.tokens = TokenDesk(
            settings=self._files, memory=self.memory, redis=self.redis, full=lambda: self.health.full
        )
        self.results = ProviderResults(on_news=self._news_at_once, on_turn=self._reorder, clock=clock)
        self._reordering = False
        self.tool_results: Tallies[ToolFailure] = Tallies("tool", on_news=self._news)
        self.carrier_results: Tallies[CarrierFailure] = Tallies("carrier", on_news=self._news)
        self.vertex = VertexTokens(self._files)
        self.timings = Timings(budgets_ms=lambda: self._files().agent.budgets_ms, metrics=self.metrics, clock=clock)
        self.prober = Prober(
            settings=self._settings_in_order,
            trials=lambda: self.directives().trials,
            secret=self.vertex.secret,
            results=self.results,
            news=self._news_at_once,
        )
        self.poller = Poller(settings=self._files, directives=self.directives, seen=self._seen())

    def _seen(self) -> Seen:
        """What the operator is told of this pod."""
        return Seen(
            records=self.calls.records,
            providers=self.results.report,
            tools=self.tool_results.report,
            carriers=self.carrier_results.report,
            latencies=self.timings.report,
            ready=lambda: not self.health.reasons(),
            draining=lambda: self.health.draining,
            buddy_up=lambda: self.link.up,
            holds=self._files.proof,
            problems=self._files.problems,
            loop_lag_s=lambda: self.lag.p99_s,
        )

    def stop(self) -> None:
        """Begin to drain, as SIGTERM does."""
        self._stop.set()

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(http_out.session())
            if self.redis is not None:
                stack.push_async_callback(self.redis.aclose)
            carrier = TwilioRest(http, self._files, on_result=self._carrier_result)
            drain = Drain(
                settings=self._files,
                directive=self.directives,
                calls=self.calls,
                journal=self.journal,
                carrier=carrier,
                metrics=self.metrics,
            )
            audio = AudioPort(self._services(carrier), count=self.metrics.refused)
            self.link.point_at(self.directives().buddy)
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(audio.run(self._ports.host, self._ports.audio))]
                loops = [("vertex tokens", lambda: self.vertex.run(http)), *self._loops(carrier, drain)]
                running += [group.create_task(_kept_running(name, loop)) for name, loop in loops]
                await audio.bound.wait()
                self.audio_port = audio.port
                runner = await self._serve_control()
                self.health.serving = True
                self.bound.set()
                agent = self._files().agent
                ports = {"control": self.control_port, "audio": self.audio_port}
                log.info("serving", extra={"agent": agent.id, "region": agent.region, **ports})
                await self._stop.wait()
                await self._wind_down(drain)
                await runner.cleanup()
                for task in running:
                    task.cancel()

    async def _wind_down(self, drain: Drain) -> None:
        self.health.stopping = True
        self._news()
        within = self._files().agent.drain_seconds
        await asyncio.sleep(OUT_OF_ROTATION_S)
        if len(self.calls):
            await drain.run(within_s=max(1.0, within - OUT_OF_ROTATION_S))
        await self.desk.close()
        log.info("drained", extra={"calls_left": len(self.calls)})

    async def _serve_control(self) -> web.AppRunner:
        port = ControlPort(
            Surroundings(
                settings=self._files,
                directive=self.directives,
                unreachable=self.link.unreachable,
                journal=self.journal,
                desk=self.desk,
                health=self.health,
                metrics=self.metrics,
                exposition=self._exposition,
            )
        )
        runner = web.AppRunner(
            port.application(), access_log=None, shutdown_timeout=1.0, keepalive_timeout=CONTROL_IDLE_S
        )
        await runner.setup()
        site = web.TCPSite(runner, self._ports.host, self._ports.control)
        await site.start()
        self.control_port = runner.addresses[0][1]
        return runner

    def _loops(self, carrier: TwilioRest, drain: Drain) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        rescue = Rescue(
            settings=self._files,
            directive=self.directives,
            memory=self.memory,
            redis=self.redis,
            carrier=carrier,
            metrics=self.metrics,
        )
        return [
            ("journal", self.journal.run),
            ("buddy link", self.link.run),
            ("tokens", self.tokens.run),
            ("poll", self.poller.run),
            ("probes", self.prober.run),
            ("settings", self._reload),
            ("ordered drain", lambda: drain.obey(self._drain_ordered)),
            ("rescue", rescue.run),
            ("loop lag", lambda: loop_watch.watch(self.lag)),
        ]

    def _drain_ordered(self) -> bool:
        return self.directives.drain_ordered() and not self.health.stopping

    async def _reload(self) -> None:
        told: tuple[str, ...] = ()
        while True:
            if (problems := self._files.problems()) != told:
                told = problems
                log.warning("settings not followed" if told else "settings followed again", extra={"problems": told})
                self._news()
            await asyncio.sleep(RELOAD_EVERY_S)
            if self._files.refresh():
                log.info("settings in force", extra={"generation": self._files().agent.generation})
                self._directive_changed()

    def _services(self, carrier: TwilioRest) -> Services:
        return Services(
            settings=self._settings_in_order,
            journal=self.journal,
            carrier=carrier,
            calls=self.calls,
            claim=self.tokens.claim,
            accepting=self.health.accepting,
            provider_secret=self.vertex.secret,
            provider_began=self.results.began,
            provider_result=self._provider_result,
            provider_spoke=self.results.spoke,
            tool_result=self._tool_result,
            took=self.timings.took,
        )

    def _settings_in_order(self) -> Settings:
        """The settings with the attempts that may be made: in the order that the operator last named, those that this
        pod's breakers pass by behind the others. Which of them a call begins with is its own choice."""
        current, told = self._files(), self.directives()
        begins = not self._reordering
        last = [each.name for each in current.agent.attempts if self.results.passed_by(each.parts, begins=begins)]
        agent = directive.in_order(current.agent, told.attempts, told.barred, last=last)
        ill = frozenset((*told.ill, *last))
        return current if agent is current.agent and not ill else dataclasses.replace(current, agent=agent, ill=ill)

    def _reorder(self) -> None:
        """A call that begins may try what is half-open; those in progress are told to pass it by."""
        self._reordering = True
        try:
            for call in self.calls.all():
                call.reorder()
        finally:
            self._reordering = False

    def _provider_result(self, attempt: str, ok: bool, error: str, retry_after_s: float) -> None:
        self.metrics.provider(attempt, ok=ok, error=error)
        self.results.add(attempt, ok, error, retry_after_s)

    def _tool_result(self, tool: str, failure: ToolFailure | None) -> None:
        self.metrics.tool(tool, failure.value if failure else "ok")
        self.tool_results.add(tool, failure)

    def _carrier_result(self, carrier: str, failure: CarrierFailure | None) -> None:
        self.metrics.carrier(failure.value if failure else "ok")
        self.carrier_results.add(carrier, failure)

    def _peer(self) -> Peer:
        scheme = "ws" if self._ports.peer_scheme == "http" else "wss"
        path = f"{self._files().agent.path}/journal"
        return Peer(url=lambda region: self._address(region, scheme, path), path=path, key=self._key)

    def _fetch(self) -> ZoneFetch:
        path = f"{self._files().agent.path}/journal/fetch"
        return ZoneFetch(
            url=lambda region: self._address(region, self._ports.peer_scheme, path), path=path, key=self._key
        )

    def _address(self, region: str, scheme: str, path: str) -> str | None:
        host = self._files().agent.host_of(region)
        return None if host is None else f"{scheme}://{host}{path}"

    def _key(self) -> bytes:
        return self._files().fleet.zone_keys[0]

    def _reachable(self) -> tuple[str, ...]:
        agent = self._files().agent
        gone = {agent.region, *self.directives().lost, *self.link.unreachable()}
        return tuple(entry.name for entry in agent.regions if entry.name not in gone)

    def _directive_changed(self) -> None:
        before, self._told = self._told, self.directives()
        if (attempt := directive.restored(self._files().agent, before, self._told)) is not None:
            self.results.forgive(attempt.parts)
        self.link.point_at(self._told.buddy)
        self.prober.look()
        self._reorder()

    def _news(self) -> None:
        self.poller.news()

    def _news_at_once(self) -> None:
        self.poller.news(at_once=True)

    def _exposition(self) -> bytes:
        parts = [part for attempt in self._files().agent.attempts for part in attempt.parts]
        self.metrics.breakers({part: self.results.open(part) for part in parts})
        return self.metrics.exposition(
            calls=len(self.calls),
            ready=not self.health.reasons(),
            waiting=self.journal.waiting,
            buddy_up=self.link.up,
            loop_lag_s=self.lag.p99_s,
        )


async def _kept_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """A loop that breaks is a defect to be logged, not a reason to drop every call."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("a loop failed and is started again", extra={"loop": name})
        else:
            return
        await asyncio.sleep(RESTART_AFTER_S)


def fit(found: Settings) -> Settings:
    """What of settings that read well can be used in a call; SettingsError when a call could not be held with them."""
    tools.prove(found)
    return providing.fit(found)


async def serve(directory: Path, ports: Ports) -> None:
    pod, uid = os.environ.get("POD_NAME", ""), os.environ.get("POD_UID", "")
    bridge = Bridge(lambda: settings.load(directory, pod=pod, pod_uid=uid), ports=ports, fit=fit)
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, bridge.stop)
    await bridge.run()


def ports_of(listen: str) -> Ports:
    """HOLDFAST_LISTEN, for runs outside a pod: `address:control port:audio port`, 0 for any free one."""
    if not listen:
        return Ports()
    host, *ports = listen.rsplit(":", 2)
    if not host or len(ports) != 2 or not all(port.isascii() and port.isdecimal() for port in ports):
        raise SettingsError("HOLDFAST_LISTEN has to be address:control:audio, as 127.0.0.1:8080:8081")
    control, audio = (int(port) for port in ports)
    if max(control, audio) > MAX_PORT:
        raise SettingsError(f"HOLDFAST_LISTEN has a port over {MAX_PORT}")
    return Ports(host=host, control=control, audio=audio)


def main() -> int:
    """0 after a drain; 2 when the mounted files cannot be meant."""
    telemetry.log_to_stderr()
    try:
        directory = Path(os.environ.get("HOLDFAST_DIRECTORY", settings.DIRECTORY))
        uvloop.run(serve(directory, ports_of(os.environ.get("HOLDFAST_LISTEN", ""))))
    except SettingsError as error:
        log.error("cannot start", extra={"problem": str(error)})  # noqa: TRY400  the words are the whole story
        return 2
    return 0
