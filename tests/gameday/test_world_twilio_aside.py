"""Callers at the simulated carrier who are sent to a person or to a machine that records."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
import world_twilio_region as w

from holdfast_gameday.world import twiml
from holdfast_gameday.world.twilio_aside import Person, Recording
from holdfast_gameday.world.twilio_call import CarrierCall, EndedBy

THERE, BUSY, AWAY = "+49301", "+49302", "+49303"
PEOPLE = {THERE: Person(0.1, talks_s=1.0), BUSY: Person(busy=True), AWAY: Person(None)}
BYE = "<Response><Hangup/></Response>"


async def carried(document: str, phone: w.Handset, after: str = BYE) -> tuple[CarrierCall, list[w.Request]]:
    """A whole call with this document; and what was asked afterwards."""
    async with w.carrier(people=PEOPLE) as sim, w.Region("fra.test").serving() as fra:
        fra.answers = {"/voice": document, "/after": after}
        w.number(sim, fra.url("/voice"))
        call = sim.place("+491555000001", to=w.NUMBER, phone=phone)
        async with asyncio.timeout(30):
            await call.over.wait()
        return call, [request for request in fra.requests if request.path == "/after"]


@pytest.mark.parametrize(
    ("number", "status"), [(THERE, "completed"), (BUSY, "busy"), (AWAY, "no-answer"), ("+49309", "failed")]
)
async def test_whoever_is_rung_up_the_action_is_told_what_came_of_it(number: str, status: str) -> None:
    document = f'<Response><Dial timeout="1" action="/after">{number}</Dial><Say>never</Say></Response>'
    phone = w.Handset()
    call, [asked] = await carried(document, phone)
    assert asked.form["DialCallStatus"] == status
    assert phone.said == []
    assert call.ending is not None
    assert call.ending.by is EndedBy.HANGUP_VERB


async def test_a_message_is_over_when_the_caller_says_no_more() -> None:
    phone = w.Handset(frames=[b"\x55" * 160] * 40)
    _, [asked] = await carried('<Response><Record timeout="1" action="/after"/></Response>', phone)
    assert asked.form["RecordingDuration"] == "1"


async def test_a_message_of_nothing_is_not_kept_and_the_next_verb_follows() -> None:
    call, asked = await carried('<Response><Record timeout="1" action="/after"/><Hangup/></Response>', w.Handset())
    assert asked == []
    assert call.ending is not None
    assert call.ending.by is EndedBy.HANGUP_VERB


def test_a_message_ends_at_its_greatest_length() -> None:
    recording = Recording(dataclasses.replace(twiml.Record(), max_length_s=2.0))
    for _ in range(99):
        recording.hear(b"\x55" * 160)
    assert not recording.over.is_set()
    recording.hear(b"\x55" * 160)
    assert recording.over.is_set()
    assert dict(recording.told())["RecordingDuration"] == "2"
