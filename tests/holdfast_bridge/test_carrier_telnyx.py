"""Telnyx's call commands as a bridge uses them, against the simulated API over a loopback socket."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import msgspec
import pytest
import world_telnyx_spec
from control_builders import built, record
from control_parts import Region
from control_redis import redis_server

from holdfast_bridge import settings as bridge_settings
from holdfast_bridge.carrier_push import TellStream
from holdfast_bridge.carrier_telnyx import TelnyxRest
from holdfast_bridge.core import token
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.rescue import Answer, Said
from holdfast_bridge.seams import StreamOrder
from holdfast_gameday.world.ports import free_ports
from holdfast_gameday.world.telnyx import TelnyxApi
from holdfast_gameday.world.telnyx_calls import TelnyxCall
from holdfast_gameday.world.telnyx_faults import Fault
from holdfast_gameday.world.telnyx_state import TelnyxState

KEY = "KEY-practice"
AMS = "wss://ams.voice.example.com/a/clinic/front-desk/media"
FRA = "wss://fra.voice.example.com/a/clinic/front-desk/media"
ORDER = StreamOrder(url=AMS, token="t0ken", epoch=2)


@dataclass
class Stage:
    sim: TelnyxApi
    rest: TelnyxRest
    settings: bridge_settings.Settings
    now: list[float] = field(default_factory=lambda: [1000.0])

    def call(self) -> TelnyxCall:
        return self.sim.calls.place("1", stream_url=FRA)

    def commands(self) -> list[tuple[str, str]]:
        return [(method, path.rpartition("/")[2]) for method, path in self.sim.requests]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        yield made


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    now = [1000.0]
    sim = TelnyxApi(TelnyxState(clock=lambda: now[0]))
    async with sim.serving("127.0.0.1", 0) as address, aiohttp.ClientSession() as http:
        settings = built(region="ams", buddy="fra")
        carrier = msgspec.structs.replace(settings.agent.carrier, name="telnyx-eu", api_url=f"http://{address}")
        agent = msgspec.structs.replace(settings.agent, carrier=carrier)
        fleet = dataclasses.replace(settings.fleet, carrier_api_key=KEY)
        settings = dataclasses.replace(settings, agent=agent, fleet=fleet)
        yield Stage(sim, TelnyxRest(http, lambda: settings), settings, now)


async def test_a_call_is_streamed_to_the_region_that_takes_it_up(stage: Stage) -> None:
    call = stage.call()
    assert (await stage.rest.restream(call.call_control_id, ORDER)).said is Said.MOVED
    assert call.stream is not None
    assert (call.stream.url, call.stream.auth_token, call.stream.parameters) == (AMS, "t0ken", {"token": "t0ken"})
    assert (call.stream.mode, call.stream.codec) == ("rtp", "PCMU"), "in the default mode what we say is not heard"
    assert [each.name for each in call.commands] == ["streaming_stop", "streaming_start"]


async def test_a_repeated_order_is_ignored_by_the_carrier(stage: Stage) -> None:
    """A repeat that stopped the stream again would cut the call that it had just saved."""
    call = stage.call()
    for _ in range(3):
        assert (await stage.rest.restream(call.call_control_id, ORDER)).said is Said.MOVED
    assert [stream.url for stream in call.streams] == [FRA, AMS]
    assert call.repeats == 4


async def test_a_start_whose_answer_was_lost_is_repeated_without_a_second_stream(stage: Stage) -> None:
    call = stage.call()
    stage.sim.faults.arm(Fault("slow", writes_only=True, times=1, seconds=0.0))  # the stop passes
    stage.sim.faults.arm(Fault("commit", times=1, seconds=0.0))
    assert (await stage.rest.restream(call.call_control_id, ORDER)).said is Said.UNKNOWN
    assert (await stage.rest.restream(call.call_control_id, ORDER)).said is Said.MOVED
    assert [stream.url for stream in call.streams] == [FRA, AMS]


async def test_a_later_epoch_is_another_order(stage: Stage) -> None:
    call = stage.call()
    await stage.rest.restream(call.call_control_id, ORDER)
    later = StreamOrder(url="wss://waw.voice.example.com/media", token="t", epoch=3)
    assert (await stage.rest.restream(call.call_control_id, later)).said is Said.MOVED
    assert call.stream is not None
    assert call.stream.url == later.url


async def test_a_caller_that_hung_up_stays_hung_up(stage: Stage) -> None:
    call = stage.call()
    stage.sim.calls.hang_up(call)
    for name in (call.call_control_id, "v3:unknown"):
        assert (await stage.rest.restream(name, ORDER)).said is Said.OVER
    assert stage.commands() == [("POST", "streaming_stop")] * 2, "after the first word of the end nothing is asked"


async def test_a_call_id_is_one_part_of_the_path_whatever_it_holds(stage: Stage) -> None:
    stage.sim.calls.calls["v3:a/b+c=="] = stage.call()
    assert (await stage.rest.restream("v3:a/b+c==", ORDER)).said is Said.MOVED


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault("error", status=503), Answer(Said.UNKNOWN)),
        (Fault("down"), Answer(Said.UNKNOWN)),
        (Fault("revoked"), Answer(Said.REFUSED)),
        (Fault("error", status=422), Answer(Said.REFUSED)),
    ],
)
async def test_what_each_failure_means(stage: Stage, fault: Fault, answer: Answer) -> None:
    """A 422 with another code than that of an ended call is a refusal: the caller is still there."""
    call = stage.call()
    stage.sim.faults.arm(fault)
    assert await stage.rest.restream(call.call_control_id, ORDER) == answer
    assert call.alive


async def test_too_many_requests_say_how_long_to_wait(stage: Stage) -> None:
    call = stage.call()
    stage.sim.limits.lock_out(7.0)
    assert await stage.rest.restream(call.call_control_id, ORDER) == Answer(Said.BUSY, retry_after_s=7.0)


async def test_a_hang_up_ends_the_call_and_its_failure_is_no_exception(stage: Stage) -> None:
    call, other = stage.call(), stage.call()
    await stage.rest.hang_up(call.call_control_id)
    assert not call.alive
    await stage.rest.hang_up(call.call_control_id)
    stage.sim.faults.arm(Fault("error", times=1))
    await stage.rest.hang_up(other.call_control_id)
    assert not other.alive, "asked once more"
    stage.sim.faults.arm(Fault("down"))
    await stage.rest.hang_up(other.call_control_id)


async def test_without_a_key_nothing_is_asked(stage: Stage) -> None:
    fleet = dataclasses.replace(stage.settings.fleet, carrier_api_key="")
    keyless = dataclasses.replace(stage.settings, fleet=fleet)
    rest = TelnyxRest(stage.rest._http, lambda: keyless)
    assert await rest.restream(stage.call().call_control_id, ORDER) == Answer(Said.REFUSED)
    assert stage.sim.requests == []


@pytest.mark.skipif(not world_telnyx_spec.PRESENT, reason=world_telnyx_spec.ABSENT)
async def test_every_command_is_one_that_the_description_allows(stage: Stage) -> None:
    call = stage.call()
    await stage.rest.restream(call.call_control_id, ORDER)
    await stage.rest.hang_up(call.call_control_id)
    for command in call.commands:
        path = f"/calls/{call.call_control_id}/actions/{command.name}"
        world_telnyx_spec.check_request("POST", path, dict(command.body))


# A call of a lost region, taken up here: the epoch is raised first, then the carrier is told.


def pod(stage: Stage, redis_url: str) -> tuple[Region, TellStream]:
    hosts = dict(zip(("fra", "ams"), (f"127.0.0.1:{port}" for port in free_ports(2)), strict=True))
    region = Region("ams", hosts, redis_url=redis_url)
    way = TellStream(
        settings=lambda: stage.settings,
        journal_of_calls=region.journal,
        memory=region.memory,
        carrier=stage.rest,
        clock=lambda: stage.now[0],
    )
    return region, way


@asynccontextmanager
async def two_pods(stage: Stage) -> AsyncIterator[list[tuple[Region, TellStream]]]:
    async with redis_server() as server:
        found = [pod(stage, server.url) for _ in range(2)]
        yield found
        for region, _ in found:
            assert region.redis is not None
            await region.redis.aclose()


def lost(call: TelnyxCall) -> CallRecord:
    return record(call=call.call_control_id, updated_at=990.0)


def claimed(stage: Stage, call: TelnyxCall) -> token.Claim:
    assert call.stream is not None
    keys, agent = stage.settings.fleet.zone_keys, stage.settings.agent
    claim = token.verify(call.stream.auth_token, keys=keys, agent=agent.id, region="ams", now=stage.now[0])
    assert isinstance(claim, token.Claim)
    return claim


async def test_the_epoch_is_raised_here_before_the_carrier_is_told(stage: Stage) -> None:
    region, way = pod(stage, "")
    call = stage.call()
    assert (await way.push(lost(call))).said is Said.MOVED
    kept = region.memory.get(call.call_control_id)
    assert kept is not None
    assert (kept.epoch, kept.region, kept.pod) == (2, "ams", "")
    assert (claimed(stage, call).epoch, claimed(stage, call).call) == (2, call.call_control_id)
    assert call.stream is not None
    assert call.stream.url == AMS
    assert way.unfinished() == []


async def test_what_the_carrier_did_not_take_is_finished_under_the_same_epoch(stage: Stage) -> None:
    _, way = pod(stage, "")
    call = stage.call()
    stage.sim.faults.arm(Fault("error", times=1))
    assert (await way.push(lost(call))).said is Said.UNKNOWN
    assert way.unfinished() == [lost(call)]
    assert (await way.push(lost(call))).said is Said.MOVED
    assert claimed(stage, call).epoch == 2
    assert way.unfinished() == []


async def test_a_stream_that_arrived_although_its_answer_was_lost_is_not_touched_again(stage: Stage) -> None:
    """More than a minute later the command ids no longer protect it."""
    region, way = pod(stage, "")
    call = stage.call()
    stage.sim.faults.arm(Fault("slow", writes_only=True, times=1, seconds=0.0))
    stage.sim.faults.arm(Fault("commit", times=1, seconds=0.0))
    assert (await way.push(lost(call))).said is Said.UNKNOWN
    region.memory.put(record(call=call.call_control_id, epoch=2, region="ams", pod="ams-1"))
    stage.now[0] += 100.0
    assert (await way.push(lost(call))).said is Said.TAKEN
    assert [stream.url for stream in call.streams] == [FRA, AMS]


async def test_two_pods_take_a_call_up_once(stage: Stage) -> None:
    async with two_pods(stage) as ((_, one), (_, other)):
        call = stage.call()
        assert (await one.push(lost(call))).said is Said.MOVED
        assert (await other.push(lost(call))).said is Said.ELSEWHERE
        assert [stream.url for stream in call.streams] == [FRA, AMS]
        stage.now[0] += 31.0
        assert (await other.push(lost(call))).said is Said.TAKEN


async def test_two_pods_that_begin_at_the_same_moment_give_one_order(stage: Stage) -> None:
    """Both see the old account; the compare-and-set lets one of them go on."""
    async with two_pods(stage) as ((_, one), (_, other)):
        call = stage.call()
        answers = await asyncio.gather(one.push(lost(call)), other.push(lost(call)))
        assert {answer.said for answer in answers} == {Said.MOVED, Said.ELSEWHERE}
        assert call.repeats == 0


@pytest.mark.parametrize(
    "newer", [{"state": "ended", "seq": 9}, {"epoch": 2, "region": "ams", "pod": "ams-2"}], ids=["ended", "taken over"]
)
async def test_a_call_that_ended_or_has_a_newer_owner_is_left_alone(stage: Stage, newer: dict[str, object]) -> None:
    region, way = pod(stage, "")
    call = stage.call()
    region.memory.put(record(call=call.call_control_id, **newer))
    assert (await way.push(lost(call))).said is Said.TAKEN
    assert stage.sim.requests == []
