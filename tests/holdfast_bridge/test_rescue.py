"""Rescuing the calls of a lost region: each once, whoever else is at it, and none that is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from control_builders import CALL, record
from control_parts import Region, until
from control_redis import PATIENT_S, redis_server
from journal_shared import SharedStore

from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.rescue import Answer, Said
from holdfast_bridge.errors import StoreError
from holdfast_bridge.journal_store import MemoryStore, Taken, connect
from holdfast_bridge.rescue import Rescue
from holdfast_gameday.world.ports import free_ports


@dataclass
class Carrier:
    """Answers pushes as it is told, and at last takes them."""

    answers: list[Said] = field(default_factory=list)
    pushed: list[tuple[str, str]] = field(default_factory=list)
    during: Callable[[], None] = lambda: None
    broken: bool = False

    async def push(self, call: str, url: str) -> Answer:
        self.pushed.append((call, url))
        self.during()
        if self.broken:
            raise RuntimeError("a defect")
        return Answer(self.answers.pop(0) if self.answers else Said.MOVED)


@dataclass
class Pod:
    """One pod of the buddy: its memory and its rescue on a clock set by hand."""

    region: Region
    carrier: Carrier
    now: float = 0.0
    memory: MemoryStore = field(init=False)
    rescue: Rescue = field(init=False)

    def __post_init__(self) -> None:
        self.memory = MemoryStore(clock=lambda: self.now)
        self.rescue = Rescue(
            settings=lambda: self.region.settings,
            directive=self.region.directives,
            memory=self.memory,
            redis=self.region.redis,
            carrier=self.carrier,
            metrics=self.region.metrics,
            clock=lambda: self.now,
        )

    def keeps(self, *records: CallRecord) -> None:
        for each in records:
            self.memory.put(each)

    async def looks(self, at: float) -> int:
        self.now = at
        async with asyncio.TaskGroup() as group:
            return self.rescue.look(group)


class LosesItsFirstAnswer(SharedStore):
    """The pod gives up waiting for the answer to `first` when it has been carried out."""

    lost = False

    async def first(self, purpose: str, call: str, *, by: str, life_s: int) -> bool:
        done = await super().first(purpose, call, by=by, life_s=life_s)
        if self.lost:
            return done
        self.lost = True
        raise StoreError("redis failed (TimeoutError)")


def hosts() -> dict[str, str]:
    fra, ams = free_ports(2)
    return {"fra": f"127.0.0.1:{fra}", "ams": f"127.0.0.1:{ams}"}


def pod(carrier: Carrier | None = None, *, redis_url: str = "", kind: str | None = None) -> Pod:
    changes = {"carrier": {"name": "c", "kind": kind}} if kind else {}
    region = Region("ams", hosts(), redis_url=redis_url, **changes)
    region.told(lost=("fra",))
    return Pod(region, carrier or Carrier())


@asynccontextmanager
async def pods(count: int, carrier: Carrier) -> AsyncIterator[list[Pod]]:
    """Pods of one region, with one Redis between them."""
    async with redis_server() as server:
        found = [pod(carrier, redis_url=server.url) for _ in range(count)]
        yield found
        for each in found:
            assert each.region.redis is not None
            await each.region.redis.aclose()


async def test_a_call_is_fetched_here_once_it_has_been_still_for_three_seconds() -> None:
    ams = pod()
    ams.keeps(record())
    assert await ams.looks(2.9) == 0
    assert await ams.looks(3.0) == 1
    ((call, url),) = ams.carrier.pushed
    assert (call, url.partition("?")[0]) == (CALL, f"https://{ams.region.hosts['ams']}/a/clinic/front-desk/next")
    assert await ams.looks(60.0) == 0, "a call is pushed once"


async def test_nothing_is_pushed_while_no_region_is_lost_or_for_the_canary() -> None:
    ams, canary = pod(), pod(kind="canary")
    ams.region.told(lost=())
    for each in (ams, canary):
        each.keeps(record())
        assert await each.looks(5.0) == 0


async def test_a_lost_region_is_heard_of_within_a_look_and_its_calls_are_begun_by_the_loop() -> None:
    ams = pod()
    ams.keeps(record(), record(call="CA2"))
    ams.now = 5.0
    task = asyncio.create_task(ams.rescue.run())
    await until(lambda: len(ams.carrier.pushed) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_lost_answer_is_asked_again_unless_the_call_has_moved_meanwhile() -> None:
    """A time-out is an unknown outcome: the carrier may have asked `next` already, and a push would cut the call."""
    moved, unmoved = pod(Carrier([Said.UNKNOWN])), pod(Carrier([Said.UNKNOWN]))
    for each in (moved, unmoved):
        each.keeps(record())
        await each.looks(3.0)
    moved.keeps(record(epoch=2, region="ams", pod=""))
    for each in (moved, unmoved):
        await each.looks(6.0)
    assert (len(moved.carrier.pushed), len(unmoved.carrier.pushed)) == (1, 2)


async def test_a_caller_that_hung_up_stays_hung_up() -> None:
    ams = pod(Carrier([Said.OVER]))
    ams.keeps(record())
    await ams.looks(3.0)
    assert await ams.looks(600.0) == 0
    kept = ams.memory.get(CALL)
    assert kept is not None
    assert kept.epoch == 1, "nobody took it up"


@pytest.mark.parametrize("seq", [1, 9])
async def test_a_recorded_clean_end_is_never_pushed_wherever_it_is_recorded(seq: int) -> None:
    async with pods(1, Carrier()) as (ams,):
        assert ams.region.redis is not None
        await ams.region.redis.put_many([record(seq=seq, state="ended")])
        ams.keeps(record(call="CA2", state="ended"), record())
        await ams.looks(5.0)
        await ams.looks(60.0)
        assert ams.carrier.pushed == []


async def test_two_pods_that_keep_one_journal_push_its_call_once() -> None:
    async with pods(2, Carrier()) as both:
        for each in both:
            each.keeps(record())
        await asyncio.gather(*(each.looks(5.0) for each in both))
        assert len(both[0].carrier.pushed) == 1


async def test_a_call_whose_pusher_died_is_pushed_by_the_other_pod_after_its_lock() -> None:
    """Regression: the other pod used to give the call up for good the moment it was not the first."""
    async with pods(2, Carrier()) as (dead, alive):
        assert dead.region.redis is not None
        assert await dead.region.redis.first("rescue:1", CALL, by="dead", life_s=30)
        alive.keeps(record())
        await alive.looks(5.0)
        await alive.looks(34.9)
        assert alive.carrier.pushed == []
        await dead.region.redis._client.delete(f"hf:clinic/front-desk:{CALL}:rescue:1")  # its life is over
        await alive.looks(35.0)
        assert len(alive.carrier.pushed) == 1


async def test_a_lock_whose_answer_was_lost_is_known_as_our_own_when_it_is_asked_for_again() -> None:
    """Regression: its own lock looked to the pod like another's, and the caller heard nothing for 30 s."""
    region = Region("ams", hosts())
    region.told(lost=("fra",))
    region.redis = LosesItsFirstAnswer()
    ams = Pod(region, Carrier())
    ams.keeps(record())
    await ams.looks(5.0)
    assert ams.carrier.pushed == []
    await ams.looks(6.0)
    assert len(ams.carrier.pushed) == 1


async def test_a_call_that_another_pod_of_the_region_took_over_is_left_alone() -> None:
    """Its new owner would take the push for the caller hanging up, and the call would be lost."""
    async with pods(1, Carrier()) as (ams,):
        assert ams.region.redis is not None
        ams.keeps(record())
        await ams.region.redis.put_many([record(epoch=2, region="ams", pod="ams-other")])
        await ams.looks(5.0)
        assert ams.carrier.pushed == []
        assert await ams.looks(60.0) == 0


async def test_a_call_that_moved_a_moment_ago_is_pushed_when_it_falls_still_again() -> None:
    """Regression: a newer account by the same owner used to settle the call as if somebody had taken it."""
    async with pods(1, Carrier()) as (ams,):
        assert ams.region.redis is not None
        ams.keeps(record(seq=1))
        await ams.region.redis.put_many([record(seq=2)])
        await ams.looks(5.0)
        assert ams.carrier.pushed == []
        await ams.looks(7.9)
        assert ams.carrier.pushed == []
        await ams.looks(8.0)
        assert len(ams.carrier.pushed) == 1


async def test_without_redis_the_pod_that_keeps_the_journal_goes_on_alone() -> None:
    async with pods(1, Carrier()) as (ams,):
        assert ams.region.redis is not None
        ams.region.redis._resting_until = 1e12
        ams.keeps(record())
        await ams.looks(5.0)
        assert ams.carrier.pushed == [], "the store may only be slow, and another pod at the call"
        await ams.looks(6.0)
        await ams.looks(7.0)
        assert len(ams.carrier.pushed) == 1


async def test_one_calls_defect_does_not_end_the_rescue_of_the_others() -> None:
    ams = pod(Carrier(broken=True))
    ams.keeps(record(call="CA1"), record(call="CA2"))
    await ams.looks(5.0)
    assert len(ams.carrier.pushed) == 2
    ams.carrier.broken = False
    await ams.looks(8.0)
    assert len(ams.carrier.pushed) == 4


async def test_no_more_are_under_way_than_the_window_holds_and_a_busy_carrier_halves_it() -> None:
    carrier = Carrier([Said.BUSY] * 10)
    ams = pod(carrier)
    ams.keeps(*(record(call=f"CA{number}") for number in range(30)))
    assert await ams.looks(5.0) == 10
    assert await ams.looks(5.1) == 0
    assert await ams.looks(6.0) == 5


@pytest.mark.parametrize("kind", ["redis", "shared"])
async def test_the_store_of_the_simulated_region_promises_what_redis_does(kind: str) -> None:
    async with redis_server() as server:
        redis = connect(server.url, agent="clinic/front-desk", deadline_s=PATIENT_S)
        store = redis if kind == "redis" else SharedStore()
        assert await store.get(CALL) is None
        assert await store.put_many([record(seq=5), record(call="CA2")]) == [1, 1]
        assert await store.put_many([record(seq=4)]) == [1]
        assert await store.get(CALL) == record(seq=5)
        assert await store.take(record(epoch=1), hop=0, twiml="<a/>") == Taken(won=False)
        assert await store.take(record(epoch=2), hop=0, twiml="<a/>") == Taken(won=True)
        assert await store.take(record(epoch=2), hop=0, twiml="<b/>") == Taken(won=False, said="<a/>")
        assert await store.take(record(epoch=2), hop=1, twiml="<b/>") == Taken(won=False)
        assert (await store.said(CALL, 0, 2), await store.said(CALL, 1, 2)) == ("<a/>", "")
        assert await store.put_many([record(epoch=1, seq=99)]) == [2]
        first = [await store.first("rescue:1", CALL, by=pod, life_s=30) for pod in ("one", "other", "one")]
        assert first == [True, False, True]
        assert await store.first("rescue:2", CALL, by="other", life_s=30)
        await redis.aclose()
