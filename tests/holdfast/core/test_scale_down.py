"""One pod fewer is allowed only if each pod that Kubernetes might take first has no call."""

from __future__ import annotations

import pytest

from holdfast.core import reasons, scale_down
from holdfast.core.capacity import PodLoad
from holdfast.core.scale_down import BUSY_COST, SeenPod

NOW = 1000.0
IDLE = PodLoad(0, ready=True, heard_at=NOW)
BUSY = PodLoad(3, ready=True, heard_at=NOW)
FULL = PodLoad(45, ready=False, heard_at=NOW)


def code(pods: list[SeenPod], loads: dict[str, PodLoad], *, replicas: int | None = None) -> str:
    refused = scale_down.refuse(pods, loads, replicas=len(pods) if replicas is None else replicas, now=NOW)
    return refused.code if refused else ""


def test_busy_and_unknown_pods_are_made_dear_and_idle_ones_cheap_and_nothing_is_written_twice():
    pods = [SeenPod("a"), SeenPod("b"), SeenPod("c", cost=BUSY_COST), SeenPod("d", cost=BUSY_COST), SeenPod("new")]
    loads = {"a": IDLE, "b": BUSY, "c": IDLE, "d": BUSY}
    assert scale_down.costs(pods, loads) == {"b": BUSY_COST, "c": 0, "new": BUSY_COST}


def test_a_pod_that_is_leaving_is_left_alone():
    assert scale_down.costs([SeenPod("a", leaving=True)], {"a": BUSY}) == {}


@pytest.mark.parametrize(
    ("pods", "first"),
    [
        ([SeenPod("a"), SeenPod("b", assigned=False), SeenPod("c", phase="Pending")], ("b",)),
        ([SeenPod("a"), SeenPod("b", ready=False), SeenPod("c", phase="Pending")], ("c",)),
        ([SeenPod("a"), SeenPod("b", ready=False), SeenPod("c", phase="Unknown")], ("c",)),
        ([SeenPod("a", cost=-1), SeenPod("b", ready=False, cost=BUSY_COST)], ("b",)),
        ([SeenPod("a"), SeenPod("b", cost=BUSY_COST), SeenPod("c")], ("a", "c")),
        ([SeenPod("a"), SeenPod("b", ready=False, leaving=True)], ("a",)),
        ([], ()),
    ],
    ids=["not assigned", "pending", "unknown", "not ready before cheap", "cheap", "leaving ones are gone", "none"],
)
def test_pods_are_ranked_as_a_replica_set_ranks_them(pods: list[SeenPod], first: tuple[str, ...]):
    assert scale_down.next_to_go(pods) == first


def test_an_idle_pod_may_go():
    assert code([SeenPod("a"), SeenPod("b", cost=BUSY_COST)], {"a": IDLE, "b": BUSY}) == ""


def test_a_full_pod_is_unready_and_would_go_first_whatever_it_costs():
    pods = [SeenPod("idle"), SeenPod("full", ready=False, cost=BUSY_COST)]
    refused = scale_down.refuse(pods, {"idle": IDLE, "full": FULL}, replicas=2, now=NOW)
    assert refused is not None
    assert refused.message == "has calls, and Kubernetes would take it first: full"


def test_a_pod_that_became_full_since_it_was_listed_keeps_all_in_their_place():
    """It is shown as ready still, and will not be by the time when Kubernetes looks."""
    pods = [SeenPod("idle"), SeenPod("full", cost=BUSY_COST)]
    assert code(pods, {"idle": IDLE, "full": FULL}) == reasons.BUSY_POD_WOULD_GO


def test_what_the_api_server_shows_counts_as_well_as_what_pods_say():
    """One that calls itself unready is shown as ready: then Kubernetes takes any of the cheap ones."""
    pods = [SeenPod("waking"), SeenPod("took-one")]
    loads = {"waking": PodLoad(0, ready=False, heard_at=NOW), "took-one": BUSY}
    assert code(pods, loads) == reasons.BUSY_POD_WOULD_GO


def test_no_pod_goes_while_costs_do_not_tell_the_busy_from_the_idle():
    assert code([SeenPod("a"), SeenPod("b")], {"a": IDLE, "b": BUSY}) == reasons.BUSY_POD_WOULD_GO


@pytest.mark.parametrize("told", [{}, {"a": PodLoad(0, ready=True, heard_at=NOW - 12.1)}])
def test_a_pod_whose_word_is_old_or_missing_does_not_go(told: dict[str, PodLoad]):
    assert code([SeenPod("a"), SeenPod("b", cost=BUSY_COST)], {"b": BUSY, **told}) == reasons.PODS_UNHEARD


def test_a_word_of_twelve_seconds_ago_counts():
    """A held poll is answered after ten, and sent anew."""
    assert code([SeenPod("a")], {"a": PodLoad(0, ready=True, heard_at=NOW - 12.0)}) == ""


@pytest.mark.parametrize("replicas", [1, 3])
def test_no_pod_goes_while_there_are_more_or_fewer_than_asked_for(replicas: int):
    """A rollout, or a pod that is not made yet: which set would give one up is not known."""
    assert code([SeenPod("a"), SeenPod("b")], {"a": IDLE, "b": IDLE}, replicas=replicas) == reasons.ROLLING_OUT
