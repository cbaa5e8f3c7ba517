"""Slow links between the regions: every packet from one to another takes a fixed time on its way, both ways alike.

This kernel may lack tc's netem, so a small program of ours (`delay.c`) holds the packets. What regions and the world
say to each other is not delayed. It knows addresses, not clusters; kill, silence and cuts work on top of it.
"""


import asyncio
import contextlib

from holdfast_gameday.lab import names, network, paths
from holdfast_gameday.lab.commands import LabError, run
from holdfast_gameday.lab.names import RegionNames

SOURCE = paths.PACKAGE / "delay.c"
READY_WITHIN_S = 5.0


async def between_regions(one_way_ms: int) -> None:
    """From now on a packet takes so long from region to region; 0 takes the delay away."""
    await _end()
    if one_way_ms <= 0:
        return
    program = paths.state() / "delay"
    await run(["gcc", "-O2", "-o", program, SOURCE])
    for region in names.REGIONS.values():
        await _start(region, str(program), one_way_ms)


async def _start(region: RegionNames, program: str, one_way_ms: int) -> None:
    inside = network.inside(region.netns)
    process = await asyncio.create_subprocess_exec(
        "setsid", "--fork", *inside, program, network.SLOW, network.UPLINK, str(one_way_ms),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            said = await process.stdout.readline()
            await process.wait()
    except TimeoutError as e:
        raise LabError(f"the delay of region {region.name} did not start within {READY_WITHIN_S:.0f} s") from e
    if said.strip() != b"ready":
        raise LabError(f"the delay of region {region.name} did not start; it needs /dev/net/tun")
    await network.slow_down(region)


async def _end() -> None:
    """The programs are found by the link that they hold; with it go the routes."""
    for region in names.REGIONS.values():
        if network.exists(region.netns):
            await network.speed_up(region)
    await run(["pkill", "-KILL", "-f", f"^{paths.state() / 'delay'} {network.SLOW} "], check=False)
    with contextlib.suppress(FileNotFoundError):
        (paths.state() / "delay").unlink()
