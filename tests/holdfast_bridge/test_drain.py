"""Draining: calls are moved at silence, journals first; what cannot be pushed is left to the carrier."""

from __future__ import annotations

import asyncio
from typing import Any

from control_builders import CALL, record
from control_parts import RecordingCarrier, Region, SpokenCall, until

from holdfast_bridge.drain import Drain
from holdfast_gameday.world.ports import free_ports


def zone(**changes: Any) -> tuple[Region, Region]:
    fra, ams = free_ports(2)
    hosts = {"fra": f"127.0.0.1:{fra}", "ams": f"127.0.0.1:{ams}"}
    return Region("fra", hosts, **changes), Region("ams", hosts, **changes)


def drain_of(region: Region, carrier: RecordingCarrier) -> Drain:
    return Drain(
        settings=lambda: region.settings,
        directive=region.directives,
        calls=region.calls,
        journal=region.journal,
        carrier=carrier,
        metrics=region.metrics,
    )


def leaving(region: Region) -> RecordingCarrier:
    """A carrier that, as the real one does, takes the stream away when it is redirected."""

    def gone(call: str, _url: str) -> None:
        carried = region.calls.find(call)
        assert carried is not None
        region.calls.remove(carried)

    return RecordingCarrier(after=gone)


async def test_a_silent_call_goes_to_the_buddy_with_its_journal_ahead_of_it() -> None:
    fra, ams = zone()
    call = SpokenCall(record(seq=7), quiet=True)
    fra.calls.add(call)
    carrier = leaving(fra)
    async with ams.running(), fra.running(linked_to="ams"):
        await until(lambda: fra.link.up)
        await drain_of(fra, carrier).run(within_s=5.0)
        assert ams.memory.get(CALL) == record(seq=7)
    assert call.was_released
    assert carrier.redirects == [
        (CALL, f"https://{fra.hosts['ams']}/a/clinic/front-desk/next?call={CALL}&hop=0#ct=1000&rt=3000&rc=1")
    ]


async def test_a_call_stays_in_its_region_while_other_pods_are_ready_there() -> None:
    fra, _ = zone()
    fra.told(buddy="ams", siblings=1)
    fra.calls.add(SpokenCall(quiet=True))
    carrier = leaving(fra)
    await drain_of(fra, carrier).run(within_s=5.0)
    assert carrier.redirects[0][1].startswith(f"https://{fra.hosts['fra']}/")


async def test_when_the_whole_region_is_drained_siblings_are_no_refuge() -> None:
    fra, _ = zone()
    fra.told(buddy="ams", siblings=1)
    fra.calls.add(SpokenCall(quiet=True))
    carrier = leaving(fra)
    await drain_of(fra, carrier).run(within_s=5.0, leave_region=True)
    assert carrier.redirects[0][1].startswith(f"https://{fra.hosts['ams']}/")


async def test_a_call_in_mid_sentence_waits_for_silence() -> None:
    fra, _ = zone()
    call = SpokenCall()
    fra.calls.add(call)
    carrier = leaving(fra)
    async with asyncio.TaskGroup() as group:
        group.create_task(drain_of(fra, carrier).run(within_s=60.0))
        await asyncio.sleep(0.2)
        assert carrier.redirects == []
        call.quiet = True
        await until(lambda: len(carrier.redirects) == 1)


async def test_when_the_time_is_nearly_up_a_speaking_call_moves_too() -> None:
    fra, _ = zone()
    fra.calls.add(SpokenCall())
    carrier = leaving(fra)
    await drain_of(fra, carrier).run(within_s=0.6)
    assert len(carrier.redirects) == 1


async def test_a_call_the_carrier_will_not_move_does_not_hold_the_pod_for_ever() -> None:
    fra, _ = zone()
    fra.calls.add(SpokenCall(quiet=True))
    carrier = RecordingCarrier(refuse=100)
    async with asyncio.timeout(30):
        await drain_of(fra, carrier).run(within_s=0.5)
    assert len(fra.calls) == 1
    assert carrier.refuse == 99, "a refused hand-over is not repeated at once"


async def test_a_drain_that_is_no_longer_wanted_ends() -> None:
    fra, _ = zone()
    fra.calls.add(SpokenCall())
    async with asyncio.timeout(30):
        await drain_of(fra, RecordingCarrier()).run(within_s=60.0, wanted=lambda: False)


async def test_the_canarys_probes_are_left_to_end_by_themselves() -> None:
    fra, _ = zone(carrier={"name": "canary", "kind": "canary"})
    call = SpokenCall(quiet=True)
    fra.calls.add(call)
    carrier = RecordingCarrier()
    await drain_of(fra, carrier).run(within_s=0.3)
    assert carrier.redirects == []
    assert not call.was_released
