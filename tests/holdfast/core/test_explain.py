"""What a plan's explanation says: whose words, about what, seen by whom, and what would have to change."""

from __future__ import annotations

from dataclasses import replace

import core_builders as build
import pytest

from holdfast.core import explain, reasons, remedies
from holdfast.core.explain import Entry, Kind, Outcome, Said, Subject
from holdfast.core.fallback import Fallback
from holdfast.core.plans import CarrierMove, Move, Overridden, Plan, ReadBack, Refusal, SetOrigin, Shed, Turn
from holdfast.core.values import Cause, Observation, Override, Reason, RegionMemory, Tier, Verdict

LOST = Reason(reasons.REGION_LOST, "2 of 2 observers see fra down, 2 are needed")
DWELL = Reason(reasons.DWELL, "fra was moved less than 300 s ago")
OUT = Move("fra", Turn.OUT, Cause.LOST, LOST)
BACK = Move("fra", Turn.BACK, Cause.LOST, Reason(reasons.REGION_RECOVERED, "2 of 2 observers see fra up"))
OFF = SetOrigin("edge", "fra", False, build.FENCE, "eu/7/edge/fra/off", LOST)
ZONE = Subject(Kind.ZONE, "eu")
FRA = Subject(Kind.REGION, "fra")


def only(plan: Plan, **view) -> Entry:
    (entry,) = explain.entries(plan, build.view(**view))
    return entry


def test_a_plan_that_does_nothing_explains_nothing():
    assert explain.entries(Plan(), build.view()) == ()


def test_a_move_is_explained_by_the_very_reason_it_was_decided_for():
    entry = only(Plan(moves=(OUT,)))

    assert entry.reason is LOST
    assert (entry.subject, entry.zone, entry.outcome, entry.action, entry.guard, entry.epoch) == (
        FRA, "eu", Outcome.DECIDED, "cordon fra (lost)", "", 7,
    )
    assert entry.done
    assert entry.remedy == remedies.of(reasons.REGION_LOST)


def test_what_every_observer_said_stands_beside_it_and_the_silent_one_is_named():
    """The region's own voice is not evidence about itself."""
    heard = (
        build.said("ams", "fra", build.DOWN, heard_age_s=0.4, held_s=8.0, self_doubt=True, detail="no audio"),
        build.said("fra", "fra", build.UP),
        Observation("iad", "fra", Verdict.DOWN, 0.1, tier=Tier.CARRIER),
    )
    entry = only(Plan(moves=(OUT,)), observations=heard)

    assert entry.evidence == (
        Said("ams", "down", 0.4, 8.0, True, "no audio"),
        Said("iad", "silent", None, None, False, ""),
    )


def test_a_write_belongs_to_the_lever_and_concerns_the_region():
    entry = only(Plan(steps=(OFF, ReadBack("edge", "fra", False))))

    assert (entry.subject, entry.region, entry.action) == (Subject(Kind.LEVER, "edge"), "fra", "turn fra off at edge")
    assert entry.concerns(FRA)
    assert entry.concerns(Subject(Kind.LEVER, "edge"))
    assert not entry.concerns(Subject(Kind.REGION, "ams"))
    assert not entry.concerns(Subject(Kind.LEVER, "fra"))


def test_a_refusal_names_the_guard_and_says_why_the_action_was_wanted():
    entry = only(Plan(refusals=(Refusal(BACK, DWELL),)))

    assert (entry.outcome, entry.guard, entry.reason, entry.wanted) == (Outcome.REFUSED, "Dwell", DWELL, BACK.reason)
    assert entry.action == "lift the cordon of fra (lost)"
    assert (entry.done, entry.overrode) == (False, "")


@pytest.mark.parametrize(
    "code", [reasons.NO_QUORUM, reasons.PAUSED, reasons.EVERYTHING_ILL, reasons.EVERY_CARRIER_ILL]
)
def test_a_guard_that_stops_everything_holds_rather_than_refuses(code):
    entry = only(Plan(refusals=(Refusal(OUT, Reason(code, "held")),)), fence=None)

    assert (entry.outcome, entry.guard, entry.epoch, entry.done) == (Outcome.HELD, code, 0, False)


def test_an_override_is_told_in_the_guards_words_and_the_persons():
    person = Override("fra", reasons.DWELL, 600.0, "the vendor confirmed the repair")
    entry = only(Plan(overridden=(Overridden(BACK, DWELL, person),)))

    assert (entry.outcome, entry.guard, entry.reason) == (Outcome.OVERRIDDEN, "Dwell", DWELL)
    assert (entry.wanted, entry.override) == (BACK.reason, "the vendor confirmed the repair")
    assert entry.overrode == "Dwell"
    assert entry.done


def test_a_carrier_is_judged_by_every_voter():
    reason = Reason(reasons.CARRIER_ILL, "3 of 3 observers see twilio-eu down")
    heard = (Observation("fra", "twilio-eu", Verdict.DOWN, 0.2, 9.0, tier=Tier.CARRIER),)
    entry = only(Plan(carrier_moves=(CarrierMove("twilio-eu", Turn.OUT, reason),)), observations=heard)

    assert (entry.subject, entry.action) == (Subject(Kind.CARRIER, "twilio-eu"), "put twilio-eu behind other carriers")
    assert [said.observer for said in entry.evidence] == ["fra", "ams", "iad"]
    assert [said.verdict for said in entry.evidence] == ["down", "silent", "silent"]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (CarrierMove("twilio-eu", Turn.BACK, LOST), "put twilio-eu back before other carriers"),
        (replace(OFF, enabled=True, share=25), "turn fra on at edge"),
        (Move("fra", Turn.RAISE, Cause.LOST, LOST), "raise fra above 25 % of its weight"),
    ],
)
def test_actions_are_told_in_words(action, words):
    assert explain.words(action, build.view(memory={"fra": RegionMemory(step=1)})) == words


def test_calls_turned_away_and_the_carriers_fallback_are_told_of_the_zone():
    shed = Shed(40, Reason(reasons.CALLS_SHED, "40 of 900 calls have no room"))
    apart = Fallback("ams", apart=True, reason=Reason(reasons.SEPARATE_REGION, "the fallback URL leads to ams"))
    told = explain.entries(Plan(shed=shed, fallback=apart), build.view())

    assert [(each.subject, each.outcome, each.action, each.reason) for each in told] == [
        (ZONE, Outcome.SHED, "turn calls away in words", shed.reason),
        (ZONE, Outcome.PREFERRED, "keep ams as the carriers' own fallback", apart.reason),
    ]


def test_a_follower_prefers_nothing():
    """It does not decide, so it must not seem to."""
    apart = Fallback("ams", apart=True, reason=Reason(reasons.SEPARATE_REGION, "the fallback URL leads to ams"))

    assert explain.entries(Plan(fallback=apart), build.view(fence=None)) == ()


def test_a_region_explains_its_own_decisions_in_the_same_shape():
    reason = Reason(reasons.ATTEMPT_ILL, "openai is ill in fra and tried last")
    evidence = (Said("fra", "down", 0.0, 12.0),)
    agent = Subject(Kind.AGENT, "clinic/front-desk")
    entry = explain.own(
        Outcome.PREFERRED, agent, zone="eu", region="fra", action="try azure, then openai", reason=reason,
        evidence=evidence,
    )  # fmt: skip

    assert entry == Entry(
        agent, "eu", Outcome.PREFERRED, "try azure, then openai", reason, region="fra", evidence=evidence
    )
    assert entry.concerns(FRA)


def test_a_wish_that_a_region_does_not_utter_is_a_refusal_about_the_region():
    reason = Reason(reasons.SEEN_ELSEWHERE, "not only fra sees it: openai")
    entry = explain.own(
        Outcome.REFUSED, FRA, zone="eu", region="fra", action="ask to be taken out of service", reason=reason
    )

    assert (entry.subject, entry.region, entry.guard, entry.done) == (FRA, "", "SeenElsewhere", False)


CODES = sorted(value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str))


@pytest.mark.parametrize("code", CODES)
def test_every_reason_says_what_would_have_to_change(code):
    """A code without a remedy leaves whoever is on call with half an answer: add its sentence to `remedies`."""
    assert code in remedies.REMEDIES
    assert remedies.of(code).endswith(".")


def test_no_remedy_outlives_its_code():
    assert set(remedies.REMEDIES) == set(CODES)


@pytest.mark.parametrize("code", sorted(reasons.OVERRIDABLE))
def test_a_guard_that_may_be_overridden_says_how(code):
    assert "spec.override" in remedies.of(code)


@pytest.mark.parametrize("code", sorted(set(CODES) - reasons.OVERRIDABLE))
def test_no_other_guard_offers_it(code):
    assert "spec.override" not in remedies.of(code)


def test_a_code_of_another_version_is_answered_honestly():
    assert remedies.of("NotBornYet") == "This version knows no remedy for that code; a newer one may."
