"""The region's stores: one owner epoch wins, in memory and in a real Redis, and a dead Redis blocks nobody."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from control_builders import CALL, record
from control_redis import PATIENT_S, RedisServer, redis_server
from hostile_bytes import weight

from holdfast_bridge.core import journal
from holdfast_bridge.errors import StoreError
from holdfast_bridge.journal_store import MemoryStore, RedisStore, connect


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with redis_server() as running:
        yield running


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[RedisStore]:
    store = connect(server.url, agent="clinic/front-desk", deadline_s=PATIENT_S)
    yield store
    await store.aclose()


async def test_redis_keeps_the_newest_and_names_the_epoch_that_holds(redis: RedisStore) -> None:
    assert await redis.get(CALL) is None
    assert await redis.put_many([record(epoch=1, seq=5)]) == [1]
    assert await redis.put_many([record(epoch=1, seq=4)]) == [1]
    assert (await redis.get(CALL)) == record(epoch=1, seq=5)
    assert await redis.put_many([record(epoch=2, seq=0, region="ams")]) == [2]
    assert await redis.put_many([record(epoch=1, seq=99)]) == [2]
    assert (await redis.get(CALL)) == record(epoch=2, seq=0, region="ams")


async def test_an_end_wins_over_the_same_moment_alive(redis: RedisStore) -> None:
    await redis.put_many([record(seq=5)])
    await redis.put_many([record(seq=5, state="ended")])
    await redis.put_many([record(seq=5)])
    kept = await redis.get(CALL)
    assert kept is not None
    assert kept.state == "ended"


async def test_a_large_batch_is_stored_whole(redis: RedisStore) -> None:
    records = [record(call=f"CA{n:032x}", seq=n) for n in range(250)]
    assert await redis.put_many(records) == [1] * 250
    assert await redis.get(records[249].call) == records[249]


async def test_of_racing_takers_one_wins_and_the_others_learn_what_it_said(redis: RedisStore) -> None:
    await redis.put_many([record(epoch=4)])
    raised = journal.raised(record(epoch=4), epoch=5, region="ams", now=1.0)
    taken = await asyncio.gather(*(redis.take(raised, hop=1, twiml=f"<answer {n}/>") for n in range(8)))
    winners = [n for n, outcome in enumerate(taken) if outcome.won]
    assert len(winners) == 1
    assert {outcome.said for outcome in taken if not outcome.won} == {f"<answer {winners[0]}/>"}
    assert await redis.said(CALL, 1, 5) == f"<answer {winners[0]}/>"
    assert await redis.said(CALL, 2, 5) == ""


async def test_only_one_pod_may_do_a_thing_and_its_time_begins_anew_when_it_asks_again(redis: RedisStore) -> None:
    key = f"hf:clinic/front-desk:{CALL}:rescue"
    assert await redis.first("rescue", CALL, by="one", life_s=30)
    assert not await redis.first("rescue", CALL, by="other", life_s=3_000)
    assert await redis._client.ttl(key) <= 30
    assert await redis.first("rescue", CALL, by="one", life_s=300)
    assert 30 < await redis._client.ttl(key) <= 300


async def test_spent_nonces_are_shared(redis: RedisStore) -> None:
    await redis.spend(["n1", "n2"], life_s=120)
    await redis.spend(["old"], life_s=-1)
    assert sorted(await redis.spent()) == ["n1", "n2"]


async def test_what_somebody_else_wrote_there_is_no_record(server: RedisServer, redis: RedisStore) -> None:
    await redis._client.hset(f"hf:clinic/front-desk:{CALL}", "r", b"{nonsense")
    assert await redis.get(CALL) is None


async def test_a_dead_redis_is_asked_once_and_then_left_alone(server: RedisServer) -> None:
    clock = [100.0]
    store = connect(server.url, agent="a/b", deadline_s=PATIENT_S)
    store._clock = lambda: clock[0]
    await store.put_many([record()])
    await server.kill()
    with pytest.raises(StoreError):
        await store.get(CALL)
    assert store.resting
    for _ in range(100):
        with pytest.raises(StoreError, match="resting"):
            await store.get(CALL)
    clock[0] = 101.5
    assert not store.resting
    await store.aclose()


def test_memory_keeps_the_newest_and_forgets_the_oldest() -> None:
    clock = [0.0]
    memory = MemoryStore(clock=lambda: clock[0], limit=3)
    for n in range(4):
        clock[0] = float(n)
        memory.put(record(call=f"CA{n}"))
    assert memory.get("CA0") is None
    assert memory.get("CA3") is not None
    assert memory.put(record(call="CA3", epoch=3)) == 3
    assert memory.put(record(call="CA3", epoch=2, seq=50)) == 3
    clock[0] = 25 * 3600.0
    memory.put(record(call="CA9"))
    assert memory.get("CA3") is None


def test_of_a_call_that_ended_only_the_end_is_kept() -> None:
    items = tuple(journal.Item(id=f"i{n}", role="user", text=f"words of turn {n} " * 9, final=True) for n in range(60))
    ended = record(state="ended", items=items, tools=(journal.ToolUse(id="t1", name="book", state="done", result="4"),))
    memory = MemoryStore()
    memory.put(record(seq=ended.seq - 1))
    memory.put(ended)
    assert memory.get(ended.call) == record(state="ended")
    assert memory.put(record(seq=ended.seq - 1)) == ended.epoch
    assert memory.get(ended.call) == record(state="ended")

    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(100):
            memory.put(journal.decode(journal.encode(record(call=f"CA{n}", state="ended", items=items))))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 100 < len(journal.encode(ended)) / 5


def test_calls_of_a_region_that_went_still_come_most_recent_first() -> None:
    clock = [0.0]
    memory = MemoryStore(clock=lambda: clock[0])
    memory.put(record(call="a"))
    clock[0] = 1.0
    memory.put(record(call="b"))
    memory.put(record(call="elsewhere", region="ams"))
    memory.put(record(call="over", state="ended"))
    clock[0] = 3.5
    memory.put(record(call="active"))
    clock[0] = 4.0
    assert [one.call for one in memory.still_since("fra", at_least_s=3.0)] == ["b", "a"]


def test_an_answer_is_repeated_only_for_a_while() -> None:
    clock = [0.0]
    memory = MemoryStore(clock=lambda: clock[0])
    memory.say("CA1", 1, 2, "<x/>")
    assert memory.said("CA1", 1, 2) == "<x/>"
    assert memory.said("CA1", 1, 3) == ""
    clock[0] = 10.0
    assert memory.said("CA1", 1, 2) == ""


def test_answers_that_nobody_may_be_given_any_more_are_not_kept() -> None:
    clock = [0.0]
    memory = MemoryStore(clock=lambda: clock[0])
    for number in range(1_000):
        clock[0] = float(number)
        memory.say(f"CA{number}", 1, 1, f"<answer>{number}</answer>" * 50)
        memory.say("CA", 1, 1, f"<answer>{number}</answer>")
    assert memory.said("CA", 1, 1) == "<answer>999</answer>"
    assert weight(memory) < 50_000
