"""The simulated Twilio as the vendor's own package sees it, every answer held against the vendor's description."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import requests
import world_twilio_region as w
from jsonschema import ValidationError
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from world_twilio_spec import CheckedHttpClient, check

from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_faults import Fault, FaultKind

pytestmark = pytest.mark.contract


@pytest.fixture
async def sim() -> AsyncIterator[TwilioSim]:
    async with w.carrier(concurrency_limit=20) as sim:
        yield sim


@pytest.fixture
async def fra() -> AsyncIterator[w.Region]:
    async with w.Region("fra.test").serving() as region:
        yield region


@pytest.fixture
async def client(sim: TwilioSim) -> AsyncIterator[Client]:
    http = CheckedHttpClient()
    yield client_of(sim, http)
    assert http.checked > 0
    http.close()


def client_of(sim: TwilioSim, http: CheckedHttpClient, *, secret: str = w.SECRET) -> Client:
    client = Client(w.KEY, secret, w.ACCOUNT, http_client=http)
    client.api.base_url = f"http://{sim.address}"
    return client


async def sdk(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The package is synchronous."""
    return await asyncio.to_thread(function, *args, **options)


async def live_call(sim: TwilioSim, fra: w.Region) -> tuple[str, w.Socket]:
    fra.answers["/voice"] = fra.connect()
    w.number(sim, fra.url("/voice"))
    call = sim.place("+491555000001", to=w.NUMBER, phone=w.Handset())
    return call.sid, await fra.socket(len(fra.sockets) + 1)


async def test_an_application_is_created_found_by_name_updated_and_deleted(sim: TwilioSim, client: Client) -> None:
    made = await sdk(
        client.applications.create, friendly_name="holdfast eu/clinic/front-desk", voice_url="https://edge/voice#ct=1000"
    )
    (found,) = await sdk(client.applications.list, friendly_name="holdfast eu/clinic/front-desk")
    assert (found.sid, found.voice_url) == (made.sid, "https://edge/voice#ct=1000")
    changed = await sdk(client.applications(made.sid).update, voice_fallback_url="https://ams/fallback")
    assert (changed.voice_fallback_url, changed.voice_url) == ("https://ams/fallback", "https://edge/voice#ct=1000")
    assert (await sdk(client.applications(made.sid).fetch)).date_created is not None
    assert await sdk(client.applications(made.sid).delete)
    assert await sdk(client.applications.list) == []
    first = sim.state.writes[0]
    assert (first.resource, first.key) == (f"Applications/{made.sid}", w.KEY)
    assert sim.state.writes[1].params == {"VoiceFallbackUrl": "https://ams/fallback"}


async def test_an_application_and_a_trunk_exclude_each_other_on_a_number(sim: TwilioSim, client: Client) -> None:
    w.number(sim, "https://edge/voice")
    (number,) = await sdk(client.incoming_phone_numbers.list, phone_number=w.NUMBER)
    application = number.voice_application_sid
    assert application is not None
    trunk = sim.state.add_trunk(sim.state.accounts[w.ACCOUNT]).sid
    number = await sdk(client.incoming_phone_numbers(number.sid).update, trunk_sid=trunk)
    assert (number.trunk_sid, number.voice_application_sid) == (trunk, None)
    number = await sdk(client.incoming_phone_numbers(number.sid).update, voice_application_sid=application)
    assert (number.trunk_sid, number.voice_application_sid) == (None, application)
    assert (await sdk(client.incoming_phone_numbers(number.sid).fetch)).capabilities["voice"]


async def test_a_live_call_is_listed_by_status_redirected_and_completed(
    sim: TwilioSim, client: Client, fra: w.Region
) -> None:
    sid, _ = await live_call(sim, fra)
    assert [call.sid for call in await sdk(client.calls.list, status="in-progress")] == [sid]
    assert await sdk(client.calls.list, status="completed") == []
    await sdk(client.calls(sid).update, twiml=fra.connect())
    await fra.socket(2)
    assert (await sdk(client.calls(sid).update, status="completed")).status == "completed"
    await sim.calls[sid].over.wait()
    call = await sdk(client.calls(sid).fetch)
    assert (call.status, call.direction, call.duration) == ("completed", "inbound", "0")


async def test_a_long_list_comes_in_pages(sim: TwilioSim, client: Client, fra: w.Region) -> None:
    fra.answers["/voice"] = "<Response><Hangup/></Response>"
    w.number(sim, fra.url("/voice"))
    placed = [sim.place("+49155", to=w.NUMBER, phone=w.Handset()) for _ in range(7)]
    for call in placed:
        await call.over.wait()
    listed = await sdk(client.calls.list, page_size=3)
    assert [call.sid for call in listed] == [call.sid for call in reversed(placed)]


async def test_wrong_credentials_are_401_and_an_unknown_resource_is_20404(sim: TwilioSim, client: Client) -> None:
    with pytest.raises(TwilioRestException) as missing:
        await sdk(client.calls("CA" + "0" * 32).fetch)
    assert (missing.value.status, missing.value.code) == (404, 20404)
    http = CheckedHttpClient()
    with pytest.raises(TwilioRestException) as refused:
        await sdk(client_of(sim, http, secret="wrong").api.accounts(w.ACCOUNT).fetch)
    http.close()
    assert (refused.value.status, refused.value.code) == (401, 20003)


async def test_too_many_requests_are_429_with_the_concurrency(sim: TwilioSim, client: Client) -> None:
    sim.faults.arm(Fault(kind=FaultKind.TOO_MANY, times=1))
    with pytest.raises(TwilioRestException) as refused:
        await sdk(client.api.accounts(w.ACCOUNT).fetch)
    assert (refused.value.status, refused.value.code) == (429, 20429)
    assert (await sdk(client.api.accounts(w.ACCOUNT).fetch)).status == "active"
    assert client.http_client._test_only_last_response.headers["Twilio-Concurrent-Requests"] == "1"


async def test_a_server_error_on_demand_changes_nothing(sim: TwilioSim, client: Client) -> None:
    sim.faults.arm(Fault(kind=FaultKind.ERROR, method="POST", path="Applications", status=503, times=1))
    with pytest.raises(TwilioRestException) as failed:
        await sdk(client.applications.create, friendly_name="a")
    assert failed.value.status == 503
    assert await sdk(client.applications.list) == []


async def test_a_write_may_be_done_although_no_answer_came(sim: TwilioSim, client: Client) -> None:
    sim.faults.arm(Fault(kind=FaultKind.COMMIT_THEN_TIMEOUT, method="POST", times=1, delay_s=0.1))
    with pytest.raises(requests.exceptions.ConnectionError):
        await sdk(client.applications.create, friendly_name="a")
    assert [application.friendly_name for application in await sdk(client.applications.list)] == ["a"]


def test_the_description_is_really_applied() -> None:
    """The check behind all tests of this file refuses what Twilio would not send."""
    path = f"/2010-04-01/Accounts/{w.ACCOUNT}/Calls/CA{'0' * 32}.json"
    check("GET", path, 200, '{"status": "ringing"}')
    with pytest.raises(ValidationError):
        check("GET", path, 200, '{"status": "talking"}')
    with pytest.raises(AssertionError):
        check("GET", path, 200, '{"mood": "good"}')


async def test_the_vendors_validator_accepts_our_signatures(sim: TwilioSim, fra: w.Region) -> None:
    sid, socket = await live_call(sim, fra)
    request = fra.requests[0]
    validator = RequestValidator(w.TOKEN)
    signature = request.headers["X-Twilio-Signature"]
    assert validator.validate(fra.url("/voice"), request.form, signature)
    assert not validator.validate(fra.url("/voice"), request.form | {"CallSid": "CA0"}, signature)
    assert validator.compute_signature(fra.stream_url, {}) == socket.headers["X-Twilio-Signature"]
    assert request.form["CallSid"] == sid
