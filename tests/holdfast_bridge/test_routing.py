"""Which region carries a call: stable, by weight, and never a region outside the zone."""

from __future__ import annotations

from collections import Counter

import pytest
from control_builders import config
from hypothesis import given
from hypothesis import strategies as st

from holdfast_bridge.core import directive, routing
from holdfast_bridge.core.directive import Directive, RegionState

THREE = [{"name": n, "host": f"{n}.voice.example.com", "weight": w} for n, w in (("fra", 60), ("ams", 40), ("par", 0))]
CALLS = [f"CA{n:032x}" for n in range(1000)]


def seen(
    *,
    serving: tuple[str, ...] = ("fra", "ams", "par"),
    unreachable: frozenset[str] = frozenset(),
    lost: tuple[str, ...] = (),
    own_able: bool = True,
) -> tuple[routing.Candidate, ...]:
    agent = config(regions=THREE)
    said = Directive(
        regions=tuple(RegionState(name=r.name, weight=r.weight, serving=r.name in serving) for r in agent.regions),
        lost=lost,
    )
    return routing.candidates(agent, said, unreachable=unreachable, own_able=own_able)


def chosen(call: str, among: tuple[routing.Candidate, ...], *, prefer_own: bool = False) -> str:
    return routing.media_region(call, among, own="fra", prefer_own=prefer_own).name


def test_calls_are_spread_by_weight_and_a_standby_gets_none() -> None:
    spread = Counter(chosen(call, seen()) for call in CALLS)
    assert spread["par"] == 0
    assert 540 <= spread["fra"] <= 660


def test_the_same_call_is_sent_to_the_same_region() -> None:
    assert [chosen(call, seen()) for call in CALLS] == [chosen(call, seen()) for call in CALLS]


@pytest.mark.parametrize(
    "among", [seen(serving=("fra", "par")), seen(unreachable=frozenset({"ams"})), seen(lost=("ams",))]
)
def test_a_region_that_is_gone_gets_no_call_and_the_others_keep_theirs(among: tuple[routing.Candidate, ...]) -> None:
    for call in CALLS:
        assert chosen(call, among) == "fra"


def test_a_standby_takes_calls_when_no_weighted_region_is_left() -> None:
    assert chosen(CALLS[0], seen(serving=("par",), lost=("ams",))) == "par"


def test_a_cordoned_but_living_region_beats_silence() -> None:
    assert chosen(CALLS[0], seen(serving=())) in {"fra", "ams", "par"}


def test_the_fallback_prefers_the_own_region() -> None:
    assert {chosen(call, seen(), prefer_own=True) for call in CALLS} == {"fra"}
    assert "fra" not in {chosen(call, seen(serving=("ams",)), prefer_own=True) for call in CALLS}


def test_a_region_without_a_working_attempt_gets_no_call_while_another_has_one() -> None:
    assert {chosen(call, seen(own_able=False), prefer_own=True) for call in CALLS} == {"ams"}
    alone = seen(own_able=False, lost=("ams", "par"))
    assert chosen(CALLS[0], alone) == "fra"


@given(
    st.sets(st.sampled_from(["fra", "ams", "par"])),
    st.frozensets(st.sampled_from(["fra", "ams", "par", "iad"])),
    st.booleans(),
    st.booleans(),
)
def test_there_is_always_an_answer_and_it_is_in_the_zone(
    serving: set[str], unreachable: frozenset[str], own_able: bool, prefer_own: bool
) -> None:
    among = seen(serving=tuple(serving), unreachable=unreachable, own_able=own_able)
    media = routing.media_region(CALLS[1], among, own="fra", prefer_own=prefer_own)
    after = routing.next_region(CALLS[1], media, among, own="fra", buddy="ams")
    assert {media.name, after.name} <= {"fra", "ams", "par"}
    assert after.name == "fra" or after.reachable


def test_next_is_asked_of_the_buddy_which_has_the_journal() -> None:
    among = seen()
    own = next(candidate for candidate in among if candidate.name == "fra")
    assert routing.next_region("CA", own, among, own="fra", buddy="par").name == "par"


def test_next_after_a_stream_elsewhere_is_asked_here() -> None:
    among = seen()
    ams = next(candidate for candidate in among if candidate.name == "ams")
    assert routing.next_region("CA", ams, among, own="fra", buddy="ams").name == "fra"


def test_a_dead_buddy_is_replaced_and_in_the_end_by_ourselves() -> None:
    some = seen(lost=("ams",))
    own = next(candidate for candidate in some if candidate.name == "fra")
    assert routing.next_region("CA", own, some, own="fra", buddy="ams").name == "par"
    none = seen(lost=("ams", "par"))
    assert routing.next_region("CA", own, none, own="fra", buddy="ams").name == "fra"


def test_a_directive_cannot_add_a_region_a_host_or_an_attempt() -> None:
    agent = config()
    told = directive.decode(
        b'{"version":7,"buddy":"iad","regions":[{"name":"iad","host":"iad.voice.example.com","weight":9,"serving":true},'
        b'{"name":"ams","host":"evil.example.com","weight":3,"serving":false}],"attempts":["other","echo"],"drain":null,'
        b'"lost":["fra","iad","ams"]}'
    )
    assert told is not None
    kept = directive.within_zone(told, agent)
    assert [(r.name, r.host, r.weight, r.serving) for r in kept.regions] == [
        ("fra", "fra.voice.example.com", 50, True),
        ("ams", "ams.voice.example.com", 3, False),
    ]
    assert (kept.buddy, kept.attempts, kept.lost) == (None, ("echo",), ("ams",))


def test_nonsense_is_no_directive() -> None:
    assert directive.decode(b"{") is None
    assert directive.decode(b'{"version":"x"}') is None
