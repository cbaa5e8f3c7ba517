"""Synthetic calls end to end over loopback: what the report says is what happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import world_twilio_region as w

from holdfast_gameday.world.callers import Call, Callers, Outcome
from holdfast_gameday.world.callers_script import Ask, Chat, Goodbye, Listen, Tell, remember_a_code
from holdfast_gameday.world.twilio import TwilioSim


@pytest.fixture
async def sim() -> AsyncIterator[TwilioSim]:
    async with w.carrier() as sim:
        yield sim


async def over(call: Call) -> None:
    async with asyncio.timeout(30):
        await call.over.wait()


class Agent:
    """Remembers a code across regions and hangs up by the API when told goodbye."""

    def __init__(self, sim: TwilioSim) -> None:
        self.sim = sim
        self.code = "unknown"
        self.sessions = 0

    async def __call__(self, socket: w.Socket, text: str) -> None:
        if not text:
            self.sessions += 1
            socket.session = self.sessions  # type: ignore[attr-defined]
            await self.say(socket, "welcome" if self.sessions == 1 else "as i was saying")
        elif "my code is" in text:
            self.code = text.rsplit(maxsplit=1)[-1]
            await self.say(socket, "thank you")
        elif text == "what is my code":
            await self.say(socket, f"your code is {self.code}")
        elif text == "goodbye":
            call = socket.of("start")[0]["start"]["callSid"]
            await w.rest(self.sim, "POST", f"/Calls/{call}", Status="completed")
        else:
            await self.say(socket, f"{text}: a long story of many words")

    async def say(self, socket: w.Socket, text: str) -> None:
        await socket.say(text, session=socket.session)  # type: ignore[attr-defined]


async def test_a_call_that_is_moved_between_regions_reports_what_the_caller_heard(sim: TwilioSim) -> None:
    agent = Agent(sim)
    async with w.Region("fra.test").serving() as fra, w.Region("ams.test").serving() as ams:
        fra.agent = ams.agent = agent
        fra.answers["/voice"] = fra.connect(f"<Redirect>{ams.url('/next')}</Redirect>")
        ams.answers["/next"] = ams.connect()
        w.number(sim, fra.url("/voice"))
        callers = Callers(sim)
        call = callers.place(w.NUMBER, remember_a_code("4711"))
        async with asyncio.timeout(30):
            await call.settled.wait()
        assert call.host == "fra.test"
        lost_at = asyncio.get_running_loop().time()
        await fra.drop_sockets()
        await ams.socket()
        call.finish()
        await over(call)
        report = call.report()
    assert report.outcome is Outcome.AGENT_HUNG_UP
    assert report.fact_answered
    assert report.hosts == ("fra.test", "ams.test")
    assert report.host_at(lost_at + 2) == "ams.test"
    heard_at = report.heard_elsewhere_at(since=lost_at, lost_host="fra.test")
    assert heard_at is not None
    assert heard_at - lost_at < 8
    assert report.longest_gap_s(since=lost_at) < 10
    assert report.setup_s is not None
    assert report.first_audio_s is not None
    assert 0 < report.setup_s < report.first_audio_s < 10
    assert {segment.speaker for segment in report.segments} == {1, 2}
    assert [turn.question for turn in report.turns if turn.expect] == ["what is my code"]
    assert callers.live() == []


async def test_a_call_that_nobody_takes_up_is_lost(sim: TwilioSim) -> None:
    async with w.Region("fra.test").serving() as fra:
        fra.agent = Agent(sim)
        fra.answers["/voice"] = fra.connect()
        w.number(sim, fra.url("/voice"))
        call = Callers(sim).place(w.NUMBER, (Listen(), Tell("my code is 1"), Chat()))
        async with asyncio.timeout(30):
            await call.settled.wait()
            while not call.agent_speaks(asyncio.get_running_loop().time()):
                await fra.sockets[0].until("media", len(fra.sockets[0].of("media")) + 1)
        await fra.sockets[0].ws.close()
        await over(call)
    report = call.report()
    assert (report.outcome, report.detail) == (Outcome.LOST, "no-verb-left")


async def test_an_agent_that_hangs_up_before_goodbye_loses_the_call(sim: TwilioSim) -> None:
    async with w.Region("fra.test").serving() as fra:
        fra.answers["/voice"] = "<Response><Hangup/></Response>"
        w.number(sim, fra.url("/voice"))
        call = Callers(sim).place(w.NUMBER, (Listen(), Goodbye()))
        await over(call)
    assert call.report().outcome is Outcome.LOST
    assert call.report().setup_s is None


async def test_a_caller_may_hang_up(sim: TwilioSim) -> None:
    async with w.Region("fra.test").serving() as fra:
        fra.answers["/voice"] = fra.connect()
        w.number(sim, fra.url("/voice"))
        call = Callers(sim).place(w.NUMBER, (Listen(), Ask("x", "y")))
        socket = await fra.socket()
        call.hang_up()
        await over(call)
        await socket.until("stop")
    assert call.report().outcome is Outcome.CALLER_HUNG_UP


async def test_forty_calls_at_once_are_heard_without_a_skipped_frame(sim: TwilioSim) -> None:
    agents = [Agent(sim) for _ in range(40)]
    by_call: dict[str, Agent] = {}

    async def agent(socket: w.Socket, text: str) -> None:
        sid = socket.of("start")[0]["start"]["callSid"]
        mine = by_call.setdefault(sid, agents[len(by_call)] if sid not in by_call else by_call[sid])
        await mine(socket, text)

    async with w.Region("fra.test", agent=agent).serving() as fra:
        fra.answers["/voice"] = fra.connect()
        w.number(sim, fra.url("/voice"))
        callers = Callers(sim)
        script = (Listen(), Tell("my code is 7"), Ask("what is my code", "7"), Goodbye())
        calls = [callers.place(w.NUMBER, script) for _ in range(40)]
        for call in calls:
            await over(call)
    reports = [call.report() for call in calls]
    assert {report.outcome for report in reports} == {Outcome.AGENT_HUNG_UP}
    assert all(report.fact_answered for report in reports)
    assert sum(report.frames_skipped + report.frames_repeated for report in reports) == 0
