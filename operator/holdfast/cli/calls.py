"""`calls`: how many calls each region, agent and pod carries. No call and no number is named; nobody here knows one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from holdfast.cli import console, jsonable, standing
from holdfast.cli.exits import PROGRAM, ExitStatus
from holdfast.cli.fleet import AGENTS, Fleet, Reader, items, known_region
from holdfast.cli.lines import NONE, UNKNOWN, could_not_read, line, next_command, table
from holdfast.cli.moments import stamp
from holdfast.cli.options import Options
from holdfast.cli.overview import RegionRow, Unread
from holdfast.cli.subjects import agent_name, spec, status

SCHEMA = "holdfast.dev/calls/v1"
PODS = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class RegionCalls:
    """`calls` and `room` are None where nobody tells."""

    region: str
    calls: int | None
    room: int | None
    pods: int | None
    shown_by: str


@dataclass(frozen=True, slots=True)
class AgentCalls:
    """One agent in one region. `by_pod`: empty where the region's operator does not tell."""

    region: str
    agent: str
    zone: str
    calls: int | None
    ready_pods: int | None
    pods: int | None
    by_pod: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Calls:
    """What `calls` says. `total` counts what is known; `complete` says whether that is all."""

    as_of: str
    total: int
    complete: bool
    regions: tuple[RegionCalls, ...] = ()
    agents: tuple[AgentCalls, ...] = ()
    unread: tuple[Unread, ...] = ()
    next: str = ""
    schema: str = field(default=SCHEMA)


def run(options: Options, *, region: str, output: str) -> ExitStatus:
    fleet = Reader(options, also=(AGENTS,)).read()
    if region:
        known_region(region, fleet, command="calls")
    told = counted(fleet, as_of=stamp(time.time()), region=region)
    told = replace(told, next=told.next.replace(PROGRAM, options.program))
    if output == "json":
        options.out.write(jsonable.text(told))
    else:
        _show(told, options)
    return ExitStatus.DONE


def counted(fleet: Fleet, *, as_of: str, region: str = "") -> Calls:
    """Pure. `region`: only this one."""
    rows = [row for row in standing.overview(fleet, as_of=as_of).regions if not row.witness]
    rows = [row for row in rows if region in ("", row.name)]
    agents = tuple(_agents(fleet, region))
    unread = dict(fleet.could_not_read)
    for shown in fleet.shown:
        if (why := shown.more[AGENTS].why) and region in ("", shown.region):
            unread[f"the agents of {shown.region}"] = why
    busiest = max(rows, key=lambda row: row.calls or 0, default=None)
    return Calls(
        as_of=as_of,
        total=sum(row.calls or 0 for row in rows),
        complete=all(row.calls is not None for row in rows),
        regions=tuple(RegionCalls(row.name, row.calls, row.room, row.pods, row.shown_by) for row in rows),
        agents=agents,
        unread=tuple(Unread(what, why) for what, why in unread.items()),
        next=_next(busiest, region, complete=all(row.calls is not None for row in rows)),
    )


def _next(busiest: RegionRow | None, region: str, *, complete: bool) -> str:
    if not complete or busiest is None:
        return "kubectl holdfast status"
    return f"kubectl holdfast explain region/{busiest.name}" if region else f"kubectl holdfast calls {busiest.name}"


def _agents(fleet: Fleet, region: str) -> Iterable[AgentCalls]:
    for shown in fleet.shown:
        if region not in ("", shown.region):
            continue
        for found in sorted(items(shown.more[AGENTS]), key=agent_name):
            told = status(found)
            if told.get("pods") in (None, ""):
                continue  # It has no pods here: the region is not in its zone.
            pods = PODS.fullmatch(str(told["pods"]))
            # What an operator that has died last said is not how many calls there are.
            calls = told.get("activeCalls") if shown.beat.fresh else None
            by_pod = told.get("callsByPod") if shown.beat.fresh else None
            yield AgentCalls(
                shown.region, agent_name(found), str(spec(found).get("failoverPolicy", "")),
                calls if isinstance(calls, int) else None,
                int(pods[1]) if pods else None, int(pods[2]) if pods else None,
                {str(pod): int(count) for pod, count in by_pod.items()} if isinstance(by_pod, dict) else {},
            )  # fmt: skip


def _show(told: Calls, options: Options) -> None:
    made = console.make(options.out, color=options.color, environment=options.environment)
    more = "" if told.complete else ", and in some regions nobody knows how many"
    line(made, f"{told.total} calls{more}   as of {told.as_of[11:19]}Z")
    rows = [
        [each.region, _count(each.calls), _count(each.room), _count(each.pods), each.shown_by] for each in told.regions
    ]
    table(("REGION", "CALLS", "ROOM", "PODS", "TOLD-BY"), rows, made)
    if told.agents:
        names = ("REGION", "AGENT", "ZONE", "CALLS", "PODS", "BY-POD")
        table(names, [_agent(each, verbose=options.verbose) for each in told.agents], made)
    could_not_read({each.what: each.why for each in told.unread}, made)
    next_command(told.next, made)


def _agent(each: AgentCalls, *, verbose: bool) -> list[str]:
    pods = UNKNOWN if each.pods is None else f"{each.ready_pods}/{each.pods}"
    listed = sorted(each.by_pod.items(), key=lambda pod: (-pod[1], pod[0]))
    shown = [f"{pod}={count}" for pod, count in listed[: None if verbose else 3]]
    rest = [f"… {len(listed) - len(shown)} more, by -v"] if len(listed) > len(shown) else []
    return [each.region, each.agent, each.zone or NONE, _count(each.calls), pods, " ".join(shown + rest) or UNKNOWN]


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)
