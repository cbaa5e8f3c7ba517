"""What a zone's load balancer should say, and what is wrong with what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import region, zone
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import edge
from holdfast.core.edge import Balancer, Found

REGIONS = {name: region(name) for name in ("fra", "ams", "par")}
POOLS = {name: f"pool-{name}" for name in REGIONS}
THREE = zone(("fra", "ams", "par"), ())
ALL = ("pool-fra", "pool-ams", "pool-par")


def well(**more) -> Balancer:
    return Balancer(default_pools=ALL, fallback_pool="pool-par", **more)


def codes(found: Balancer | Found, of=THREE, regions=REGIONS, pools=POOLS, **more) -> list[str]:
    held = found if isinstance(found, Found) else Found(found)
    return [problem.code for problem in edge.problems(of, regions, pools, held, **more)]


def wanted(found: Balancer | Found, of=THREE, regions=REGIONS, pools=POOLS, **more) -> Balancer | None:
    held = found if isinstance(found, Found) else Found(found)
    return edge.wanted(of, regions, pools, held, **more)


def test_a_balancer_as_it_should_be_has_no_problem_and_nothing_is_wanted_of_it():
    assert codes(well()) == []
    assert wanted(well()) == well()


def test_standby_regions_come_last_whatever_their_place_in_the_policy():
    standby_first = zone(("fra", "ams", "par"), (), weights={"fra": 0})
    assert edge.order(standby_first, REGIONS, POOLS) == ("pool-ams", "pool-par", "pool-fra")


def test_the_list_of_a_country_keeps_its_own_order_and_is_completed():
    """Cloudflare uses a country's list instead of the default one: what it lacks is lost to that country."""
    found = well(country_pools={"NL": ("pool-ams",)}, region_pools={"WEU": ("pool-par", "pool-ams", "pool-fra")})
    assert codes(found) == [edge.EMPTY_WITHOUT_A_REGION, edge.INCOMPLETE_LIST]
    made = wanted(found)
    assert made.country_pools == {"NL": ("pool-ams", "pool-fra", "pool-par")}
    assert made.region_pools == found.region_pools
    assert codes(made) == []


def test_a_region_outside_the_residency_is_in_no_list_and_is_no_fallback():
    abroad = {**REGIONS, "ams": region("ams", jurisdiction="us")}
    found = Balancer(ALL, fallback_pool="pool-ams", pop_pools={"AMS": ("pool-ams", "pool-fra", "pool-par")})
    assert codes(found, regions=abroad) == [
        edge.POOL_OUTSIDE_RESIDENCY, edge.POOL_OUTSIDE_RESIDENCY, edge.FOREIGN_FALLBACK,
    ]  # fmt: skip
    made = wanted(found, regions=abroad)
    assert all("pool-ams" not in listed for _, listed in made.lists())
    assert made.fallback_pool == "pool-par"


def test_a_pool_of_nobodys_leaves_every_list():
    found = Balancer((*ALL, "pool-x"), "pool-x", country_pools={"DE": ("pool-x",)})
    assert codes(found) == [
        edge.FOREIGN_POOL, edge.FOREIGN_POOL, edge.INCOMPLETE_LIST, edge.FOREIGN_FALLBACK,
    ]  # fmt: skip
    assert wanted(found) == well(country_pools={"DE": ALL})


def test_a_fallback_pool_of_the_zone_is_the_users_choice():
    assert wanted(replace(well(), fallback_pool="pool-ams")).fallback_pool == "pool-ams"


def test_another_order_than_the_policys_is_told_and_put_right():
    found = replace(well(), default_pools=("pool-ams", "pool-fra", "pool-par"))
    assert codes(found) == [edge.ORDER_DIFFERS]
    assert wanted(found).default_pools == ALL


@pytest.mark.parametrize("steering", ["geo", "", "random", "dynamic_latency"])
def test_only_steering_off_leaves_the_choice_to_the_policy(steering):
    found = replace(well(), steering=steering)
    assert codes(found) == [edge.STEERS]
    assert wanted(found).steering == "off"


def test_a_policy_may_ask_for_steering_by_place():
    assert codes(replace(well(), steering="geo"), steering="geo") == []
    assert wanted(well(), steering="geo").steering == "geo"


def test_an_empty_zone_wants_nothing_written():
    abroad = {name: region(name, jurisdiction="us") for name in REGIONS}
    assert wanted(well(), regions=abroad) is None
    assert edge.NO_LEGAL_POOL in codes(well(), regions=abroad)


def test_a_zone_of_one_region_says_that_its_list_would_be_empty():
    alone = Balancer(("pool-fra",), "pool-fra")
    assert codes(alone, of=zone(("fra",), ())) == [edge.EMPTY_WITHOUT_A_REGION]


def test_a_region_without_a_pool_and_one_whose_pool_is_gone_are_told_and_left_out():
    pools = {**POOLS, "par": ""}
    held = Found(Balancer(("pool-fra",), "pool-fra"), missing=("pool-ams",))
    assert codes(held, pools=pools) == [
        edge.REGION_WITHOUT_POOL, edge.EMPTY_WITHOUT_A_REGION, edge.POOL_GONE,
    ]  # fmt: skip
    assert wanted(held, pools=pools).default_pools == ("pool-fra",)


def test_two_regions_with_one_pool_cannot_be_told_apart():
    shared = {**POOLS, "ams": "pool-fra"}
    found = Balancer(("pool-fra", "pool-par"), "pool-par")
    assert codes(found, pools=shared) == [edge.SHARED_POOL]
    assert wanted(found, pools=shared) == found


@pytest.mark.parametrize(
    ("held", "code"),
    [
        (Found(well(), enabled=False), edge.SWITCHED_OFF),
        (Found(well(), proxied=False), edge.NOT_PROXIED),
        (Found(well(), rules=2), edge.RULES),
        (Found(well(), affinity="cookie"), edge.AFFINITY),
        (Found(well(), unmonitored=("pool-ams",)), edge.NO_MONITOR),
    ],
)
def test_what_is_not_ours_to_write_is_told(held, code):
    assert codes(held) == [code]


def test_every_problem_names_what_was_seen():
    found = Found(Balancer(("pool-x",), "pool-x", "geo"), unmonitored=("pool-fra",), rules=1)
    for problem in edge.problems(THREE, REGIONS, POOLS, found):
        assert any(word in problem.message for word in ("pool-x", "geo", "pool-fra", "fra", "1"))


NAMES = ("fra", "ams", "par", "waw")
SOME = st.lists(st.sampled_from([*(f"pool-{name}" for name in NAMES), "pool-x"]), max_size=5).map(tuple)
PLACES = st.dictionaries(st.sampled_from(["DE", "NL", "WEU"]), SOME, max_size=3)


@given(
    found=st.builds(
        Balancer, default_pools=SOME, fallback_pool=st.sampled_from(["", "pool-fra", "pool-x"]),
        region_pools=PLACES, country_pools=PLACES, pop_pools=PLACES, steering=st.sampled_from(["off", "geo", ""]),
    ),
    abroad=st.sets(st.sampled_from(NAMES), max_size=3),
    standby=st.sets(st.sampled_from(NAMES), max_size=4),
)  # fmt: skip
def test_what_is_wanted_never_leaves_the_residency_nor_empties_a_list_and_is_wanted_no_more(found, abroad, standby):
    regions = {name: region(name, jurisdiction="us" if name in abroad else "eu") for name in NAMES}
    of = zone(NAMES, (), weights=dict.fromkeys(standby, 0))
    pools = {name: f"pool-{name}" for name in NAMES}
    legal = {pools[name] for name in NAMES if name not in abroad}

    made = edge.wanted(of, regions, pools, Found(found))

    assert made is not None
    assert made.fallback_pool in legal
    for _, listed in made.lists():
        assert set(listed) == legal
        assert len(listed) == len(legal)
    for place, listed in found.country_pools.items():
        kept = [pool for pool in dict.fromkeys(listed) if pool in legal]
        assert list(made.country_pools[place][: len(kept)]) == kept
    assert edge.wanted(of, regions, pools, Found(made)) == made
    inherent = {edge.EMPTY_WITHOUT_A_REGION} if len(legal) == 1 else set()
    assert set(codes(made, of, regions, pools)) == inherent
