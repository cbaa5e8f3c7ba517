"""The simulated Telnyx as the vendor's own package sees it.

Every exchange is also held against the vendor's description where that is at hand.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import telnyx
import world_telnyx_spec
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from telnyx.types.call_streaming_failed_webhook_event import CallStreamingFailedWebhookEvent

from holdfast_gameday.world import serve
from holdfast_gameday.world.telnyx import TelnyxApi
from holdfast_gameday.world.telnyx_faults import Fault
from holdfast_gameday.world.telnyx_state import TelnyxState

pytestmark = pytest.mark.contract
STREAM = "wss://ams.voice.example.com/a/clinic/front-desk/media"


@pytest.fixture
async def sim() -> AsyncIterator[TelnyxApi]:
    sim = TelnyxApi(TelnyxState(), opens=lambda url: "ams" in url)
    async with sim.serving("127.0.0.1", 0):
        yield sim


@pytest.fixture
async def client(sim: TelnyxApi) -> AsyncIterator[telnyx.AsyncTelnyx]:
    checked = []

    async def check(answer: httpx.Response) -> None:
        if world_telnyx_spec.PRESENT:
            await world_telnyx_spec.hold(answer)
        checked.append(answer)

    async with httpx.AsyncClient(event_hooks={"response": [check]}) as http:
        yield client_of(sim, http)
    assert checked


def client_of(sim: TelnyxApi, http: httpx.AsyncClient, key: str = "KEY-practice") -> telnyx.AsyncTelnyx:
    return telnyx.AsyncTelnyx(api_key=key, base_url=f"http://{sim.address}/v2", http_client=http, max_retries=0)


async def test_a_call_control_application_is_made_found_by_name_changed_and_deleted(
    client: telnyx.AsyncTelnyx,
) -> None:
    made = await client.call_control_applications.create(
        application_name="holdfast eu/clinic/front-desk", webhook_event_url="https://edge.example.com/voice"
    )
    assert made.data is not None
    assert made.data.id is not None
    listed = await client.call_control_applications.list(filter={"application_name": {"contains": "HOLDFAST eu/"}})
    assert [one.id for one in listed.data] == [made.data.id]
    changed = await client.call_control_applications.update(
        made.data.id,
        application_name="holdfast eu/clinic/front-desk",
        webhook_event_url="https://edge.example.com/voice",
        webhook_event_failover_url="https://ams.example.com/fallback",
        webhook_timeout_secs=3,
    )
    assert changed.data is not None
    assert changed.data.webhook_event_failover_url == "https://ams.example.com/fallback"
    await client.call_control_applications.delete(made.data.id)
    with pytest.raises(telnyx.NotFoundError):
        await client.call_control_applications.retrieve(made.data.id)


async def test_a_patch_of_an_application_demands_its_required_fields(sim: TelnyxApi, client: Any) -> None:
    call_control = sim.state.add("call_control_application", application_name="a", webhook_event_url="https://a")
    texml = sim.state.add("texml_application", friendly_name="a", voice_url="https://a")
    http = client._client
    for path, body, missing in (
        (f"call_control_applications/{call_control}", {"application_name": "a"}, "/webhook_event_url"),
        (f"texml_applications/{texml}", {"voice_url": "https://b"}, "/friendly_name"),
    ):
        answer = await http.patch(
            f"http://{sim.address}/v2/{path}", json=body, headers={"authorization": "Bearer KEY-practice"}
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["source"]["pointer"] == missing
    assert sim.state.writes == []


async def test_a_texml_application_is_changed(sim: TelnyxApi, client: telnyx.AsyncTelnyx) -> None:
    made = sim.state.add("texml_application", friendly_name="holdfast eu/x", voice_url="https://a")
    await client.texml_applications.update(
        made, friendly_name="holdfast eu/x", voice_url="https://b", voice_fallback_url="https://c"
    )
    held = await client.texml_applications.retrieve(made)
    assert held.data is not None
    assert (held.data.voice_url, held.data.voice_fallback_url) == ("https://b", "https://c")
    listed = await client.texml_applications.list(filter={"friendly_name": "holdfast"})
    assert [one.id for one in listed.data] == [made]


async def test_a_number_moves_to_another_connection_and_to_none_that_is_not_there(
    sim: TelnyxApi, client: telnyx.AsyncTelnyx
) -> None:
    application = sim.state.add("call_control_application", application_name="fra", webhook_event_url="https://fra")
    trunk = sim.state.add("fqdn_connection", connection_name="trunk")
    number = sim.state.add("phone_number", phone_number="+4930123456", connection_id=application, tags=["holdfast:eu"])
    (found,) = (await client.phone_numbers.list(filter={"tag": "holdfast:eu"})).data
    assert (found.phone_number, found.connection_name) == ("+4930123456", "fra")
    assert (await client.phone_numbers.list(filter={"phone_number": "+4930123456"})).data == [], "digits only"
    moved = await client.phone_numbers.update(number, connection_id=trunk)
    assert moved.data is not None
    assert (moved.data.connection_id, moved.data.connection_name) == (trunk, "trunk")
    with pytest.raises(telnyx.UnprocessableEntityError):
        await client.phone_numbers.update(number, connection_id="404")


async def test_a_sip_connection_names_three_fqdns_of_its_own(sim: TelnyxApi, client: telnyx.AsyncTelnyx) -> None:
    trunk = sim.state.add("fqdn_connection", connection_name="trunk", tags=["holdfast:eu/fra"])
    other = sim.state.add("fqdn_connection", connection_name="other")
    fra = sim.state.add("fqdn", fqdn="sip.fra.example.com", connection_id=trunk)
    theirs = sim.state.add("fqdn", fqdn="sip.example.org", connection_id=other)
    written = await client.fqdn_connections.update(
        trunk, inbound={"default_primary_fqdn_id": fra, "timeout_1xx_secs": 2}, tags=["holdfast:eu/fra/7"]
    )
    assert written.data is not None
    assert written.data.tags == ["holdfast:eu/fra/7"]
    with pytest.raises(telnyx.UnprocessableEntityError):
        await client.fqdn_connections.update(trunk, inbound={"default_secondary_fqdn_id": theirs})
    assert [one.id for one in (await client.fqdns.list(filter={"connection_id": trunk})).data] == [fra]
    about = await client.connections.retrieve(trunk)
    assert about.data is not None
    assert about.data.connection_name == "trunk"


async def test_the_active_calls_of_a_connection_are_listed_and_a_call_is_moved_and_ended(
    sim: TelnyxApi, client: telnyx.AsyncTelnyx
) -> None:
    application = sim.state.add("call_control_application", application_name="a", webhook_event_url="https://a")
    call = sim.calls.place(application, stream_url="wss://ams-old.example.com/media")
    sim.calls.place(application)
    gone = sim.calls.place(application)
    sim.calls.hang_up(gone)
    listed = await client.connections.list_active_calls(application)
    assert call.call_control_id in {one.call_control_id for one in listed.data}
    assert len(listed.data) == 2
    await client.calls.actions.stop_streaming(call.call_control_id, command_id="stop-2")
    await client.calls.actions.start_streaming(
        call.call_control_id,
        stream_url=STREAM,
        stream_track="inbound_track",
        stream_bidirectional_mode="rtp",
        stream_bidirectional_codec="PCMU",
        stream_auth_token="t",
        custom_parameters=[{"name": "token", "value": "t"}],
        command_id="start-2",
    )
    assert call.stream is not None
    assert (call.stream.url, call.stream.auth_token, call.stream.parameters) == (STREAM, "t", {"token": "t"})
    status = await client.calls.retrieve_status(call.call_control_id)
    assert status.data is not None
    assert status.data.is_alive
    await client.calls.actions.transfer(call.call_control_id, to="+4930999999")
    assert call.transferred_to == "+4930999999"
    await client.calls.actions.hangup(call.call_control_id)
    with pytest.raises(telnyx.UnprocessableEntityError) as over:
        await client.calls.actions.hangup(call.call_control_id)
    assert "90018" in str(over.value)


async def test_a_command_of_one_id_is_obeyed_once_a_minute() -> None:
    now = 1000.0
    sim = TelnyxApi(TelnyxState(clock=lambda: now))
    async with sim.serving("127.0.0.1", 0), httpx.AsyncClient() as http:
        client = client_of(sim, http)
        call = sim.calls.place("1")
        for _ in range(2):
            await client.calls.actions.start_streaming(call.call_control_id, stream_url=STREAM, command_id="c")
        assert (len(call.streams), call.repeats) == (1, 1)
        now = 1060.0
        await client.calls.actions.stop_streaming(call.call_control_id)
        await client.calls.actions.start_streaming(call.call_control_id, stream_url=STREAM, command_id="c")
        assert len(call.streams) == 2


async def test_a_stream_that_cannot_be_opened_is_told_by_a_signed_event_at_the_failover_address(
    sim: TelnyxApi, client: telnyx.AsyncTelnyx
) -> None:
    came: asyncio.Queue[tuple[bytes, dict[str, str]]] = asyncio.Queue()

    async def webhook(request: web.Request) -> web.Response:
        came.put_nowait((await request.read(), {name.lower(): value for name, value in request.headers.items()}))
        return web.Response()

    app = web.Application()
    app.router.add_post("/fallback", webhook)
    async with serve.serving(app, "127.0.0.1", 0) as address:
        application = sim.state.add(
            "call_control_application",
            application_name="a",
            webhook_event_url=f"http://{address}/not-there",
            webhook_event_failover_url=f"http://{address}/fallback",
        )
        call = sim.calls.place(application)
        await client.calls.actions.start_streaming(call.call_control_id, stream_url="wss://dead.example.com/media")
        async with asyncio.timeout(30):
            body, headers = await came.get()
    told = CallStreamingFailedWebhookEvent.model_validate(json.loads(body))
    assert told.data is not None
    assert told.data.event_type == "streaming.failed"
    assert told.data.payload is not None
    assert told.data.payload.failure_reason == "connection_failed"
    assert told.data.payload.call_control_id == call.call_control_id
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(sim.webhooks.public_key))
    signature = base64.b64decode(headers["telnyx-signature-ed25519"])
    public.verify(signature, headers["telnyx-timestamp"].encode() + b"|" + body)
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"0|" + body)


async def test_limits_are_told_and_too_many_requests_are_refused_with_10011() -> None:
    sim = TelnyxApi(TelnyxState(), limit=2)
    async with sim.serving("127.0.0.1", 0), httpx.AsyncClient() as http:
        client = client_of(sim, http)
        answer = await client.balance.with_raw_response.retrieve()
        assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("2", "1")
        await client.balance.retrieve()
        with pytest.raises(telnyx.RateLimitError) as refused:
            await client.balance.retrieve()
        assert "10011" in str(refused.value)
        assert int(refused.value.response.headers["x-ratelimit-reset"]) > 0
        await client.fqdns.list()  # another family of requests has its own limit


async def test_a_key_that_is_not_taken_is_401(sim: TelnyxApi, client: telnyx.AsyncTelnyx) -> None:
    with pytest.raises(telnyx.AuthenticationError):
        await client_of(sim, client._client, key="KEY-old").balance.retrieve()
    sim.faults.arm(Fault("revoked"))
    with pytest.raises(telnyx.AuthenticationError):
        await client.balance.retrieve()


@pytest.mark.parametrize(
    ("fault", "raised", "written"),
    [
        (Fault("commit", seconds=0.0), telnyx.APIConnectionError, True),
        (Fault("down"), telnyx.APIConnectionError, False),
        (Fault("error", status=503), telnyx.InternalServerError, False),
    ],
)
async def test_what_a_fault_leaves_behind(
    sim: TelnyxApi, client: telnyx.AsyncTelnyx, fault: Fault, raised: type[Exception], written: bool
) -> None:
    await client.balance.retrieve()
    number = sim.state.add("phone_number", phone_number="+4930123456")
    trunk = sim.state.add("fqdn_connection", connection_name="trunk")
    sim.faults.arm(fault)
    with pytest.raises(raised):
        await client.phone_numbers.update(number, connection_id=trunk)
    assert (sim.state.get("phone_number", number)["connection_id"] == trunk) is written


async def test_a_read_may_be_stale_for_a_while() -> None:
    now = 100.0
    sim = TelnyxApi(TelnyxState(monotonic=lambda: now))
    async with sim.serving("127.0.0.1", 0), httpx.AsyncClient() as http:
        client = client_of(sim, http)
        number = sim.state.add("phone_number", phone_number="+4930123456", tags=["old"])
        now = 110.0
        await client.phone_numbers.update(number, tags=["new"])
        sim.faults.arm(Fault("stale", seconds=5.0, times=1))
        tags = [(await client.phone_numbers.retrieve(number)).data for _ in range(2)]
        assert [one.tags for one in tags if one is not None] == [["old"], ["new"]]


async def test_of_a_partial_write_the_first_change_is_done(sim: TelnyxApi, client: telnyx.AsyncTelnyx) -> None:
    trunk = sim.state.add("fqdn_connection", connection_name="trunk")
    sim.faults.arm(Fault("partial", times=1))
    with pytest.raises(telnyx.InternalServerError):
        await client.fqdn_connections.update(trunk, inbound={"timeout_1xx_secs": 9}, tags=["x"])
    held = sim.state.get("fqdn_connection", trunk)
    assert (held["inbound"]["timeout_1xx_secs"], held["tags"]) in ((9, []), (3, ["x"]))


def refused(check: Callable[..., None], *arguments: Any) -> None:
    with pytest.raises(AssertionError):
        check(*arguments)


@pytest.mark.skipif(not world_telnyx_spec.PRESENT, reason=world_telnyx_spec.ABSENT)
def test_the_description_is_really_applied() -> None:
    """The check behind all tests of this file refuses what Telnyx would not send, and what it would not take."""
    path = "/call_control_applications/1"
    check = world_telnyx_spec.check_answer
    check("GET", path, 200, {"data": {"id": "1", "active": True}})
    refused(check, "GET", path, 200, {"data": {"id": 1}})
    refused(check, "GET", path, 200, {"data": {"mood": "good"}})
    refused(check, "GET", path, 404, {"errors": [{"title": "no code"}]})
    ask = world_telnyx_spec.check_request
    ask("PATCH", path, {"application_name": "a", "webhook_event_url": "https://a"})
    refused(ask, "PATCH", path, {"application_name": "a"})
    refused(ask, "PATCH", path, {"application_name": "a", "webhook_event_url": "https://a", "mood": "good"})
