"""What this region knows of the speech providers that its agents use: breakers, orders, and who tries what.

Everything that pods count comes in here, and outcomes of the fleet's own keys; orders and trials go out with
directives. One event loop owns it. When a breaker opens, what to try and when to ask is decided in `holdfast.core`.

Breakers are kept for each zone, by its own rule, and hear of every call in this region: two zones that use one
provider learn of it together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from holdfast.core import providers, reports, results, trials
from holdfast.core.means import CanaryKey
from holdfast.core.providers import AttemptLine, Attempts, Breaker, Failure, Order
from holdfast.core.readiness import Providers
from holdfast.core.reports import Report
from holdfast.core.results import Outcome, Tally
from holdfast.core.values import AgentRef, Verdict, Zone
from holdfast.desired import AgentEntry, Desired

log = logging.getLogger(__name__)

TICK_S = 1.0
DROP_EVERY = 30
POLLS_WITHIN_S = 12.0
PROBE_WITHIN_S = 3.0

Probe = Callable[[CanaryKey], Awaitable[tuple[Outcome, str]]]
"""One call with a key of the fleet's: its outcome, and a word for people when it failed."""


@dataclass(slots=True)
class _Pod:
    """The last report of one pod."""

    report: Report[Failure]
    heard_at: float
    draining: bool = False


@dataclass(slots=True)
class _Pair:
    """One key at one provider: when it was last heard of by anybody here, and last put on trial."""

    heard_at: float
    asked_at: float
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """A pod is asked to try a part of an attempt of its agent, once."""

    attempt: str
    number: int
    silent: bool
    granted_at: float


@dataclass(frozen=True, slots=True)
class Ailing:
    """A provider that a zone finds ill here, and since when."""

    verdict: Verdict
    held_s: float
    detail: str


class FleetProviders:
    """Breakers, orders and trials of one region. `on_change`: an order may read differently, or a trial is granted."""

    def __init__(
        self,
        *,
        region: str,
        desired: Desired,
        probe: Probe,
        clock: Callable[[], float],
        on_change: Callable[[], None],
    ) -> None:
        self._region = region
        self._desired = desired
        self._probe = probe
        self._clock = clock
        self._on_change = on_change
        self._breakers: dict[str, dict[str, Breaker]] = {}
        self._pods: dict[AgentRef, dict[str, _Pod]] = {}
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._granted: dict[tuple[AgentRef, str], Trial] = {}
        self._numbers = 0
        self._attempts: dict[AgentRef, tuple[AgentEntry, Zone, Attempts]] = {}
        self._shared: set[str] = set()  # the names of providers, as against those of keys and attempts
        self._ticks = 0

    def begin(self) -> None:
        """This pod became its region's active one: what it knew before is history."""
        for table in (self._breakers, self._pods, self._pairs, self._granted):
            table.clear()

    # What pods say.

    def hear(self, agent: AgentRef, pod: str, report: Report[Failure], *, draining: bool) -> None:
        """One report. What is new in it counts for everybody who uses the same provider here."""
        pods = self._pods.setdefault(agent, {})
        known = pods.get(pod)
        pods[pod] = _Pod(report, self._clock(), draining)
        attempts = self.attempts(agent)
        for part in attempts.parts if attempts else ():
            tally = report.tallies.get(part.name)
            if tally is None:
                continue
            found = reports.news(None if known is None else known.report, report, part.name)
            self._note(part, tally, found)
            if found and (trial := self._granted.get((agent, pod))) and trial.attempt == part.name:
                self._pair(part).failed = found[-1].failure is not None
                del self._granted[agent, pod]
            for outcome in found:
                self._fold(part, outcome)

    def forget(self, agent: AgentRef, pod: str) -> None:
        """A pod fell silent; what it told before stays true."""
        self._pods.get(agent, {}).pop(pod, None)
        self._granted.pop((agent, pod), None)

    def _note(self, part: AttemptLine, tally: Tally, found: tuple[Outcome, ...]) -> None:
        """A call that speaks counts as heard, though it is no outcome."""
        pair, now = self._pair(part), self._clock()
        heard_at = now if found else now - tally.ok_ago_s if tally.ok_ago_s is not None else pair.heard_at
        if heard_at > pair.heard_at:
            pair.heard_at, pair.failed = heard_at, False

    def _pair(self, part: AttemptLine) -> _Pair:
        return self._pairs.setdefault((part.provider, part.key), _Pair(self._clock(), self._clock()))

    def _fold(self, part: AttemptLine, outcome: Outcome) -> None:
        now, moved = self._clock(), set[str]()
        self._shared.add(part.provider)
        for zone in self._zones():
            table = self._breakers.setdefault(zone.name, {})
            changed = results.fold(table, part, outcome, now=now, rule=results.rule(zone.provider))
            moved |= {name for name, each in changed.items() if each.closed is not _of(table, name).closed}
            table.update(changed)
        if moved:
            kind = outcome.failure.value if outcome.failure else "well"
            log.warning("breakers moved", extra={"breakers": sorted(moved), "by": kind})
            self._on_change()

    # What pods are told.

    def attempts(self, agent: AgentRef) -> Attempts | None:
        """An agent's list in this region; None of one that is not followed."""
        entry = self._desired.agents.get(agent)
        zone = self._desired.zone_of(agent)
        if entry is None or zone is None:
            self._attempts.pop(agent, None)
            return None
        kept = self._attempts.get(agent)
        if kept is None or kept[0] is not entry or kept[1] is not zone:
            kept = self._attempts[agent] = (entry, zone, results.attempts(agent, entry.spec, zone))
        return kept[2]

    def order(self, agent: AgentRef) -> Order | None:
        """What an agent's pods here should try, and why when that is not as its spec has it."""
        attempts = self.attempts(agent)
        if attempts is None:
            return None
        sick = providers.ill(self._breakers.get(self._desired.agents[agent].zone, {}))
        return providers.order(attempts, sick, region=self._region)

    def lists(self, zone: str) -> Providers:
        """Every agent's list in a zone, and which providers and keys are ill here."""
        agents = {
            entry.ref: attempts
            for entry in self._desired.agents_of(zone)
            if (attempts := self.attempts(entry.ref)) is not None
        }
        return Providers(agents, {self._region: providers.ill(self._breakers.get(zone, {}))})

    def to_try(self, agent: AgentRef, pod: str) -> tuple[Trial, ...]:
        """What this very pod is asked to try."""
        trial = self._granted.get((agent, pod))
        return (trial,) if trial is not None else ()

    # What peers are told.

    def ailing(self) -> Mapping[str, Ailing]:
        """The providers that are not well here. One that a zone of ours finds well by its own rule is not ill."""
        now, found = self._clock(), dict[str, Ailing]()
        tables = [self._breakers.get(zone.name, {}) for zone in self._zones()]
        names = self._shared & {name for table in tables for name in table}
        for name in sorted(names):
            told = [_of(table, name) for table in tables]
            if all(not breaker.closed for breaker in told):
                first = min(told, key=lambda breaker: breaker.opened_at)
                detail = first.failure.value if first.failure else ""
                found[name] = Ailing(first.verdict, now - first.opened_at, detail)
        return found

    def ill(self) -> frozenset[str]:
        """Those of them that are down: not what lies with a key, or asks us to wait."""
        return frozenset(name for name, each in self.ailing().items() if each.verdict is Verdict.DOWN)

    # The second hand: who tries what.

    async def run(self) -> None:
        """Until cancelled."""
        self.begin()
        async with asyncio.TaskGroup() as probes:
            while True:
                for key in self.tick():
                    probes.create_task(self._try(key))
                await asyncio.sleep(TICK_S)

    def tick(self) -> tuple[CanaryKey, ...]:
        """Grant the trials that are due, drop what nobody uses any more; returns the fleet's keys to be tried now."""
        self._ticks += 1
        if self._ticks % DROP_EVERY == 0:
            self._drop_the_unused()
        now = self._clock()
        lapsed = [key for key, trial in self._granted.items() if now - trial.granted_at >= providers.TRIAL_S]
        for key in lapsed:
            del self._granted[key]
        granted = False
        for agent, attempts in self._all():
            for part in [part for line in attempts.permitted(self._region) for part in line.parts]:
                granted = self._grant(agent, part) or granted
        if granted or lapsed:
            self._on_change()
        return tuple(key for name, key in self._canaries().items() if self._canary_due(name, key))

    def _grant(self, agent: AgentRef, part: AttemptLine) -> bool:
        zone = self._desired.agents[agent].zone
        breakers, pair, now = self._breakers.setdefault(zone, {}), self._pair(part), self._clock()
        why = trials.due(part, self._heard(pair), breakers, now=now, by_fleet=self._by_fleet(zone))
        if why is None or (pod := self._pod_for(agent)) is None:
            return False
        self._numbers += 1
        breakers.update(trials.tried(part, breakers, now=now))
        self._granted[agent, pod] = Trial(part.name, self._numbers, why is trials.Why.SILENT, now)
        pair.asked_at, pair.failed = now, False
        return True

    def _heard(self, pair: _Pair) -> trials.Heard:
        now = self._clock()
        return trials.Heard(now - pair.heard_at, now - pair.asked_at, pair.failed)

    def _pod_for(self, agent: AgentRef) -> str | None:
        """A pod that is listening and not busy with another trial; each in its turn."""
        now = self._clock()
        free = [
            name
            for name, pod in sorted(self._pods.get(agent, {}).items())
            if not pod.draining and now - pod.heard_at <= POLLS_WITHIN_S and (agent, name) not in self._granted
        ]
        return free[self._numbers % len(free)] if free else None

    def _drop_the_unused(self) -> None:
        """What an edit, or the end of an agent, left behind."""
        parts = [part for _, attempts in self._all() for part in attempts.parts]
        parts += [_canary_line(key) for key in self._canaries().values()]
        used = {name for part in parts for name in part.breakers}
        pairs = {(part.provider, part.key) for part in parts}
        for zone in list(self._breakers):
            self._breakers[zone] = {name: each for name, each in self._breakers[zone].items() if name in used}
        self._pairs = {pair: each for pair, each in self._pairs.items() if pair in pairs}
        self._shared &= used
        for table in (self._attempts, self._pods):
            for agent in table.keys() - self._desired.agents.keys():
                table.pop(agent)

    def _all(self) -> Iterator[tuple[AgentRef, Attempts]]:
        for agent in list(self._desired.agents):
            if (attempts := self.attempts(agent)) is not None:
                yield agent, attempts

    def _zones(self) -> list[Zone]:
        return [zone for _, zone in sorted(self._desired.zones.items()) if self._region in zone.members]

    # The fleet's own keys.

    def _canaries(self) -> dict[str, CanaryKey]:
        """At most one for each provider; of two zones that name one the first by name."""
        found: dict[str, CanaryKey] = {}
        for zone in self._zones():
            for key in zone.canary_keys:
                found.setdefault(results.provider_name(key.base_url, key.model), key)
        return found

    def _by_fleet(self, zone: str) -> frozenset[str]:
        """The providers whose own key of the fleet is good."""
        breakers = self._breakers.get(zone, {})
        lines = [_canary_line(key) for key in self._canaries().values()]
        good = (line for line in lines if all(_of(breakers, name).closed for name in line.breakers[1:]))
        return frozenset(line.provider for line in good)

    def _canary_due(self, name: str, key: CanaryKey) -> bool:
        line, now = _canary_line(key), self._clock()
        lately = [pair.heard_at for (provider, _), pair in self._pairs.items() if provider == name]
        pair = self._pair(line)
        heard = replace(self._heard(pair), heard_ago_s=now - max([pair.heard_at, *lately]))
        due = False
        for zone in self._zones():
            breakers = self._breakers.setdefault(zone.name, {})
            if trials.due(line, heard, breakers, now=now, silence_s=key.interval_s):
                breakers.update(trials.tried(line, breakers, now=now))
                due = True
        if due:
            pair.asked_at, pair.failed = now, False
        return due

    async def _try(self, key: CanaryKey) -> None:
        try:
            async with asyncio.timeout(PROBE_WITHIN_S):
                outcome, word = await self._probe(key)
        except TimeoutError:
            outcome, word = Outcome(Failure.TIMEOUT), "timeout"
        except Exception:
            # An error that nobody thought of says nothing of the provider.
            log.exception("fleet key not tried", extra={"key": key.name})
            return
        log.info("fleet key tried", extra={"key": key.name, "error": word})
        line = _canary_line(key)
        pair = self._pair(line)
        pair.heard_at, pair.failed = self._clock(), outcome.failure is not None
        self._fold(line, outcome)


def _of(table: Mapping[str, Breaker], name: str) -> Breaker:
    return table.get(name, results.UNHEARD)


def _canary_line(key: CanaryKey) -> AttemptLine:
    return AttemptLine(
        name=key.name,
        provider=results.provider_name(key.base_url, key.model),
        key=f"canary key {key.name}",
        own=f"canary {key.name} model {key.model}",
    )
