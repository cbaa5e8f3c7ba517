"""What the trials stand on: the fleet in its layout, slow links between regions, and the way back to calm after each.

It knows how to look at the fleet from outside, as its owners do, and nothing of what a trial breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast_gameday import installation, runner
from holdfast_gameday.bench_failover.turn_servers import TurnServers, turn_servers
from holdfast_gameday.cluster import condition
from holdfast_gameday.lab import names
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.lab.range_of_clusters import Lab
from holdfast_gameday.layout import THREE, TWO_AND_WITNESS, Layout
from holdfast_gameday.runner import Stage

ZONE = "eu"
AGENT = "clinic/front-desk"
BRIDGES = "app.kubernetes.io/name=holdfast-bridge"
LAYOUTS = {"three": THREE, "witness": TWO_AND_WITNESS}
POLICIES: dict[str, Path] = {name: installation.FLEET / "bench" / f"policy-{name}.yaml" for name in LAYOUTS}
BENCH_AGENT = installation.FLEET / "bench" / "agent-front-desk.yaml"
ONE_WAY_MS = 50
CALM_WITHIN_S = 90.0
WITHOUT_DWELL_FOR = dt.timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Ground:
    """A fleet that stands. `layout`: which regions carry the zone's calls."""

    stage: Stage
    layout: Layout
    relays: TurnServers

    @property
    def members(self) -> tuple[str, ...]:
        return self.layout.members(ZONE)

    @property
    def lab(self) -> Lab:
        return self.stage.lab

    def pool_on(self, region: str) -> bool:
        """As the edge itself steers."""
        pool = self.stage.range.cloudflare.state.get("pool", self.stage.range.pools[region])
        return bool(pool["enabled"])

    async def leader(self) -> str:
        """Waits until one region leads, as the others say, too."""
        async with asyncio.timeout(CALM_WITHIN_S):
            while True:
                if (leader := await self.stage.installation.leader(ZONE)) is not None:
                    return leader
                await asyncio.sleep(0.3)

    async def calm(self) -> None:
        """Every region answers, is seen up by all, and is given calls; nobody remembers an open move."""
        began = time.monotonic()
        why = ""
        while time.monotonic() - began < CALM_WITHIN_S:
            why = await self._unrest()
            if not why:
                return
            await asyncio.sleep(0.3)
        raise LabError(f"the fleet is not calm after {CALM_WITHIN_S:.0f} s: {why}")

    async def _unrest(self) -> str:
        for region in self.members:
            if not self.pool_on(region):
                return f"{region} is off at the edge ({await self._held_back(region)}): {await self._bridges(region)}"
            if not await self.stage.range.answers(region, AGENT):
                return f"the bridges of {region} do not answer: {await self._bridges(region)}"
        try:
            for region in self.stage.installation.regions:
                policy = await self.stage.installation.regions[region].read("fop", ZONE, deadline_s=5)
                serving = (policy or {}).get("status", {}).get("serving", [])
                if region in self.members and set(serving) != set(self.members):
                    return f"{region} says that {serving} serve"
            await self.stage.installation.canaries_ready()
        except (LabError, TimeoutError) as error:
            return str(error) or "a region does not see all others up"
        return ""

    async def _bridges(self, region: str) -> str:
        """What the region's cluster says of the bridges' pods, the agent's and the canary's."""
        try:
            found = await self.stage.installation.regions[region].read("pods", "-A", "-l", BRIDGES, deadline_s=5)
        except LabError as error:
            return str(error)
        said = []
        for pod in (found or {}).get("items", []):
            of = pod["status"].get("containerStatuses", [])
            restarts = sum(each["restartCount"] for each in of)
            ready = condition(pod, "Ready")
            words = f"{ready['status']} {ready.get('message', '')}" if ready else pod["status"].get("phase", "")
            said.append(f"{pod['metadata']['name']} ready {words}, {restarts} restarts")
        return "; ".join(said) or "no pods"

    async def _held_back(self, region: str) -> str:
        """What keeps it there, in the words of the regions that answer."""
        said = []
        for name, cluster in self.stage.installation.regions.items():
            with contextlib.suppress(LabError):
                held = condition(await cluster.read("region", region, deadline_s=5), "ActionHeld")
                said.append(f"{name}: {held['reason']} {held['message']}" if held else f"{name}: nothing")
        return "; ".join(said)

    async def without_dwell(self) -> None:
        """Regions come back as soon as they are seen up: the next trial shall follow soon. Said in the report."""
        until = dt.datetime.now(dt.UTC) + WITHOUT_DWELL_FOR  # noqa: TID251 - a person's order ends on the wall clock
        order = {"guard": "Dwell", "until": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "reason": "bench: trial after trial"}
        patch = json.dumps({"spec": {"override": order}})
        first = self.stage.installation.regions[self.members[0]]
        for region in self.members:
            await first.kubectl("patch", "region", region, "--type=merge", "-p", patch)


@asynccontextmanager
async def standing(layout: str, *, links_ms: int = ONE_WAY_MS, dwell: bool = False) -> AsyncIterator[Ground]:
    """The fleet of this name, calm, its links slow. `dwell`: regions come back as their policy says, not at once."""
    chosen = LAYOUTS[layout]
    lab = await Lab.choose()
    async with (
        runner.staged(lab, layout=chosen, policies={ZONE: POLICIES[layout]}, agents={ZONE: BENCH_AGENT}) as stage,
        turn_servers(stage.installation.credentials.eu.relay_secret, chosen.relays) as relays,
    ):
        ground = Ground(stage, chosen, relays)
        with stage.phases.phase(f"links, {'the policy’s' if dwell else 'no'} dwell, calm"):
            await lab.slow_links(links_ms)
            if not dwell:
                await ground.without_dwell()
            await ground.calm()
        yield ground


def host(region: str) -> str:
    return names.REGIONS[region].host
