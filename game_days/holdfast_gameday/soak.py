"""`make soak`: minutes in which nothing changes, then an hour of bad weather in which nothing is ill.

    python -m holdfast_gameday.soak [--quiet MINUTES] [--weather MINUTES]

In the quiet part nobody may write anything, at an API server or at a lever; Leases apart, whose renewal is how regions
know of one another. In the weather packets are lost and late on every path of every probe, and entries fail some of
their answers: it must be felt, and nothing may be moved for it. What was seen is printed and kept in `build/soak.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast_gameday.bench_failover import ground, outside
from holdfast_gameday.lab import names, network, paths, plan

KEPT = paths.ROOT / "build" / "soak.json"
LOST_PERCENT = 1.0
FAILED_PERCENT = 1.0
JITTER_MS = 100
"""At most so much more each way: between regions up to 200 ms a round trip."""
SETTLE_S = 90.0
LOOK_EVERY_S = 10.0
ACTED = frozenset({"decided", "overridden", "shed", "preferred"})
FAILED_BY_ENTRY = '"status":503,"backend":"entry"'


@dataclass(slots=True)
class Part:
    """What was seen in one part of the run. Each list holds sentences; `felt` counts what the weather did."""

    name: str
    minutes: float
    api_writes: list[str] = field(default_factory=list)
    lever_writes: list[str] = field(default_factory=list)
    moves: list[str] = field(default_factory=list)
    ill: list[str] = field(default_factory=list)
    felt: dict[str, int] = field(default_factory=dict)

    def broken(self) -> list[str]:
        """What speaks against it, in words."""
        found = [f"{self.name}: moved: {each}" for each in self.moves]
        found += [f"{self.name}: written at a lever: {each}" for each in self.lever_writes]
        if self.felt:
            found += [f"{self.name}: nobody felt it: {name}" for name, count in self.felt.items() if not count]
        else:
            found += [f"{self.name}: written at an API server: {each}" for each in self.api_writes]
        return found


def written(lines: Iterable[str]) -> list[str]:
    """An audit log as counted sentences: account, verb and object, most frequent first."""
    counted: Counter[str] = Counter()
    for line in lines:
        event = json.loads(line)
        about = event.get("objectRef", {})
        path = [about.get(name) for name in ("namespace", "resource", "name", "subresource")]
        counted[f"{event['user']['username']} {event['verb']} {'/'.join(filter(None, path))}"] += 1
    return [f"{count} × {words}" for words, count in counted.most_common()]


def acted(records: Iterable[Mapping[str, Any]], *, since: str) -> list[str]:
    """What was decided since then, of all that was thought about."""
    return sorted(
        f"{each['at']} {each['by']}: {each['action']} {each['kind']} {each['name']} ({each['reason']})"
        for each in records
        if each["at"] >= since and each["outcome"] in ACTED
    )


@dataclass(slots=True)
class Watch:
    """What the world had written so far, so that only what comes later counts."""

    stands: ground.Ground
    since: str
    audit: dict[str, int] = field(default_factory=dict)
    edge: int = 0
    carrier: int = 0
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ill: set[str] = field(default_factory=set)

    @classmethod
    def begun(cls, stands: ground.Ground) -> Watch:
        made = cls(stands, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        made.audit = {region: len(_audit(region)) for region in names.REGIONS}
        made.edge = len(stands.stage.range.cloudflare.state.writes)
        made.carrier = len(stands.stage.range.twilio.state.writes)
        return made

    async def look(self) -> None:
        """What each region remembers of its decisions, and whom it finds ill just now."""
        for region in self.stands.members:
            for record in await outside.trail(self.stands, region):
                self.records[json.dumps(record, sort_keys=True)] = record
            beat = await outside.beat(self.stands, region)
            told = {"region": beat.get("observations", {}), **beat.get("others", {})}
            self.ill |= {
                f"{region} finds {tier} {name} {each['verdict']}"
                for tier, seen in told.items()
                for name, each in seen.items()
                if each.get("verdict") == "down"
            }

    def told(self, name: str, minutes: float, felt: dict[str, int]) -> Part:
        """Since it began."""
        world = self.stands.stage.range
        lines = [line for region in names.REGIONS for line in _audit(region)[self.audit[region] :]]
        levers = [f"edge {each.method} {each.id}" for each in world.cloudflare.state.writes[self.edge :]]
        levers += [f"carrier {each.resource}" for each in world.twilio.state.writes[self.carrier :]]
        moves = acted(self.records.values(), since=self.since)
        return Part(name, minutes, written(lines), levers, moves, sorted(self.ill), felt)


def _audit(region: str) -> list[str]:
    log = paths.region(region) / "log" / plan.AUDIT_LOG
    text = log.read_text() if log.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()  # the last one may be half written


async def quiet(stands: ground.Ground, minutes: float) -> Part:
    """Nothing changes."""
    watch = Watch.begun(stands)
    await asyncio.sleep(minutes * 60)
    await watch.look()
    return watch.told("quiet", minutes, {})


async def weather(stands: ground.Ground, minutes: float) -> Part:
    """Loss, jitter and failed answers on the way of every probe."""
    lab, watch = stands.lab, Watch.begun(stands)
    failed = sum(_failed_by_entry(region) for region in names.REGIONS)
    await lab.lose(LOST_PERCENT)
    await lab.slow_links(0, JITTER_MS)
    await lab.falter(FAILED_PERCENT)
    try:
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            await asyncio.sleep(LOOK_EVERY_S)
            await watch.look()
        dropped = sum([await network.dropped_by_loss(each.netns) for each in names.REGIONS.values()])
    finally:
        await lab.falter(0)
        await lab.slow_links(0)
        await lab.lose(0)
    failed = sum(_failed_by_entry(region) for region in names.REGIONS) - failed
    return watch.told("weather", minutes, {"packets lost": dropped, "answers failed by an entry": failed})


def _failed_by_entry(region: str) -> int:
    log = paths.region(region) / "entry.log"
    return log.read_text().count(FAILED_BY_ENTRY) if log.exists() else 0


async def soak(quiet_minutes: float, weather_minutes: float) -> list[Part]:
    """Both parts on one fleet of three regions."""
    async with ground.standing("three", links_ms=0, dwell=True) as stands:
        print(ground.POLICIES["three"].read_text(), flush=True)
        # What follows an installation is over: copies are made, conditions have turned, nobody scales.
        await asyncio.sleep(SETTLE_S)
        parts = [await quiet(stands, quiet_minutes)]
        _tell(parts[-1])
        parts.append(await weather(stands, weather_minutes))
        _tell(parts[-1])
        return parts


def _tell(part: Part) -> None:
    print(f"{part.name}, {part.minutes:g} minutes", flush=True)
    for name, lines in (
        ("written at API servers", part.api_writes), ("written at levers", part.lever_writes),
        ("moved", part.moves), ("found ill for a while", part.ill),
    ):  # fmt: skip
        print(f"  {name}: {'nothing' if not lines else ''}")
        for line in lines:
            print(f"    {line}")
    for name, count in part.felt.items():
        print(f"  {name}: {count}")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """0: nothing was moved, nothing was written in the quiet part, and the weather was felt."""
    parser = argparse.ArgumentParser(prog="soak", description="Lets a fleet stand in calm and in bad weather.")
    parser.add_argument("--quiet", type=float, default=5.0, metavar="MINUTES")
    parser.add_argument("--weather", type=float, default=60.0, metavar="MINUTES")
    chosen = parser.parse_args(arguments)
    parts = asyncio.run(soak(chosen.quiet, chosen.weather))
    _keep(parts, KEPT)
    broken = [words for part in parts for words in part.broken()]
    for words in broken:
        print(f"broken: {words}", file=sys.stderr)
    return 1 if broken else 0


def _keep(parts: list[Part], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([dataclasses.asdict(part) for part in parts], indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
