"""A real coturn on loopback for one test: configured, started, asked how many allocations it holds, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import world_vendors_tls
from aioice import stun

from holdfast.core.relays import Transport
from holdfast.gather.turn_url import TurnAddress
from holdfast_gameday.world.ports import free_ports

HOST = "127.0.0.1"
SECRET = "s3cret-of-the-relay"
REALM = "relay.test"
STARTS_WITHIN_S = 10.0

# One coturn writes of a session when it has an allocation, and when it has none any more.
_NEW = re.compile(r"session (\d+): new, realm")
_GIVEN_BACK = re.compile(r"session (\d+): (?:refreshed, .*lifetime=0$|delete: realm)")


@dataclass
class Coturn:
    """One running relay. `tls` trusts its certificate."""

    host: str
    port: int
    tls_port: int
    tls: ssl.SSLContext
    log: Path
    process: asyncio.subprocess.Process

    def address(self, transport: Transport) -> TurnAddress:
        return TurnAddress(self.host, self.tls_port if transport is Transport.TLS else self.port, transport)

    def allocated(self) -> int:
        """How many allocations were ever made."""
        return len(self._sessions(_NEW))

    def left_behind(self) -> set[str]:
        """The sessions that still hold an allocation."""
        return self._sessions(_NEW) - self._sessions(_GIVEN_BACK)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def _sessions(self, line: re.Pattern[str]) -> set[str]:
        return {found[1] for said in self.log.read_text().splitlines() if (found := line.search(said))}


@contextlib.asynccontextmanager
async def coturn(
    folder: Path, *options: str, secrets: tuple[str, ...] = (SECRET,), host: str = HOST
) -> AsyncIterator[Coturn]:
    """`options` are lines of turnserver.conf. Relayed addresses are on loopback, so such peers are allowed."""
    _make(folder)
    port, tls_port = free_ports(2, host=host)
    _, client = world_vendors_tls.contexts(folder, "localhost")
    log = folder / "log"
    auth = () if "no-auth" in options else ("use-auth-secret", *(f"static-auth-secret={each}" for each in secrets))
    lines = (
        f"listening-ip={host}", f"relay-ip={host}", f"listening-port={port}", f"tls-listening-port={tls_port}",
        f"realm={REALM}", f"cert={folder / 'crt.pem'}", f"pkey={folder / 'key.pem'}", f"pidfile={folder / 'pid'}",
        f"userdb={folder / 'db'}", "allow-loopback-peers", "no-cli", "no-dtls", "verbose", "simple-log",
        "log-file=stdout", "relay-threads=1", *auth, *options,
    )  # fmt: skip
    (folder / "turnserver.conf").write_text("\n".join(lines) + "\n")
    with log.open("wb") as out:
        # It ends with us, even where we are killed and no `finally` runs.
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", "/usr/bin/turnserver", "-c", str(folder / "turnserver.conf"),
            stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    relay = Coturn(host=host, port=port, tls_port=tls_port, tls=client, log=log, process=process)
    try:
        await _listening(relay)
        yield relay
    finally:
        await relay.stop()


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


async def _listening(relay: Coturn) -> None:
    """Until it answers a Binding request over UDP and takes TLS connections: a real program rings no bell."""
    loop = asyncio.get_running_loop()
    request = bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect((relay.host, relay.port))
        async with asyncio.timeout(STARTS_WITHIN_S):
            while True:
                if relay.process.returncode is not None:
                    raise AssertionError(f"coturn ended at once:\n{relay.log.read_text()[-2000:]}")
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(0.1):
                        udp.send(request)
                        await loop.sock_recv(udp, 2048)
                        _, writer = await asyncio.open_connection(relay.host, relay.tls_port)
                        writer.close()
                        return
                await asyncio.sleep(0.02)


def _free_ports(host: str, count: int) -> list[int]:
    """Ports that are free for TCP and UDP alike; coturn takes the one behind each too, so none is next to another."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            tcp = held.enter_context(socket.socket())
            tcp.bind((host, 0))
            port = tcp.getsockname()[1]
            udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            with contextlib.suppress(OSError):
                udp.bind((host, port))
                if port < 65535 and all(abs(port - other) > 1 for other in found):
                    found.append(port)
    return found
