"""Real TURN servers (Debian's coturn) on addresses of the lab's public network; a trial may end and start them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast_gameday.lab import names, network, paths
from holdfast_gameday.lab.commands import LabError

PORT = 3478
STARTS_WITHIN_S = 10.0


@dataclass(slots=True)
class TurnServers:
    """The calling thread lives in the lab's public network. `secret`: that of their REST credentials."""

    secret: str = field(repr=False)
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        """Returns once it takes connections."""
        host = names.HOSTS[f"{name}.example.com"]
        file = self._written(name, host)
        # It ends with us, even where we are killed.
        self._running[name] = await asyncio.create_subprocess_exec(
            *network.inside(names.WAN), "setpriv", "--pdeathsig", "KILL", "/usr/bin/turnserver", "-c", str(file),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                while True:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection(host, PORT)
                        writer.close()
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError as e:
            raise LabError(f"{name} did not start within {STARTS_WITHIN_S:.0f} s") from e

    async def kill(self, name: str) -> None:
        """From one moment to the next, as when its machine dies."""
        process = self._running.pop(name, None)
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def stop(self) -> None:
        for name in list(self._running):
            await self.kill(name)

    def _written(self, name: str, host: str) -> Path:
        folder = paths.state() / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = (
            f"listening-ip={host}", f"relay-ip={host}", f"listening-port={PORT}", f"realm={name}.example.com",
            "use-auth-secret", f"static-auth-secret={self.secret}", f"userdb={folder / 'db'}",
            f"pidfile={folder / 'pid'}", "no-cli", "no-tls", "no-dtls", "log-file=stdout", "relay-threads=1",
        )  # fmt: skip
        file = folder / "turnserver.conf"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n")
        return file


@contextlib.asynccontextmanager
async def turn_servers(secret: str, wanted: tuple[str, ...]) -> AsyncIterator[TurnServers]:
    """All of them, for as long as the block lasts."""
    servers = TurnServers(secret)
    try:
        for name in wanted:
            await servers.start(name)
        yield servers
    finally:
        await servers.stop()
