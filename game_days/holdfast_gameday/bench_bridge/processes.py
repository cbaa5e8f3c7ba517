"""Processes of the bench: started on one core, and what the kernel says that they used."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

STOP_WITHIN_S = 5.0


class Failed(Exception):
    """A process of the bench did not do what it had to: which one, and where its log lies."""


@contextlib.asynccontextmanager
async def started(
    argv: Sequence[str], *, core: int, log: Path, environment: Mapping[str, str], piped: bool = False
) -> AsyncIterator[Process]:
    """A process on one core, ended with the block. `piped`: it is spoken with; else its output is kept."""
    with log.open("wb") as kept:
        process = await asyncio.create_subprocess_exec(
            "taskset", "-c", str(core), *argv,
            stdin=PIPE if piped else DEVNULL, stdout=PIPE if piped else kept, stderr=kept if piped else STDOUT,
            env=environment,
        )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def listening(process: Process, port: int, *, name: str, within_s: float) -> None:
    """Returns once somebody accepts on the port."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                if process.returncode is not None:
                    raise Failed(f"{name} ended with {process.returncode} before it served")
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise Failed(f"{name} does not listen on {port} after {within_s:.0f} s") from error


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of CPU that all threads of these processes have used."""
    return sum(_task_ns(task) for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _task_ns(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text().split()[0])
    except (OSError, ValueError, IndexError):  # A thread that ended meanwhile.
        return 0


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
