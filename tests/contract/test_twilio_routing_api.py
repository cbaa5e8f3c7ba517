"""Numbers, trunks, origination URLs and routes as the vendor's own package sees them, by Region and edge.

Every request of the package and every answer of the simulated Twilio is held against the vendor's descriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import world_twilio_region as w
from jsonschema import ValidationError
from lever_twilio import IRELAND_KEY, IRELAND_SECRET, TwilioStage, twilio
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from world_twilio_spec import CheckedHttpClient, check, check_request

pytestmark = pytest.mark.contract

NUMBER = "+4930000001"


@pytest.fixture
async def stage() -> AsyncIterator[TwilioStage]:
    async with twilio(concurrency_limit=20) as stage:
        yield stage


@pytest.fixture
async def http(stage: TwilioStage) -> AsyncIterator[CheckedHttpClient]:
    http = CheckedHttpClient(str(stage.sim.address))
    yield http
    assert http.checked > 0
    http.close()


@pytest.fixture
def home(http: CheckedHttpClient) -> Client:
    return Client(w.KEY, w.SECRET, w.ACCOUNT, http_client=http)


@pytest.fixture
def ireland(http: CheckedHttpClient) -> Client:
    return Client(IRELAND_KEY, IRELAND_SECRET, w.ACCOUNT, region="ie1", edge="dublin", http_client=http)


async def sdk(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The package is synchronous."""
    return await asyncio.to_thread(function, *args, **options)


async def test_a_number_has_a_record_of_its_own_in_each_region(
    stage: TwilioStage, home: Client, ireland: Client
) -> None:
    stage.sim.state.add_number(stage.home, NUMBER, voice_url="https://us1.example.com")
    (there,) = await sdk(ireland.incoming_phone_numbers.list, phone_number=NUMBER)
    await sdk(ireland.incoming_phone_numbers(there.sid).update, voice_url="https://ie1.example.com")
    (here,) = await sdk(home.incoming_phone_numbers.list, phone_number=NUMBER)
    assert here.voice_url == "https://us1.example.com"
    assert (await sdk(ireland.incoming_phone_numbers(there.sid).fetch)).voice_url == "https://ie1.example.com"


async def test_each_region_takes_its_own_key_only(http: CheckedHttpClient) -> None:
    for key, secret, region in ((w.KEY, w.SECRET, "ie1"), (IRELAND_KEY, IRELAND_SECRET, "us1")):
        client = Client(key, secret, w.ACCOUNT, region=region, edge="dublin", http_client=http)
        with pytest.raises(TwilioRestException) as refused:
            await sdk(client.incoming_phone_numbers("PN" + "0" * 32).fetch)
        assert (refused.value.status, refused.value.code) == (401, 20003)


async def test_a_region_without_an_edge_is_gone(http: CheckedHttpClient) -> None:
    client = Client(IRELAND_KEY, IRELAND_SECRET, w.ACCOUNT, region="ie1", http_client=http)
    with pytest.raises(TwilioRestException) as refused:
        await sdk(client.incoming_phone_numbers("PN" + "0" * 32).fetch)
    assert "edge" in refused.value.msg


async def test_an_origination_url_lives_through_its_whole_life(stage: TwilioStage, ireland: Client) -> None:
    trunk = ireland.trunking.v1.trunks(stage.sim.state.add_trunk(stage.ireland).sid)
    made = await sdk(
        trunk.origination_urls.create,
        weight=10, priority=5, enabled=True, friendly_name="holdfast:eu/fra", sip_url="sip:fra.sbc.example.com",
    )  # fmt: skip
    assert (made.enabled, made.weight, made.priority) == (True, 10, 5)
    changed = await sdk(trunk.origination_urls(made.sid).update, enabled=False, weight=65535)
    assert (changed.enabled, changed.weight, changed.sip_url) == (False, 65535, "sip:fra.sbc.example.com")
    assert [each.sid for each in await sdk(trunk.origination_urls.list)] == [made.sid]
    assert (await sdk(trunk.origination_urls(made.sid).fetch)).date_updated is not None
    assert await sdk(trunk.origination_urls(made.sid).delete)
    assert await sdk(trunk.origination_urls.list) == []


@pytest.mark.parametrize(
    "wrong", [{"sip_url": "https://fra"}, {"weight": 0}, {"weight": 65536}, {"friendly_name": "n" * 65}]
)
async def test_an_origination_url_that_twilio_would_not_take_is_refused(
    stage: TwilioStage, ireland: Client, wrong: dict[str, object]
) -> None:
    trunk = stage.sim.state.add_trunk(stage.ireland)
    good = {"weight": 1, "priority": 1, "enabled": True, "friendly_name": "n", "sip_url": "sip:fra.example.com"}
    with pytest.raises(TwilioRestException) as refused:
        await sdk(ireland.trunking.v1.trunks(trunk.sid).origination_urls.create, **(good | wrong))
    assert refused.value.status == 400
    assert trunk.origination_urls == {}


async def test_a_long_list_of_origination_urls_comes_in_pages(stage: TwilioStage, ireland: Client) -> None:
    trunk = stage.sim.state.add_trunk(stage.ireland)
    for n in range(7):
        stage.sim.state.add_origination_url(trunk, f"entry {n}", f"sip:{n}.example.com")
    listed = await sdk(ireland.trunking.v1.trunks(trunk.sid).origination_urls.list, page_size=3)
    assert [each.friendly_name for each in listed] == [f"entry {n}" for n in range(7)]


async def test_a_trunk_shows_and_changes_its_disaster_recovery_url(stage: TwilioStage, ireland: Client) -> None:
    sid = stage.sim.state.add_trunk(stage.ireland, friendly_name="clinic").sid
    trunk = await sdk(
        ireland.trunking.v1.trunks(sid).update,
        disaster_recovery_url="https://third.example.com", disaster_recovery_method="POST",
    )  # fmt: skip
    assert (trunk.disaster_recovery_url, trunk.friendly_name) == ("https://third.example.com", "clinic")
    assert [each.sid for each in await sdk(ireland.trunking.v1.trunks.list)] == [sid]


async def test_putting_a_number_on_a_trunk_takes_it_off_its_application(stage: TwilioStage, home: Client) -> None:
    state = stage.sim.state
    application, trunk = state.add_application(stage.home), state.add_trunk(stage.home)
    number = state.add_number(stage.home, NUMBER, voice_application_sid=application.sid)
    numbers = home.trunking.v1.trunks(trunk.sid).phone_numbers
    assert (await sdk(numbers.create, phone_number_sid=number.sid)).trunk_sid == trunk.sid
    assert number.voice_application_sid == ""
    assert [each.phone_number for each in await sdk(numbers.list)] == [NUMBER]
    assert (await sdk(numbers(number.sid).fetch)).voice_application_sid is None
    assert await sdk(numbers(number.sid).delete)
    assert (number.trunk_sid, number.voice_application_sid) == ("", "")


async def test_setting_an_application_on_a_number_takes_it_off_its_trunk(stage: TwilioStage, home: Client) -> None:
    state = stage.sim.state
    application, trunk = state.add_application(stage.home), state.add_trunk(stage.home)
    number = state.add_number(stage.home, NUMBER, trunk_sid=trunk.sid)
    await sdk(home.incoming_phone_numbers(number.sid).update, voice_application_sid=application.sid)
    assert (number.trunk_sid, number.voice_application_sid) == ("", application.sid)


async def test_the_route_of_a_number_is_read_and_moved(stage: TwilioStage, home: Client) -> None:
    stage.sim.state.add_number(stage.home, NUMBER)
    assert (await sdk(home.routes.v2.phone_numbers(NUMBER).fetch)).voice_region == "us1"
    moved = await sdk(home.routes.v2.phone_numbers(NUMBER).update, voice_region="ie1")
    assert moved.voice_region == "ie1"
    assert stage.sim.state.find_number(NUMBER)[0] is stage.ireland


async def test_a_product_does_not_answer_for_another(stage: TwilioStage, home: Client) -> None:
    home.trunking.base_url = "https://api.twilio.com"
    with pytest.raises(TwilioRestException) as refused:
        await sdk(home.trunking.v1.trunks(stage.sim.state.add_trunk(stage.home).sid).fetch)
    assert refused.value.status == 404


def test_the_descriptions_are_really_applied_to_requests() -> None:
    path = f"/v1/Trunks/TK{'0' * 32}/OriginationUrls"
    entry = f"{path}/OU{'0' * 32}"
    full = {"Weight": "1", "Priority": "1", "Enabled": "true", "FriendlyName": "n", "SipUrl": "sip:a"}
    check_request("POST", path, {}, full)
    check_request("POST", entry, {}, {"Enabled": "false"})
    with pytest.raises(AssertionError, match="missing"):
        check_request("POST", path, {}, {"Weight": "1"})
    with pytest.raises(AssertionError, match="undescribed"):
        check_request("POST", entry, {}, {"Disabled": "true"})
    with pytest.raises(AssertionError, match="undescribed"):
        check_request("GET", path, {"FriendlyName": "n"}, {})
    with pytest.raises(KeyError):
        check_request("POST", entry, {}, {"Enabled": "yes"})
    with pytest.raises(ValidationError):
        check("GET", entry, 200, '{"weight": "ten"}')
