"""The local backend: three real clusters in network, mount and pid namespaces of one Linux machine, without an engine.

It joins the parts below it (network, region, images, sweep) and does the faults. It keeps nothing in memory: every call
works from what exists, so that it may come from another process than the one that started the lab.
"""

import asyncio
import base64
from pathlib import Path

from holdfast_gameday.lab import access, certs, delay, entry, images, names, network, paths, region, sweep, tools
from holdfast_gameday.lab.backend import Kind
from holdfast_gameday.lab.commands import LabError, run
from holdfast_gameday.lab.names import RegionNames
from holdfast_gameday.lab.phases import Phases

IMAGES_STAMP = "images.hash"


class LocalBackend:
    """See `backend.Backend`."""

    name: Kind = "local"

    async def up(self, phases: Phases, *, empty: bool) -> None:
        await tools.ensure(phases)
        built = None if empty else await images.ensure(phases)
        if await self._is_up():
            phases.say("  the lab is already up")
        else:
            with phases.phase("sweep"):
                await sweep.sweep(keep_logs=False)
            with phases.phase("three clusters, Ready with DNS"):
                await self._start_all(built)
        if built is not None:
            await self._refresh_images(built, phases)

    async def down(self, phases: Phases) -> None:
        with phases.phase("lab down"):
            await sweep.sweep()

    async def load_images(self, phases: Phases) -> None:
        await self._refresh_images(await images.ensure(phases), phases)

    async def ready(self, region_name: str) -> bool:
        known = names.REGIONS[region_name]
        return region.alive(known) and not await asyncio.to_thread(region.what_is_missing, known)

    async def kill(self, region_name: str) -> None:
        """The mild loss: every socket of the region is closed by its kernel, peers see FIN or RST at once."""
        await region.stop(names.REGIONS[region_name])

    async def blackhole(self, region_name: str) -> None:
        """The silent loss: from one moment to the next nothing crosses the uplink; then the processes end unheard."""
        known = names.REGIONS[region_name]
        if not any("silence" in rule for rule in await network.rules_in_force(known.netns)):
            await network.apply(known.netns, network.silence_rules())
        await region.stop(known)

    async def heal(self, region_name: str) -> None:
        """After kill or blackhole: the same region on the same data, Ready again. Cuts stay."""
        known = names.REGIONS[region_name]
        if not region.alive(known):
            await region.start(known)
        if any("silence" in rule for rule in await network.rules_in_force(known.netns)):
            await network.apply(known.netns, network.undo(network.silence_rules()))
        await region.wait_ready(known)

    async def cut(self, a: str, b: str) -> None:
        for here, there in network.ends(a, b):
            if not await self._is_cut(here, there):
                await network.apply(here.netns, network.cut_rules(there))

    async def heal_cut(self, a: str, b: str) -> None:
        for here, there in network.ends(a, b):
            if await self._is_cut(here, there):
                await network.apply(here.netns, network.undo(network.cut_rules(there)))

    async def slow_links(self, one_way_ms: int, jitter_ms: int = 0) -> None:
        await delay.set_links(one_way_ms, jitter_ms)

    async def falter(self, percent: float) -> None:
        for known in names.REGIONS.values():
            order = paths.region(known.name) / "etc" / entry.FALTER
            order.with_suffix(".new").write_text(f"{percent}\n")
            order.with_suffix(".new").replace(order)

    async def lose(self, percent: float) -> None:
        for known in names.REGIONS.values():
            before = network.loss_in(await network.rules_in_force(known.netns))
            if before:
                await network.apply(known.netns, network.undo(network.loss_rules(before)))
            if percent:
                await network.apply(known.netns, network.loss_rules(percent))

    async def _is_cut(self, here: RegionNames, there: str) -> bool:
        return any(f"{there}/32" in rule for rule in await network.rules_in_force(here.netns))

    async def _is_up(self) -> bool:
        if not paths.kubeconfig().exists() or not network.exists(names.WAN):
            return False
        return all([await self.ready(each) for each in names.REGIONS])

    async def _start_all(self, built: images.Built | None) -> None:
        certs.authority()
        await network.create_wan()
        try:
            async with asyncio.TaskGroup() as tasks:
                for each in names.REGIONS.values():
                    tasks.create_task(self._start_one(each, built))
        except* LabError as errors:
            raise LabError("; ".join(str(error) for error in errors.exceptions)) from errors
        _write_access()

    async def _start_one(self, known: RegionNames, built: images.Built | None) -> None:
        await network.create_region(known)
        await asyncio.to_thread(region.write_files, known)
        folder = paths.region(known.name)
        if built is not None:
            await run(["cp", "-al", built.containerd, folder / "containerd"], deadline_s=120)
            await asyncio.to_thread(images.own_databases, folder / "containerd")
            (folder / IMAGES_STAMP).write_text(built.digest)
        await region.start(known)
        await region.wait_ready(known)
        await region.create_ingress_class(known)

    async def _refresh_images(self, built: images.Built, phases: Phases) -> None:
        async def refresh(known: RegionNames) -> None:
            await region.import_images(known)
            (paths.region(known.name) / IMAGES_STAMP).write_text(built.digest)

        stale = [each for each in names.REGIONS.values()
                 if region.alive(each) and _stamp(paths.region(each.name)) != built.digest]
        if not stale:
            return
        with phases.phase("import of new images"):
            async with asyncio.TaskGroup() as tasks:
                for each in stale:
                    tasks.create_task(refresh(each))


def _stamp(folder: Path) -> str:
    try:
        return (folder / IMAGES_STAMP).read_text()
    except OSError:
        return ""


def _write_access() -> None:
    authority = base64.b64encode(paths.ca().read_bytes()).decode()
    access.write({name: access.Credentials(authority, {"token": region.tokens(each)["admin"]})
                  for name, each in names.REGIONS.items()}, inside=network.inside(names.WAN))
