"""What pods are told: a buddy that lives, and who serves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import region, zone

from holdfast.core import directives
from holdfast.core.directives import Directive, Standing
from holdfast.core.relays import IceServer, Transport
from holdfast.core.values import Cause, Shift

THREE = zone(("fra", "ams", "iad"), ())
REGIONS = {name: region(name) for name in ("fra", "ams", "iad")}
ALL = ("fra", "ams", "iad")


def buddy(own: str, standing: Standing, regions=REGIONS) -> str | None:
    return directives.buddy(own, THREE, regions=regions, standing=standing)


@pytest.mark.parametrize(("own", "expected"), [("fra", "ams"), ("ams", "iad"), ("iad", "fra")])
def test_the_next_in_the_ring_keeps_the_journals_so_that_the_load_is_spread(own: str, expected: str):
    assert buddy(own, Standing(ALL)) == expected


def test_another_failure_domain_is_preferred():
    near = {**REGIONS, "ams": region("ams", failure_domain="hetzner")}
    assert buddy("fra", Standing(ALL), near) == "iad"


def test_the_same_domain_is_better_than_a_region_that_does_not_serve():
    near = {**REGIONS, "ams": region("ams", failure_domain="hetzner")}
    assert buddy("fra", Standing(("fra", "ams")), near) == "ams"


def test_a_cordoned_region_that_lives_is_better_than_none():
    assert buddy("fra", Standing(("fra",), lost=("ams",))) == "iad"


def test_a_lost_buddy_is_renamed_and_with_none_left_there_is_none():
    assert buddy("fra", Standing(ALL, lost=("ams",))) == "iad"
    assert buddy("fra", Standing(ALL, lost=("ams", "iad"))) is None


def test_a_region_outside_the_zone_gets_no_journals_of_it():
    assert buddy("mars", Standing(ALL), {**REGIONS, "mars": region("mars")}) is None
    assert buddy("fra", Standing(ALL), {"ams": REGIONS["ams"]}) is None


def test_regions_that_name_no_domain_share_none():
    bare = {name: region(name, failure_domain="") for name in REGIONS}
    assert buddy("fra", Standing(ALL), bare) == "ams"


def test_the_message_is_what_the_long_poll_promises():
    told = directives.directive("fra", zone(), regions=REGIONS, standing=Standing(("ams",), lost=("fra", "mars")))
    told = replace(told, attempts=("openai",), drain_s=60.0)
    assert directives.message(told, version=4) == {
        "version": 4,
        "buddy": "ams",
        "regions": [
            {"name": "fra", "host": "fra.voice.example.com", "weight": 50, "serving": False},
            {"name": "ams", "host": "ams.voice.example.com", "weight": 50, "serving": True},
        ],
        "attempts": ["openai"],
        "barred": [],
        "ill": [],
        "reasons": [],
        "drain": {"untilSeconds": 60.0},
        "lost": ["fra"],
        "iceServers": [],
    }


def test_without_a_drain_there_is_none_and_unknown_regions_are_left_out():
    told = directives.directive("ams", zone(), regions={"ams": REGIONS["ams"]}, standing=Standing(("ams",)))
    said = directives.message(told, version=1)
    assert (said["drain"], said["buddy"], [line["name"] for line in said["regions"]]) == (None, None, ["ams"])


def test_the_weights_in_force_stand_for_those_of_the_policy():
    """A region on its way back, or full, is given fewer calls by the answer to a webhook, too."""
    told = directives.directive("fra", zone(), regions=REGIONS, standing=Standing(ALL, weights={"ams": 2}))
    assert [(line.name, line.weight) for line in told.regions] == [("fra", 50), ("ams", 2)]


def test_a_weight_of_0_in_force_is_0():
    told = directives.directive("fra", zone(), regions=REGIONS, standing=Standing(ALL, weights={"fra": 0, "ams": 9}))
    assert [line.weight for line in told.regions] == [0, 9]


DRAINING = Shift("fra", Cause.HUMAN, 600.0, "new disks", drain=True)


@pytest.mark.parametrize(
    ("shifts", "serving", "within_s"),
    [
        ((DRAINING,), ("ams",), 600.0),
        ((DRAINING,), ("fra", "ams"), None),
        ((DRAINING,), (), None),
        ((replace(DRAINING, drain=False),), ("ams",), None),
        ((replace(DRAINING, region="ams"),), ("ams",), None),
        ((replace(DRAINING, remaining_s=0.0),), ("ams",), None),
        ((), ("ams",), None),
    ],
)
def test_calls_are_handed_over_once_the_region_is_out_and_another_takes_them(shifts, serving, within_s):
    assert directives.drain_s("fra", zone(), shifts=shifts, serving=serving) == within_s


def test_what_callers_are_offered_is_told_without_credentials():
    ice = (IceServer("turn-1", Transport.UDP, "turn:turn-1.example.com"),)
    told = directives.message(Directive(buddy=None, regions=(), ice=ice), version=1)
    assert told["iceServers"] == [{"relay": "turn-1", "transport": "udp", "url": "turn:turn-1.example.com"}]
