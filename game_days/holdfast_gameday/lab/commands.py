"""Runs other programs, each with a deadline, and turns a failure into one sentence with the end of what was printed.

It knows no program in particular.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path


class LabError(Exception):
    """The lab cannot do what was asked; the text says what happened and what to do."""


async def run(
    argv: Sequence[str | Path],
    *,
    deadline_s: float = 60,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> str:
    """Returns what the program printed. Cancelled or late, the program and its children are killed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, argv),
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env} if env else None,
        cwd=cwd,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline_s):
            stdout, stderr = await process.communicate(stdin)
    except TimeoutError as error:
        raise LabError(f"`{_short(argv)}` did not end within {deadline_s:.0f} s") from error
    finally:
        if process.returncode is None:
            _kill_group(process.pid)
            await process.wait()
    if check and process.returncode:
        tail = (stderr or stdout).decode(errors="replace").strip()[-2000:]
        raise LabError(f"`{_short(argv)}` failed (exit {process.returncode}): {tail}")
    return stdout.decode(errors="replace")


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _short(argv: Sequence[str | Path]) -> str:
    words = " ".join(Path(word).name if index == 0 else str(word) for index, word in enumerate(argv))
    return words if len(words) <= 200 else words[:200] + "…"
