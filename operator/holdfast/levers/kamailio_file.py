"""The list file of a dispatcher, where the operator is given it: what a reload reads is made to say what was decided.

A reload forgets what was set by RPC and takes the flags of the file; with the flag there it never brings a cordoned
destination back. The file stays the user's: only the flags of our own destinations are written, all other bytes are
kept, and nobody ever reads half a file (written beside it, synchronised, renamed).
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from holdfast.levers import kamailio_list
from holdfast.levers.base import DriverError

DEADLINE_S = 0.5
FILE_BYTES_MAX = 4 * 1024 * 1024

Answer = TypeVar("Answer")


class ListFile:
    """One list file. It has a thread of its own and a deadline, so that a file system that hangs holds nobody up."""

    def __init__(self, *, lever: str, zone: str, path: Path, group: int) -> None:
        self._who = f"lever {lever}: list file {path}"
        self._zone = zone
        self._path = path
        self._group = group
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="list-file")
        self._one = asyncio.Lock()
        self._last: Future[object] | None = None

    async def differs(self, region: str, uris: Sequence[str], *, enabled: bool) -> str:
        """What a reload would do other than is meant, in words; empty when it would do nothing else."""
        lines = await self._in_thread(lambda _: self._ours(self._read(), region, uris))
        wrong = [line.uri for line in lines if line.disabled is enabled]
        return f"{self._who}: a reload would bring {', '.join(wrong)} {'off' if enabled else 'on'}" if wrong else ""

    async def write(self, region: str, uris: Sequence[str], *, enabled: bool) -> bool:
        """Make it so; False when it was so already."""
        return await self._in_thread(lambda until: self._write(region, uris, enabled=enabled, until=until))

    async def _in_thread(self, work: Callable[[float], Answer]) -> Answer:
        async with self._one:
            if self._last is not None and not self._last.done():
                raise DriverError("ListFile", f"{self._who}: an earlier access has not ended", retryable=True)
            doing = self._thread.submit(work, time.monotonic() + DEADLINE_S)
            self._last = doing  # type: ignore[assignment]
            try:
                async with asyncio.timeout(DEADLINE_S):
                    return await asyncio.wrap_future(doing)
            except TimeoutError as e:
                raise DriverError("ListFile", f"{self._who}: no end within {DEADLINE_S} s", retryable=True) from e

    def _ours(self, content: bytes, region: str, uris: Sequence[str]) -> list[kamailio_list.Listed]:
        lines = [each for each in kamailio_list.listed(content, self._group) if each.uri in uris]
        missing = set(uris) - {each.uri for each in lines}
        if missing:
            raise DriverError(
                "NoOrigin", f"{self._who}: no line for {', '.join(sorted(missing))}", retryable=False
            )
        for each in lines:
            if not kamailio_list.marked(each.attributes, self._zone, region):
                raise DriverError(
                    "NotOurs", f"{self._who}: line {each.number} lacks our mark mark=holdfast:{self._zone}/{region}",
                    retryable=False,
                )  # fmt: skip
        return lines

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except OSError as e:
            raise DriverError("ListFile", f"{self._who}: {e.strerror}", retryable=True) from e
        if len(content) > FILE_BYTES_MAX:
            raise DriverError("ListFile", f"{self._who}: larger than {FILE_BYTES_MAX} bytes", retryable=False)
        return content

    def _write(self, region: str, uris: Sequence[str], *, enabled: bool, until: float) -> bool:
        before = self._read()
        self._ours(before, region, uris)
        after = kamailio_list.with_flag(before, self._group, uris, disabled=not enabled)
        if after == before:
            return False
        others = [each for each in kamailio_list.listed(after, self._group) if each.uri not in uris]
        if not enabled and all(each.disabled for each in others):
            raise DriverError(
                "LastDestination", f"{self._who}: group {self._group} would have no destination left", retryable=True
            )
        try:
            _replace(self._path, after, until)
        except OSError as e:
            raise DriverError("ListFile", f"{self._who}: {e.strerror}", retryable=True) from e
        return True


def _replace(path: Path, content: bytes, until: float) -> None:
    """Through a link to what it names, so that the link stays; mode and owner stay too.

    After the deadline nothing is put in place: what was decided may be another thing by then.
    """
    target = Path(os.path.realpath(path))
    was = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            file.flush()
            os.fsync(file.fileno())
        _in_time(until)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
