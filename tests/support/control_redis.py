"""A real redis-server for one test: on a unix socket in the test's directory, ended by its process id."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENT_S = 30.0
"""The deadline of stores whose Redis answers: a busy machine's slowness is not what their tests are about."""
BINARY = shutil.which("redis-server")


@dataclass(slots=True)
class RedisServer:
    url: str
    process: asyncio.subprocess.Process

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def _answers(socket: Path) -> bool:
    """The file is there a moment before anybody listens."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    writer.close()
    await writer.wait_closed()
    return True


@asynccontextmanager
async def redis_server() -> AsyncIterator[RedisServer]:
    assert BINARY is not None, "redis-server is not installed (apt-get install redis-server)"
    with tempfile.TemporaryDirectory(prefix="hf-redis-") as directory:
        socket = Path(directory) / "redis.sock"
        process = await asyncio.create_subprocess_exec(
            BINARY, "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", directory,
            stdout=asyncio.subprocess.DEVNULL,
        )
        server = RedisServer(url=f"unix://{socket}?db=0", process=process)
        try:
            async with asyncio.timeout(30):
                while not await _answers(socket):  # noqa: ASYNC110  another process opens it
                    await asyncio.sleep(0.01)
            yield server
        finally:
            await server.kill()
