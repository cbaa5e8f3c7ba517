"""How calls are spread: the policy's weights, the ramp, standby regions, full rooms, and what is turned away."""

from __future__ import annotations

import pytest
from core_builders import DOWN, UNKNOWN, UP, cordoned, joined, region, regions, said, view, zone
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import reasons, weights
from holdfast.core.plans import Shed, View
from holdfast.core.values import Load, Reason, RegionMemory, Zone

MEMBERS = ("fra", "ams", "iad")
STANDBY = zone(MEMBERS, ("lon",), weights={"iad": 0})


def full(**rooms: tuple[int, int]) -> dict[str, Load]:
    """Calls and room by region."""
    return {name: Load(2, calls, room) for name, (calls, room) in rooms.items()}


def spread(of: Zone, loads: dict[str, Load] | None = None, **more) -> dict[str, int]:
    return weights.effective(view(of, loads=loads or {}, **more))[0]


def shed(of: Zone, loads: dict[str, Load], **more) -> Shed | None:
    return weights.effective(view(of, loads=loads, **more))[1]


def test_in_good_order_the_weights_are_those_of_the_policy():
    of = zone(weights={"fra": 70, "ams": 30})
    assert weights.effective(view(of)) == ({"fra": 70, "ams": 30}, None)
    assert weights.effective(view(of, loads=full(fra=(7, 93), ams=(3, 97)))) == ({"fra": 70, "ams": 30}, None)


def test_a_region_on_its_way_back_has_the_share_of_its_step():
    of = zone(weights={"fra": 60, "ams": 40})
    for step, weight in ((0, 3), (1, 15), (2, 30), (None, 60)):
        assert spread(of, memory=joined(of, fra=RegionMemory({}, step))) == {"fra": weight, "ams": 40}


def test_a_share_is_never_rounded_down_to_nothing():
    of = zone(weights={"fra": 10, "ams": 10})
    assert spread(of, memory=joined(of, fra=RegionMemory({}, 0))) == {"fra": 1, "ams": 10}


def test_who_is_out_or_lost_has_none():
    of = zone(MEMBERS, ())
    assert spread(of, memory=joined(of, fra=cordoned())) == {"fra": 0, "ams": 50, "iad": 50}
    assert spread(of, verdicts={"fra": DOWN}) == {"fra": 0, "ams": 50, "iad": 50}


def test_a_region_abroad_has_none_though_all_else_is_gone():
    """No call crosses the border of the residency to be answered."""
    of = zone()
    abroad = regions(of, abroad=["fra"])
    assert spread(of, regions=abroad) == {"fra": 0, "ams": 50}
    assert spread(of, regions=abroad, memory=joined(of, ams=cordoned())) == {"fra": 0, "ams": 0}


def test_who_cannot_see_does_not_empty_a_route():
    of = zone()
    assert spread(of, verdicts={"fra": UNKNOWN, "ams": UNKNOWN}) == {"fra": 50, "ams": 50}
    assert spread(of, verdicts={"fra": DOWN, "ams": DOWN}) == {"fra": 50, "ams": 50}


def test_a_standby_region_takes_no_calls_while_another_is_able():
    assert spread(STANDBY) == {"fra": 50, "ams": 50, "iad": 0}
    assert spread(STANDBY, verdicts={"fra": DOWN}) == {"fra": 0, "ams": 50, "iad": 0}


def test_a_standby_region_takes_them_all_when_no_other_is():
    assert spread(STANDBY, verdicts={"fra": DOWN, "ams": DOWN}) == {"fra": 0, "ams": 0, "iad": 1}


TWO_STANDBYS = zone(("fra", "iad", "lon"), ("par",), weights={"iad": 0, "lon": 0})


@pytest.mark.parametrize(
    ("domains", "expected"),
    [
        ({"fra": "a", "iad": "a", "lon": "b"}, {"fra": 0, "iad": 0, "lon": 1}),
        ({"fra": "a", "iad": "b", "lon": "a"}, {"fra": 0, "iad": 1, "lon": 0}),
        ({"fra": "a", "iad": "a", "lon": "a"}, {"fra": 0, "iad": 1, "lon": 1}),
        ({"fra": "", "iad": "", "lon": "b"}, {"fra": 0, "iad": 1, "lon": 1}),
    ],
    ids=["lon lies apart", "iad lies apart", "neither does", "no domain is shared with nobody"],
)
def test_a_standby_in_another_failure_domain_is_preferred(domains: dict[str, str], expected: dict[str, int]):
    known = {name: region(name, failure_domain=domain) for name, domain in domains.items()}
    assert spread(TWO_STANDBYS, regions=known, verdicts={"fra": DOWN}) == expected
    assert spread(TWO_STANDBYS, regions=known, memory=joined(TWO_STANDBYS, fra=cordoned())) == expected


def test_the_domain_of_a_foreign_region_strikes_nobody():
    known = {name: region(name, failure_domain=name) for name in TWO_STANDBYS.members}
    known["mars"] = region("mars", failure_domain="iad")
    assert spread(TWO_STANDBYS, regions=known, verdicts={"fra": DOWN}) == {"fra": 0, "iad": 1, "lon": 1}


def test_a_standby_that_fails_with_the_lost_one_still_takes_what_does_not_fit():
    known = {"fra": region("fra", failure_domain="a"), "iad": region("iad", failure_domain="a"),
             "lon": region("lon", failure_domain="b")}
    loads = full(fra=(0, 0), iad=(0, 100), lon=(30, 0))
    loads["fra"] = Load(0, 60, 0)
    assert weights.effective(view(TWO_STANDBYS, {"fra": DOWN}, regions=known, loads=loads)) == (
        {"fra": 0, "iad": 14, "lon": 7}, None,
    )


def test_what_would_overfill_a_region_flows_to_those_with_room():
    assert weights.effective(view(loads=full(fra=(40, 0), ams=(60, 60)))) == ({"fra": 8, "ams": 12}, None)


def test_a_region_that_is_just_full_changes_nothing():
    assert weights.effective(view(loads=full(fra=(50, 0), ams=(50, 0)))) == ({"fra": 50, "ams": 50}, None)


def test_what_does_not_fit_flows_to_standby_regions():
    loads = full(fra=(50, 0), ams=(70, 0), iad=(0, 100))
    assert weights.effective(view(STANDBY, loads=loads)) == ({"fra": 9, "ams": 12, "iad": 0}, None)
    loads = full(fra=(50, 0), ams=(50, 0), iad=(20, 80))
    assert weights.effective(view(STANDBY, loads=loads)) == ({"fra": 9, "ams": 9, "iad": 4}, None)


def test_what_fits_nowhere_is_turned_away_in_words():
    of = zone()
    loads = {"fra": Load(2, 40, 0), "ams": Load(0, 40, 100)}
    assert weights.effective(view(of, loads=loads)) == (
        {"fra": 20, "ams": 0},
        Shed(40, Reason(reasons.CALLS_SHED, "40 of 80 calls of zone eu have no room in fra, ams")),
    )


def test_also_what_standby_regions_cannot_take():
    loads = full(fra=(0, 0), ams=(10, 0), iad=(0, 5)) | {"fra": Load(0, 10, 0)}
    assert shed(STANDBY, loads) == Shed(
        5, Reason(reasons.CALLS_SHED, "5 of 20 calls of zone eu have no room in fra, ams, iad")
    )
    assert shed(STANDBY, loads | {"iad": Load(2, 0, 10)}) is None


def test_a_zone_without_a_legal_region_turns_every_call_away():
    of = zone()
    seen = view(of, regions=regions(of, abroad=of.members), loads=full(fra=(3, 9), ams=(4, 9)))
    assert weights.effective(seen) == (
        {"fra": 0, "ams": 0}, Shed(7, Reason(reasons.CALLS_SHED, "7 of 7 calls of zone eu have no room in any region")),
    )
    assert weights.effective(view(of, regions=regions(of, abroad=of.members))) == ({"fra": 0, "ams": 0}, None)


def test_calls_of_another_zone_are_not_counted():
    assert spread(zone(), full(fra=(10, 0), ams=(10, 0), mars=(900, 0))) == {"fra": 50, "ams": 50}


def test_the_room_of_a_region_that_is_not_chosen_does_not_matter():
    of = zone(MEMBERS, ())
    loads = full(fra=(0, 0), ams=(40, 10), iad=(60, 40))
    assert spread(of, loads, verdicts={"fra": DOWN}) == {"fra": 0, "ams": 50, "iad": 50}


def test_while_a_load_is_unknown_there_is_nothing_to_reckon_with():
    assert weights.effective(view(loads=full(fra=(90, 0)))) == ({"fra": 50, "ams": 50}, None)
    assert weights.effective(view(STANDBY, loads=full(fra=(90, 0), ams=(0, 0)))) == (
        {"fra": 50, "ams": 50, "iad": 0}, None,
    )


def test_nor_while_no_region_has_pods():
    loads = {"fra": Load(0, 90, 0), "ams": Load(0, 90, 0)}
    assert weights.effective(view(loads=loads)) == ({"fra": 50, "ams": 50}, None)


def test_weights_that_follow_the_room_are_coarse_so_that_a_call_more_changes_nothing():
    first = spread(zone(), full(fra=(400, 0), ams=(600, 400)))
    assert first == {"fra": 8, "ams": 12}
    assert spread(zone(), full(fra=(400, 0), ams=(601, 399))) == {"fra": 8, "ams": 13}
    assert spread(zone(), full(fra=(400, 0), ams=(620, 380))) == {"fra": 8, "ams": 13}


def test_a_region_with_room_for_one_call_keeps_a_share():
    assert spread(zone(), {"fra": Load(2, 1, 0), "ams": Load(2, 999, 999)}) == {"fra": 1, "ams": 20}


@pytest.mark.parametrize(
    ("share", "calls"), [(100, 50), (50, 34), (25, 20), (5, 4), (1, 2)]
)
def test_what_a_region_would_get_is_rounded_up(share: int, calls: int):
    seen = view(loads=full(fra=(0, 0), ams=(100, 0), mars=(900, 0)))
    assert weights.expected("fra", seen, share=share) == calls


def test_a_region_that_is_out_is_reckoned_with_as_if_it_were_in():
    seen = view(memory=joined(zone(), fra=cordoned()), loads=full(fra=(0, 0), ams=(100, 0)))
    assert weights.expected("fra", seen, share=100) == 50
    assert weights.expected("fra", seen, share=5) == 4


def test_a_standby_region_is_expected_to_get_nothing():
    assert weights.expected("iad", view(STANDBY, loads=full(fra=(9, 0), ams=(9, 0), iad=(9, 0))), share=100) == 0


def test_whole_calls_by_weight_and_the_rest_to_the_largest_remainder_then_the_first():
    assert weights.proportional(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert weights.proportional(11, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 4, "c": 3}
    assert weights.proportional(10, {"a": 1, "b": 2}) == {"a": 3, "b": 7}
    assert weights.proportional(5, {"a": 2, "b": 1}) == {"a": 3, "b": 2}
    assert weights.proportional(0, {"a": 2, "b": 1}) == {"a": 0, "b": 0}
    assert weights.proportional(7, {"a": 0}) == {"a": 0}
    assert weights.proportional(7, {}) == {}


def test_overflow_runs_on_until_it_fits():
    room = {"a": 5, "b": 20, "c": 100}
    assert weights.filled(60, {"a": 1, "b": 1, "c": 1}, room) == {"a": 5, "b": 20, "c": 35}
    assert weights.filled(12, {"a": 1, "b": 1, "c": 1}, room) == {"a": 4, "b": 4, "c": 4}
    assert weights.filled(15, {"a": 1, "b": 1, "c": 1}, room) == {"a": 5, "b": 5, "c": 5}
    assert weights.filled(200, {"a": 1, "b": 1, "c": 1}, room) == room


ROOMS = st.dictionaries(st.sampled_from(MEMBERS), st.integers(0, 50), min_size=1)


@given(st.integers(0, 200), ROOMS, st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_nothing_is_overfilled_and_nothing_turned_away_that_fits(calls: int, room: dict[str, int], by: list[int]):
    placed = weights.filled(calls, dict(zip(room, by, strict=False)), room)
    assert all(0 <= count <= room[name] for name, count in placed.items())
    assert sum(placed.values()) == min(calls, sum(room.values()))


@given(st.integers(0, 200), st.dictionaries(st.sampled_from(MEMBERS), st.integers(1, 9), min_size=1))
def test_the_sum_is_exact_and_nobody_is_a_whole_call_off(calls: int, by: dict[str, int]):
    placed = weights.proportional(calls, by)
    assert sum(placed.values()) == calls
    assert all(abs(count - calls * by[name] / sum(by.values())) < 1 for name, count in placed.items())


def test_a_view_is_left_as_it_was():
    seen: View = view(loads=full(fra=(90, 0), ams=(0, 9)))
    before = dict(seen.loads)
    weights.effective(seen)
    assert seen.loads == before


def test_two_regions_that_come_back_together_do_not_wait_for_each_other():
    """Each is reckoned against the other's whole weight (found by the simulator, seed 12)."""
    both = {name: cordoned(stands=False, step=0) for name in ("fra", "ams")}
    seen = view(memory=both, loads=full(fra=(50, 50), ams=(50, 50)))

    assert weights.expected("fra", seen, share=25) == 20


def test_a_region_of_which_nobody_says_anything_keeps_its_weight():
    """Silent observers must not move calls (found by the simulator: two regions, one operator gone)."""
    of = zone(("fra", "ams"), ())
    told = [said("fra", "ams", UP), said("ams", "fra", UP, heard_age_s=60.0)]

    assert weights.effective(view(of, observations=told))[0] == {"fra": 50, "ams": 50}


def test_one_voice_takes_no_weight_away_and_a_quorum_takes_all():
    of = zone(("fra", "ams", "iad"), ("lon",))
    one = [said("fra", "ams", UP), said("ams", "fra", DOWN), said("fra", "iad", UP)]

    two = [*one, said("lon", "fra", DOWN)]
    assert weights.effective(view(of, observations=one))[0] == {"fra": 50, "ams": 50, "iad": 50}
    assert weights.effective(view(of, observations=two))[0] == {"fra": 0, "ams": 50, "iad": 50}
