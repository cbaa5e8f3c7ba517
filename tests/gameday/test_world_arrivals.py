"""Callers who ring one after another: who is answered hangs up at the first sound, who is not says why."""

from __future__ import annotations

import asyncio

import world_twilio_region as w

from holdfast_gameday.world.arrivals import Arrivals


async def ringing(arrivals: Arrivals, *, until: int) -> None:
    task = asyncio.create_task(arrivals.run())
    async with asyncio.timeout(30):
        while len(arrivals.calls) < until:  # noqa: ASYNC110 - nobody is told when somebody rings
            await asyncio.sleep(0.01)
        task.cancel()
        await arrivals.settled()


async def test_every_caller_is_answered_and_hangs_up_at_the_first_sound():
    async def agent(socket: w.Socket, text: str) -> None:
        if not text:
            await socket.say("welcome", session=1)

    async with w.carrier() as sim, w.Region("fra.test").serving() as fra:
        fra.agent = agent
        fra.answers["/voice"] = fra.connect()
        w.number(sim, fra.url("/voice"))
        arrivals = Arrivals(sim, w.NUMBER, per_second=50)
        await ringing(arrivals, until=5)

    assert len(arrivals.calls) >= 5
    assert {call.host for call in arrivals.calls} == {fra.host}
    assert all(call.set_up_s is not None and call.set_up_s >= 0 for call in arrivals.calls)
    assert all(call.placed_at < call.opened_at <= call.heard_at for call in arrivals.calls)


async def test_a_caller_who_is_not_answered_says_why():
    async with w.carrier() as sim, w.Region("fra.test").serving() as fra:
        fra.answers["/voice"] = "<Response><Hangup/></Response>"
        w.number(sim, fra.url("/voice"))
        arrivals = Arrivals(sim, w.NUMBER, per_second=50)
        await ringing(arrivals, until=2)

    assert {(call.answered, call.why) for call in arrivals.calls} == {(False, "hangup-verb")}
