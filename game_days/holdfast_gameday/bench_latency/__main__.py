"""`make bench-latency`: our share of the time from voice to voice. 0: every promise is kept.

    python -m holdfast_gameday.bench_latency [--calls N] [--turns N] [--stages MS …] [--out FILE]

Callers of both columns talk at the same time, on one clock and one machine, so that both suffer its noise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp
import uvloop

from holdfast_gameday.bench_latency import figures, stages
from holdfast_gameday.bench_latency.alone import DirectCall
from holdfast_gameday.bench_latency.figures import Heard, Row
from holdfast_gameday.bench_latency.through import Tls, bridged
from holdfast_gameday.lab import certs, paths
from holdfast_gameday.world import tls
from holdfast_gameday.world.twilio_pacing import Pacer

STAGES_MS = (150, 50)
CALLS = 8
TURNS = 12
STAGGER_S = 0.137
"""Callers do not all speak in the same moment."""
WITHIN_S = 150.0
SERVED = ("localhost", "127.0.0.1", "*.latency.example")


def main(arguments: list[str] | None = None) -> int:
    """0: every promise is kept; 1: some are not."""
    parser = argparse.ArgumentParser(prog="bench-latency", description="Times turns through a bridge, and without one.")
    parser.add_argument("--calls", type=int, default=CALLS, metavar="N", help="at once, in each column")
    parser.add_argument("--turns", type=int, default=TURNS, metavar="N", help="of each call, with and without a tool")
    parser.add_argument("--stages", type=int, nargs="*", default=list(STAGES_MS), metavar="MS")
    parser.add_argument("--out", type=Path, default=paths.ROOT / "build" / "latency.md")
    chosen = parser.parse_args(arguments)
    rows = uvloop.run(_measured(chosen))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(figures.table(rows) + "\n")
    print(figures.table(rows))
    broken = figures.broken(rows)
    for words in broken:
        print(f"not kept: {words}")
    return 1 if broken else 0


async def _measured(chosen: argparse.Namespace) -> list[Row]:
    authority = certs.authority()
    trust = Tls(authority, tls.server_context(*certs.leaf(SERVED)), tls.client_context(authority))
    rows: list[Row] = []
    for stage_ms in chosen.stages:
        alone, through = await _columns(stage_ms / 1000, trust, chosen)
        rows += [figures.row(stage_ms, tool=tool, alone=alone, through=through) for tool in (False, True)]
    return rows


async def _columns(delay_s: float, trust: Tls, chosen: argparse.Namespace) -> tuple[list[Heard], list[Heard]]:
    """Both columns at one delay, side by side."""
    pacer = Pacer()
    async with (
        stages.serving(delay_s, tool_tls=trust.server) as at,
        bridged(at, trust, chosen.out.parent / "bench-latency") as line,
        aiohttp.ClientSession() as http,
        asyncio.timeout(WITHIN_S),
        asyncio.TaskGroup() as group,
    ):
        pacing = group.create_task(pacer.run())
        alone, through, direct_calls = [], [], list[DirectCall]()
        for number in range(chosen.calls):
            direct = DirectCall(number + 1, chosen.turns, at, http=http, tool_tls=trust.client)
            direct_calls.append(direct)
            alone.append(group.create_task(direct.run(pacer)))
            through.append(group.create_task(line.call(number + 1, chosen.turns)))
            await asyncio.sleep(STAGGER_S)
        await asyncio.wait([*alone, *through])
        pacing.cancel()
    phrases = [each for call in direct_calls for each in call.phrases_s]
    print(
        f"stages of {delay_s * 1000:.0f} ms: the first phrase came {figures.both(phrases)} ms after its first word; "
        f"the callers' clock was late by {pacer.late_max_s * 1000:.0f} ms at most",
        flush=True,
    )
    return [each for task in alone for each in task.result()], [each for task in through for each in task.result()]


if __name__ == "__main__":
    sys.exit(main())
