"""One run: the pods and all around them are started, calls come and go while the faults are met, and what was seen is
handed back. The pod under test has a core of its own; the world has the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp
from redis.asyncio import Redis

from holdfast_gameday.bench_bridge import subjects
from holdfast_gameday.bench_bridge.climb import GENERATOR_CORE, START_WITHIN_S, SUBJECT_CORE, redis_server
from holdfast_gameday.bench_bridge.operator_stub import operator
from holdfast_gameday.bench_bridge.processes import Failed, listening, started
from holdfast_gameday.soak_calls import dice, pods, readings
from holdfast_gameday.soak_calls.book import Book
from holdfast_gameday.soak_calls.callers import Callers
from holdfast_gameday.soak_calls.dice import Fault
from holdfast_gameday.soak_calls.pods import PODS, UNDER_TEST, Place
from holdfast_gameday.soak_calls.vendors import Line, Vendor
from holdfast_gameday.soak_calls.verdict import Ends, Series
from holdfast_gameday.soak_calls.watch import Watch, open_files
from holdfast_gameday.soak_calls.webhooks import Webhooks, carrier_api

CALLS_PER_S = 20.0
ENDS_WITHIN_S = 40.0
SETTLE_S = 3.0
"""After which a pod that listens has all its tasks."""
TELL_EVERY_S = 60.0
AGENT_KEYS = "hf:bench/agent:CA*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is asked for. `quiet_s`: after the last call; what a pod still has then, it keeps."""

    folder: Path
    seconds: float
    calls: int
    seed: int
    quiet_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that is judged. `faults`: how many were met, by their words."""

    book: Book
    rss: Series
    fds: Series
    tasks: Series
    live: Series
    surplus: Sequence[str]
    looks: int
    left: dict[str, int]
    ends: Ends
    down: tuple[list[tuple[int, int]], ...]
    errors: tuple[str, ...]
    faults: dict[str, int]
    sessions: int
    late_ms: float
    """The longest that the carrier's own clock was behind."""
    refused: int


@dataclass(frozen=True, slots=True)
class _Standing:
    where: Place
    under_test: Process
    vendors: dict[str, Vendor]
    callers: Callers
    watch: Watch
    redis: tuple[Redis, ...]


async def run(course: Course, tell: Callable[[str], None]) -> Seen:
    """Failed when the ground cannot be laid."""
    faults = dice.faults(course.seed, course.seconds)
    async with _standing(course) as stands:
        idle_fds = open_files(stands.under_test.pid)
        await _calls_come_and_go(stands, course, faults, tell)
        await stands.watch.look_once()
        left = {pod: int(count) for pod, count in stands.watch.carried.items()}
        fds = Series(tuple(stands.watch.fds), idle_fds, open_files(stands.under_test.pid))
        stored = {pod: await _ended_in(redis) for pod, redis in zip(PODS, stands.redis, strict=True)}
        notes = {pod: readings.notes(_lines(stands.where.notes(pod))) for pod in PODS}
        if stands.under_test.returncode is not None:
            raise Failed(f"the bridge ended with {stands.under_test.returncode}: {stands.where.log(UNDER_TEST)}")
    watch, both = stands.watch, list(notes.values())
    return Seen(
        book=watch.book,
        rss=Series(tuple(watch.rss)),
        fds=fds,
        tasks=_tasks(notes[UNDER_TEST].tasks, watch.began),
        live=Series(tuple(watch.live)),
        surplus=watch.surplus,
        looks=watch.looks,
        left=left,
        ends=Ends(
            taken=both[0].taken + both[1].taken,
            repeated=sum(each.repeated for each in both),
            after=tuple(call for each in both for call in each.after),
            stored=stored,
        ),
        down=tuple(vendor.down for vendor in stands.vendors.values()),
        errors=tuple(line for pod in PODS for line in readings.errors(_lines(stands.where.log(pod)))),
        faults=_counted(faults),
        sessions=sum(vendor.sessions for vendor in stands.vendors.values()),
        late_ms=stands.callers.clock.late_ms,
        refused=sum(vendor.refused for vendor in stands.vendors.values()),
    )


async def _calls_come_and_go(
    stands: _Standing, course: Course, faults: Sequence[Fault], tell: Callable[[str], None]
) -> None:
    callers, watch = stands.callers, stands.watch
    async with asyncio.TaskGroup() as world:
        beside = [world.create_task(each) for each in (callers.clock.run(), watch.look(), _tell(stands, tell))]
        sampling = world.create_task(watch.sample(course.seconds))
        for fault in faults:
            world.create_task(_meet(stands.vendors[fault.vendor], fault, watch.began))
        try:
            async with asyncio.timeout(course.seconds + ENDS_WITHIN_S), asyncio.TaskGroup() as places:
                for place in range(course.calls):
                    places.create_task(callers.fill(place, place / CALLS_PER_S))
                await asyncio.sleep(course.seconds)
                sampling.cancel()
                callers.closing.set()
                tell("all calls are to end")
        except TimeoutError:
            tell("some calls did not end")
        await asyncio.sleep(course.quiet_s)
        for task in beside:
            task.cancel()


async def _meet(vendor: Vendor, fault: Fault, began: float) -> None:
    await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
    await vendor.meet(fault)


async def _tell(stands: _Standing, tell: Callable[[str], None]) -> None:
    while True:
        watch, calls = stands.watch, stands.watch.book.calls
        rss = watch.rss[-1][1] / 1e6 if watch.rss else 0.0
        carried = ", ".join(f"{pod} {count:.0f}" for pod, count in watch.carried.items())
        lost = sum(call.ended is not None and not call.cleanly for call in calls)
        so_far = f"{time.monotonic() - watch.began:5.0f} s  {len(calls)} calls so far, {lost} lost"
        tell(f"{so_far}; now {carried}; {rss:.1f} MB")
        await asyncio.sleep(TELL_EVERY_S)


@contextlib.asynccontextmanager
async def _standing(course: Course) -> AsyncIterator[_Standing]:
    where = pods.place(course.folder)
    pods.write(where)
    environment = subjects.environment(where.ground)
    vendors = {
        name: Vendor(name, port, Random(f"{name} {course.seed}"))
        for name, port in zip(dice.VENDORS, (where.ground.provider, where.second), strict=True)
    }
    async with contextlib.AsyncExitStack() as stack:

        async def start(name: str, argv: list[str], core: int) -> Process:
            log = course.folder / f"{name}.log"
            return await stack.enter_async_context(started(argv, core=core, log=log, environment=environment))

        for vendor in vendors.values():
            await vendor.open()
            stack.callback(vendor.close)
        await stack.enter_async_context(operator(where.ground.operator))
        await start("redis", redis_server(where.ground), GENERATOR_CORE)
        running = {}
        for pod in reversed(PODS):
            core = SUBJECT_CORE if pod == UNDER_TEST else GENERATOR_CORE
            running[pod] = await start(pod, where.command(pod), core)
            name = f"{pod} (its log is {where.log(pod)})"
            await listening(running[pod], where.port(pod), name=name, within_s=START_WITHIN_S)
        await asyncio.sleep(SETTLE_S)
        # A connection for each question: one that the pod closes while it is used again would look like a lost call.
        connector = aiohttp.TCPConnector(force_close=True)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        book = Book()

        def line_of(number: int) -> Line | None:
            return next((line for vendor in vendors.values() if (line := vendor.line_of(number)) is not None), None)

        callers = Callers(book, Webhooks(http, where.pods()), line_of, course.seed)
        await stack.enter_async_context(carrier_api(where.carrier, callers.hung_up_by_bridge))
        redis = tuple(Redis(unix_socket_path=str(where.ground.redis), db=number) for number in range(len(PODS)))
        for each in redis:
            stack.push_async_callback(each.aclose)
        watch = Watch(running[UNDER_TEST].pid, book, tuple(map(where.pod, PODS)), http)
        yield _Standing(where, running[UNDER_TEST], vendors, callers, watch, redis)


async def _ended_in(redis: Redis) -> frozenset[str]:
    """The calls that a region's Redis knows as ended."""
    found = set()
    async for key in redis.scan_iter(match=AGENT_KEYS, count=1000, _type="hash"):
        if await redis.hget(key, "x") == b"1":
            found.add(key.decode().rpartition(":")[2])
    return frozenset(found)


def _tasks(samples: Sequence[tuple[float, float]], began: float) -> Series:
    """The last ones before the first call, and the last of all."""
    told = tuple((at - began, count) for at, count in samples)
    before = [count for at, count in told if at < 0]
    return Series(told, idle=before[-1], afterwards=told[-1][1]) if before else Series(())


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines() if file.exists() else []


def _counted(faults: Sequence[Fault]) -> dict[str, int]:
    words = [fault.kind.value for fault in faults]
    return {word: words.count(word) for word in sorted(set(words))}


def pin() -> None:
    """This process is the world."""
    os.sched_setaffinity(0, {GENERATOR_CORE})
