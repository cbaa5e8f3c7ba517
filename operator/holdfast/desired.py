"""What this operator knows of its own cluster, as values. Handlers write it; fleet, bridge and copy loops read it.

It lives in memory only, starts empty and is filled again by the watches after each start. It refuses to know
Kubernetes: no manifests, no clients. One event loop owns it, so a change is complete between two awaits. Readers keep
the revision they last saw and wait past it; nothing is queued, so a slow reader merely skips states that are history.

Conditions are a list map with several writers: each applies only its own, by server-side apply on the status
subresource under its own field manager (`handlers` uses `holdfast-handlers`), and so never takes another's away.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from holdfast.core.agents import AgentSpec
from holdfast.core.capacity import AgentLoad, PodLoad
from holdfast.core.values import AgentRef, Reason, Region, Zone
from holdfast.shifts import Orders

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """One VoiceAgent of this cluster. `spec` is the last good one: a refused edit leaves what runs as it is."""

    ref: AgentRef
    uid: str
    generation: int  # of the spec held here, not of a refused edit
    zone: str
    spec: AgentSpec
    problems: tuple[Reason, ...] = ()  # why the newest edit is not what runs

    @property
    def accepted(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class PodReport:
    """What one bridge pod said in its last poll, as far as conditions need it."""

    ready: bool
    draining: bool = False
    missing_keys: tuple[str, ...] = ()  # "Secret clinic/openai key api-key"
    buddy_link_up: bool = True
    problems: tuple[str, ...] = ()  # what of its mounted files it does not follow, a sentence each
    holds: str = field(default="", repr=False)  # proof of the Secret that it mounts; empty: it cannot read it


@dataclass(slots=True)
class Desired:
    """`regions`, `zones` and `agents` hold only objects that parse; what was refused is in its own status."""

    regions: dict[str, Region] = field(default_factory=dict)
    orders: dict[str, Orders] = field(default_factory=dict)  # by region; only of regions of which any are given
    orders_known: bool = False  # every Region was looked at since the start: an order that is not here was taken back
    zones: dict[str, Zone] = field(default_factory=dict)
    agents: dict[AgentRef, AgentEntry] = field(default_factory=dict)
    # Zones of agents that are refused and of which no good version is known here: pods of one may run on all the same.
    refused: dict[AgentRef, str] = field(default_factory=dict)
    reports: dict[AgentRef, dict[str, PodReport]] = field(default_factory=dict)  # by pod name; the poll server's
    # By pod name. Calls come and go all the time, so they announce nothing: whoever scales by them looks now and then.
    loads: dict[AgentRef, dict[str, PodLoad]] = field(default_factory=dict)
    loads_moved: set[AgentRef] = field(default_factory=set)  # emptied by whoever scales
    revision: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def put_region(self, region: Region) -> None:
        self._put(self.regions, region.name, region)

    def put_orders(self, region: str, orders: Orders) -> None:
        """What people order of a region for a time; none at all ends what was ordered before."""
        if orders == Orders():
            self._drop(self.orders, region)
        else:
            self._put(self.orders, region, orders)

    def know_orders(self) -> None:
        """All Regions have been listed once."""
        if not self.orders_known:
            self.orders_known = True
            self._announce()

    def put_zone(self, zone: Zone) -> None:
        self._put(self.zones, zone.name, zone)

    def put_agent(self, entry: AgentEntry) -> None:
        self._drop(self.refused, entry.ref)
        self._put(self.agents, entry.ref, entry)

    def put_refused(self, ref: AgentRef, zone: str) -> None:
        """An agent that is not followed. Its zone can be trusted, because it never changes in an agent's life."""
        self._drop(self.agents, ref)
        self._put(self.refused, ref, zone)

    def drop_region(self, name: str) -> None:
        self._drop(self.orders, name)
        self._drop(self.regions, name)

    def drop_zone(self, name: str) -> None:
        self._drop(self.zones, name)

    def drop_agent(self, ref: AgentRef) -> None:
        self.reports.pop(ref, None)
        self.loads.pop(ref, None)
        self._drop(self.refused, ref)
        self._drop(self.agents, ref)

    def report(self, ref: AgentRef, pod: str, said: PodReport) -> None:
        """Called by the poll server at each poll; only a difference wakes anybody."""
        self._put(self.reports.setdefault(ref, {}), pod, said)

    def note_load(self, ref: AgentRef, pod: str, load: PodLoad) -> None:
        """Called by the poll server at each poll."""
        pods = self.loads.setdefault(ref, {})
        before = pods.get(pod)
        pods[pod] = load.after(before)
        if before is None or not before.same(load):
            self.loads_moved.add(ref)

    def load_of(self, ref: AgentRef) -> AgentLoad:
        """The calls and the readiness of each pod of an agent here that polls."""
        return AgentLoad(dict(self.loads.get(ref, {})))

    def forget_pod(self, ref: AgentRef, pod: str) -> None:
        if self.loads.get(ref, {}).pop(pod, None) is not None:
            self.loads_moved.add(ref)
        self._drop(self.reports.get(ref, {}), pod)

    def missing_keys(self, ref: AgentRef) -> tuple[str, ...]:
        return self._of_all_pods(ref, lambda said: said.missing_keys)

    def problems(self, ref: AgentRef) -> tuple[str, ...]:
        """What pods of the agent here do not follow of the files that they mount."""
        return self._of_all_pods(ref, lambda said: said.problems)

    def _of_all_pods(self, ref: AgentRef, told: Callable[[PodReport], Iterable[str]]) -> tuple[str, ...]:
        return tuple(sorted({each for said in self.reports.get(ref, {}).values() for each in told(said)}))

    def all_hold(self, ref: AgentRef, proof: str) -> bool:
        """Whether pods of the agent poll here and each of them shows this proof of the Secret that it mounts."""
        return {said.holds for said in self.reports.get(ref, {}).values()} == {proof}

    def zone_of(self, ref: AgentRef) -> Zone | None:
        """The zone that pods of this agent belong to, whether or not its newest edit is followed."""
        entry = self.agents.get(ref)
        return self.zones.get(entry.zone if entry else self.refused.get(ref, ""))

    def agents_of(self, zone: str) -> tuple[AgentEntry, ...]:
        return tuple(entry for _, entry in sorted(self.agents.items()) if entry.zone == zone)

    async def wait_past(self, revision: int) -> int:
        """Returns the current revision as soon as it is not the one given; the caller sets the deadline."""
        while self.revision == revision:
            await self._moved.wait()
        return self.revision

    def _put(self, table: dict[Key, Value], key: Key, value: Value) -> None:
        if table.get(key) != value:
            table[key] = value
            self._announce()

    def _drop(self, table: dict[Key, Value], key: Key) -> None:
        if table.pop(key, None) is not None:
            self._announce()

    def _announce(self) -> None:
        self.revision += 1
        self._moved.set()
        self._moved = asyncio.Event()

