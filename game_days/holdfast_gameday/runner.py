"""One game day on the lab, from empty clusters to a result.

    lab up → install → agents ready → calls → fault → watch → new calls → the fact is asked → judge → lab down

It drives; what a figure means is decided in `measure`, `residency` and `result`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from holdfast_gameday import evidence, practice
from holdfast_gameday.credentials import FleetCredentials
from holdfast_gameday.drama import Drama, Seen
from holdfast_gameday.installation import Installation, clusters
from holdfast_gameday.lab import names, network, paths
from holdfast_gameday.lab.phases import Phases
from holdfast_gameday.lab.range_of_clusters import Lab
from holdfast_gameday.layout import TWO_AND_WITNESS, Layout
from holdfast_gameday.measure import call_result
from holdfast_gameday.result import Claim, GameDayResult, Residency, verdict
from holdfast_gameday.scenario import Scenario
from holdfast_gameday.view import viewing

CONNECTIONS = paths.ROOT / "build" / "connections.jsonl"
"""Who connected to whom in the last run; it outlives the lab."""


@dataclass(frozen=True, slots=True)
class Options:
    operators_off: bool = False
    keep_lab: bool = False


@dataclass(slots=True)
class Stage:
    """Everything that stands when the first call is placed."""

    installation: Installation
    range: practice.PracticeRange
    lab: Lab
    phases: Phases
    started: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))  # noqa: TID251


@contextlib.asynccontextmanager
async def staged(
    lab: Lab, *, keep_lab: bool = False, layout: Layout = TWO_AND_WITNESS, policies: Mapping[str, Path] | None = None,
    agents: Mapping[str, Path] | None = None,
) -> AsyncIterator[Stage]:
    """The lab up, Holdfast installed in every region, every zone's agent ready and reachable by its number.

    `policies` and `agents`: those of a zone, if not the ones of the demonstration.

    The calling thread is in the lab's network meanwhile. Leaving it takes the lab down, however it is left, unless it
    is to be kept.
    """
    try:
        await lab.up()
        credentials = FleetCredentials.draw()
        state, pools = practice.edge_state(layout)
        installation = Installation(clusters(paths.kubeconfig()), credentials, pools=pools, layout=layout)
        log = CONNECTIONS
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        with network.entered(names.WAN):
            async with practice.practising(credentials, state, pools, log_file=log) as world:
                await _install(installation, world, lab.phases, policies or {}, agents or {})
                yield Stage(installation=installation, range=world, lab=lab, phases=lab.phases)
    finally:
        if not keep_lab:
            # A second Ctrl-C must not leave half a lab behind.
            await asyncio.shield(lab.down())


async def _install(
    installation: Installation,
    world: practice.PracticeRange,
    phases: Phases,
    policies: Mapping[str, Path],
    agents: Mapping[str, Path],
) -> None:
    with phases.phase("helm install in three regions"):
        await installation.install()
        await installation.operators_ready()
        await installation.canaries_ready()
    with phases.phase("policies and agents, copied and ready"):
        # Applied in the region that shall lead: the others fetch their copies, and find the vote taken.
        for zone in installation.layout.zones:
            first = installation.layout.members(zone)[0]
            await installation.wish(zone, region=first, policy=policies.get(zone), agent=agents.get(zone))
        await installation.agents_ready()
    with phases.phase("numbers routed to the agents"):
        async with asyncio.timeout(30):
            while not all([world.assign_number(zone) for zone in installation.layout.zones]):  # noqa: C419 - each is asked
                await asyncio.sleep(0.2)


async def run(name: str, scenario: Scenario, lab: Lab, options: Options, out: Console) -> GameDayResult:
    """The whole game day. Raises LabError when the stage cannot be set; a broken promise is in the result."""
    async with staged(lab, keep_lab=options.keep_lab) as stage:
        before = await _prepare(stage, scenario, options)
        with viewing(out) as view, stage.phases.phase("the game day itself"):
            seen = await Drama(scenario, stage.installation, stage.range, lab, view, options.operators_off).play()
        after = await stage.installation.operator_pods() if options.operators_off else []
        home = await evidence.kept_at_home(stage.installation, scenario, dead=seen.dead)
        extra = (*seen.claims, home, *_no_operator_ran(options, before, after))
        proof = await evidence.residency(stage.installation, stage.range, scenario)
        return _judge(name, scenario, stage, seen, proof, extra, options)


async def _prepare(stage: Stage, scenario: Scenario, options: Options) -> list[str]:
    """The named region leads, or no operator runs at all; answers the operator pods that exist."""
    installation = stage.installation
    if scenario.leader is not None:
        with stage.phases.phase(f"{scenario.leader} leads {scenario.policy}"):
            await installation.make_leader(scenario.policy, scenario.leader)
    if not options.operators_off:
        return []
    with stage.phases.phase("every operator scaled to 0"):
        await installation.scale_operators(0)
        async with asyncio.timeout(60):
            while pods := await installation.operator_pods():
                await asyncio.sleep(0.5)
    return pods


def _no_operator_ran(options: Options, before: list[str], after: list[str]) -> tuple[Claim, ...]:
    if not options.operators_off:
        return ()
    seen = sorted({*before, *after})
    words = "none before the fault, none at the end" if not seen else ", ".join(seen)
    return (Claim(name="no operator ran", wanted="no operator pod in any region", seen=words, held=not seen),)


def _judge(
    name: str,
    scenario: Scenario,
    stage: Stage,
    seen: Seen,
    proof: Residency,
    extra: tuple[Claim, ...],
    options: Options,
) -> GameDayResult:
    end = time.monotonic() - seen.fault.monotonic
    region_of = {region.host: region.name for region in names.REGIONS.values()}
    calls = tuple(
        call_result(
            call.report(),
            kind,
            fault=seen.fault,
            lost_host=names.REGIONS[scenario.fault.region].host,
            region_of=region_of,
            end=end,
        )
        for call, kind in seen.calls
    )
    claims, outcome = verdict(
        scenario.expect,
        calls=calls,
        read_back_seconds=seen.cordon.read_back,
        operators_off=options.operators_off,
        residency=proof,
        extra=extra,
    )
    elsewhere = [
        stay.start
        for call in calls
        if call.placed_after_fault
        for stay in call.stays
        if stay.region != scenario.fault.region
    ]
    return GameDayResult(
        scenario=name,
        title=scenario.title,
        zone=scenario.policy,
        fault=scenario.fault.kind.word,
        fault_region=scenario.fault.region,
        operators_off=options.operators_off,
        started=stage.started,
        backend=stage.lab.backend.name,
        calls=calls,
        moments=tuple(sorted(seen.moments, key=lambda moment: moment.at)),
        detected_seconds=seen.cordon.detected,
        decided_seconds=seen.cordon.decided,
        read_back_seconds=seen.cordon.read_back,
        first_new_call_seconds=min(elsewhere, default=None),
        residency=proof,
        claims=claims,
        phases={phase: round(seconds, 1) for phase, seconds in stage.phases.seconds.items()},
        outcome=outcome,
    )
