"""The residency proof: what counts as a breach, and that what a fleet may do is none."""

import pytest

from holdfast_gameday import residency
from holdfast_gameday.residency import EntryRequest, Ground
from holdfast_gameday.world.connections import SYN, Connection

GROUND = Ground(
    regions={"172.30.0.11": "eu", "172.30.0.12": "eu", "172.30.0.13": "us"},
    providers={"172.30.0.104": "eu", "172.30.0.105": "us"},
    names={"172.30.0.11": "fra", "172.30.0.13": "iad", "172.30.0.105": "us.api.openai.com"},
)
ZONES = {"fra": "eu", "ams": "eu", "iad": "us"}


def _syn(source, address, kind=SYN):
    return Connection(at=0.0, monotonic=0.0, source=source, name="", address=address, kind=kind, path="")


@pytest.mark.parametrize(
    "seen",
    [
        _syn("172.30.0.11", "172.30.0.12:443"),  # journal to the buddy of the zone
        _syn("172.30.0.11", "172.30.0.13:6443"),  # a vote at the witness
        _syn("172.30.0.13", "172.30.0.11:443"),  # the witness's probe
        _syn("172.30.0.11", "172.30.0.104:443"),  # the zone's own provider
        _syn("172.30.0.101", "172.30.0.13:443"),  # the carrier belongs to no zone
    ],
)
def test_what_the_fleet_may_do_is_no_breach(seen):
    assert residency.breaches(GROUND, [seen]) == []


def test_a_provider_of_another_zone_is_a_breach():
    assert residency.breaches(GROUND, [_syn("172.30.0.11", "172.30.0.105:443")]) == [
        "fra reached the us provider us.api.openai.com"
    ]


def test_a_store_of_another_zone_is_a_breach():
    assert residency.breaches(GROUND, [_syn("172.30.0.11", "172.30.0.13:6379")]) == [
        "fra reached iad of zone us on port 6379"
    ]


def test_from_another_zone_only_the_canary_may_be_asked_for():
    canary = EntryRequest(region="fra", source="172.30.0.13", path="/a/holdfast-system/canary/media")
    journal = EntryRequest(region="fra", source="172.30.0.13", path="/a/clinic/front-desk/journal?x=1")

    assert residency.entry_breaches(GROUND, [canary], region_zone=ZONES) == []
    assert residency.entry_breaches(GROUND, [canary, journal], region_zone=ZONES) == [
        "iad asked fra for /a/clinic/front-desk/journal"
    ]


def test_a_webhook_that_arrives_in_another_zone_is_a_breach():
    agents = {"/a/clinic/front-desk/": "eu"}
    right = EntryRequest(region="ams", source="172.30.0.101", path="/a/clinic/front-desk/voice")
    wrong = EntryRequest(region="iad", source="172.30.0.101", path="/a/clinic/front-desk/voice")

    assert residency.stray_requests([right], region_zone=ZONES, agents=agents) == []
    assert residency.stray_requests([right, wrong], region_zone=ZONES, agents=agents) == [
        "iad was asked for /a/clinic/front-desk/ of zone eu"
    ]


def test_a_connection_on_which_nothing_was_asked_tells_of_nothing():
    """A probe that was given up while it connected leaves such a line at the entry."""
    given_up = [EntryRequest("iad", "172.30.0.11", "<BADREQ>")]
    assert residency.entry_breaches(GROUND, given_up, region_zone=ZONES) == []
