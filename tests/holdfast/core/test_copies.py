"""Copies are pulled; absence proves nothing; only a tombstone deletes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core_builders import zone

from holdfast.core import copies, reasons
from holdfast.core.copies import Adopt, Apply, Delete, Key, Note, Object, Origin, Peer, Tombstone

KEY = Key("VoiceAgent", "clinic", "front-desk")
OTHER = Key("FailoverPolicy", "", "eu")
OWN = Object(KEY, "u-fra", 3, "spec-a")
ORIGIN = Origin("fra", "u-fra", 3, "spec-a")
COPY = Object(KEY, "u-ams", 1, "spec-a", ORIGIN, written=1)


def plan(
    held: Object | None,
    *peers: Peer,
    region: str = "ams",
    tombstones: tuple[Tombstone, ...] = (),
    tried: Mapping[Key, Origin] = MappingProxyType({}),
):
    return copies.plan(region=region, objects=[held] if held else [], peers=peers, tombstones=tombstones, tried=tried)


def note(actions: tuple[copies.Action, ...]) -> str:
    (action,) = actions
    assert isinstance(action, Note)
    assert action.reason.message
    return action.reason.code


def test_an_object_of_a_peer_is_copied_with_its_origin():
    assert plan(None, Peer("fra", (OWN,))) == (Apply(KEY, "fra", ORIGIN),)


def test_a_copy_that_is_up_to_date_causes_nothing():
    assert plan(COPY, Peer("fra", (OWN,))) == ()


def test_a_higher_generation_is_applied():
    newer = Object(KEY, "u-fra", 4, "spec-b")
    assert plan(COPY, Peer("fra", (newer,))) == (Apply(KEY, "fra", Origin("fra", "u-fra", 4, "spec-b")),)


def test_a_lower_generation_from_the_origin_is_refused():
    """The origin was restored from an old backup; the copy is what people last asked for."""
    older = Object(KEY, "u-fra", 2, "spec-0")
    assert note(plan(COPY, Peer("fra", (older,)))) == reasons.LOWER_GENERATION


def test_a_peer_that_lags_behind_is_no_news():
    lagging = Object(KEY, "u-par", 1, "spec-0", Origin("fra", "u-fra", 2, "spec-0"))
    assert plan(COPY, Peer("par", (lagging,))) == ()


def test_a_copy_can_be_had_from_another_copy_while_the_origin_is_away():
    assert plan(None, Peer("par", (Object(KEY, "u-par", 1, "spec-a", ORIGIN),))) == (Apply(KEY, "par", ORIGIN),)


def test_an_unreachable_origin_changes_nothing():
    assert plan(COPY) == ()


def test_an_origin_that_lists_it_no_more_orphans_the_copy_and_deletes_nothing():
    assert note(plan(COPY, Peer("fra"))) == reasons.ORPHANED


def test_a_tombstone_of_the_origin_deletes_the_copy():
    actions = plan(COPY, Peer("fra", (), (Tombstone(KEY, "u-fra"),)))
    assert actions == (Delete(KEY, "u-ams"),)
    assert copies.buried(actions, [COPY]) == (Tombstone(KEY, "u-fra"),)


def test_a_tombstone_of_another_uid_deletes_nothing():
    assert plan(COPY, Peer("fra", (OWN,), (Tombstone(KEY, "u-older"),))) == ()


def test_a_peer_that_has_not_heard_of_the_deletion_cannot_bring_the_object_back():
    late = Peer("par", (Object(KEY, "u-par", 1, "spec-a", ORIGIN),))
    assert plan(None, late, tombstones=(Tombstone(KEY, "u-fra"),)) == ()
    assert plan(None, late, Peer("fra", (), (Tombstone(KEY, "u-fra"),))) == ()


def test_what_was_ours_is_not_taken_back_from_its_copies():
    """Between the deletion and its tombstone the peers still offer it."""
    assert plan(None, Peer("ams", (COPY,)), region="fra") == ()


def test_deleted_and_applied_anew_is_replaced_in_place():
    anew = Object(KEY, "u-fra-2", 1, "spec-c")
    actions = plan(COPY, Peer("fra", (anew,), (Tombstone(KEY, "u-fra"),)))
    assert actions == (Apply(KEY, "fra", Origin("fra", "u-fra-2", 1, "spec-c")),)


def test_applied_anew_without_a_tombstone_is_a_conflict_for_people():
    assert note(plan(COPY, Peer("fra", (Object(KEY, "u-fra-2", 1, "spec-c"),)))) == reasons.SPEC_CONFLICT


def test_an_edited_copy_belongs_to_where_it_was_edited():
    edited = Object(KEY, "u-ams", 2, "spec-mine", ORIGIN, written=1)
    assert plan(edited, Peer("fra", (OWN,))) == (Adopt(KEY),)


def test_an_edit_that_was_taken_back_is_none():
    assert plan(Object(KEY, "u-ams", 3, "spec-a", ORIGIN, written=1), Peer("fra", (OWN,))) == ()


def test_a_default_that_a_newer_crd_adds_is_no_edit():
    """Regression: a release with a new default made every cluster the origin of all its copies."""
    defaulted = Object(KEY, "u-ams", 1, "spec-a-and-default", ORIGIN, written=1)
    assert plan(defaulted) == ()
    assert Adopt(KEY) not in plan(defaulted, Peer("fra", (OWN,)))


def test_a_copy_that_is_kept_otherwise_is_sent_once_more_and_then_told():
    """Once, as this operator may be newer than its last write; then only the clusters' CRDs can differ."""
    pruned = Object(KEY, "u-ams", 1, "spec-without", ORIGIN, written=1)
    assert plan(pruned, Peer("fra", (OWN,))) == (Apply(KEY, "fra", ORIGIN),)
    assert note(plan(pruned, Peer("fra", (OWN,)), tried={KEY: ORIGIN})) == reasons.COPY_DIFFERS
    newer = Object(KEY, "u-fra", 4, "spec-b")
    assert plan(pruned, Peer("fra", (newer,)), tried={KEY: ORIGIN}) == (
        Apply(KEY, "fra", Origin("fra", "u-fra", 4, "spec-b")),
    )


def test_both_clusters_having_the_newer_crd_the_copy_is_as_it_should_be():
    defaulted = Object(KEY, "u-ams", 1, "spec-a-and-default", ORIGIN, written=1)
    assert plan(defaulted, Peer("fra", (Object(KEY, "u-fra", 3, "spec-a-and-default"),))) == ()


def test_a_copy_of_a_copy_is_no_measure_of_how_it_should_be():
    elsewhere = Peer("par", (Object(KEY, "u-par", 1, "spec-without", ORIGIN, written=1),))
    assert plan(COPY, elsewhere) == ()
    assert plan(None, elsewhere, Peer("fra", (OWN,))) == (Apply(KEY, "fra", ORIGIN),)


def test_a_write_whose_answer_was_not_heard_is_made_again_and_is_nobodys_edit():
    for digest in ("spec-a", "spec-a-and-default"):
        unheard = Object(KEY, "u-ams", 2, digest, ORIGIN)
        assert plan(unheard, Peer("fra", (OWN,)), tried={KEY: ORIGIN}) == (Apply(KEY, "fra", ORIGIN),)
        assert plan(unheard) == ()


def test_a_returning_origin_finds_the_conflict():
    edited = Object(KEY, "u-ams", 2, "spec-mine", ORIGIN, written=1)
    adopted = Object(KEY, "u-ams", 2, "spec-mine")
    for at_peer in (edited, adopted):
        assert note(plan(OWN, Peer("ams", (at_peer,)), region="fra")) == reasons.SPEC_CONFLICT


def test_equal_specs_applied_everywhere_are_fine():
    assert plan(OWN, Peer("ams", (Object(KEY, "u-ams", 1, "spec-a"),)), region="fra") == ()


def test_our_own_copies_elsewhere_are_no_conflict_even_when_they_lag():
    lagging = Object(KEY, "u-ams", 1, "spec-0", Origin("fra", "u-fra", 2, "spec-0"))
    assert plan(OWN, Peer("ams", (lagging,)), region="fra") == ()


def test_peers_that_disagree_about_a_new_object_are_not_chosen_between():
    one, two = Peer("fra", (OWN,)), Peer("par", (Object(KEY, "u-par", 1, "spec-z"),))
    assert plan(None, one, two) == ()


def test_peers_that_agree_about_a_new_object_give_it():
    one, two = Peer("fra", (OWN,)), Peer("par", (Object(KEY, "u-par", 1, "spec-a"),))
    assert plan(None, one, two) == (Apply(KEY, "fra", ORIGIN),)


def test_actions_come_in_the_order_of_the_keys():
    eu = Object(OTHER, "u-eu", 1, "p")
    actions = copies.plan(region="ams", objects=[], peers=[Peer("fra", (OWN, eu))], tombstones=[])
    assert [str(action.key) for action in actions] == ["FailoverPolicy eu", "VoiceAgent clinic/front-desk"]


def test_a_tombstone_is_made_for_what_was_ours_and_for_nothing_else():
    copy = Object(OTHER, "u-copy", 1, "p", Origin("fra", "u", 1, "p"))
    assert copies.deleted(before=[OWN, copy], after=[]) == (Tombstone(KEY, "u-fra"),)
    assert copies.deleted(before=[OWN], after=[OWN]) == ()


def test_tombstones_are_kept_for_30_days():
    young, old = Tombstone(KEY, "a", 29 * 86_400.0), Tombstone(KEY, "b", 30 * 86_400.0)
    assert copies.kept([young, old]) == (young,)


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert copies.digest({"a": 1, "b": {"c": "µ"}}) == copies.digest({"b": {"c": "µ"}, "a": 1})
    assert copies.digest({"a": 1}) != copies.digest({"a": 2})


def test_two_regions_that_run_the_plan_in_turn_come_to_rest():
    """Apply in fra, copy to ams, edit in fra, copy again, delete in fra, gone in ams."""
    fra, stones, ams = OWN, (), None
    for generation, spec in ((3, "spec-a"), (4, "spec-b")):
        fra = Object(KEY, "u-fra", generation, spec)
        (action,) = plan(ams, Peer("fra", (fra,), stones))
        assert isinstance(action, Apply)
        ams = Object(KEY, "u-ams", generation, spec, action.origin, written=generation)
        assert plan(ams, Peer("fra", (fra,), stones)) == ()
        assert plan(fra, Peer("ams", (ams,)), region="fra") == ()
    stones = copies.deleted(before=[fra], after=[])
    assert plan(ams, Peer("fra", (), stones)) == (Delete(KEY, "u-ams"),)
    assert zone().members == ("fra", "ams")
