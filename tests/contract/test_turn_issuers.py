"""The simulated issuers of TURN credentials against the vendor's description and package, and at a real coturn."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from real_coturn import SECRET, coturn
from turn_prober import QUICK
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from world_twilio_spec import CheckedHttpClient

from holdfast.core.relays import Sight, Transport
from holdfast.gather.turn_credentials import Issuer, KeptIssuer
from holdfast.gather.turn_end import Credential
from holdfast.gather.turn_issuers import CloudflareCredentials, TwilioCredentials
from holdfast.gather.turn_probe import TurnProbe
from holdfast_gameday.world.ice_credentials import IceCredentials

pytestmark = pytest.mark.contract


def sdk(sim: IceCredentials, address: object, http: CheckedHttpClient, secret: str | None = None) -> Client:
    client = Client(sim.account.user, secret or sim.account.secret, sim.account.account_sid, http_client=http)
    client.api.base_url = f"http://{address}"
    return client


async def test_the_vendors_package_is_given_a_token_as_the_description_has_it() -> None:
    sim, http = IceCredentials(secret=SECRET, wall=time.time), CheckedHttpClient()
    async with sim.serving("127.0.0.1", 0) as address:
        token = await asyncio.to_thread(sdk(sim, address, http).tokens.create, ttl=600)
        assert (token.ttl, token.account_sid) == ("600", sim.account.account_sid)
        (stun, *turns) = token.ice_servers
        assert stun["urls"].startswith("stun:")
        assert {(each["username"], each["credential"]) for each in turns} == {(token.username, token.password)}
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(sdk(sim, address, http, "wrong").tokens.create)
        assert (refused.value.status, refused.value.code) == (401, 20003)
    assert http.checked == 2
    http.close()


async def test_cloudflares_answer_is_a_201_with_ice_servers_of_which_one_has_a_credential() -> None:
    """The vendor publishes no description of it with a licence; this is the documented form."""
    sim = IceCredentials(secret=SECRET, wall=time.time)
    async with sim.serving("127.0.0.1", 0) as address, httpx.AsyncClient() as http:
        url = f"http://{address}/v1/turn/keys/{sim.account.key_id}/credentials/generate-ice-servers"
        headers = {"Authorization": f"Bearer {sim.account.key_token}"}
        answer = await http.post(url, json={"ttl": 600}, headers=headers)
        assert answer.status_code == 201
        first, second = json.loads(answer.text)["iceServers"]
        assert set(first) == {"urls"}
        assert set(second) == {"urls", "username", "credential"}
        for body in ({"ttl": 48 * 3600 + 1}, {"ttl": 0}, {}):
            assert (await http.post(url, json=body, headers=headers)).status_code == 400
        assert (await http.post(url, json={"ttl": 600})).status_code == 401


@asynccontextmanager
async def issuers(sim: IceCredentials) -> AsyncIterator[dict[str, Issuer]]:
    async def token() -> str:
        return sim.account.key_token

    async def basic() -> tuple[str, str]:
        return sim.account.user, sim.account.secret

    async with sim.serving("127.0.0.1", 0) as address, httpx.AsyncClient() as http:
        base = f"http://{address}"
        cf = CloudflareCredentials(name="cf", key_id=sim.account.key_id, token=token, http=http, api_url=base)
        nts = TwilioCredentials(
            name="nts", account_sid=sim.account.account_sid, basic=basic, http=http, api_url=base
        )
        yield {name: KeptIssuer(each.fetch, clock=time.monotonic) for name, each in (("cf", cf), ("nts", nts))}


class Asked:
    """An issuer's credentials for a probe."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def issue(self) -> Credential:
        return await self._issuer.issue("holdfast-fra", ttl_s=600)

    async def another(self, refused: Credential) -> Credential | None:
        return await self._issuer.another(refused, ttl_s=600)


@pytest.mark.programs
@pytest.mark.parametrize("name", ["cf", "nts"])
async def test_a_relay_takes_what_the_issuer_made_and_refuses_what_another_made(tmp_path: Path, name: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with coturn(tmp_path) as relay:
        address = relay.address(Transport.UDP)
        async with issuers(IceCredentials(secret=SECRET, wall=time.time)) as good:
            assert (await TurnProbe(tls, QUICK).probe(address, Asked(good[name]))).sight is Sight.WELL
        async with issuers(IceCredentials(secret="of-another-account", wall=time.time)) as foreign:
            assert (await TurnProbe(tls, QUICK).probe(address, Asked(foreign[name]))).sight is Sight.OUR_FAULT
