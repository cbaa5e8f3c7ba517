"""Stories that once went wrong, each told by the few faults it takes."""

from __future__ import annotations

from simulated import fleet, lost, schedule

from holdfast_gameday.faults import Fault, Kind
from holdfast_gameday.simulation import cuts, partitions, run
from holdfast_gameday.simulation.schedule import Schedule
from holdfast_gameday.simulation.world import World


def _broken(planned):
    return [str(violation) for violation in run.play(planned).violations]


def test_a_verdict_formed_while_cut_off_does_not_count_when_the_link_is_back():
    """fra came back from the dark with its word that ams was down, and in a zone of two one word is a quorum."""
    planned = schedule(lost("fra", kind=Kind.BLACKHOLE), of=fleet("2"))
    world = run.watch(planned)

    assert world.judge.violations == []
    assert not any("decides ams out" in line.what for line in world.story.lines)


def test_two_regions_that_come_back_together_do_not_hold_each_other_at_the_first_step():
    """At five percent each looked to the other as if raising it would send it all calls."""
    relabelled = (Fault(Kind.RELABELLED, "fra", 60.0, 40.0), Fault(Kind.RELABELLED, "ams", 60.0, 40.0))
    of = fleet("2+witness", ramp=(5, 25, 50, 100), fullness=0.7)

    assert _broken(schedule(*relabelled, of=of)) == []


def test_an_epoch_may_be_used_again_only_where_nothing_was_ever_written_under_it():
    """With every Lease deleted the count of epochs is gone; what was written at the levers still stands above it."""
    deleted = Fault(Kind.LEASES_DELETED, "fra", 200.0)

    assert _broken(schedule(lost("ams"), deleted)) == []


def test_a_vendor_that_locks_us_out_is_left_alone_until_the_time_it_named():
    locked = Fault(Kind.LOCK_OUT, "edge", 61.0, 120.0, level=120.0)
    world = run.watch(schedule(lost("ams", for_s=200.0), locked))

    asked = [line.at_s for line in world.story.lines if line.what == "answered RateLimited"]
    assert world.judge.violations == []
    assert len(asked) == 1
    assert any(line.at_s > 181.0 and "ams off at edge: done" in line.what for line in world.story.lines)


def test_a_leader_with_one_vote_out_of_reach_goes_on_leading_when_the_world_turns_calm():
    """A tick that came a tenth of a second too early was the last one for 2.5 s, and its leadership ran out."""
    (cut,) = [cut for cut in cuts.of("2+witness") if cut.words == "fra, which leads, falls silent"]
    world = World(Schedule(partitions.seed_of("2+witness"), partitions.fleet("2+witness"), cut.faults))
    world.engine.run(200.0)

    told = [line for line in world.story.lines if line.who == "ams" and line.at_s > 61.0]
    assert [line.what for line in told if "lead" in line.what] == ["leads under epoch 2"]
