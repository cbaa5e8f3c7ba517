"""TwiML applications: found by our mark, written only on difference."""

from __future__ import annotations

import base64

import httpx
import pytest
from fleet_vendors import FakeTwilio

from holdfast.levers.base import DriverError
from holdfast.levers.twilio_application import Application, TwilioApplications

WANTED = Application(
    friendly_name="holdfast eu/clinic/front-desk",
    voice_url="https://eu.voice.example.com/a/clinic/front-desk/voice#ct=1000&rt=3000&rc=1",
    voice_fallback_url="https://ams.voice.example.com/a/clinic/front-desk/fallback#ct=1000&rt=3000&rc=1",
)


async def credentials() -> tuple[str, str]:
    return "SK1", "s3cret"


def carrier(vendor: FakeTwilio) -> TwilioApplications:
    return TwilioApplications(
        name="twilio-eu",
        api_url="https://api.twilio.com",
        account_sid="AC1",
        credentials=credentials,
        http=httpx.AsyncClient(transport=httpx.MockTransport(vendor)),
    )


async def test_an_absent_application_is_created_once() -> None:
    vendor = FakeTwilio()
    assert await carrier(vendor).ensure(WANTED) is True
    assert await carrier(vendor).ensure(WANTED) is False
    assert vendor.writes == 1


async def test_a_changed_url_is_put_back() -> None:
    vendor = FakeTwilio()
    await carrier(vendor).ensure(WANTED)
    (application,) = vendor.applications.values()
    application["voice_fallback_url"] = "https://somewhere.example.com"
    assert await carrier(vendor).ensure(WANTED) is True
    found = await carrier(vendor).find(WANTED.friendly_name)
    assert found is not None
    assert found.application == WANTED


async def test_an_application_of_another_name_is_never_touched() -> None:
    vendor = FakeTwilio()
    vendor.applications["AP9"] = {"sid": "AP9", "friendly_name": "theirs", "voice_url": "x", "voice_fallback_url": "y"}
    await carrier(vendor).ensure(WANTED)
    await carrier(vendor).remove(WANTED.friendly_name)
    assert vendor.applications == {
        "AP9": {"sid": "AP9", "friendly_name": "theirs", "voice_url": "x", "voice_fallback_url": "y"}
    }


async def test_removing_what_is_not_there_writes_nothing() -> None:
    vendor = FakeTwilio()
    assert await carrier(vendor).remove(WANTED.friendly_name) is False
    assert vendor.writes == 0


async def test_requests_carry_basic_auth() -> None:
    vendor = FakeTwilio()
    await carrier(vendor).find("x")
    assert vendor.authorization == {"Basic " + base64.b64encode(b"SK1:s3cret").decode()}


@pytest.mark.parametrize(("status", "code"), [(401, "Unauthorized"), (429, "RateLimited"), (500, "VendorError")])
async def test_each_refusal_has_a_stable_code_and_no_secret(status: int, code: str) -> None:
    vendor = FakeTwilio(status=status)
    with pytest.raises(DriverError) as refused:
        await carrier(vendor).find("x")
    assert refused.value.code == code
    assert "s3cret" not in str(refused.value)
