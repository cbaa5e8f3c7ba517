"""Slow and unsteady links: every packet that a region sends takes a time on its way, fixed, by chance, or both.

This kernel may lack tc's netem, so a small program of ours (`delay.c`) holds the packets. What is fixed holds between
regions, both ways alike; what is by chance also for what a region asks of the world, whose answers come as fast as
ever. It knows addresses, not clusters; kill, silence and cuts work on top of it.
"""


import asyncio
import contextlib
import os

from holdfast_gameday.lab import names, network, paths
from holdfast_gameday.lab.commands import LabError, run
from holdfast_gameday.lab.names import RegionNames

SOURCE = paths.PACKAGE / "delay.c"
READY_WITHIN_S = 5.0


async def set_links(one_way_ms: int, jitter_ms: int = 0) -> None:
    """From now on a packet takes so long, and up to the jitter longer; two zeros take the delay away."""
    await _end()
    if one_way_ms <= 0 and jitter_ms <= 0:
        return
    program = paths.state() / "delay"
    await run(["gcc", "-O2", "-o", program, SOURCE])
    for region in names.REGIONS.values():
        await _start(region, [str(program), network.SLOW, network.UPLINK, str(one_way_ms), str(jitter_ms)])
        await network.slow_down(region, world=jitter_ms > 0)


async def _start(region: RegionNames, program: list[str]) -> None:
    """It goes on by itself and keeps its end of the pipe: with a pipe of asyncio's, `wait` would wait for that end."""
    ours, its = os.pipe()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb"))
    try:
        with os.fdopen(its, "wb") as output:
            process = await asyncio.create_subprocess_exec(
                "setsid", "--fork", *network.inside(region.netns), *program,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        async with asyncio.timeout(READY_WITHIN_S):
            said = await reader.readline()
            await process.wait()
    except TimeoutError as e:
        raise LabError(f"the delay of region {region.name} did not start within {READY_WITHIN_S:.0f} s") from e
    finally:
        transport.close()
    if said.strip() != b"ready":
        raise LabError(f"the delay of region {region.name} did not start; it needs /dev/net/tun")


async def _end() -> None:
    """The programs are found by the link that they hold; with it go the routes."""
    for region in names.REGIONS.values():
        if network.exists(region.netns):
            await network.speed_up(region)
    await run(["pkill", "-KILL", "-f", f"^{paths.state() / 'delay'} {network.SLOW} "], check=False)
    with contextlib.suppress(FileNotFoundError):
        (paths.state() / "delay").unlink()
