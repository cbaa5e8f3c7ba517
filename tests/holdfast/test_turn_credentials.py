"""Where credentials for TURN come from: made from a secret, asked of a vendor, kept, renewed ahead, never shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from holdfast.errors import DriverError
from holdfast.gather.turn_credentials import CoturnSecret, KeptIssuer
from holdfast.gather.turn_end import Credential
from holdfast.gather.turn_issuers import CloudflareCredentials, TwilioCredentials
from holdfast_gameday.world.ice_credentials import Fault, IceCredentials

SECRET = "the-relays-secret"


def coturn(*secrets: str, separator: str = ":") -> CoturnSecret:
    async def given() -> Sequence[bytes]:
        return [secret.encode() for secret in secrets]

    return CoturnSecret(name="own", secrets=given, wall=lambda: 1_800_000_000.7, separator=separator)


def signed(secret: str, username: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()).decode()


async def test_a_coturn_credential_is_an_expiry_a_user_and_their_signature() -> None:
    made = await coturn("s1").issue("holdfast-fra", ttl_s=600)
    assert made == Credential("1800000600:holdfast-fra", signed("s1", "1800000600:holdfast-fra"))
    assert (await coturn("s1", separator="|").issue("x", ttl_s=60)).username == "1800000060|x"


async def test_what_a_relay_refuses_is_made_again_with_the_next_older_secret() -> None:
    issuer = coturn("new", "old", "oldest")
    first = await issuer.issue("x", ttl_s=60)
    second = await issuer.another(first, ttl_s=60)
    assert second == Credential(first.username, signed("old", first.username))
    third = await issuer.another(second, ttl_s=60)
    assert third == Credential(first.username, signed("oldest", first.username))
    assert await issuer.another(third, ttl_s=60) is None


async def test_without_a_secret_there_is_no_credential() -> None:
    with pytest.raises(DriverError) as refused:
        await coturn().issue("x", ttl_s=60)
    assert refused.value.code == "SecretMissing"
    with pytest.raises(ValueError, match="separator"):
        coturn("s", separator="::")


def test_a_credential_shows_its_user_and_not_its_password() -> None:
    assert "hush" not in repr(Credential("u", "hush"))


@dataclass
class Vendor:
    """Both simulated issuers, ours as their clients, and a clock that the test moves."""

    sim: IceCredentials
    cloudflare: KeptIssuer
    twilio: KeptIssuer
    now: float = 0.0


@asynccontextmanager
async def vendor(*, token: str | None = None, deadline_s: float = 2.0) -> AsyncIterator[Vendor]:
    sim = IceCredentials(secret=SECRET, wall=time.time)
    account = sim.account

    async def bearer() -> str:
        return token or account.key_token

    async def basic() -> tuple[str, str]:
        return account.user, token or account.secret

    async with sim.serving("127.0.0.1", 0) as address, httpx.AsyncClient(timeout=None) as http:
        shared: Any = {"http": http, "api_url": f"http://{address}", "deadline_s": deadline_s}
        nts = TwilioCredentials(name="nts", account_sid=account.account_sid, basic=basic, **shared)
        cf = CloudflareCredentials(name="cf", key_id=account.key_id, token=bearer, **shared)
        made: list[Vendor] = []
        clock = lambda: made[0].now  # noqa: E731 - the clock needs the stage that it belongs to
        made.append(Vendor(sim, KeptIssuer(cf.fetch, clock=clock), KeptIssuer(nts.fetch, clock=clock)))
        yield made[0]


@pytest.mark.parametrize("name", ["cloudflare", "twilio"])
async def test_a_vendor_is_asked_once_until_half_of_the_life_is_gone(name: str) -> None:
    async with vendor() as stage:
        issuer: KeptIssuer = getattr(stage, name)
        first = await issuer.issue("anybody", ttl_s=600)
        assert first.password == signed(SECRET, first.username)
        stage.now = 299.0
        assert await issuer.issue("anybody-else", ttl_s=600) == first
        assert stage.sim.requests == 1
        stage.now = 300.0
        assert await issuer.issue("anybody", ttl_s=600) != first
        assert [(each.vendor, each.ttl_s) for each in stage.sim.issued] == [(name, 600)] * 2


async def test_callers_credentials_are_kept_apart_from_the_probers() -> None:
    async with vendor() as stage:
        probes = await stage.cloudflare.issue("prober", ttl_s=600)
        callers = await stage.cloudflare.issue("caller", ttl_s=7200)
        assert probes != callers
        assert [each.ttl_s for each in stage.sim.issued] == [600, 7200]


@pytest.mark.parametrize("name", ["cloudflare", "twilio"])
@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Fault("status", 429), "RateLimited", True),
        (Fault("status", 503), "VendorError", True),
        (Fault("status", 401), "Unauthorized", False),
        (Fault("status", 403), "Unauthorized", False),
        (Fault("status", 404), "NotFound", False),
        (Fault("status", 400), "Refused", False),
        (Fault("garbage"), "BadAnswer", True),
    ],
)
async def test_each_failure_of_an_issuer_has_its_code(name: str, fault: Fault, code: str, retryable: bool) -> None:
    async with vendor() as stage:
        stage.sim.fault = fault
        with pytest.raises(DriverError) as failed:
            await getattr(stage, name).issue("x", ttl_s=600)
    assert (failed.value.code, failed.value.retryable) == (code, retryable)


async def test_an_issuer_that_is_silent_costs_its_deadline() -> None:
    async with vendor(deadline_s=0.05) as stage:
        stage.sim.fault = Fault("silent")
        for issuer in (stage.cloudflare, stage.twilio):
            with pytest.raises(DriverError) as failed:
                await issuer.issue("x", ttl_s=600)
            assert failed.value.code == "Timeout"


async def test_an_issuer_out_of_reach_is_unreachable() -> None:
    async def token() -> str:
        return "t"

    async with httpx.AsyncClient(timeout=None) as http:
        issuer = CloudflareCredentials(name="cf", key_id="k", token=token, http=http, api_url="http://127.0.0.1:9")
        with pytest.raises(DriverError) as failed:
            await issuer.fetch(60)
    assert (failed.value.code, str(failed.value)) == ("Unreachable", "TURN issuer cf: ConnectError")


async def test_while_the_issuer_is_ill_what_lives_is_handed_out() -> None:
    async with vendor() as stage:
        first = await stage.twilio.issue("x", ttl_s=600)
        stage.sim.fault = Fault("status", 503)
        stage.now = 599.0
        assert await stage.twilio.issue("x", ttl_s=600) == first
        stage.now = 605.0
        with pytest.raises(DriverError):
            await stage.twilio.issue("x", ttl_s=600)
        stage.sim.fault = None
        stage.now = 611.0
        assert await stage.twilio.issue("x", ttl_s=600) != first


async def test_a_vendor_that_wants_none_is_asked_nothing_until_its_time_is_over() -> None:
    async with vendor() as stage:
        stage.sim.fault = Fault("status", 429, retry_after="40")
        for stage.now in (0.0, 1.0, 39.0):
            with pytest.raises(DriverError) as failed:
                await stage.cloudflare.issue("x", ttl_s=600)
            assert failed.value.code == "RateLimited"
        assert stage.sim.requests == 1
        stage.sim.fault = None
        stage.now = 40.0
        await stage.cloudflare.issue("x", ttl_s=600)
        assert stage.sim.requests == 2


async def test_a_refused_credential_is_renewed_where_it_is_not_new_and_at_most_once_a_minute() -> None:
    """A relay of another account refuses every one: that must not become a stream of requests."""
    async with vendor() as stage:
        assert await stage.twilio.another(Credential("never", "issued"), ttl_s=600) is None
        first = await stage.twilio.issue("x", ttl_s=600)
        stage.now = 59.0
        assert await stage.twilio.another(first, ttl_s=600) is None
        stage.now = 60.0
        second = await stage.twilio.another(first, ttl_s=600)
        assert second not in (None, first)
        assert await stage.twilio.another(first, ttl_s=600) == second
        assert stage.sim.requests == 2
        stage.now = 200.0
        stage.sim.fault = Fault("status", 503)
        assert await stage.twilio.another(await stage.twilio.issue("x", ttl_s=600), ttl_s=600) is None


async def test_no_secret_is_in_an_error() -> None:
    async with vendor(token="hush-hush") as stage:
        for issuer in (stage.cloudflare, stage.twilio):
            with pytest.raises(DriverError) as refused:
                await issuer.issue("x", ttl_s=600)
            assert refused.value.code == "Unauthorized"
            assert "hush" not in f"{refused.value!r} {refused.value.__context__!r} {refused.value.__cause__!r}"
