"""The vote: one leader at most, a new one soon after the old is gone, and no epoch twice."""

from __future__ import annotations

from dataclasses import replace

from core_elections import drive, leader, newcomer, read

from holdfast.core.lease import (
    Acked,
    Candidate,
    Failed,
    Follower,
    Leader,
    LeaseView,
    Read,
    Refused,
    Release,
    Renew,
    RenewNow,
    Tick,
    TryAcquire,
    Withdraw,
)
from holdfast.core.values import Fence


def test_a_newcomer_reads_every_lease_before_anything_else():
    state, commands = drive(newcomer(), (10.0, Tick()))
    assert commands == (Read("fra"), Read("ams"), Read("iad"))
    assert isinstance(state.phase, Follower)


def test_votes_are_taken_one_by_one_in_the_fixed_order_with_an_epoch_above_all_read():
    state, _ = drive(newcomer(), (10.0, Tick()), (10.1, read("ams", epoch=9)))
    state, commands = drive(state, (10.1, read("fra", stamp="3", epoch=4)))
    assert commands == (TryAcquire("fra", "3", 10),)
    state, commands = drive(state, (10.2, Acked("fra", 10.1, LeaseView("me", "4", 10))))
    assert commands == (TryAcquire("ams", "1", 10),)
    assert state.fence(10.2) is None


def test_a_majority_makes_a_leader_from_before_the_requests_were_sent():
    state = leader()
    assert state.phase == Leader(5)
    assert state.valid_until() == 10.1 + 3.3
    assert state.fence(13.3) == Fence("eu", 5, "me")
    assert state.fence(13.4) is None
    assert state.majority_acked_at() == 10.1


def test_an_unreachable_voter_is_skipped():
    state, commands = drive(
        newcomer(), (10.0, Tick()), (10.1, Failed("fra")), (10.2, read("ams")), (10.3, read("iad"))
    )
    assert commands == (TryAcquire("ams", "1", 5),)
    assert isinstance(state.phase, Candidate)


def test_no_majority_of_free_votes_no_candidate():
    state, commands = drive(
        newcomer(), (10.0, Tick()), (10.1, Failed("fra")), (10.2, Failed("ams")), (10.3, read("iad"))
    )
    assert isinstance(state.phase, Follower)
    assert commands == ()


def test_an_unreadable_epoch_is_never_taken_for_a_vote():
    state, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("fra", epoch=None)), (10.2, read("ams", epoch=None)),
        (10.3, read("iad")),
    )
    assert isinstance(state.phase, Follower)


def test_who_loses_the_first_vote_does_not_try_the_rest():
    state, _ = drive(newcomer(), (10.0, Tick()), (10.1, read("fra")), (10.1, read("ams")))
    state, commands = drive(state, (10.2, Refused("fra", LeaseView("other", "2", 5))), (10.25, Tick()))
    assert state.phase == Follower(retry_at=10.5)
    assert commands == ()


def test_a_first_vote_lost_and_not_readable_any_more_is_lost_all_the_same():
    state, _ = drive(newcomer(), (10.0, Tick()), (10.1, read("fra")), (10.1, read("ams")))
    state, _ = drive(state, (10.2, Refused("fra", None)))
    assert isinstance(state.phase, Follower)


def test_a_minority_is_released_at_once():
    state, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("fra")), (10.1, read("ams")),
        (10.1, Failed("iad")), (10.2, Acked("fra", 10.1, LeaseView("me", "2", 5))),
    )
    state, commands = drive(state, (10.3, Refused("ams", LeaseView("other", "2", 5))))
    assert commands == (Release("fra", "2"),)
    assert state.phase == Follower(retry_at=10.3 + 0.3)
    assert state.fence(10.3) is None


def test_a_candidate_takes_no_vote_that_has_borne_its_own_epoch():
    """Somebody led by that vote under this very epoch, for all that we know, and released it."""
    state, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("fra")), (10.1, read("ams")), (10.15, read("iad", epoch=5)),
        (10.2, Acked("fra", 10.1, LeaseView("me", "2", 5))),
    )
    state, commands = drive(state, (10.3, Refused("ams", LeaseView("other", "2", 5))))
    assert commands == (Release("fra", "2"),)
    assert isinstance(state.phase, Follower)


def test_a_vote_whose_answer_was_lost_is_given_back_when_it_shows():
    """The write took effect, the answer did not come: the next read finds our own name."""
    state, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("fra")), (10.1, read("ams")), (10.1, Failed("iad")),
        (10.7, Failed("fra")), (11.8, Tick()), (11.8, read("ams", holder="other", stamp="2")),
    )
    state, commands = drive(state, (11.9, Acked("fra", 11.8, LeaseView("me", "2", 5))))
    assert Release("fra", "2") in commands


def test_a_candidate_waits_for_a_read_under_way_and_for_its_own_request():
    state, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("ams")), (10.1, read("iad")), (10.1, Failed("fra")),
    )
    assert isinstance(state.phase, Candidate)
    assert drive(state, (10.2, Tick()))[1] == ()
    follower, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("ams", holder="other")),
        (10.1, read("fra", holder="other")), (10.1, read("iad", holder="other")), (15.0, Tick()),
    )
    state, commands = drive(follower, (15.2, Tick()))
    assert isinstance(state.phase, Candidate)
    assert commands == ()


def test_a_foreign_lease_is_free_5_s_after_we_saw_it_change_last():
    state, _ = drive(
        newcomer(), (10.0, Tick()), (10.1, read("fra", holder="other")),
        (10.1, read("ams", holder="other")), (10.1, Failed("iad")),
        (13.0, Tick()), (13.1, read("fra", holder="other", stamp="2")), (13.1, read("ams", holder="other")),
        (13.1, Failed("iad")), (15.2, Tick()), (15.3, read("fra", holder="other", stamp="2")),
    )
    state, _ = drive(state, (15.3, read("ams", holder="other")), (15.3, Failed("iad")))
    assert isinstance(state.phase, Follower), "fra changed at 13.1"
    state, _ = drive(state, (18.1, Tick()))
    assert isinstance(state.phase, Candidate)


def test_a_failed_renewal_merely_does_not_extend():
    state, commands = drive(leader(), (11.3, Tick()))
    assert commands == (Renew("fra", "2", 5), Renew("ams", "2", 5), Read("iad"))
    state, _ = drive(state, (11.9, Failed("fra")), (11.9, Failed("ams")))
    assert state.fence(13.3) == Fence("eu", 5, "me")
    state, _ = drive(state, (13.4, Tick()))
    assert isinstance(state.phase, Follower)


def test_leadership_ends_by_itself_after_a_hang():
    state, commands = drive(leader(), (60.0, Tick()))
    assert isinstance(state.phase, Follower)
    assert state.fence(60.0) is None
    assert Release("fra", "2") in commands


def test_one_failing_voter_does_not_end_a_leadership_of_the_others():
    state, _ = drive(leader(), (11.3, Tick()), (11.4, Acked("fra", 11.3, LeaseView("me", "3", 5))))
    state, _ = drive(state, (11.4, read("iad", epoch=4)), (12.4, Tick()), (12.5, Failed("ams")))
    state, _ = drive(state, (12.5, Acked("iad", 12.4, LeaseView("me", "2", 5))))
    assert state.phase == Leader(5)
    assert state.valid_until() == 11.3 + 3.3


def test_a_read_that_shows_our_name_extends_nothing():
    """Others count from our last write; a read does not make them wait."""
    state = leader()
    state, _ = drive(state, (10.4, Tick()), (11.4, Tick()), (11.5, Failed("fra")))
    state, _ = drive(state, (11.5, Acked("iad", 11.4, LeaseView("me", "9", 5))))
    assert state.phase == Leader(5)
    assert state.valid_until() == 10.1 + 3.3


def test_a_renewal_refused_with_our_own_name_is_repeated_from_the_new_stamp():
    state, _ = drive(leader(), (11.3, Tick()))
    state, commands = drive(state, (11.4, Refused("fra", LeaseView("me", "3", 5))))
    assert commands == (Renew("fra", "3", 5),)
    assert isinstance(state.phase, Leader)


def test_a_vote_seen_in_other_hands_ends_the_majority_at_once():
    state, _ = drive(leader(), (11.3, Tick()))
    state, commands = drive(state, (11.4, Refused("fra", LeaseView("other", "3", 6))))
    assert isinstance(state.phase, Follower)
    assert commands == ()


def test_a_leader_takes_a_free_vote():
    _, commands = drive(leader(), (11.4, Tick()), (11.5, read("iad", stamp="8", epoch=3)), (12.4, Tick()))
    assert TryAcquire("iad", "8", 5) in commands


def test_renew_now_renews_every_vote_out_of_turn_once():
    state, commands = drive(leader(), (10.5, RenewNow()))
    assert commands == (Renew("fra", "2", 5), Renew("ams", "2", 5), Read("iad"))
    state, commands = drive(state, (10.6, Acked("fra", 10.5, LeaseView("me", "3", 5))))
    assert commands == ()
    assert state.majority_acked_at() == 10.2


def test_renew_now_while_a_renewal_is_under_way_renews_again_after_it():
    """The one under way left before the memory was there."""
    state, _ = drive(leader(), (11.3, Tick()), (11.35, RenewNow()))
    state, commands = drive(state, (11.4, Acked("fra", 11.3, LeaseView("me", "3", 5))))
    assert commands == (Renew("fra", "3", 5),)


def test_who_withdraws_releases_and_never_stands_again():
    state, commands = drive(leader(), (10.5, Withdraw()))
    assert commands == (Release("fra", "2"), Release("ams", "2"))
    state, _ = drive(
        state, (10.6, Acked("fra", 10.5, LeaseView("", "3", 5))), (10.6, Acked("ams", 10.5, LeaseView("", "3", 5))),
        (99.0, Tick()),
    )
    assert state.phase == Follower(float("inf"))


def test_a_candidate_stands_above_the_epochs_found_at_vendors():
    """All Leases were wiped, and the vendors' marks remember."""
    state, _ = drive(newcomer(floor=7), (10.0, Tick()), (10.1, read("fra", epoch=0)))
    state, commands = drive(state, (10.1, read("ams", epoch=0)))
    assert commands == (TryAcquire("fra", "1", 8),)
    _, commands = drive(
        newcomer(floor=2), (10.0, Tick()), (10.1, read("fra")), (10.1, read("ams"))
    )
    assert commands == (TryAcquire("fra", "1", 5),)


def test_a_leader_below_the_epoch_found_at_a_vendor_writes_nothing_and_stands_again_above_it():
    state = replace(leader(), floor=7)
    assert state.fence(10.4) is None
    state, commands = drive(state, (10.4, Tick()))
    assert commands == (TryAcquire("fra", "2", 8),)
    state, commands = drive(state, (10.5, Acked("fra", 10.4, LeaseView("me", "3", 8))))
    assert commands == (TryAcquire("ams", "2", 8),)
    state, _ = drive(state, (10.6, Acked("ams", 10.5, LeaseView("me", "3", 8))))
    assert state.fence(10.6) == Fence("eu", 8, "me")


def test_a_leader_that_finds_a_higher_epoch_stands_above_it_and_gives_nothing_back():
    """Somebody stood above us in vain. Without that vote we would lead by a bare majority for ever."""
    state, _ = drive(leader(), (11.4, Tick()), (11.4, Acked("fra", 11.3, LeaseView("me", "3", 5))))
    state, commands = drive(state, (11.5, read("iad", stamp="8", epoch=6)))
    assert commands == (TryAcquire("fra", "3", 7),)
    assert isinstance(state.phase, Candidate)
    assert state.fence(11.5) is None


def test_a_leader_goes_on_under_the_epoch_that_it_wrote_itself():
    state, commands = drive(replace(leader(), floor=5), (10.4, Tick()))
    assert state.fence(10.4) == Fence("eu", 5, "me")
    assert Release("fra", "2") not in commands


def test_memories_come_with_the_time_since_they_were_seen_to_change():
    state, _ = drive(newcomer(), (10.0, Tick()))
    state, _ = drive(state, (10.1, Acked("ams", 10.0, LeaseView("other", "1", 4, "text"))))
    assert state.memories(12.1) == (("text", 2.0),)
