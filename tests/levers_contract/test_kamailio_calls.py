"""Real calls through a real Kamailio: what a move does to new calls, and that calls in progress are not touched."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from lever_kamailio import Wire, dispatcher
from real_kamailio import Line, RealKamailio, kamailio, until
from real_sipp import DRAINS, Sipp, callers, takes_calls

from holdfast.levers.base import DriverError, OriginChange
from holdfast.levers.kamailio_dispatcher import KamailioDispatcher

pytestmark = pytest.mark.programs

NO_ANSWER_S = 0.6  # the proxy gives each destination 0.7 s, by a timer of a tenth of that

FRA_OFF = OriginChange(region="fra", enabled=False, epoch=4)
FRA_ON = OriginChange(region="fra", enabled=True, epoch=4)


@dataclass
class Trunk:
    """Two regions that take calls behind one proxy, `fra` first, and the lever that moves them."""

    fra: Sipp
    ams: Sipp
    proxy: RealKamailio
    lever: KamailioDispatcher
    lever_with_file: KamailioDispatcher


@pytest.fixture
async def trunk() -> AsyncIterator[Trunk]:
    async with AsyncExitStack() as stack:
        fra, ams = [await stack.enter_async_context(takes_calls()) for _ in range(2)]
        lines = Line(fra.port, "fra", priority=10), Line(ams.port, "ams", priority=5)
        proxy = await stack.enter_async_context(kamailio(*lines))
        wire = Wire()
        stack.push_async_callback(wire.aclose)
        origins = {"fra": fra.uri, "ams": ams.uri}
        yield Trunk(
            fra,
            ams,
            proxy,
            lever=dispatcher(wire, proxy, origins=origins),
            lever_with_file=dispatcher(wire, proxy, origins=origins, file=True),
        )


async def test_a_move_takes_hold_with_the_next_invite_and_no_call_fails(trunk: Trunk) -> None:
    async with callers(trunk.proxy.sip, calls=60, per_s=30, talk_ms=50) as carrier:
        await until(lambda: len(trunk.fra.calls()) >= 10)
        await trunk.lever.apply(FRA_OFF)
        moved_at = time.time()
        assert await carrier.done() == 0
        late = {each.call for each in carrier.messages() if each.what == "INVITE" and each.at > moved_at}
    assert late
    assert late <= set(trunk.ams.calls()) - set(trunk.fra.calls())
    assert len(trunk.fra.calls()) + len(trunk.ams.calls()) == 60
    assert len(trunk.ams.calls()) > 0


async def test_calls_in_progress_stay_and_end_with_their_own_bye_at_the_old_region(trunk: Trunk) -> None:
    """In-dialog requests follow the Route set: a cordon, and even a reload, is none of their business."""
    async with callers(trunk.proxy.sip, calls=5, per_s=50, talk_ms=1500) as carrier:
        # On a busy machine an answer may take longer than the proxy waits: such a call is at the second region.
        await until(lambda: len(trunk.fra.calls("ACK")) + len(trunk.ams.calls("ACK")) == 5)
        here, there = set(trunk.fra.calls("ACK")), set(trunk.ams.calls("ACK"))
        assert here
        await trunk.lever.apply(FRA_OFF)
        assert trunk.fra.calls("BYE") == ()
        assert await carrier.done() == 0
    assert set(trunk.fra.calls("BYE")) == here
    assert set(trunk.ams.calls("ACK")) == set(trunk.ams.calls("BYE")) == there


async def test_a_region_that_comes_back_takes_new_calls_again(trunk: Trunk) -> None:
    await trunk.lever.apply(FRA_OFF)
    async with callers(trunk.proxy.sip, calls=2, per_s=50) as carrier:
        assert await carrier.done() == 0
    await trunk.lever.apply(FRA_ON)
    async with callers(trunk.proxy.sip, calls=3, per_s=50) as carrier:
        assert await carrier.done() == 0
    assert (len(trunk.ams.calls()), len(trunk.fra.calls())) == (2, 3)


async def test_the_last_region_is_never_taken_out(trunk: Trunk) -> None:
    await trunk.lever.apply(FRA_OFF)
    with pytest.raises(DriverError) as refused:
        await trunk.lever.apply(OriginChange(region="ams", enabled=False, epoch=4))
    assert refused.value.code == "LastDestination"
    async with callers(trunk.proxy.sip, calls=3, per_s=50) as carrier:
        assert await carrier.done() == 0
    assert len(trunk.ams.calls()) == 3


async def test_a_region_is_not_taken_out_while_the_pinger_finds_nothing_else_alive() -> None:
    async with takes_calls() as fra, takes_calls() as ams, AsyncExitStack() as stack:
        lines = Line(fra.port, "fra", priority=10), Line(ams.port, "ams", priority=5)
        proxy = await stack.enter_async_context(kamailio(*lines, ping_s=1))
        wire = Wire()
        stack.push_async_callback(wire.aclose)
        lever = dispatcher(wire, proxy, origins={"fra": fra.uri, "ams": ams.uri})
        await ams.kill()

        async def dead() -> bool:
            return (await proxy.state(ams.port)).startswith("I")

        await until(dead)
        with pytest.raises(DriverError) as refused:
            await lever.apply(FRA_OFF)
        assert refused.value.code == "LastDestination"
        assert (await lever.read("fra")).enabled is True


async def test_a_draining_region_that_answers_503_is_failed_over_before_any_move() -> None:
    async with takes_calls(scenario=DRAINS) as fra, takes_calls() as ams:
        lines = Line(fra.port, "fra", priority=10), Line(ams.port, "ams", priority=5)
        async with kamailio(*lines) as proxy, callers(proxy.sip, calls=4, per_s=50) as carrier:
            assert await carrier.done() == 0
        assert len(fra.calls("INVITE")) == 4
        assert set(ams.calls("BYE")) == set(fra.calls("INVITE"))


async def test_a_killed_region_costs_each_new_call_a_timeout_until_it_is_taken_out(trunk: Trunk) -> None:
    """The failure route alone keeps calls going; the move takes the delay away."""
    await trunk.fra.kill()
    async with callers(trunk.proxy.sip, calls=2, per_s=50) as carrier:
        assert await carrier.done() == 0
        before = _set_up_s(carrier)
    await trunk.lever.apply(FRA_OFF)
    async with callers(trunk.proxy.sip, calls=3, per_s=50) as carrier:
        assert await carrier.done() == 0
        after = _set_up_s(carrier)
    assert len(trunk.ams.calls("BYE")) == 5
    assert min(before) >= NO_ANSWER_S > max(after)


@pytest.mark.parametrize("with_file", [True, False])
async def test_a_reload_under_load_sends_no_call_to_a_region_whose_flag_is_in_the_list_file(
    trunk: Trunk, with_file: bool
) -> None:
    """Without the flag the same reloads do bring it back, until they are noticed: that is the window it closes."""
    lever = trunk.lever_with_file if with_file else trunk.lever
    await lever.apply(FRA_OFF)
    async with callers(trunk.proxy.sip, calls=40, per_s=40) as carrier:
        for wanted in (5, 10, 15):
            await until(lambda wanted=wanted: len(trunk.ams.calls()) + len(trunk.fra.calls()) >= wanted)
            await trunk.proxy.ask("dispatcher.reload")
        assert await carrier.done() == 0
    assert (trunk.fra.calls() == ()) is with_file


def _set_up_s(carrier: Sipp) -> list[float]:
    """How long each call took from the first INVITE to its answer."""
    invited: dict[str, float] = {}
    took = {}
    for each in carrier.messages():
        if each.what == "INVITE":
            invited.setdefault(each.call, each.at)
        if each.what == "200" and each.call not in took:
            took[each.call] = each.at - invited[each.call]
    return list(took.values())
