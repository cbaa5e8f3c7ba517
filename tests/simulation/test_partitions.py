"""Every row of `docs/partitions.md`: what is written by hand about a cut is what the production core makes of it."""

import pytest

from holdfast.core import reasons
from holdfast.core.values import Cause
from holdfast_gameday.simulation import cuts, partitions, partitions_page
from holdfast_gameday.simulation.cuts import AMS, FRA
from holdfast_gameday.simulation.partitions import DWELL_S

ROWS = [(shape, cut) for shape in cuts.SHAPES for cut in cuts.of(shape)]


def _name(value):
    return value if isinstance(value, str) else value.words


@pytest.mark.parametrize(("shape", "cut"), ROWS, ids=_name)
def test_who_leads_and_who_is_out_is_as_expected(shape, cut):
    seen = partitions.play(shape, cut)

    assert seen.leads in cut.leads
    if cut.out is not None:
        assert tuple(out.region for out in seen.out) == cut.out


@pytest.mark.parametrize(("shape", "cut"), ROWS, ids=_name)
def test_at_most_one_may_write_and_somebody_is_on_at_every_moment(shape, cut):
    seen = partitions.play(shape, cut)

    assert seen.holders_max == 1
    assert seen.on_min >= 1
    assert seen.violations == ()


@pytest.mark.parametrize(("shape", "cut"), ROWS, ids=_name)
def test_after_the_cut_somebody_leads_and_who_was_out_is_whole_again(shape, cut):
    healed = partitions.play(shape, cut).healed

    assert healed.leads != ""
    ramps_s = {name: healed.whole_after_s[name] - back_s for name, back_s in healed.back_after_s.items()}
    assert [name for name, ramp_s in ramps_s.items() if not DWELL_S - 1 < ramp_s < DWELL_S + 10] == []
    assert healed.whole_after_s.keys() == healed.back_after_s.keys() >= set(cut.out or ()) - _only_decided(shape, cut)


def _only_decided(shape, cut):
    """Who was never off at the lever during the cut, because it could not be written."""
    return {out.region for out in partitions.play(shape, cut).out if out.off_after_s is None}


@pytest.mark.parametrize("shape", cuts.SHAPES)
def test_when_every_entry_is_dead_the_last_one_stays(shape):
    """Which go first is chance; that all go is not possible."""
    everything = next(cut for cut in cuts.of(shape) if cut.out is None)

    seen = partitions.play(shape, everything)

    assert len(seen.out) < len(partitions.fleet(shape).zone.members)
    assert {held.reason.code for held in seen.held} <= {reasons.EVERYTHING_ILL, reasons.OBSERVER_DOUBTS}
    assert all(back_s < DWELL_S + 10 for back_s in seen.healed.back_after_s.values())


@pytest.mark.parametrize("shape", cuts.SHAPES)
def test_the_same_cut_is_the_same_row_every_time(shape):
    cut = cuts.of(shape)[0]

    assert partitions.play.__wrapped__(shape, cut) == partitions.play.__wrapped__(shape, cut)


@pytest.mark.parametrize(("shape", "cut"), ROWS, ids=_name)
def test_a_region_goes_only_when_more_than_half_of_its_observers_see_it_down(shape, cut):
    zone = partitions.fleet(shape).zone

    for out in partitions.play(shape, cut).out:
        assert out.cause is Cause.LOST
        assert int(out.why.split()[0]) > len(zone.observers_of(out.region)) / 2


def test_no_two_rows_of_a_fleet_have_the_same_words():
    for shape in cuts.SHAPES:
        words = [cut.words for cut in cuts.of(shape)]
        assert len(set(words)) == len(words)


def test_a_row_says_what_each_side_does():
    cut = next(cut for cut in cuts.of("2+witness") if cut.words == "fra is parted from all others, callers reach all")

    assert partitions_page.row("2+witness", partitions.play("2+witness", cut)) == (
        "fra is parted from all others, callers reach all",
        "ams within 10 s (2 of 3 votes)",
        "fra within 10 s, `RegionLost`: 2 of 2 observers see it down; `NoQuorum` to fra",
        "ams 100 %",
        "go on; those of fra may be fetched",
        "fra back after a dwell",
    )


def test_without_a_witness_neither_of_two_regions_outlives_the_other():
    silent = cuts.of("2")[0]

    seen = partitions.play("2", silent)

    assert (seen.leads, seen.condition.code, seen.out) == ("", "NoWitness", ())
    assert {held.operator for held in seen.held} == {FRA, AMS}
    assert seen.calls.deaf == (AMS,)
