"""What each cause wishes of a region, when it falls silent again, and in which words."""

from __future__ import annotations

import pytest
from core_builders import (
    DEGRADED,
    DOWN,
    UNKNOWN,
    UP,
    all_say,
    cordoned,
    joined,
    regions,
    said,
    view,
    zone,
)

from holdfast.core import reasons, wants
from holdfast.core.plans import Move, Turn, View
from holdfast.core.values import Cause, Cordon, Reason, RegionMemory, Shift, Withdrawal

ILL = Reason("PodsNotReady", "no pod of fra is ready")
ASKS = Withdrawal("fra", ILL, 0.5)
HUMAN = Shift("fra", Cause.HUMAN, 60.0, "new switches", "ams")
GAME_DAY = Shift("fra", Cause.GAME_DAY, 60.0, "rehearsal", "ams")


def wished(seen: View) -> list[tuple[str, Turn, Cause]]:
    return [(move.region, move.turn, move.cause) for move in wants.moves(seen)]


def only(seen: View) -> Move:
    (move,) = wants.moves(seen)
    return move


def stands(*causes: Cause, **more) -> dict[str, RegionMemory]:
    return joined(zone(), fra=RegionMemory({cause: Cordon(stands=True, changed_ago_s=9.0, **more) for cause in causes}))


def test_nothing_is_wished_while_all_is_well():
    assert wished(view()) == []


SPEAKS = {
    "one voice of loss is a wish": (
        view(observations=[said("ams", "fra", DOWN, detail="refused"), said("iad", "fra", UP)]),
        Move("fra", Turn.OUT, Cause.LOST, Reason(
            reasons.REGION_LOST, "1 of 2 observers see fra down, 2 are needed (ams: refused)"
        )),
    ),
    "so is that of one who doubts himself": (
        view(observations=[said("ams", "fra", DOWN, self_doubt=True)]),
        Move("fra", Turn.OUT, Cause.LOST, Reason(
            reasons.REGION_LOST, "0 of 2 observers see fra down, 2 are needed"
        )),
    ),
    "who was never seen well is absent and not lost": (
        view(verdicts={"fra": DOWN}, memory={"ams": RegionMemory()}),
        Move("fra", Turn.OUT, Cause.ABSENT, Reason(
            reasons.REGION_ABSENT,
            "2 of 2 observers see fra down, 2 are needed (ams; iad); it was never seen well",
        )),
    ),
    "a region asks for itself": (
        view(withdrawals=(ASKS,)),
        Move("fra", Turn.OUT, Cause.WITHDRAWN, Reason(
            reasons.REGION_WITHDRAWN, "fra asks: no pod of fra is ready"
        )),
    ),
    "who answers badly": (
        view(observations=[said("ams", "fra", DEGRADED), said("iad", "fra", UP)]),
        Move("fra", Turn.OUT, Cause.DEGRADED, Reason(
            reasons.REGION_DEGRADED, "1 of 2 observers see fra ill, 2 are needed (ams)"
        )),
    ),
    "a person's cordon": (
        view(shifts=(HUMAN,)),
        Move("fra", Turn.OUT, Cause.HUMAN, Reason(
            reasons.HUMAN_SHIFT, "cordoned for another 60 s, told in ams: new switches"
        )),
    ),
    "a rehearsal's cordon, told nowhere in particular": (
        view(shifts=(Shift("fra", Cause.GAME_DAY, 59.6, "rehearsal"),)),
        Move("fra", Turn.OUT, Cause.GAME_DAY, Reason(
            reasons.GAME_DAY_SHIFT, "cordoned for another 60 s: rehearsal"
        )),
    ),
    "a region abroad": (
        view(regions=regions(zone(), abroad=["fra"])),
        Move("fra", Turn.OUT, Cause.ILLEGAL, Reason(
            reasons.OUTSIDE_RESIDENCY, "fra lies in us, calls of eu stay in eu"
        )),
    ),
    "a region that nobody knows": (
        view(regions={"ams": regions(zone())["ams"]}),
        Move("fra", Turn.OUT, Cause.ILLEGAL, Reason(
            reasons.OUTSIDE_RESIDENCY, "fra is not known, calls of eu stay in eu"
        )),
    ),
    "a region that lies in the zone again": (
        view(memory=stands(Cause.ILLEGAL)),
        Move("fra", Turn.BACK, Cause.ILLEGAL, Reason(reasons.REGION_RECOVERED, "fra lies in eu again")),
    ),
    "a lost region seen up by anybody": (
        view(observations=[said("ams", "fra", UP), said("iad", "fra", UNKNOWN)], memory=stands(Cause.LOST)),
        Move("fra", Turn.BACK, Cause.LOST, Reason(
            reasons.REGION_RECOVERED, "1 of 2 observers see fra up, 2 are needed (ams)"
        )),
    ),
    "a degraded one": (
        view(memory=stands(Cause.DEGRADED)),
        Move("fra", Turn.BACK, Cause.DEGRADED, Reason(
            reasons.REGION_RECOVERED, "2 of 2 observers see fra up, 2 are needed (ams; iad)"
        )),
    ),
    "one found off": (
        view(memory=stands(Cause.FOUND_OFF)),
        Move("fra", Turn.BACK, Cause.FOUND_OFF, Reason(
            reasons.REGION_RECOVERED, "2 of 2 observers see fra up, 2 are needed (ams; iad)"
        )),
    ),
    "an absent region that is seen joins": (
        view(memory=stands(Cause.ABSENT)),
        Move("fra", Turn.BACK, Cause.ABSENT, Reason(
            reasons.REGION_JOINED, "2 of 2 observers see fra up, 2 are needed (ams; iad)"
        )),
    ),
    "one that no longer asks to be out": (
        view(memory=stands(Cause.WITHDRAWN)),
        Move("fra", Turn.BACK, Cause.WITHDRAWN, Reason(reasons.REGION_RECOVERED, "fra no longer asks to be out")),
    ),
    "a step of the ramp": (
        view(memory=joined(zone(), fra=RegionMemory({}, 0))),
        Move("fra", Turn.RAISE, Cause.LOST, Reason(
            reasons.REGION_RAISED, "fra goes on from 5 % to 25 % of its weight"
        )),
    ),
    "a step of a ramp that has become shorter": (
        view(zone(ramp=(10, 100)), memory=joined(zone(), fra=RegionMemory({}, 3))),
        Move("fra", Turn.RAISE, Cause.LOST, Reason(
            reasons.REGION_RAISED, "fra goes on from 100 % to 100 % of its weight"
        )),
    ),
    "a person's cordon whose time is over": (
        view(memory=joined(zone(), fra=cordoned(Cause.HUMAN, reason="new switches", remaining_s=0.0, told_by="ams"))),
        Move("fra", Turn.BACK, Cause.HUMAN, Reason(
            reasons.SHIFT_ENDED, "the time of the cordon of fra is over: new switches"
        )),
    ),
    "one that its cluster tells no more": (
        view(memory=joined(zone(), fra=cordoned(Cause.HUMAN, remaining_s=0.1, told_by="ams"))),
        Move("fra", Turn.BACK, Cause.HUMAN, Reason(reasons.SHIFT_ENDED, "the cordon of fra was lifted in ams")),
    ),
    "a rehearsal that its cluster tells no more": (
        view(memory=joined(zone(), fra=cordoned(Cause.GAME_DAY, told_by="iad"))),
        Move("fra", Turn.BACK, Cause.GAME_DAY, Reason(reasons.SHIFT_ENDED, "the cordon of fra was lifted in iad")),
    ),
}


@pytest.mark.parametrize("claim", SPEAKS)
def test_one_wish_in_these_words(claim: str):
    seen, expected = SPEAKS[claim]
    assert only(seen) == expected


SILENT = {
    "an unknown region is neither lost nor well": view(verdicts={"fra": UNKNOWN}),
    "a lost region that nobody sees up": view(verdicts={"fra": UNKNOWN}, memory=stands(Cause.LOST)),
    "a lost region is not lost twice": view(verdicts={"fra": DOWN}, memory=stands(Cause.LOST)),
    "nor is an absent one lost": view(verdicts={"fra": DOWN}, memory=stands(Cause.ABSENT)),
    "nor does it join unseen": view(verdicts={"fra": UNKNOWN}, memory=stands(Cause.ABSENT)),
    "a degraded one that nobody sees up": view(verdicts={"fra": DEGRADED}, memory=stands(Cause.DEGRADED)),
    "one found off that nobody sees up": view(verdicts={"fra": UNKNOWN}, memory=stands(Cause.FOUND_OFF)),
    "one that still asks": view(memory=stands(Cause.WITHDRAWN), withdrawals=(ASKS,)),
    "one whose operator fell silent": view(memory=stands(Cause.WITHDRAWN), heard_ago_s={"fra": 3.1}),
    "one whose operator was never heard": view(memory=stands(Cause.WITHDRAWN), heard_ago_s={}),
    "a voice of long ago asks nothing": view(withdrawals=(Withdrawal("fra", ILL, 3.1),)),
    "a shift that ran out": view(shifts=(Shift("fra", Cause.HUMAN, 0.0, ""),)),
    "a cordon that runs and is told": view(memory=stands(Cause.HUMAN, told_by="ams"), shifts=(HUMAN,)),
    "a shift in its last half second": view(
        memory=stands(Cause.HUMAN, told_by="ams"), shifts=(Shift("fra", Cause.HUMAN, 0.5, "", "ams"),)
    ),
    "a cordon whose teller fell silent": view(
        memory=stands(Cause.HUMAN, remaining_s=0.1, told_by="ams"), heard_ago_s={"ams": 3.1}
    ),
    "a cordon without an end, told nowhere": view(memory=stands(Cause.HUMAN)),
    "a rehearsal that runs": view(memory=stands(Cause.GAME_DAY), shifts=(GAME_DAY,)),
    "a region abroad that is out already": view(
        regions=regions(zone(), abroad=["fra"]), memory=stands(Cause.ILLEGAL), withdrawals=(ASKS,), shifts=(HUMAN,)
    ),
    "a step that nobody sees well": view(verdicts={"fra": UNKNOWN}, memory=joined(zone(), fra=RegionMemory({}, 0))),
    "a step of a region that is out": view(
        verdicts={"fra": UNKNOWN}, memory=joined(zone(), fra=cordoned(step=1))
    ),
    "a mild cause beside a person's cordon": view(
        verdicts={"fra": DEGRADED}, memory=stands(Cause.HUMAN), withdrawals=(ASKS,), shifts=(HUMAN,)
    ),
    "a rehearsal beside a loss": view(verdicts={"fra": UNKNOWN}, memory=stands(Cause.LOST), shifts=(GAME_DAY,)),
}


@pytest.mark.parametrize("claim", SILENT)
def test_no_wish(claim: str):
    assert wished(SILENT[claim]) == []


@pytest.mark.parametrize(("heard_s", "wish"), [(3.0, [("fra", Turn.BACK, Cause.WITHDRAWN)]), (3.1, [])])
def test_an_operator_is_heard_for_3_s(heard_s: float, wish: list[tuple[str, Turn, Cause]]):
    assert wished(view(memory=stands(Cause.WITHDRAWN), heard_ago_s={"fra": heard_s})) == wish


def test_a_teller_is_heard_for_3_s():
    memory = stands(Cause.HUMAN, told_by="ams")
    assert wished(view(memory=memory, heard_ago_s={"ams": 3.0})) == [("fra", Turn.BACK, Cause.HUMAN)]


def test_a_loss_and_a_person_speak_also_of_a_region_that_is_out():
    out = stands(Cause.DEGRADED)
    assert wished(view(verdicts={"fra": DOWN}, memory=out)) == [("fra", Turn.OUT, Cause.LOST)]
    assert wished(view(verdicts={"fra": UNKNOWN}, memory=out, shifts=(HUMAN,))) == [("fra", Turn.OUT, Cause.HUMAN)]


def test_a_region_abroad_is_taken_out_for_it_also_when_it_is_out_already():
    seen = view(regions=regions(zone(), abroad=["fra"]), verdicts={"fra": UNKNOWN}, memory=stands(Cause.LOST))
    assert wished(seen) == [("fra", Turn.OUT, Cause.ILLEGAL)]


def test_every_cause_wishes_by_itself_so_that_one_refused_hides_no_other():
    """A person's word must not wait for the second observer of a loss, nor for the dwell of a degradation."""
    observations = [said("ams", "fra", DOWN), said("iad", "fra", DEGRADED), *all_say(zone())[2:]]
    assert wished(view(observations=observations, withdrawals=(ASKS,), shifts=(HUMAN, GAME_DAY))) == [
        ("fra", Turn.OUT, cause)
        for cause in (Cause.LOST, Cause.WITHDRAWN, Cause.DEGRADED, Cause.HUMAN, Cause.GAME_DAY)
    ]


@pytest.mark.parametrize(
    ("stood", "needless"),
    [
        ((), set()),
        ((Cause.DEGRADED,), {Cause.ABSENT, Cause.FOUND_OFF, Cause.WITHDRAWN, Cause.DEGRADED, Cause.GAME_DAY}),
        ((Cause.LOST,), set(Cause) - {Cause.ILLEGAL, Cause.HUMAN}),
        ((Cause.ABSENT,), set(Cause) - {Cause.ILLEGAL, Cause.HUMAN}),
        ((Cause.HUMAN,), set(Cause) - {Cause.ILLEGAL, Cause.LOST}),
        ((Cause.ILLEGAL,), set(Cause) - {Cause.LOST, Cause.HUMAN}),
    ],
    ids=lambda value: "" if isinstance(value, set) else str(value),
)
def test_which_causes_add_nothing_to_one_that_stands(stood: tuple[Cause, ...], needless: set[Cause]):
    seen = view(memory=stands(*stood))
    assert {cause for cause in Cause if wants.needless(cause, "fra", seen)} == needless


def test_residency_is_wished_first_then_returns_then_raises_then_losses():
    of = zone(("fra", "ams", "iad", "lon"), ())
    memory = joined(of, ams=cordoned(), iad=RegionMemory({}, 1))
    seen = view(of, {"fra": DOWN}, memory=memory, regions=regions(of, abroad=["lon"]))
    assert wished(seen) == [
        ("lon", Turn.OUT, Cause.ILLEGAL), ("ams", Turn.BACK, Cause.LOST), ("iad", Turn.RAISE, Cause.LOST),
        ("fra", Turn.OUT, Cause.LOST),
    ]


def test_of_several_causes_each_falls_silent_by_itself_the_gravest_first():
    memory = stands(Cause.HUMAN, Cause.LOST, told_by="ams")
    assert wished(view(memory=memory)) == [("fra", Turn.BACK, Cause.LOST), ("fra", Turn.BACK, Cause.HUMAN)]


def test_the_shift_that_runs_longest_counts_for_its_region_and_kind():
    longest = Shift("fra", Cause.HUMAN, 61.0, "longer")
    others = (Shift("ams", Cause.HUMAN, 90.0, ""), Shift("fra", Cause.GAME_DAY, 90.0, ""))
    assert wants.shift("fra", Cause.HUMAN, view(shifts=(HUMAN, longest, *others))) == longest
    assert wants.shift("fra", Cause.HUMAN, view(shifts=others)) is None


def test_a_request_is_that_of_the_region_itself_while_its_voice_is_fresh():
    asked = (Withdrawal("ams", ILL, 0.5), Withdrawal("fra", ILL, 3.1), Withdrawal("fra", ILL, 3.0))
    assert wants.request("fra", view(withdrawals=asked)) == asked[2]
    assert wants.request("fra", view(withdrawals=asked[:2])) is None


@pytest.mark.parametrize("cause", [Cause.LOST, Cause.WITHDRAWN, Cause.DEGRADED])
def test_a_rehearsal_gives_way_to_an_incident_even_while_it_runs(cause: Cause):
    memory = joined(zone(), fra=cordoned(Cause.GAME_DAY), ams=cordoned(cause))
    asks = Withdrawal("ams", ILL, 0.5)
    seen = view(verdicts={"ams": UNKNOWN}, memory=memory, shifts=(GAME_DAY,), withdrawals=(asks,))
    assert only(seen) == Move("fra", Turn.BACK, Cause.GAME_DAY, Reason(
        reasons.SHIFT_ENDED, "the rehearsal gives way to the incident of ams"
    ))


def test_a_persons_cordon_does_not():
    memory = joined(zone(), fra=cordoned(Cause.HUMAN), ams=cordoned())
    assert wished(view(verdicts={"ams": UNKNOWN}, memory=memory, shifts=(HUMAN,))) == []


@pytest.mark.parametrize(
    ("seen", "troubled"),
    [
        (view(), ""),
        (view(verdicts={"fra": DOWN}), "fra"),
        (view(verdicts={"fra": DEGRADED, "ams": DOWN}), "fra, ams"),
        (view(observations=[said("ams", "fra", DOWN)]), ""),
        (view(memory=stands(Cause.WITHDRAWN)), "fra"),
        (view(memory=stands(Cause.ILLEGAL, Cause.ABSENT, Cause.FOUND_OFF, Cause.HUMAN, Cause.GAME_DAY)), ""),
    ],
    ids=["well", "lost", "ill", "one voice", "withdrawn", "on purpose"],
)
def test_an_incident_is_what_a_quorum_sees_or_a_cause_that_nobody_chose(seen: View, troubled: str):
    assert wants.incident(seen) == troubled


def test_a_region_on_its_ramp_is_not_yet_out_of_its_incident():
    """Its calls are still carried by the regions that a rehearsal might take out (found by the simulator, seed 26)."""
    ramping = joined(zone(), fra=cordoned(stands=False, step=0))
    assert wants.incident(view(memory=ramping)) == "fra"
