"""In which order a zone's carriers are preferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from core_builders import DOWN, FENCE, UNKNOWN, UP, zone
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import carriers, reasons
from holdfast.core.carriers import Choice
from holdfast.core.means import Carrier
from holdfast.core.plans import Turn, View
from holdfast.core.values import NEVER_S, Cordon, Observation, Tier, Verdict, Zone

DEGRADED = Verdict.DEGRADED
TWO = ("twilio", "telnyx")


def policy(*names: str, dwell_s: float = 300.0) -> Zone:
    listed = tuple(Carrier(name, "twilio", "AC1", "", name) for name in names or TWO)
    return replace(zone(("fra", "ams"), ("iad",), dwell_s=dwell_s), carriers=listed)


def say(carrier: str, *verdicts: Verdict, held_s: float = 10_000.0, heard_age_s: float = 0.5) -> list[Observation]:
    """What fra, ams and iad say of a carrier, in this order."""
    return [
        Observation(observer, carrier, verdict, heard_age_s, held_s, tier=Tier.CARRIER)
        for observer, verdict in zip(("fra", "ams", "iad"), verdicts, strict=False)
    ]


def seen(
    *told: list[Observation], memory: Mapping[str, Cordon] | None = None, of: Zone | None = None, **known: object
) -> View:
    observations = tuple(each for said in told for each in said)
    view = View(of or policy(), {}, observations, carriers=memory or {}, fence=FENCE, last_ack_age_s=0.1)
    return replace(view, **known)  # type: ignore[arg-type]


def decide(*told: list[Observation], **known: object) -> Choice:
    return carriers.decide(seen(*told, **known))  # type: ignore[arg-type]


def refused(choice: Choice) -> list[str]:
    return [refusal.reason.code for refusal in choice.refusals]


def back(changed_ago_s: float | None, flaps: int = 1) -> dict[str, Cordon]:
    return {"twilio": Cordon(stands=False, changed_ago_s=changed_ago_s, flaps=flaps)}


def set_back(changed_ago_s: float | None, flaps: int = 1) -> dict[str, Cordon]:
    return {"twilio": Cordon(stands=True, changed_ago_s=changed_ago_s, flaps=flaps, reason="down")}


TELNYX_WELL = say("telnyx", UP, UP, UP)


def test_the_policys_order_while_all_are_well():
    assert decide(say("twilio", UP, UP, UP), TELNYX_WELL) == Choice(TWO)


def test_a_carrier_that_a_quorum_finds_down_goes_behind_the_others_at_once():
    found = decide(say("twilio", DOWN, DOWN, UP), TELNYX_WELL)
    assert found.order == ("telnyx", "twilio")
    assert [(move.carrier, move.turn, move.reason.code) for move in found.moves] == [
        ("twilio", Turn.OUT, reasons.CARRIER_ILL)
    ]
    assert found.memory == {"twilio": Cordon(True, 0.0, flaps=1, reason=found.moves[0].reason.message)}


def test_a_carrier_that_was_moved_just_now_still_goes_behind_when_it_is_down():
    """A mild repair never blocks a severe one."""
    assert decide(say("twilio", DOWN, DOWN, UP), TELNYX_WELL, memory=back(1.0)).order == ("telnyx", "twilio")


def test_one_voice_is_not_enough():
    found = decide(say("twilio", DOWN, UP, UP), TELNYX_WELL)
    assert (found.order, refused(found)) == (TWO, [reasons.NOT_CONFIRMED])


def test_a_region_testifies_about_a_carrier_like_any_other():
    assert decide(say("twilio", DOWN, DOWN), TELNYX_WELL).moves


def test_what_cannot_be_told_is_no_illness():
    """A suspended account and a wrong key are ours: another order would not cure them."""
    assert decide(say("twilio", UNKNOWN, UNKNOWN, UNKNOWN), TELNYX_WELL) == Choice(TWO)


def test_observers_that_have_fallen_silent_do_not_count():
    found = decide(say("twilio", DOWN) + say("twilio", UP, DOWN, heard_age_s=3.1)[1:], TELNYX_WELL)
    assert refused(found) == [reasons.STALE_EVIDENCE]
    assert found.refusals[0].reason.message == (
        "not heard within 3 s: ams, iad; 1 of 3 observers see twilio ill, 2 are needed (fra)"
    )


def test_a_silent_observer_is_named_only_when_his_word_could_have_been_enough():
    silent = say("twilio", UP, UP, DOWN, heard_age_s=3.1)[2:]
    assert refused(decide(say("twilio", DOWN, UP) + silent, TELNYX_WELL)) == [reasons.STALE_EVIDENCE]
    of_five = replace(policy(), witnesses=("iad", "lon", "par"))
    assert refused(decide(say("twilio", DOWN, UP, UP), TELNYX_WELL, of=of_five)) == [reasons.STALE_EVIDENCE]
    assert refused(decide(say("twilio", DOWN, UP, UP), TELNYX_WELL)) == [reasons.NOT_CONFIRMED]


@pytest.mark.parametrize("known", [{"fence": None}, {"last_ack_age_s": 3.3}])
def test_without_a_majority_nothing_is_moved_and_nothing_dated(known: dict[str, object]):
    found = decide(say("twilio", DOWN, DOWN, DOWN), TELNYX_WELL, memory=back(None), **known)
    assert (found.order, refused(found), found.memory) == (TWO, [reasons.NO_QUORUM], back(None))


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"paused": "maintenance"}, "the fleet is paused: maintenance"),
        ({"of": replace(policy(), paused=True)}, "spec.paused of FailoverPolicy eu is true"),
    ],
)
def test_paused_means_that_nothing_is_moved(known: dict[str, object], words: str):
    found = decide(say("twilio", DOWN, DOWN, DOWN), TELNYX_WELL, **known)
    assert (refused(found), found.refusals[0].reason.message) == ([reasons.PAUSED], words)


def test_when_every_carrier_is_ill_their_order_is_held():
    found = decide(say("twilio", DOWN, DOWN, DOWN), say("telnyx", DOWN, DOWN, DOWN))
    assert (found.order, refused(found)) == (TWO, [reasons.EVERY_CARRIER_ILL, reasons.EVERY_CARRIER_ILL])


def test_when_all_answer_badly_none_is_put_before_the_others():
    flaky = [DEGRADED] * 3
    assert refused(decide(say("twilio", *flaky), say("telnyx", *flaky))) == [reasons.EVERY_CARRIER_ILL] * 2


def test_one_that_answers_badly_is_better_than_one_that_is_down():
    assert decide(say("twilio", DOWN, DOWN, DOWN), say("telnyx", *[DEGRADED] * 3)).order == ("telnyx", "twilio")


def test_one_of_which_nothing_is_known_is_nobody_to_lean_on():
    """Its account may be suspended: what is known to be down may at least come back."""
    found = decide(say("twilio", DOWN, DOWN, DOWN), say("telnyx", UNKNOWN, UNKNOWN, UNKNOWN))
    assert (found.order, refused(found)) == (TWO, [reasons.EVERY_CARRIER_ILL])


def test_one_that_was_set_back_returns_at_once_when_no_other_answers():
    found = decide(say("twilio", UP, UP, UP, held_s=5.0), say("telnyx", DOWN, DOWN, DOWN), memory=set_back(10.0))
    assert [(move.carrier, move.turn) for move in found.moves] == [("twilio", Turn.BACK), ("telnyx", Turn.OUT)]
    assert found.order == TWO


def test_one_that_was_set_back_and_is_still_down_is_nobody_to_lean_on():
    found = decide(say("twilio", DOWN, DOWN, DOWN), say("telnyx", DOWN, DOWN, DOWN), memory=set_back(10.0))
    assert (found.order, refused(found)) == (("telnyx", "twilio"), [reasons.EVERY_CARRIER_ILL])


def test_a_lone_carrier_is_never_moved():
    assert refused(decide(say("twilio", DOWN, DOWN, DOWN), of=policy("twilio"))) == [reasons.EVERY_CARRIER_ILL]


def test_one_that_answers_badly_waits_a_dwell_since_its_last_move():
    flaky = say("twilio", DEGRADED, DOWN, UP)
    assert refused(decide(flaky, TELNYX_WELL, memory=back(299.9))) == [reasons.DWELL]
    assert decide(flaky, TELNYX_WELL, memory=back(300.0)).moves
    assert decide(flaky, TELNYX_WELL).moves


def test_back_after_a_dwell_in_which_a_quorum_saw_it_well():
    well = say("twilio", UP, UP, UNKNOWN, held_s=300.0)
    assert refused(decide(well, TELNYX_WELL, memory=set_back(299.9))) == [reasons.DWELL]
    found = decide(well, TELNYX_WELL, memory=set_back(300.0))
    assert found.order == TWO
    assert found.moves[0].reason.code == reasons.CARRIER_RECOVERED
    assert found.memory["twilio"] == Cordon(False, 0.0, flaps=1, reason=found.moves[0].reason.message)


def test_not_back_before_it_has_been_well_all_that_time():
    found = decide(say("twilio", UP, UP, UP, held_s=299.9), TELNYX_WELL, memory=set_back(900.0))
    assert refused(found) == [reasons.DWELL]
    assert found.refusals[0].reason.message == "twilio has been well for less than 300 s"


def test_one_voice_does_not_bring_it_back():
    found = decide(say("twilio", UP, DOWN, DOWN), TELNYX_WELL, memory=set_back(900.0))
    assert (found.order, refused(found)) == (("telnyx", "twilio"), [reasons.NOT_CONFIRMED])


@pytest.mark.parametrize(("flaps", "dwell_s"), [(1, 300.0), (2, 600.0), (3, 1_200.0), (4, 2_400.0), (9, 2_400.0)])
def test_each_fall_doubles_the_dwell_three_times_at_most(flaps: int, dwell_s: float):
    well = say("twilio", UP, UP, UP)
    assert refused(decide(well, TELNYX_WELL, memory=set_back(dwell_s - 0.1, flaps))) == [reasons.DWELL]
    assert decide(well, TELNYX_WELL, memory=set_back(dwell_s, flaps)).moves


@pytest.mark.parametrize(("calm_s", "flaps"), [(3_599.0, 3), (3_600.0, 1), (None, 3)])
def test_falls_are_forgiven_after_a_long_calm(calm_s: float | None, flaps: int):
    found = decide(say("twilio", DOWN, DOWN, DOWN), TELNYX_WELL, memory=back(calm_s, flaps=2))
    assert found.memory["twilio"].flaps == flaps


def test_an_unknown_history_counts_as_just_now_and_has_an_age_from_then_on():
    found = decide(say("twilio", UP, UP, UP), TELNYX_WELL, memory=set_back(None))
    assert (found.order, refused(found)) == (("telnyx", "twilio"), [reasons.UNKNOWN_HISTORY])
    assert found.memory["twilio"].changed_ago_s == 0.0


def test_a_carrier_that_the_policy_no_longer_names_is_forgotten():
    assert decide(TELNYX_WELL, of=policy("telnyx"), memory=set_back(10.0)) == Choice(("telnyx",))


def test_another_that_recovers_in_the_same_breath_can_be_leaned_on():
    memory = {"telnyx": Cordon(True, 900.0, flaps=1)}
    found = decide(say("twilio", DOWN, DOWN, DOWN), TELNYX_WELL, memory=memory)
    assert [(move.carrier, move.turn) for move in found.moves] == [("telnyx", Turn.BACK), ("twilio", Turn.OUT)]
    assert found.order == ("telnyx", "twilio")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, UP), (204, UP), (302, UP), (499, UP), (500, DOWN), (503, DOWN), (None, DOWN)]
    + [(status, UNKNOWN) for status in (400, 401, 403, 404, 429)],
)
def test_what_an_answer_says_of_the_carrier(status: int | None, verdict: Verdict):
    assert carriers.verdict(status) is verdict
    assert carriers.verdict(status, suspended=True) is UNKNOWN


def test_a_carrier_that_alternates_for_an_hour_is_moved_at_most_once_a_dwell():
    of, memory, moved_at, held_s = policy(dwell_s=60.0), {}, [], 0.0
    for second in range(0, 3_600, 5):
        down = second // 30 % 2 == 0
        held_s = float(second % 30)
        said = say("twilio", *[DOWN if down else UP] * 3, held_s=held_s)
        found = decide(said, TELNYX_WELL, of=of, memory=memory)
        moved_at += [second for _ in found.moves]
        memory = {name: replace(each, changed_ago_s=each.changed_ago_s + 5.0) for name, each in found.memory.items()}
    assert moved_at == [0]


VERDICTS = st.lists(st.sampled_from(Verdict), min_size=3, max_size=3)
CORDONS = st.builds(Cordon, st.booleans(), st.none() | st.floats(0, 5_000), st.integers(0, 5))
NAMES = ("a", "b", "c")


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, VERDICTS)), st.dictionaries(st.sampled_from(NAMES), CORDONS))
def test_an_order_is_a_permutation_in_which_the_policys_order_holds_among_equals(said, memory):
    told = [say(name, *verdicts) for name, verdicts in said.items()]
    found = decide(*told, of=policy(*NAMES), memory=memory)
    behind = [name for name in NAMES if name in found.memory and found.memory[name].stands]
    assert found.order == (*(name for name in NAMES if name not in behind), *behind)
    assert len({move.carrier for move in found.moves}) == len(found.moves)
    for move in found.moves:
        before = memory.get(move.carrier, Cordon(False, NEVER_S))
        assert before.stands is (move.turn is Turn.BACK)
