"""How many calls a region is given at a time after another is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import admission
from holdfast.core.admission import SETUPS_PER_POD_S, Waiting, Wave
from holdfast.core.values import Load


def load(*, ready_pods: int = 4, active_calls: int = 100, room: int = 100) -> Load:
    return Load(ready_pods, active_calls, room)


def test_a_region_takes_set_ups_in_proportion_to_its_ready_pods():
    found = admission.rates({"fra": load(), "ams": load(ready_pods=2)}, {"fra", "ams"})
    assert found == {"fra": 4 * SETUPS_PER_POD_S, "ams": 2 * SETUPS_PER_POD_S}


@pytest.mark.parametrize("full", [load(room=0), load(ready_pods=0)])
def test_a_region_without_room_or_pods_takes_none(full: Load):
    assert admission.rates({"fra": full}, {"fra"}) == {}


def test_a_region_that_does_not_serve_takes_none():
    assert admission.rates({"fra": load(), "ams": load()}, {"ams"}).keys() == {"ams"}


def test_what_a_provider_allows_is_not_exceeded():
    found = admission.rates({"fra": load(), "ams": load()}, {"fra", "ams"}, ceilings={"fra": 5.0})
    assert found == {"fra": 5.0, "ams": 40.0}


def test_a_wave_is_what_the_time_since_the_last_one_has_earned():
    assert admission.wave(500, room=400, rate=40.0, elapsed_s=0.25) == Wave(10, 0.0)
    assert admission.wave(500, room=400, rate=10.0, elapsed_s=0.25, carried=0.25) == Wave(2, 0.75)


def test_a_long_pause_earns_no_more_than_one_burst():
    assert admission.wave(500, room=400, rate=40.0, elapsed_s=3_600.0) == Wave(40, 0.0)


def test_never_more_than_wait_or_than_there_is_room_for():
    assert admission.wave(3, room=400, rate=40.0, elapsed_s=1.0) == Wave(3, 37.0)
    assert admission.wave(500, room=2, rate=40.0, elapsed_s=1.0).admitted == 2
    assert admission.wave(500, room=-1, rate=40.0, elapsed_s=1.0).admitted == 0


def test_a_rate_below_one_a_second_still_lets_one_through_in_time():
    first = admission.wave(5, room=5, rate=0.2, elapsed_s=4.9)
    assert first.admitted == 0
    assert admission.wave(5, room=5, rate=0.2, elapsed_s=0.2, carried=first.carried).admitted == 1


@given(
    rate=st.floats(0.1, 200.0),
    ticks=st.lists(st.tuples(st.floats(0.01, 5.0), st.integers(0, 300), st.integers(0, 300)), max_size=80),
)
def test_no_stretch_of_time_admits_more_than_its_rate_and_one_burst(rate: float, ticks):
    carried = admitted = passed_s = 0.0
    for elapsed_s, waiting, room in ticks:
        found = admission.wave(waiting, room=room, rate=rate, elapsed_s=elapsed_s, carried=carried)
        carried, admitted, passed_s = found.carried, admitted + found.admitted, passed_s + elapsed_s
        assert 0 <= found.admitted <= min(waiting, room)
        assert admitted <= rate * passed_s + max(rate * admission.BURST_S, 1.0) + 1e-6


def test_five_thousand_calls_are_taken_over_within_seconds_and_no_region_gets_more_than_its_rate():
    """Three hundred set-ups a second between two regions: the last call goes in the 67th quarter of a second."""
    room, waiting, waves = {"ams": 4_000, "par": 2_000}, 5_000, 0
    rates = admission.rates({"ams": load(ready_pods=20), "par": load(ready_pods=10)}, room.keys())
    carried = dict.fromkeys(rates, 0.0)
    while waiting:
        waves += 1
        for name, rate in rates.items():
            found = admission.wave(waiting, room=room[name], rate=rate, elapsed_s=0.25, carried=carried[name])
            assert found.admitted <= rate * 0.25
            waiting, room[name], carried[name] = waiting - found.admitted, room[name] - found.admitted, found.carried
    assert waves == 67


def test_the_most_recently_active_go_first_evenly_over_the_regions():
    waiting = [Waiting("quiet", 40.0), Waiting("b", 1.0), Waiting("a", 1.0), Waiting("c", 2.0), Waiting("d", 3.0)]
    assert admission.spread(waiting, {"ams": 2, "par": 2}) == (("a", "ams"), ("b", "par"), ("c", "ams"), ("d", "par"))


def test_a_region_that_may_take_more_gets_more_from_the_first_call_on():
    waiting = [Waiting(f"c{number}", float(number)) for number in range(6)]
    found = [region for _, region in admission.spread(waiting, {"ams": 4, "par": 2})]
    assert found == ["ams", "par", "ams", "ams", "par", "ams"]


@given(st.integers(0, 30), st.dictionaries(st.sampled_from(("ams", "par", "lon")), st.integers(0, 20)))
def test_each_call_goes_to_one_region_and_no_region_gets_more_than_it_may_take(calls: int, admitted):
    found = admission.spread([Waiting(f"c{number}", number / 3) for number in range(calls)], admitted)
    assert len(found) == min(calls, sum(admitted.values()))
    assert len({call for call, _ in found}) == len(found)
    assert all(sum(region == name for _, region in found) <= count for name, count in admitted.items())


@pytest.mark.parametrize(
    ("ahead", "rate", "hint_s"), [(0, 40.0, 1.0), (199, 40.0, 5.0), (5_000, 40.0, 30.0), (0, 0.0, 30.0)]
)
def test_a_caller_is_told_to_come_back_when_his_turn_comes(ahead: int, rate: float, hint_s: float):
    assert admission.hint_s(ahead, rate) == hint_s
