"""What only Kamailio does: a set of proxies that must agree, a list that a reload reads anew, states of its pinger."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from lever_kamailio import Wire, dispatcher
from real_kamailio import Line, RealKamailio, kamailio, until

from holdfast.levers.base import DriverError, OriginChange, OriginReading
from holdfast.levers.kamailio_dispatcher import KamailioDispatcher
from holdfast.levers.kamailio_reassert import Reassert
from holdfast_gameday.world.ports import free_port

pytestmark = pytest.mark.programs

FRA, AMS = free_port(), free_port()
LINES = Line(FRA, "fra", priority=10), Line(AMS, "ams", priority=5)
ROUNDS = int(os.environ.get("HOLDFAST_REASSERT_ROUNDS", "3"))
ORIGINS = {"fra": f"sip:127.0.0.1:{FRA}", "ams": f"sip:127.0.0.1:{AMS}"}
OFF = OriginChange(region="fra", enabled=False, epoch=4)
ON = OriginChange(region="fra", enabled=True, epoch=4)


@dataclass
class Set:
    """Two proxies and the way to them."""

    one: RealKamailio
    two: RealKamailio
    wire: Wire

    def lever(self, **settings: object) -> KamailioDispatcher:
        return dispatcher(self.wire, self.one, self.two, origins=ORIGINS, **settings)  # type: ignore[arg-type]

    async def states(self) -> tuple[str, str]:
        return (await self.one.state(FRA))[0], (await self.two.state(FRA))[0]


@pytest.fixture
async def sbcs() -> AsyncIterator[Set]:
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(kamailio(*LINES)) for _ in range(2)]
        wire = Wire()
        stack.push_async_callback(wire.aclose)
        yield Set(one, two, wire)


@dataclass
class Leader:
    """What the leader decided, and whether it may write now."""

    changes: dict[str, OriginChange] = field(default_factory=dict)
    leads: bool = True

    def wanted(self) -> Mapping[str, OriginChange]:
        return self.changes

    async def may_write(self) -> bool:
        return self.leads


def reassert(lever: KamailioDispatcher, leader: Leader) -> Reassert:
    return Reassert(driver=lever, decided=leader, dice=random.Random(1))


# A set of proxies.


async def test_a_move_that_is_half_made_is_never_read_as_made(sbcs: Set) -> None:
    lever = sbcs.lever()
    await lever.apply(OFF)
    await sbcs.two.ask("dispatcher.set_state", "ap", 1, ORIGINS["fra"])
    reading = await lever.read("fra")
    assert reading.enabled is True
    assert reading.drift == (
        f"lever sbc: proxy 127.0.0.1:{sbcs.two.rpc}: {ORIGINS['fra']} is A, D is meant",
    )
    await lever.apply(ON)
    await sbcs.two.ask("dispatcher.set_state", "d", 1, ORIGINS["fra"])
    assert (await lever.read("fra")).enabled is False


async def test_who_just_took_over_reads_a_half_made_move_as_on(sbcs: Set) -> None:
    await sbcs.one.ask("dispatcher.set_state", "d", 1, ORIGINS["fra"])
    reading = await sbcs.lever().read("fra")
    assert reading.enabled is True
    assert reading.drift == (
        f"lever sbc: proxy 127.0.0.1:{sbcs.one.rpc}: {ORIGINS['fra']} is D, in use elsewhere",
    )


async def test_what_was_wanted_before_another_leader_wrote_is_no_longer_meant(sbcs: Set) -> None:
    lever, successor = sbcs.lever(), sbcs.lever()
    await lever.apply(OFF)
    await successor.apply(OriginChange(region="fra", enabled=True, epoch=5))
    await sbcs.two.ask("dispatcher.set_state", "d", 1, ORIGINS["fra"])
    assert (await lever.read("fra")).drift == (
        f"lever sbc: proxy 127.0.0.1:{sbcs.two.rpc}: {ORIGINS['fra']} is D, in use elsewhere",
    )
    assert (await successor.read("fra")).enabled is False


async def test_a_dead_proxy_does_not_keep_the_others_from_being_written(sbcs: Set) -> None:
    """A region's own proxy dies with it; the calls come through the others, and those must stop sending it calls."""
    await sbcs.two.stop()
    with pytest.raises(DriverError) as told:
        await sbcs.lever().apply(OFF)
    assert (told.value.code, told.value.retryable) == ("Unreachable", True)
    assert await sbcs.one.state(FRA) == "DX"


async def test_a_silent_proxy_does_not_keep_the_others_from_being_written(sbcs: Set) -> None:
    sbcs.wire.silent.add(sbcs.two.rpc)
    with pytest.raises(DriverError) as told:
        await sbcs.lever().apply(OFF)
    assert told.value.code == "Timeout"
    assert (await sbcs.one.state(FRA))[0] == "D"


async def test_a_region_of_several_destinations_is_off_when_all_of_them_are() -> None:
    second = free_port()
    async with kamailio(*LINES, Line(second, "fra")) as proxy:
        wire = Wire()
        lever = dispatcher(wire, proxy, origins={"fra": f"{ORIGINS['fra']}  sip:127.0.0.1:{second}"})
        await lever.apply(OFF)
        assert [(await proxy.state(port))[0] for port in (FRA, second, AMS)] == ["D", "D", "A"]
        await proxy.ask("dispatcher.set_state", "ap", 1, f"sip:127.0.0.1:{second}")
        assert (await lever.read("fra")).enabled is True
        await wire.aclose()


async def test_a_group_of_another_number_is_not_touched() -> None:
    async with kamailio(*LINES, Line(FRA, "fra", group=2), Line(AMS, "ams", group=2)) as proxy:
        wire = Wire()
        await dispatcher(wire, proxy, origins=ORIGINS).apply(OFF)
        listed = await proxy.ask("dispatcher.list")
        await wire.aclose()
    flags = {
        (record["SET"]["ID"], target["DEST"]["URI"]): target["DEST"]["FLAGS"][0]
        for record in listed["RECORDS"]
        for target in record["SET"]["TARGETS"]
    }
    assert flags == {
        (1, ORIGINS["fra"]): "D", (1, ORIGINS["ams"]): "A", (2, ORIGINS["fra"]): "A", (2, ORIGINS["ams"]): "A",
    }  # fmt: skip


# The fence.


async def test_a_reload_keeps_the_fence_and_one_restart_of_several_does_too(sbcs: Set) -> None:
    lever = sbcs.lever()
    await lever.apply(OFF)
    await sbcs.one.ask("dispatcher.reload")
    await sbcs.two.restart()
    with pytest.raises(DriverError) as refused:
        await lever.apply(OriginChange(region="fra", enabled=True, epoch=3))
    assert refused.value.code == "Fenced"


async def test_without_a_table_for_epochs_the_lease_alone_fences(sbcs: Set) -> None:
    lever = sbcs.lever(fence_table="")
    await lever.apply(OFF)
    assert await lever.read("fra") == lever.normalise(OFF) == OriginReading(region="fra", enabled=False, epoch=0)
    await lever.apply(OriginChange(region="fra", enabled=True, epoch=3))
    assert await sbcs.states() == ("A", "A")


async def test_a_table_that_the_proxy_does_not_have_is_named(sbcs: Set) -> None:
    with pytest.raises(DriverError, match=r"htable\.get: No such htable") as refused:
        await sbcs.lever(fence_table="nope").read("fra")
    assert refused.value.code == "Refused"


# The pinger.


async def test_only_d_is_a_cordon_for_the_pinger_brings_back_the_others() -> None:
    """Sent by hand: `i` is undone by the next pings, which our `d` is not."""
    async with AsyncExitStack() as stack:
        alive = [await stack.enter_async_context(kamailio(Line(free_port(), "x"))) for _ in range(2)]
        fra, ams = alive
        proxy = await stack.enter_async_context(
            kamailio(Line(fra.sip, "fra", priority=10), Line(ams.sip, "ams"), ping_s=1)
        )

        async def shows(state: str) -> bool:
            return (await proxy.state(fra.sip))[0] == state

        await proxy.ask("dispatcher.set_state", "i", 1, f"sip:127.0.0.1:{fra.sip}")
        assert await shows("I")
        await until(lambda: shows("A"))
        wire = Wire()
        stack.push_async_callback(wire.aclose)
        origins = {"fra": f"sip:127.0.0.1:{fra.sip}", "ams": f"sip:127.0.0.1:{ams.sip}"}
        lever = dispatcher(wire, proxy, origins=origins)
        await lever.apply(OFF)
        pinged = await ams.ask("core.uptime")
        await until(lambda: _uptime_of(ams, pinged["uptime"] + 3))
        assert await shows("D")
        await lever.apply(ON)
        await until(lambda: shows("A"))


async def _uptime_of(proxy: RealKamailio, uptime: int) -> bool:
    return bool((await proxy.ask("core.uptime"))["uptime"] >= uptime)


# Putting back.


async def test_a_reload_and_a_restart_forget_it_and_one_look_puts_it_back(sbcs: Set) -> None:
    lever = sbcs.lever()
    await lever.apply(OFF)
    watch = reassert(lever, Leader({"fra": OFF}))
    await sbcs.one.ask("dispatcher.reload")
    await sbcs.two.restart()
    assert await sbcs.states() == ("A", "A")
    assert [await watch.look(proxy) for proxy in lever.proxies] == [("fra",), ("fra",)]
    assert await sbcs.states() == ("D", "D")
    assert await lever.read("fra") == lever.normalise(OFF)
    assert [await watch.look(proxy) for proxy in lever.proxies] == [(), ()]


async def test_who_may_not_write_puts_nothing_back(sbcs: Set) -> None:
    lever = sbcs.lever()
    await lever.apply(OFF)
    await sbcs.one.ask("dispatcher.reload")
    written = sbcs.wire.writes()
    assert await reassert(lever, Leader({"fra": OFF}, leads=False)).look(lever.proxies[0]) == ()
    assert await reassert(lever, Leader({})).look(lever.proxies[0]) == ()
    assert sbcs.wire.writes() == written


async def test_an_earlier_leader_cannot_put_back_what_its_successor_undid(sbcs: Set) -> None:
    lever = sbcs.lever()
    await lever.apply(OriginChange(region="fra", enabled=True, epoch=5))
    watch = reassert(lever, Leader({"fra": OFF}))
    assert await watch.look(lever.proxies[0]) == ()
    assert "written under epoch 5, ours is 4" in next(iter(watch.troubles().values()))
    assert await sbcs.states() == ("A", "A")


async def test_what_is_as_decided_costs_one_request_a_look_and_no_write(sbcs: Set) -> None:
    lever = sbcs.lever()
    await lever.apply(OFF)
    before = len(sbcs.wire.seen)
    watch = reassert(lever, Leader({"fra": OFF, "ams": OriginChange(region="ams", enabled=True, epoch=4)}))
    assert await watch.look(lever.proxies[0]) == ()
    assert sbcs.wire.seen[before:] == [(sbcs.one.rpc, "dispatcher.list")]


async def test_a_region_that_the_proxy_no_longer_lists_is_told(sbcs: Set) -> None:
    lever = sbcs.lever()
    watch = reassert(lever, Leader({"fra": OFF}))
    sbcs.one.write_list(LINES[1])
    await sbcs.one.ask("dispatcher.reload")
    await watch.look(lever.proxies[0])
    assert watch.troubles() == {
        lever.proxies[0].who: f"{lever.proxies[0].who}: group 1 has no destination {ORIGINS['fra']}"
    }


async def test_a_proxy_that_is_gone_is_told_and_forgotten_when_it_is_back(sbcs: Set) -> None:
    lever = sbcs.lever()
    watch = reassert(lever, Leader({"fra": OFF}))
    await sbcs.one.stop()
    await watch.look(lever.proxies[0])
    assert watch.troubles() == {lever.proxies[0].who: f"{lever.proxies[0].who}: no connection"}
    await sbcs.one.start()
    assert await watch.look(lever.proxies[0]) == ("fra",)
    assert watch.troubles() == {}


@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_the_window_after_a_reload_or_a_restart_stays_within_two_seconds(
    sbcs: Set, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Measured at random phase, from the reload or from the first answer after the restart, to `d` standing again."""
    lever = sbcs.lever()
    await lever.apply(OFF)
    watching = asyncio.create_task(reassert(lever, Leader({"fra": OFF})).run())
    dice = random.Random()
    windows = []
    for _ in range(ROUNDS):
        await asyncio.sleep(dice.uniform(0.0, 1.0))  # a random phase of the watch
        await (sbcs.one.ask("dispatcher.reload") if how == "reload" else sbcs.one.restart())
        began = time.monotonic()

        async def cordoned() -> bool:
            return await sbcs.one.state(FRA) == "DX"

        await until(cordoned)
        windows.append(time.monotonic() - began)
    watching.cancel()
    with capsys.disabled():
        print(f"\n{how}: d stood again after {', '.join(f'{each:.2f}' for each in windows)} s")
    assert max(windows) <= 2.0


# The list file.


async def test_with_the_flag_in_the_list_file_a_reload_and_a_restart_keep_the_region_out(sbcs: Set) -> None:
    lever = sbcs.lever(file=True)
    await lever.apply(OFF)
    assert await lever.read("fra") == lever.normalise(OFF)
    await sbcs.one.ask("dispatcher.reload")
    await sbcs.two.restart()
    assert await sbcs.states() == ("D", "D")
    await lever.apply(ON)
    await sbcs.one.ask("dispatcher.reload")
    await sbcs.two.restart()
    assert await sbcs.states() == ("A", "A")


async def test_a_list_file_that_says_other_than_is_decided_is_told(sbcs: Set) -> None:
    lever = sbcs.lever(file=True)
    await lever.apply(OFF)
    sbcs.one.write_list(*LINES)
    reading = await lever.read("fra")
    assert (reading.enabled, reading.drift) == (
        False,
        (f"lever sbc: list file {sbcs.one.list_file}: a reload would bring {ORIGINS['fra']} on",),
    )


async def test_a_list_file_that_cannot_be_written_is_told_after_the_proxies_were(sbcs: Set) -> None:
    lever = sbcs.lever(file=True)
    sbcs.two.list_file.unlink()
    with pytest.raises(DriverError) as told:
        await lever.apply(OFF)
    assert told.value.code == "ListFile"
    assert await sbcs.states() == ("D", "D")


async def test_a_list_file_that_is_rolled_out_anew_gets_its_flag_back(sbcs: Set) -> None:
    lever, leader = sbcs.lever(file=True), Leader({"fra": OFF})
    await lever.apply(OFF)
    watch = reassert(lever, leader)
    sbcs.one.write_list(*LINES)
    leader.leads = False
    assert await watch.look_at_files() == ()
    leader.leads = True
    assert await watch.look_at_files() == ("fra",)
    assert (await lever.read("fra")).drift == ()
    assert await watch.look_at_files() == ()


async def test_a_list_file_that_hangs_does_not_keep_the_proxies_from_being_written(sbcs: Set) -> None:
    sbcs.two.list_file.unlink()
    os.mkfifo(sbcs.two.list_file)
    with pytest.raises(DriverError) as told:
        await sbcs.lever(file=True).apply(OFF)
    assert told.value.code == "ListFile"
    assert await sbcs.states() == ("D", "D")
    await asyncio.to_thread(sbcs.two.list_file.write_text, "")
