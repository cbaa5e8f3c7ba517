"""Ticks twenty times a second and notes how late each tick comes. What follows is decided in `core.loop_lag`."""

from __future__ import annotations

import asyncio

from holdfast_bridge.core.loop_lag import TICK_S, LoopLag


async def watch(lag: LoopLag) -> None:
    """Until cancelled. A tick that came late does not hurry the next one."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        now = loop.time()
        lag.add(max(0.0, now - due), now)
