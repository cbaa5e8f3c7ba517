"""Which attempt a call begins with: callers are shared out by weight and come back, rules prefer, health goes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_bridge.agent_config import Attempt, Hours, When
from holdfast_bridge.core import choice
from holdfast_bridge.core.choice import LOTS, Circumstances, Facts, Moment

KEY, AGENT = b"zone", "clinic/front-desk"
MON, SUN = 0, 6
OFFICE = Hours(start="08:00", end="18:00", zone="Europe/Berlin", days=("mon", "tue", "wed", "thu", "fri"))
NIGHT = Hours(start="22:00", end="06:00", zone="Europe/Berlin", days=("sun",))


def attempt(name: str, weight: int = 0, when: When | None = None) -> Attempt:
    return Attempt(name=name, kind="openai", weight=weight, when=when)


AB = (attempt("a", 70), attempt("b", 20), attempt("c", 10), attempt("spare"))


def order(attempts: Sequence[Attempt], *ill: str, lot: int = 0, in_use: str = "", **facts: str) -> list[str]:
    about = Circumstances(call="CA1", facts=Facts(lot=lot, **facts), in_use=in_use)
    return [each.name for each in choice.arranged(attempts, about, ill=ill)]


def shares(attempts: Sequence[Attempt], *ill: str) -> Counter[str]:
    return Counter(order(attempts, *ill, lot=lot)[0] for lot in range(LOTS))


def caller(number: str, *, called: str = "+4930555010", key: bytes = KEY, agent: str = AGENT) -> Facts:
    return choice.facts(caller=number, called=called, agent=agent, key=key)


# By order.


def test_without_weights_and_rules_the_order_in_force_is_the_calls_for_every_lot():
    plain = [attempt(name) for name in "bca"]
    assert {tuple(order(plain, lot=lot)) for lot in range(0, LOTS, 7)} == {("b", "c", "a")}


# By weight.


def test_ten_thousand_lots_fall_exactly_as_the_weights_say():
    assert shares(AB) == {"a": 7_000, "b": 2_000, "c": 1_000}


def test_ten_thousand_callers_are_shared_out_as_evenly_as_chance_is():
    """Five standard deviations of a binomial draw, of which one is at most √(10,000 · 0.7 · 0.3) ≈ 46 callers."""
    drawn = Counter(order(AB, lot=caller(f"+4915{number:09}").lot)[0] for number in range(LOTS))
    for name, share in (("a", 0.7), ("b", 0.2), ("c", 0.1)):
        deviation = (LOTS * share * (1 - share)) ** 0.5
        assert abs(drawn[name] - LOTS * share) < 5 * deviation, drawn


def test_behind_the_one_that_was_drawn_come_the_others_in_order_and_then_those_without_a_weight():
    assert order(AB, lot=0) == ["a", "b", "c", "spare"]
    assert order(AB, lot=9_999) == ["c", "a", "b", "spare"]
    assert order(tuple(reversed(AB)), lot=9_999) == ["c", "b", "a", "spare"]


@pytest.mark.parametrize(("ill", "left"), [("a", "bc"), ("b", "ac"), ("c", "ab")])
def test_the_share_of_one_that_is_ill_is_spread_in_proportion_and_nobody_else_is_moved(ill: str, left: str):
    before = [order(AB, lot=lot)[0] for lot in range(LOTS)]
    after = [order(AB, ill, lot=lot) for lot in range(LOTS)]
    assert [new[0] for old, new in zip(before, after, strict=True) if old != ill] == [x for x in before if x != ill]
    assert {new[-1] for new in after} == {ill}
    weights = {each.name: each.weight for each in AB}
    whole = sum(weights[name] for name in left)
    got = shares(AB, ill)
    for name in left:
        assert abs(got[name] - LOTS * weights[name] / whole) <= 1, got


def test_when_all_with_a_weight_are_ill_the_spare_one_is_first():
    assert order(AB, "a", "b", "c", lot=5) == ["spare", "a", "b", "c"]


def test_when_all_are_ill_they_are_tried_as_they_stand():
    assert order(AB, "a", "b", "c", "spare", lot=9_999) == ["a", "b", "c", "spare"]


@given(st.integers(0, LOTS - 1), st.permutations(AB), st.sets(st.sampled_from("abc")))
def test_a_caller_is_drawn_the_same_however_the_attempts_stand(lot: int, stood: list[Attempt], ill: set[str]):
    ordered = sorted(stood, key=lambda each: each.name in ill)
    assert order(ordered, *ill, lot=lot)[0] == order(AB, *ill, lot=lot)[0]


@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=8), st.sets(st.integers(0, 7)), st.integers(-1, 20_000),
    st.sampled_from(["", "n1", "gone"]),
)  # fmt: skip
def test_no_attempt_is_added_or_taken_away_and_nothing_ill_stands_before_anything_well(
    weights: list[int], ill: set[int], lot: int, in_use: str
):
    attempts = [attempt(f"n{index}", weight) for index, weight in enumerate(weights)]
    sick = {f"n{index}" for index in ill}
    found = order(attempts, *sick, lot=lot, in_use=in_use)
    assert sorted(found) == [each.name for each in attempts]
    assert [name in sick for name in found] == sorted(name in sick for name in found)


def test_a_call_that_is_handed_over_keeps_its_attempt_unless_that_is_ill():
    assert order(AB, lot=0, in_use="spare") == ["spare", "a", "b", "c"]
    assert order(AB, "spare", lot=0, in_use="spare") == ["a", "b", "c", "spare"]
    assert order(AB, lot=0, in_use="of another region") == ["a", "b", "c", "spare"]


# Who is calling.


def test_a_caller_has_one_lot_with_each_agent_and_nobody_without_the_key_can_tell_it():
    assert caller("+491511234567") == caller("+491511234567")
    lots = {caller("+491511234567", key=key, agent=agent).lot for key in (KEY, b"k") for agent in (AGENT, "clinic/b")}
    assert len(lots) == 4


def test_of_a_callers_number_three_digits_are_known_and_none_are_shown():
    facts = caller("+491511234567", called="+4930555010")
    assert (facts.prefix, facts.called) == ("491", "+4930555010")
    assert repr(facts) == f"Facts(lot={facts.lot})"


@pytest.mark.parametrize("number", ["", "anonymous", "Restricted", "+266696687", "266696687", "+8656696", "Unknown"])
def test_a_withheld_number_is_no_caller_and_the_calls_id_is_drawn_from_instead(number: str):
    facts = caller(number)
    assert (facts.lot, facts.prefix) == (-1, "")
    drawn = Counter(
        choice.arranged(AB, Circumstances(call=f"CA{n}", facts=facts))[0].name for n in range(LOTS)
    )
    assert abs(drawn["a"] - 7_000) < 5 * 46
    assert drawn.keys() == {"a", "b", "c"}


def test_a_name_instead_of_a_number_is_known_again_and_has_no_country():
    facts = caller("sip:anna@clinic.example", called="sip:desk@clinic.example")
    assert facts.lot >= 0
    assert (facts.prefix, facts.called) == ("", "")


# By rule.


def test_an_attempt_that_is_meant_for_others_comes_behind_and_is_never_dropped():
    swiss = attempt("ch", when=When(callers=("+41", "+423")))
    plain = attempt("any")
    assert order([swiss, plain], prefix="417") == ["ch", "any"]
    assert order([swiss, plain], prefix="423") == ["ch", "any"]
    assert order([swiss, plain], prefix="491") == ["any", "ch"]
    assert order([swiss, plain]) == ["any", "ch"], "nothing is known of the caller"
    assert order([swiss, plain], "any", prefix="491") == ["ch", "any"], "it works, and the other does not"


def test_a_rule_may_name_the_number_that_was_dialled():
    sales = attempt("sales", when=When(called=("+4930555011",)))
    assert order([attempt("desk"), sales], called="+4930555011") == ["desk", "sales"], "the order goes on"
    assert order([sales, attempt("desk")], called="+4930555010") == ["desk", "sales"]


def test_weights_are_drawn_among_those_that_are_meant_for_the_call():
    by_rule = (attempt("a", 50, When(callers=("+49",))), attempt("b", 30), attempt("c", 20))
    german = Counter(order(by_rule, lot=lot, prefix="491")[0] for lot in range(LOTS))
    others = Counter(order(by_rule, lot=lot, prefix="331")[0] for lot in range(LOTS))
    assert german == {"a": 5_000, "b": 3_000, "c": 2_000}
    assert others == {"b": 6_000, "c": 4_000}


@pytest.mark.parametrize(
    ("hours", "weekday", "clock", "open_"),
    [
        (OFFICE, MON, "08:00", True), (OFFICE, MON, "17:59", True), (OFFICE, MON, "18:00", False),
        (OFFICE, MON, "07:59", False), (OFFICE, SUN, "12:00", False),
        (NIGHT, SUN, "22:00", True), (NIGHT, SUN, "21:59", False), (NIGHT, MON, "05:59", True),
        (NIGHT, MON, "06:00", False), (NIGHT, MON, "23:00", False), (NIGHT, SUN, "05:00", False),
    ],
)  # fmt: skip
def test_hours_are_those_of_their_zone_and_may_go_on_until_the_next_morning(hours, weekday, clock, open_):
    hour, minute = map(int, clock.split(":"))
    about = Circumstances(call="CA1", times={"Europe/Berlin": Moment(weekday, 60 * hour + minute)})
    assert choice.holds(When(hours=hours), about) is open_


def test_a_zone_whose_time_is_not_known_meets_no_rule():
    assert not choice.holds(When(hours=OFFICE), Circumstances(call="CA1", times={"Europe/Paris": Moment(MON, 600)}))


def test_all_parts_of_a_rule_must_hold():
    rule = When(called=("+4930555010",), callers=("+49",))
    met = [
        choice.holds(rule, Circumstances(call="CA1", facts=Facts(called=called, prefix=prefix)))
        for called in ("+4930555010", "+4930555011") for prefix in ("491", "431")
    ]  # fmt: skip
    assert met == [True, False, False, False]
