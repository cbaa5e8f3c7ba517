"""A region falls silent while its calls go on at the simulated Twilio: the buddy fetches each of them once.

The region `fra` holds its sockets and says nothing; `ams` is two pods of the buddy with one store, behind one address.
Whoever takes a stream there claims its token and writes the call's record, as a bridge does.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import world_twilio_region as w
from aiohttp import WSMsgType, web
from control_builders import record
from control_parts import Region, until
from journal_shared import SharedStore
from world_vendors_tls import contexts

from holdfast_bridge.calls import TokenDesk
from holdfast_bridge.carrier import TwilioRest
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.token import Claim
from holdfast_bridge.rescue import Rescue
from holdfast_bridge.settings import FleetSecrets
from holdfast_gameday.world import serve
from holdfast_gameday.world.ports import free_port
from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_call import CarrierCall, EndedBy, Ending
from holdfast_gameday.world.twilio_faults import Fault, FaultKind

PATH = "/a/clinic/front-desk"


@dataclass
class Buddy:
    """The pods of `ams` behind one address, and the streams that they took."""

    pods: list[Region]
    store: SharedStore
    rescues: list[Rescue] = field(default_factory=list)
    taken: dict[str, list[int]] = field(default_factory=dict)
    """The epochs under which each call's stream was claimed here, in order."""
    open: dict[str, list[int]] = field(default_factory=dict)
    """The epochs of each call's streams that are open now."""
    asked: list[str] = field(default_factory=list)
    """The calls for which the carrier asked `next`, in order."""

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get(f"{PATH}/media", self._media)
        app.router.add_post(f"{PATH}/next", self._next)
        return app

    async def _next(self, request: web.Request) -> web.StreamResponse:
        """Either pod may be asked: here they take turns."""
        self.asked.append(request.query["call"])
        pod = self.pods[len(self.asked) % len(self.pods)]
        match_info = await self._applications[pod.name + str(id(pod))].router.resolve(request)
        return await match_info.handler(request)

    def __post_init__(self) -> None:
        self._applications = {pod.name + str(id(pod)): pod.application() for pod in self.pods}
        self._desk = TokenDesk(
            settings=lambda: self.pods[0].settings, memory=self.pods[0].memory, redis=None, full=lambda: False
        )

    async def _media(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        claim: Claim | None = None
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT and claim is None:
                    said = msgspec.json.decode(message.data)
                    if said["event"] != "start":
                        continue
                    found = self._desk.claim(said["start"]["customParameters"]["token"])
                    if not isinstance(found, Claim):
                        break
                    claim = found
                    await self._carried(claim)
        finally:
            # A carrier that hangs up without a word has this handler cancelled, not ended.
            if claim is not None:
                self.open[claim.call].remove(claim.epoch)
        return ws

    async def _carried(self, claim: Claim) -> None:
        self.taken.setdefault(claim.call, []).append(claim.epoch)
        self.open.setdefault(claim.call, []).append(claim.epoch)
        carried = record(call=claim.call, epoch=claim.epoch, seq=1, region="ams", pod="ams-1")
        self.pods[0].memory.put(carried)
        await self.store.put_many([carried])


@dataclass
class World:
    sim: TwilioSim
    fra: w.Region
    buddy: Buddy
    group: asyncio.TaskGroup
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def calls(self, count: int) -> list[CarrierCall]:
        """Calls that are carried in `fra` and whose journals both pods of the buddy keep."""
        placed = [self.sim.place("+491555000001", to=w.NUMBER, phone=w.Handset()) for _ in range(count)]
        await self.fra.socket(count)
        for number, call in enumerate(placed):
            kept = record(call=call.sid, region="fra", pod="fra-1", updated_at=1000.0 + number)
            for pod in self.buddy.pods:
                pod.memory.put(kept)
            await self.buddy.store.put_many([kept])
        return placed

    def lost(self) -> None:
        """The leader declares the region lost, and its journals have been still for long enough."""
        for pod in self.buddy.pods:
            pod.memory._clock = later
            pod.told(lost=("fra",))
        self.tasks += [self.group.create_task(rescue.run()) for rescue in self.buddy.rescues]

    def pushes(self) -> list[str]:
        """The calls that the carrier was told to ask about, in order."""
        return [write.resource.removeprefix("Calls/") for write in self.sim.state.writes]

    def owner(self, call: CarrierCall) -> CallRecord:
        """The account of a call that holds in the region."""
        return self.buddy.store.records[call.sid]


def later() -> float:
    return asyncio.get_running_loop().time() + 5.0


@contextlib.asynccontextmanager
async def world(folder: Path, **carrier: Any) -> AsyncIterator[World]:
    server, trust = contexts(folder, "fra.test", "ams.test")
    port = free_port()
    hosts = {"fra": "fra.test", "ams": f"ams.test:{port}"}
    async with (
        w.carrier(trust=trust, **carrier) as sim,
        w.Region("fra.test").serving(server) as fra,
        aiohttp.ClientSession() as http,
    ):
        store = SharedStore()
        pods = [Region("ams", hosts) for _ in range(2)]
        for pod in pods:
            pod.redis = pod.journal._redis = store
            agent = msgspec.structs.replace(
                pod.settings.agent,
                carrier=msgspec.structs.replace(
                    pod.settings.agent.carrier, account_sid=w.ACCOUNT, api_url=f"http://{sim.address}"
                ),
            )
            fleet: FleetSecrets = dataclasses.replace(
                pod.settings.fleet,
                carrier_tokens=(w.TOKEN,),
                carrier_api_key=w.KEY,
                carrier_api_secret=w.SECRET,
            )
            pod.settings = dataclasses.replace(pod.settings, agent=agent, fleet=fleet)
        buddy = Buddy(pods, store)
        for pod in pods:
            rescue = Rescue(
                settings=lambda pod=pod: pod.settings,
                directive=pod.directives,
                memory=pod.memory,
                redis=pod.redis,
                carrier=TwilioRest(http, lambda pod=pod: pod.settings),
                metrics=pod.metrics,
            )
            buddy.rescues.append(rescue)
        next_url = f"https://ams.test:{port}{PATH}/next"
        fra.answers["/voice"] = lambda request: fra.connect(
            f'<Redirect method="POST">{next_url}?call={request.form["CallSid"]}&amp;hop=1</Redirect>'
        )
        w.number(sim, fra.url("/voice"))
        async with (
            serve.serving(buddy.application(), "127.0.0.1", port, ssl_context=server),
            asyncio.TaskGroup() as group,
        ):
            made = World(sim, fra, buddy, group)
            try:
                yield made
            finally:
                for task in made.tasks:
                    task.cancel()
                await asyncio.gather(*made.tasks, return_exceptions=True)
                for call in sim.live():
                    call.complete(Ending(EndedBy.SIMULATOR))
                    await call.over.wait()


async def test_fifty_calls_of_a_silent_region_are_fetched_once_each_and_those_that_hung_up_are_left_alone(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, concurrency_limit=6) as here:
        calls = await here.calls(53)
        left, staying = calls[::20], [call for number, call in enumerate(calls) if number % 20]
        for call in left:
            call.complete(Ending(EndedBy.CALLER))
            await call.over.wait()
        here.lost()
        await until(lambda: len(here.buddy.taken) == 50, within_s=30.0)
        await until(lambda: not any(rescue.book.under_way for rescue in here.buddy.rescues), within_s=30)
        assert sorted(here.pushes()) == sorted(call.sid for call in staying), "each was told once"
        assert sorted(here.buddy.asked) == sorted(call.sid for call in staying)
        assert {call.sid: [2] for call in staying} == here.buddy.open
        assert all(call.host == "ams.test" for call in staying)
        for call in left:
            assert call.resource.status == "completed"
            assert here.owner(call).epoch == 1, "nobody took it up"
        assert max(rescue.book.at_once for rescue in here.buddy.rescues) <= 40


async def test_the_carriers_limit_slows_the_rescue_down_and_loses_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.sim.faults.arm(Fault(kind=FaultKind.TOO_MANY, times=12))
        calls = await here.calls(20)
        here.lost()
        await until(lambda: len(here.buddy.taken) == 20, within_s=30.0)
        assert sorted(here.pushes()) == sorted(call.sid for call in calls)


async def test_an_order_that_was_done_without_an_answer_is_not_given_again(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.sim.faults.arm(Fault(kind=FaultKind.COMMIT_THEN_TIMEOUT, method="POST", times=1, delay_s=0.2))
        (call,) = await here.calls(1)
        here.lost()
        await until(lambda: here.buddy.open.get(call.sid) == [2], within_s=30)
        (first, _) = here.buddy.rescues
        book = [rescue.book for rescue in here.buddy.rescues]
        kept = record(call=call.sid, region="fra", pod="fra-1")
        at = asyncio.get_running_loop().time
        await until(lambda: not any(each.under_way for each in book), within_s=30)
        assert first.book.due([kept], now=at()) == []
        await asyncio.gather(*(rescue._way.push(kept) for rescue in here.buddy.rescues))
        assert here.pushes() == [call.sid]
        assert here.buddy.taken == {call.sid: [2]}


@pytest.mark.parametrize("pull_first_s", [0.0, 0.02, 0.3])
async def test_a_call_that_is_pulled_and_pushed_at_once_ends_with_one_owner(
    tmp_path: Path, pull_first_s: float
) -> None:
    """The sockets close, so the carrier asks `next` by itself, while the buddy pushes the same calls."""
    async with world(tmp_path) as here:
        calls = await here.calls(12)
        await here.fra.drop_sockets()
        await asyncio.sleep(pull_first_s)
        here.lost()
        await until(lambda: len(here.buddy.taken) == 12, within_s=30)
        await until(lambda: not any(rescue.book.under_way for rescue in here.buddy.rescues), within_s=30)
        await until(lambda: all(len(epochs) == 1 for epochs in here.buddy.open.values()), within_s=30)
        for call in calls:
            owner = here.owner(call)
            assert call.resource.status == "in-progress"
            assert (owner.state, owner.region) == ("live", "ams")
            assert here.buddy.open[call.sid] == [owner.epoch], "the stream belongs to the highest epoch"
            assert here.pushes().count(call.sid) <= 1
