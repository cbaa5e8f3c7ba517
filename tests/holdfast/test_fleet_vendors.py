"""Which driver serves which lever of a policy, and that it lives as long as what was wished of it."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
from core_builders import regions, zone

from holdfast.core.means import Carrier, Lever, Tenant
from holdfast.core.values import Zone
from holdfast.fleet_accounts import Accounts
from holdfast.fleet_secrets import Secrets
from holdfast.fleet_vendors import MAKERS, Vendors
from holdfast.levers.cloudflare_load_balancer import CloudflareLoadBalancer
from holdfast.levers.cloudflare_tunnel import CloudflareTunnel
from holdfast.levers.kamailio_dispatcher import KamailioDispatcher
from holdfast.levers.telnyx_applications import TelnyxApplications
from holdfast.levers.telnyx_numbers import TelnyxNumbers
from holdfast.levers.telnyx_sip_connection import TelnyxSipConnection
from holdfast.levers.twilio_application import TwilioApplications
from holdfast.levers.twilio_number import TwilioNumbers
from holdfast.levers.twilio_trunk import TwilioTrunk

CARRIERS = (
    Carrier("twilio-eu", "twilio", "AC1", "https://api.twilio.com", "twilio", region="ie1", edge="dublin"),
    Carrier("telnyx-eu", "telnyx", "", "https://api.telnyx.com/v2", "telnyx", sort="texml"),
)
LEVERS = (
    Lever("edge", "cloudflareLoadBalancer", "https://api.cloudflare.com/client/v4", "acc", "cf"),
    Lever("tunnels", "cloudflareTunnel", "https://api.cloudflare.com/client/v4", "acc", "cf"),
    Lever("trunk", "twilioTrunk", "", "", "", carrier="twilio-eu", settings={"trunkSid": "TK1"}),
    Lever("sip", "telnyxSipConnection", "", "", "", carrier="telnyx-eu", settings={"connectionId": "7"}),
    Lever("sbc", "kamailioDispatcher", "", "", "", settings={
        "group": "1", "proxies": json.dumps(["http://10.0.0.5:8080/"]),
    }),
    Lever("numbers", "twilioNumber", "", "", "", points=True, carrier="twilio-eu"),
    Lever("ranges", "telnyxNumber", "", "", "", points=True, carrier="telnyx-eu"),
)  # fmt: skip
EU = replace(
    zone(), levers=LEVERS, carriers=CARRIERS, tenants=(Tenant(("clinic",), ("twilio-eu",), ("+491", "+492")),)
)


def vendors() -> Vendors:
    def no_request(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"nothing is asked while drivers are made: {request.url}")

    http = httpx.AsyncClient(transport=httpx.MockTransport(no_request))
    unread = Secrets(client=None, namespace="holdfast-system")  # type: ignore[arg-type]
    accounts = Accounts(secrets=unread, http=http, trusted="", clock=lambda: 0.0)
    return Vendors(accounts=accounts, clock=lambda: 0.0)


def of(zone_: Zone, made: Vendors) -> dict[str, type]:
    return {name: type(driver) for name, driver in made.levers(zone_, regions(zone_)).items()}


def test_every_kind_of_lever_has_its_driver():
    assert of(EU, vendors()) == {
        "edge": CloudflareLoadBalancer,
        "tunnels": CloudflareTunnel,
        "trunk": TwilioTrunk,
        "sip": TelnyxSipConnection,
        "sbc": KamailioDispatcher,
    }
    assert {type(driver) for driver in vendors().levers(EU, regions(EU)).values()} >= {CloudflareTunnel}
    assert len(MAKERS) == 5


def test_every_account_holds_applications_and_each_lever_of_numbers_its_own():
    made = vendors().pointers(EU)
    assert {name: type(driver) for name, driver in made.items()} == {
        "applications of twilio-eu": TwilioApplications,
        "applications of telnyx-eu": TelnyxApplications,
        "numbers": TwilioNumbers,
        "ranges": TelnyxNumbers,
    }


def test_a_driver_lives_as_long_as_nothing_else_is_wished():
    """What it remembers, and its vendor's limits, must outlive a reconcile."""
    made = vendors()
    first, again = made.levers(EU, regions(EU)), made.levers(EU, regions(EU))
    assert all(first[name] is again[name] for name in first)
    assert made.pointers(EU)["numbers"] is made.pointers(EU)["numbers"]
    moved = replace(EU, levers=(replace(LEVERS[0], account_id="other"), *LEVERS[1:]))
    after = made.levers(moved, regions(moved))
    assert after["edge"] is not first["edge"]
    assert after["sbc"] is first["sbc"]


def test_everything_of_one_account_shares_what_the_vendor_counts():
    made = vendors()
    budgets = {name: driver.budget() for name, driver in made.levers(EU, regions(EU)).items()}
    assert budgets["edge"] == budgets["tunnels"]
    edge = made.levers(EU, regions(EU))["edge"]
    tunnels = made.levers(EU, regions(EU))["tunnels"]
    assert edge._api._budget is tunnels._api._budget


def test_a_kind_that_this_version_does_not_know_has_no_driver():
    newer = replace(EU, levers=(Lever("next", "carrierPigeon", "", "", ""),))
    assert vendors().levers(newer, regions(newer)) == {}
