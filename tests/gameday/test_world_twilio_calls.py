"""A call at the simulated carrier: webhooks, fallbacks, verbs, and orders by the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import world_twilio_region as w

from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_call import CarrierCall, EndedBy, Ending
from holdfast_gameday.world.twilio_signature import sign


@pytest.fixture
async def sim() -> AsyncIterator[TwilioSim]:
    async with w.carrier() as sim:
        yield sim


@pytest.fixture
async def fra() -> AsyncIterator[w.Region]:
    async with w.Region("fra.test").serving() as region:
        yield region


@pytest.fixture
async def ams() -> AsyncIterator[w.Region]:
    async with w.Region("ams.test").serving() as region:
        yield region


def dial(sim: TwilioSim) -> CarrierCall:
    return sim.place("+491555000001", to=w.NUMBER, phone=w.Handset())


async def ended(call: CarrierCall) -> Ending:
    async with asyncio.timeout(30):
        await call.over.wait()
    assert call.ending is not None
    return call.ending


async def test_a_webhook_is_a_signed_form_post(sim: TwilioSim, fra: w.Region) -> None:
    fra.answers["/voice"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice") + "#ct=1000&rt=3000&rc=1")
    call = dial(sim)
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    (request,) = fra.requests
    assert (request.method, request.form["CallSid"], request.form["CallStatus"]) == ("POST", call.sid, "ringing")
    assert request.form["To"] == w.NUMBER
    assert request.headers["X-Twilio-Signature"] == sign(fra.url("/voice"), request.form, w.TOKEN)
    assert call.resource.status == "completed"


async def test_an_http_error_goes_to_the_fallback_at_once(sim: TwilioSim, fra: w.Region, ams: w.Region) -> None:
    fra.answers["/voice"] = (503, "")
    ams.answers["/fallback"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice"), ams.url("/fallback"))
    assert (await ended(dial(sim))).by is EndedBy.HANGUP_VERB
    assert len(fra.requests) == 1
    assert ams.requests[0].form["ErrorCode"] == "11200"
    assert ams.requests[0].form["ErrorUrl"] == fra.url("/voice")


async def test_a_refused_connection_goes_to_the_fallback(sim: TwilioSim, ams: w.Region, unused_tcp_port: int) -> None:
    ams.answers["/fallback"] = "<Response><Hangup/></Response>"
    w.number(sim, f"http://fra.test:{unused_tcp_port}/voice", ams.url("/fallback"))
    assert (await ended(dial(sim))).by is EndedBy.HANGUP_VERB
    assert ams.requests[0].form["ErrorCode"] == "11205"


async def test_a_slow_answer_is_waited_for_as_long_as_rt_says(sim: TwilioSim, fra: w.Region, ams: w.Region) -> None:
    async def never(request: w.Request) -> str:
        await asyncio.Event().wait()
        return ""

    fra.answers["/voice"] = never  # type: ignore[assignment]
    ams.answers["/fallback"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice") + "#rt=200&rc=1", ams.url("/fallback"))
    started = asyncio.get_running_loop().time()
    assert (await ended(dial(sim))).by is EndedBy.HANGUP_VERB
    assert 0.2 <= asyncio.get_running_loop().time() - started < 10
    assert len(fra.requests) == 1


async def test_twiml_that_cannot_be_parsed_goes_to_the_fallback(sim: TwilioSim, fra: w.Region, ams: w.Region) -> None:
    fra.answers["/voice"] = "<html>maintenance</html>"
    ams.answers["/fallback"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice"), ams.url("/fallback"))
    await ended(dial(sim))
    assert ams.requests[0].form["ErrorCode"] == "12100"


async def test_without_an_answer_anywhere_the_call_fails_and_says_why(sim: TwilioSim, fra: w.Region) -> None:
    w.number(sim, fra.url("/voice"), fra.url("/fallback"))
    call = dial(sim)
    assert await ended(call) == Ending(EndedBy.WEBHOOK_FAILED, "11200 status 404; fallback 11200 status 404")
    assert call.resource.status == "failed"


async def test_the_stream_is_told_its_parameters_and_signed(sim: TwilioSim, fra: w.Region) -> None:
    fra.answers["/voice"] = fra.connect(token="t.1")
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    socket = await fra.socket()
    assert [message["event"] for message in socket.messages[:2]] == ["connected", "start"]
    start = socket.of("start")[0]
    assert start["start"]["customParameters"] == {"token": "t.1"}
    assert start["start"]["callSid"] == call.sid
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    assert socket.headers["X-Twilio-Signature"] == sign(fra.stream_url, {}, w.TOKEN)
    assert call.resource.status == "in-progress"
    assert call.host == "fra.test"


async def test_a_closed_socket_leads_to_the_next_verb_at_once(sim: TwilioSim, fra: w.Region, ams: w.Region) -> None:
    fra.answers["/voice"] = fra.connect(f"<Redirect>{ams.url('/next')}?hop=1#ct=1000&amp;rc=1</Redirect>")
    ams.answers["/next"] = ams.connect()
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    await (await fra.socket()).ws.close()
    await ams.socket()
    assert [visit.host for visit in call.visits] == ["fra.test", "ams.test"]
    assert call.visits[1].dialled_at - (call.visits[0].closed_at or 0) < 0.5
    assert ams.requests[0].form["CallStatus"] == "in-progress"
    assert ams.requests[0].query == {"hop": "1"}


async def test_a_reset_socket_leads_to_the_next_verb_too(sim: TwilioSim, fra: w.Region, ams: w.Region) -> None:
    fra.answers["/voice"] = fra.connect(f"<Redirect>{ams.url('/next')}</Redirect>")
    ams.answers["/next"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    await fra.socket()
    await fra.drop_sockets()
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    assert call.visits[0].close_code == 1006


async def test_a_redirect_that_fails_goes_to_the_fallback_of_the_number(
    sim: TwilioSim, fra: w.Region, ams: w.Region
) -> None:
    fra.answers["/voice"] = fra.connect(f"<Redirect>{ams.url('/next')}</Redirect>")
    ams.answers["/next"] = (500, "")
    ams.answers["/fallback"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice"), ams.url("/fallback"))
    call = dial(sim)
    await (await fra.socket()).ws.close()
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    assert [request.path for request in ams.requests] == ["/next", "/fallback"]


async def test_a_stream_without_a_verb_after_it_ends_the_call(sim: TwilioSim, fra: w.Region) -> None:
    fra.answers["/voice"] = fra.connect()
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    await (await fra.socket()).ws.close()
    assert (await ended(call)).by is EndedBy.NO_VERB_LEFT


async def test_the_action_of_connect_replaces_the_verbs_after_it(sim: TwilioSim, fra: w.Region) -> None:
    fra.answers["/voice"] = fra.connect("<Say>never</Say>", action="/after")
    fra.answers["/after"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    socket = await fra.socket()
    await socket.ws.close()
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    assert fra.requests[1].form["StreamSid"] == socket.stream_sid


@pytest.mark.parametrize(
    ("url", "code"),
    [("ws://fra.test:{port}/media?x=1", 31920), ("http://fra.test:{port}/media", 31922), ("wss:///media", 31923)],
)
async def test_a_stream_url_that_the_carrier_refuses_is_an_error_and_the_next_verb_follows(
    sim: TwilioSim, fra: w.Region, url: str, code: int
) -> None:
    stream = f'<Connect><Stream url="{url.format(port=fra.port)}"/></Connect>'
    fra.answers["/voice"] = f"<Response>{stream}<Hangup/></Response>"
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    assert call.visits[0].error is not None
    assert call.visits[0].error.code == code


async def test_a_refused_upgrade_is_an_error_and_the_next_verb_follows(sim: TwilioSim, fra: w.Region) -> None:
    fra.upgrade_status = 503
    fra.answers["/voice"] = fra.connect("<Hangup/>")
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    assert call.visits[0].error is not None
    assert (call.visits[0].error.code, call.visits[0].error.detail) == (31920, "handshake: status 503")


async def test_a_stream_that_does_not_answer_is_given_up(fra: w.Region) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, w.carrier(connect_timeout_s=0.3) as sim:
        stream = f'<Connect><Stream url="ws://ams.test:{port}/media"/></Connect>'
        fra.answers["/voice"] = f"<Response>{stream}<Hangup/></Response>"
        w.number(sim, fra.url("/voice"))
        call = dial(sim)
        await ended(call)
        assert call.visits[0].error is not None
        assert call.visits[0].error.code == 31901


async def test_new_twiml_by_the_api_stops_the_stream_and_starts_the_next(
    sim: TwilioSim, fra: w.Region, ams: w.Region
) -> None:
    fra.answers["/voice"] = fra.connect(f"<Redirect>{fra.url('/never')}</Redirect>")
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    old = await fra.socket()
    status, body = await w.rest(sim, "POST", f"/Calls/{call.sid}", Twiml=ams.connect())
    assert (status, body["status"]) == (200, "in-progress")
    new = await ams.socket()
    await old.closed.wait()
    assert old.of("stop")[0]["stop"] == {"accountSid": w.ACCOUNT, "callSid": call.sid}
    assert old.messages[-1]["event"] == "stop"
    assert new.stream_sid != old.stream_sid
    assert call.visits[0].closed_by_carrier
    assert [request.path for request in fra.requests] == ["/voice"]


async def test_a_url_by_the_api_is_fetched_for_the_live_call(sim: TwilioSim, fra: w.Region, ams: w.Region) -> None:
    fra.answers["/voice"] = fra.connect()
    ams.answers["/next"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    await fra.socket()
    await w.rest(sim, "POST", f"/Calls/{call.sid}", Url=ams.url("/next"))
    assert (await ended(call)).by is EndedBy.HANGUP_VERB
    assert ams.requests[0].form["CallSid"] == call.sid


async def test_completed_by_the_api_ends_the_call_and_no_verb_follows(sim: TwilioSim, fra: w.Region) -> None:
    """An agent hangs up and closes its socket right after: the call must not be revived by the verbs that are left."""
    fra.answers["/voice"] = fra.connect(f"<Redirect>{fra.url('/next')}</Redirect>")
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    socket = await fra.socket()
    status, body = await w.rest(sim, "POST", f"/Calls/{call.sid}", Status="completed")
    await socket.ws.close()
    assert (status, body["status"]) == (200, "completed")
    assert (await ended(call)).by is EndedBy.API
    assert [request.path for request in fra.requests] == ["/voice"]
    assert (await w.rest(sim, "POST", f"/Calls/{call.sid}", Status="completed"))[1]["code"] == 20404
    assert (await w.rest(sim, "POST", f"/Calls/{call.sid}", Twiml="<Response/>"))[1]["code"] == 21220


async def test_say_is_heard_and_takes_its_time(sim: TwilioSim, fra: w.Region) -> None:
    fra.answers["/voice"] = "<Response><Say>Sorry</Say><Dial>+49301</Dial></Response>"
    w.number(sim, fra.url("/voice"))
    call = dial(sim)
    assert (await ended(call)).by is EndedBy.NO_VERB_LEFT
    assert isinstance(call.phone, w.Handset)
    assert call.phone.said == ["Sorry"]
    assert "dial" in [event.kind for event in call.events]


async def test_a_document_that_redirects_to_itself_is_ended(sim: TwilioSim, fra: w.Region) -> None:
    fra.answers["/voice"] = f"<Response><Redirect>{fra.url('/voice')}</Redirect></Response>"
    w.number(sim, fra.url("/voice"))
    assert (await ended(dial(sim))).by is EndedBy.LOOP
