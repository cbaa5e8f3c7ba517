"""The lab as other code uses it: three clusters, their faults, and how to talk to them.

    async with running() as lab:
        await lab.kubectl("fra", "get", "nodes")
        await lab.kill("fra")
        await lab.heal("fra")

Which backend does the work is chosen once and printed. Nothing else of the project is known here.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast_gameday.lab import backend, kind, local, names, network, paths
from holdfast_gameday.lab import tools as programs
from holdfast_gameday.lab.commands import run
from holdfast_gameday.lab.phases import Phases


@dataclass(frozen=True, slots=True)
class Lab:
    """Three clusters: fra, ams and iad. Every method may be repeated, and called from any process of this machine."""

    backend: backend.Backend
    phases: Phases

    @classmethod
    async def choose(cls, phases: Phases | None = None) -> "Lab":
        phases = phases or Phases()
        choice = backend.choose(await backend.look())
        phases.say(f"  lab backend: {choice.backend} ({choice.reason})")
        made: backend.Backend = kind.KindBackend() if choice.backend == "kind" else local.LocalBackend()
        return cls(made, phases)

    @property
    def kubeconfig(self) -> Path:
        """Contexts fra, ams, iad, each as the cluster's administrator; reached from the lab's network only."""
        return paths.kubeconfig()

    @property
    def kubectl_path(self) -> Path:
        """A program that runs kubectl from inside the lab's network."""
        return paths.kubectl()

    @property
    def ca(self) -> Path:
        return paths.ca()

    async def up(self, *, empty: bool = False) -> None:
        """All three Ready with DNS. Interrupted, nothing stays; failed, it stays for whoever looks for the cause."""
        async with _alone(self.phases):
            try:
                await self.backend.up(self.phases, empty=empty)
            except asyncio.CancelledError:
                await self.backend.down(self.phases)
                raise

    async def down(self) -> None:
        async with _alone(self.phases):
            await self.backend.down(self.phases)

    async def load_images(self) -> None:
        """The images as the code is now, in all three clusters. A pod takes them when it is started anew."""
        async with _alone(self.phases):
            await self.backend.load_images(self.phases)

    async def ready(self, region: str) -> bool:
        return await self.backend.ready(region)

    async def kill(self, region: str) -> None:
        await self.backend.kill(region)

    async def blackhole(self, region: str) -> None:
        await self.backend.blackhole(region)

    async def heal(self, region: str) -> None:
        await self.backend.heal(region)

    async def cut(self, a: str, b: str) -> None:
        """`a` or `b` is a region; the other may also be a name or an address of the world."""
        await self.backend.cut(a, b)

    async def heal_cut(self, a: str, b: str) -> None:
        await self.backend.heal_cut(a, b)

    async def slow_links(self, one_way_ms: int, jitter_ms: int = 0) -> None:
        """From now on every packet from region to region takes so long; 0: none does. The world stays near.

        Up to `jitter_ms` more are drawn for each packet, of those to the world, too.
        """
        await self.backend.slow_links(one_way_ms, jitter_ms)

    async def falter(self, percent: float) -> None:
        """Every region's entry answers this share of all requests with 503, by chance; 0: none."""
        await self.backend.falter(percent)

    async def lose(self, percent: float) -> None:
        """This share of all packets over every region's uplink is lost, by chance; 0: none is."""
        await self.backend.lose(percent)

    async def kubectl(self, region: str, *words: str, stdin: bytes | None = None, deadline_s: float = 30) -> str:
        return await run([self.kubectl_path, "--context", region, *words], stdin=stdin, deadline_s=deadline_s)

    async def run_inside(self, *argv: str | Path, stdin: bytes | None = None, deadline_s: float = 60) -> str:
        """Runs a program in the lab's public network, for example helm with `--kubeconfig lab.kubeconfig`."""
        return await run([*network.inside(names.WAN), *argv], stdin=stdin, deadline_s=deadline_s,
                         env={"PATH": f"{paths.binaries()}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                              "KUBECONFIG": str(self.kubeconfig)})


@asynccontextmanager
async def _alone(phases: Phases) -> AsyncIterator[None]:
    """One command at a time makes or removes; the next one waits. The kernel frees the lock of the dead."""
    paths.cache().mkdir(parents=True, exist_ok=True)
    with (paths.cache() / f"lab{names.LAB}.lock").open("w") as lock:
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    phases.say("  another command of the lab is at work: waiting for it")
                said = True
                await asyncio.sleep(0.1)
        yield


async def tools(phases: Phases) -> None:
    await programs.ensure(phases)


@asynccontextmanager
async def running(*, empty: bool = False, phases: Phases | None = None) -> AsyncIterator[Lab]:
    """A lab for as long as the block lasts."""
    lab = await Lab.choose(phases)
    await lab.up(empty=empty)
    try:
        yield lab
    finally:
        await lab.down()
