"""One subject climbs its steps: everything around it is started, calls are added, until a step does not pass."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast_gameday.bench_bridge import subjects
from holdfast_gameday.bench_bridge.operator_stub import operator
from holdfast_gameday.bench_bridge.processes import Failed, cpu_s, listening, resident_bytes, started
from holdfast_gameday.bench_bridge.results import Climb, Direction, Step
from holdfast_gameday.bench_bridge.subjects import PROGRAMS, Ground, Subject
from holdfast_gameday.world.ports import free_ports

GENERATOR_CORE, SUBJECT_CORE = 0, 1
START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 180.0
TLS_PORT = 443
IDLE_S = 1.0
"""After which a subject that listens has done what it does first; its memory then is that of no calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a subject is driven. `certificate`: of the provider with TLS, with its key and its authority."""

    cache: Path
    folder: Path
    seconds: float
    most_calls: int
    calls_per_s: float
    certificate: tuple[Path, Path] | None = None
    authority: Path | None = None


@dataclass(frozen=True, slots=True)
class _Standing:
    subject: Process
    generator: Process
    beside: list[int]
    """Whatever shares the generator's core."""
    idle_bytes: int


async def climb(subject: Subject, course: Course, *, tell: Callable[[Step], None]) -> Climb:
    steps: list[Step] = []
    ended = "the last step"
    try:
        async with _standing(subject, course) as standing:
            for calls in subject.steps:
                if calls > course.most_calls:
                    break
                step = await _step(standing, calls, course.seconds)
                if step.missed and not step.lost_calls:
                    tell(step)
                    step = await _step(standing, calls, course.seconds)  # One hiccup of the machine is not the subject.
                steps.append(step)
                tell(step)
                if step.missed and not (subject.bursts and _only_late(step)):
                    ended = step.missed
                    break
    except (Failed, OSError) as error:
        ended = str(error)
    return Climb(subject=subject.name, steps=tuple(steps), ended=ended)


def _only_late(step: Step) -> bool:
    """A resampler is late from the first call on; how many calls it carries is worth knowing all the same."""
    return step.missed.startswith("p99") and step.subject_share < 0.9


async def _step(standing: _Standing, calls: int, seconds: float) -> Step:
    await _order(standing.generator, {"calls": calls, "seconds": seconds})
    await _expect(standing.generator, "window", "open")
    used, beside, began = _used(standing)
    await _expect(standing.generator, "window", "closed")
    used_then, beside_then, ended = _used(standing)
    resident = resident_bytes(standing.subject.pid) - standing.idle_bytes
    found = await _said(standing.generator)
    return Step(
        calls=calls,
        seconds=ended - began,
        up=Direction(**found["up"]),
        down=Direction(**found["down"]),
        lost_calls=found["lost_calls"],
        why=found["why"],
        clock_late_ms=found["clock_late_ms"],
        subject_cpu_s=used_then - used,
        generator_share=(beside_then - beside) / (ended - began),
        bytes_per_call=resident / calls,
    )


def _used(standing: _Standing) -> tuple[float, float, float]:
    return cpu_s([standing.subject.pid]), cpu_s(standing.beside), time.monotonic()


@contextlib.asynccontextmanager
async def _standing(subject: Subject, course: Course) -> AsyncIterator[_Standing]:
    ground = _ground(subject, course)
    environment = subjects.environment(ground)
    async with contextlib.AsyncExitStack() as stack:

        async def run(name: str, argv: list[str], core: int = GENERATOR_CORE, *, piped: bool = False) -> Process:
            log = ground.folder / f"{name}.log"
            return await stack.enter_async_context(
                started(argv, core=core, log=log, environment=environment, piped=piped)
            )

        generator = await run("generator", _generator(subject, course, ground), piped=True)
        await _expect(generator, "listening", ground.provider)
        beside = [generator.pid, os.getpid()]
        if subject.webhook:
            subjects.write_pods(ground)
            await stack.enter_async_context(operator(ground.operator))
            redis = await run("redis", redis_server(ground))
            buddy = await run("buddy", _buddy(ground))
            await listening(buddy, ground.buddy_control, name="the buddy", within_s=START_WITHIN_S)
            beside += [redis.pid, buddy.pid]
        carried = await run("subject", subjects.command(subject, ground, course.cache), SUBJECT_CORE)
        name = f"{subject.name} (its log is {ground.folder}/subject.log)"
        await listening(carried, ground.socket, name=name, within_s=START_WITHIN_S)
        await asyncio.sleep(IDLE_S)
        yield _Standing(carried, generator, beside, resident_bytes(carried.pid))


def _ground(subject: Subject, course: Course) -> Ground:
    folder = course.folder / "".join(letter if letter.isalnum() else "-" for letter in subject.name)
    folder.mkdir(parents=True, exist_ok=True)
    names = ("socket", "control", "provider", "buddy_control", "buddy_audio", "operator")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    if subject.tls:
        ports["provider"] = TLS_PORT
    return Ground(folder=folder, authority=course.authority if subject.tls else None, **ports)


def _generator(subject: Subject, course: Course, ground: Ground) -> list[str]:
    argv = [sys.executable, "-m", "holdfast_gameday.bench_bridge.generator"]
    argv += ["--provider-port", str(ground.provider), "--calls-per-s", str(course.calls_per_s)]
    if subject.webhook:
        at = f"127.0.0.1:{ground.control}"
        argv += ["--control", at, "--socket", f"127.0.0.1:{ground.socket}", "--path", subjects.PATH]
    else:
        argv += ["--socket", f"ws://127.0.0.1:{ground.socket}{subject.socket_path}"]
    if subject.tls:
        assert course.certificate is not None
        argv += ["--tls", *map(str, course.certificate)]
    return [*argv, "--bursts"] if subject.bursts else argv


def redis_server(ground: Ground) -> list[str]:
    kept = ["--save", "", "--appendonly", "no", "--dir", str(ground.folder)]
    return ["redis-server", "--port", "0", "--unixsocket", str(ground.redis), *kept]


def _buddy(ground: Ground) -> list[str]:
    where = [str(ground.folder / "there"), str(ground.buddy_control), str(ground.buddy_audio)]
    return [sys.executable, str(PROGRAMS / "everything_on.py"), *where]


# --- what is said to the generator


async def _order(generator: Process, order: dict[str, Any]) -> None:
    assert generator.stdin is not None
    generator.stdin.write(json.dumps(order).encode() + b"\n")
    await generator.stdin.drain()


async def _said(generator: Process) -> dict[str, Any]:
    assert generator.stdout is not None
    async with asyncio.timeout(ANSWER_WITHIN_S):
        line = await generator.stdout.readline()
    if not line:
        raise Failed("the generator ended: its log says why")
    said: dict[str, Any] = json.loads(line)
    if "problem" in said:
        raise Failed(str(said["problem"]))
    return said


async def _expect(generator: Process, name: str, value: object) -> None:
    if (said := await _said(generator)).get(name) != value:
        raise Failed(f"the generator said {said} where {name} {value} was due")
