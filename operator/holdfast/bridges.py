"""The long poll between this region's bridge pods and its operator: calls and results come up, directives go down.

A poll is answered at once when what the pod should know differs from what it says it knows, else after ten seconds. The
pod proves with its token that it serves the agent it names. What a directive says is composed elsewhere; this module
adds how many siblings the pod has and numbers it, so it refuses to know about regions and leaders.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

from aiohttp import web

from holdfast.core.capacity import LATE_S, PodLoad
from holdfast.core.carriers import CarrierFailure
from holdfast.core.latency import Times
from holdfast.core.place import operator_token
from holdfast.core.providers import Failure
from holdfast.core.reports import Failed, Report, Tally
from holdfast.core.tools import ToolFailure
from holdfast.core.values import AgentRef
from holdfast.desired import Desired, PodReport
from holdfast.errors import FleetError
from holdfast.fleet_providers import Trial
from holdfast.gather.entry_probe import CANARY
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

HOLD_S = 10.0
FORGET_AFTER_S = 25.0
MAX_POLL_BYTES = 1 << 20
SHUTDOWN_S = 0.2  # held polls are better asked again at the next active pod
MAX_KEYS = 50
FULL_AT = 0.9  # of its calls, a pod asks for no more and calls itself not ready

MAX_TALLIES = 64
MAX_NAME = 253
MAX_COUNT = 10**12
NEVER_AGO_S = 1e9

Kind = TypeVar("Kind", bound=Enum)
Directive = Mapping[str, Any]
Keys = Callable[[AgentRef], Awaitable[Sequence[bytes]]]


class Bell:
    """Rung when a directive may read differently. Waiters remember what they last heard, so no ring is lost."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake everybody who waits now."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self) -> None:
        """Until the next ring."""
        await self._rung.wait()


class ProviderDesk(Protocol):
    """Whoever makes something of what pods count of their providers, and says what they should try."""

    def hear(self, agent: AgentRef, pod: str, report: Report[Failure], *, draining: bool) -> None: ...

    def to_try(self, agent: AgentRef, pod: str) -> Sequence[Trial]: ...

    def forget(self, agent: AgentRef, pod: str) -> None: ...


class Desk(Protocol[Kind]):
    """Whoever makes something of what pods count of their tools' webhooks, or of their requests to carriers."""

    def hear(self, agent: AgentRef, pod: str, report: Report[Kind]) -> None: ...

    def forget(self, agent: AgentRef, pod: str) -> None: ...


class LatencyDesk(Protocol):
    """Whoever makes something of how long things take in pods' calls."""

    def hear(self, agent: AgentRef, pod: str, told: Mapping[str, Times]) -> None: ...

    def forget(self, agent: AgentRef, pod: str) -> None: ...


@dataclass(slots=True)
class _Pod:
    """The last thing one pod said, and when."""

    agent: AgentRef
    calls: int
    ready: bool
    draining: bool
    heard_at: float

    @property
    def takes_calls(self) -> bool:
        """Whether calls may be handed to it."""
        return self.ready and not self.draining


class Bridges:
    """What this region's pods said, and the answers they get."""

    def __init__(
        self,
        *,
        desired: Desired,
        compose: Callable[[AgentRef], Directive],
        providers: ProviderDesk,
        tools: Desk[ToolFailure],
        carriers: Desk[CarrierFailure],
        latency: LatencyDesk,
        keys: Keys,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._desired = desired
        self._compose = compose
        self._providers = providers
        self._tools = tools
        self._carriers = carriers
        self._latency = latency
        self._keys = keys
        self._clock = clock
        self._metrics = metrics
        self._pods: dict[tuple[AgentRef, str], _Pod] = {}
        # Counted as it changes: a ring asks for it once for every pod, and there may be thousands.
        self._taking: Counter[AgentRef] = Counter()
        # A version only has to differ from what an earlier operator gave out, and to grow: start at the wall clock.
        self._next_version = int(time.time() * 1000)
        self._versions: dict[tuple[AgentRef, str], tuple[int, str]] = {}
        self.bell = Bell()

    def active_calls(self) -> int:
        """Calls which all pods of this region hold."""
        return sum(pod.calls for pod in self._tenants())

    def calls_by_pod(self) -> dict[AgentRef, dict[str, int]]:
        """What each pod of each agent holds here."""
        found: dict[AgentRef, dict[str, int]] = {}
        for (agent, name), pod in self._pods.items():
            found.setdefault(agent, {})[name] = pod.calls
        return found

    def calls_of(self, agent: AgentRef) -> int:
        """Calls which the pods of one agent hold here."""
        return sum(pod.calls for (of, _), pod in self._pods.items() if of == agent)

    def ready_pods(self) -> int:
        """Pods that take calls."""
        return sum(pod.ready for pod in self._tenants())

    def room(self) -> int:
        """How many more calls the pods that take calls have room for."""
        return sum(max(0, self._per_pod(pod.agent) - pod.calls) for pod in self._tenants() if pod.takes_calls)

    def hears_anybody(self) -> bool:
        """Whether any pod reaches us, the canary's among them. If none does, what is silent may be our own port."""
        return bool(self._pods)

    def here(self, agent: AgentRef) -> tuple[int, int]:
        """An agent's pods that do their work, those that are merely full among them; and the calls of all."""
        pods = [pod for pod in self._pods.values() if pod.agent == agent]
        full = max(1, int(FULL_AT * self._per_pod(agent)))
        working = sum(pod.ready or (pod.calls >= full and not pod.draining) for pod in pods)
        return working, sum(pod.calls for pod in pods)

    def _per_pod(self, agent: AgentRef) -> int:
        entry = self._desired.agents.get(agent)
        return entry.spec.calls_per_pod if entry else 0

    def _tenants(self) -> Iterator[_Pod]:
        """All but the canary's: its calls are our own probes, and its pods are no room for anybody's calls."""
        return (pod for pod in self._pods.values() if str(pod.agent) != CANARY)

    def forget_the_silent(self) -> None:
        """Drop pods which have not polled for a while: they are gone, or cannot reach us and act on their own."""
        now = self._clock()
        for (agent, name), pod in list(self._pods.items()):
            if now - pod.heard_at > FORGET_AFTER_S:
                del self._pods[agent, name]
                self._taking[agent] -= pod.takes_calls
                self._versions.pop((agent, name), None)
                self._desired.forget_pod(agent, name)
                self._providers.forget(agent, name)
                self._tools.forget(agent, name)
                self._carriers.forget(agent, name)
                self._latency.forget(agent, name)
                self.bell.ring()
        self._metrics.active_calls.set(self.active_calls())

    async def poll(self, request: web.Request) -> web.Response:
        """POST /v1/poll."""
        try:
            said = _parsed(await request.json())
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            self._metrics.polls.labels("malformed").inc()
            return web.json_response({"error": "malformed"}, status=400)
        if not await self._proven(request, said.agent):
            self._metrics.polls.labels("unauthorized").inc()
            return web.json_response({"error": "unauthorized"}, status=401)
        self._note(said)
        self._metrics.polls.labels("ok").inc()
        return web.json_response(await self._answer(said.agent, said.pod, said.version))

    async def _proven(self, request: web.Request, agent: AgentRef) -> bool:
        offered = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        try:
            keys = await self._keys(agent)
        except FleetError:
            return False
        # Every key is compared, whatever the first comparisons said: the time taken must not tell.
        matches = [hmac.compare_digest(offered, operator_token(key, agent).encode()) for key in keys]
        return any(matches)

    def _note(self, said: _Said) -> None:
        pod = _Pod(
            agent=said.agent,
            calls=said.calls,
            ready=said.report.ready,
            draining=said.report.draining,
            heard_at=self._clock(),
        )
        before = self._pods.get((said.agent, said.pod))
        self._pods[said.agent, said.pod] = pod
        if pod.takes_calls is not (before is not None and before.takes_calls):
            self._taking[said.agent] += 1 if pod.takes_calls else -1
            self.bell.ring()
        self._desired.report(said.agent, said.pod, said.report)
        # Before the answer is composed: the poll that brings the last failure is answered with the new order.
        self._providers.hear(said.agent, said.pod, said.attempts, draining=said.report.draining)
        self._tools.hear(said.agent, said.pod, said.tools)
        self._carriers.hear(said.agent, said.pod, said.carriers)
        self._latency.hear(said.agent, said.pod, said.latencies)
        late = said.loop_lag_s >= LATE_S
        load = PodLoad(pod.calls, ready=pod.ready, draining=pod.draining, late=late, heard_at=pod.heard_at)
        self._desired.note_load(said.agent, said.pod, load)
        self._metrics.active_calls.set(self.active_calls())

    async def _answer(self, agent: AgentRef, pod: str, known: int) -> Directive:
        try:
            async with asyncio.timeout(HOLD_S):
                while True:
                    version, directive = self._current(agent, pod)
                    if version != known:
                        break
                    await self.bell.wait()
        except TimeoutError:
            version, directive = self._current(agent, pod)
        return {"version": version, **directive}

    def _current(self, agent: AgentRef, pod: str) -> tuple[int, Directive]:
        trials = [
            {"attempt": trial.attempt, "number": trial.number, "silent": trial.silent}
            for trial in self._providers.to_try(agent, pod)
        ]
        directive = {**self._compose(agent), "siblings": self._siblings(agent, pod), "trials": trials}
        text = json.dumps(directive, sort_keys=True)
        version, before = self._versions.get((agent, pod), (0, ""))
        if text != before:
            self._next_version += 1
            version = self._next_version
            self._versions[agent, pod] = (version, text)
        return version, directive

    def _siblings(self, agent: AgentRef, pod: str) -> int:
        """Other pods of the agent here to which this one may hand its calls."""
        own = self._pods.get((agent, pod))
        return self._taking[agent] - (own is not None and own.takes_calls)


@dataclass(frozen=True, slots=True)
class _Said:
    """One poll, parsed."""

    agent: AgentRef
    pod: str
    version: int
    calls: int
    loop_lag_s: float
    report: PodReport
    attempts: Report[Failure]
    tools: Report[ToolFailure]
    carriers: Report[CarrierFailure]
    latencies: Mapping[str, Times]


def _parsed(raw: Mapping[str, Any]) -> _Said:
    namespace, name = str(raw["agent"]).split("/")
    began = int(raw.get("began") or 0)
    return _Said(
        agent=AgentRef(namespace, name),
        pod=str(raw["pod"])[:MAX_NAME],
        version=int(raw.get("version") or 0),
        calls=len(raw.get("calls") or ()),
        loop_lag_s=_count(raw.get("loopLagMs")) / 1000,
        report=PodReport(
            ready=raw.get("ready") is True,
            draining=raw.get("draining") is True,
            missing_keys=_sentences(raw.get("missingKeys")),
            buddy_link_up=raw.get("buddyLink", "up") == "up",
            holds=str(raw.get("holds") or "")[:MAX_NAME],
            problems=_sentences(raw.get("problems")),
        ),
        attempts=Report(began, _tallies(raw.get("providers"), "attempt", _ATTEMPT_KINDS)),
        tools=Report(began, _tallies(raw.get("tools"), "tool", _TOOL_KINDS)),
        carriers=Report(began, _tallies(raw.get("carriers"), "carrier", _CARRIER_KINDS)),
        latencies={str(each["part"])[:MAX_NAME]: _times(each) for each in (raw.get("latencies") or ())[:MAX_TALLIES]},
    )


def _sentences(raw: Any) -> tuple[str, ...]:
    return tuple(str(each)[:500] for each in (raw or ())[:MAX_KEYS])


def _tallies(raw: Any, named: str, kinds: Mapping[str, Kind]) -> dict[str, Tally[Kind]]:
    return {str(each[named])[:MAX_NAME]: _tally(each, kinds) for each in (raw or ())[:MAX_TALLIES]}


def _tally(raw: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Tally[Kind]:
    """What a pod counted of one name. A kind of failure that we do not know counts nothing."""
    entries = raw.get("failed")
    ok_ago = raw.get("okAgo")
    return Tally(
        ok=_count(raw.get("ok")),
        ok_ago_s=None if ok_ago is None else _ago(ok_ago),
        failed={
            kinds[each["kind"]]: Failed(_count(each["count"]), _ago(each["ago"]), _ago(each.get("retryAfter") or 0))
            for each in (entries if isinstance(entries, list) else [])[: len(kinds)]
            if each["kind"] in kinds
        },
    )


_ATTEMPT_KINDS = {failure.value: failure for failure in Failure}
_TOOL_KINDS = {failure.value: failure for failure in ToolFailure}
_CARRIER_KINDS = {failure.value: failure for failure in CarrierFailure}


def _times(raw: Mapping[str, Any]) -> Times:
    budget_ms = raw.get("budgetMs")
    return Times(
        count=_count(raw.get("count")),
        over=_count(raw.get("over")),
        p95_ms=_count(raw.get("p95Ms")),
        budget_ms=None if budget_ms is None else _count(budget_ms),
    )


def _count(value: Any) -> int:
    return min(max(int(value or 0), 0), MAX_COUNT)


def _ago(value: Any) -> float:
    """Bounded, and a number whatever was written."""
    seconds = float(value)
    return min(seconds, NEVER_AGO_S) if seconds > 0 else 0.0


def poll_app(bridges: Bridges) -> web.Application:
    """The application served to pods."""
    app = web.Application(client_max_size=MAX_POLL_BYTES)
    app.router.add_post("/v1/poll", bridges.poll)
    return app


async def serve(app: web.Application, *, host: str, port: int) -> web.AppRunner:
    """Start serving; whoever calls owns the runner and cleans it up."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
