"""Pods follow calls in a cluster: more come before they are short, and who has a call is not taken."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from api_objects import POLICY, REGIONS, changed
from core_builders import DOWN, cordoned, joined, said, view, zone
from fleet_range import until
from scaled_region import DEPLOYMENT, FULL, PODS, REF, STATUS, Cluster, placed

from holdfast.core.capacity import STABLE_S, STEP_S, PodLoad
from holdfast.core.plans import Plan
from holdfast.core.values import AgentRef
from holdfast.desired import Desired
from holdfast.handlers.reconciler import Reconciler
from holdfast.handlers.scaling import scaled_by

QUIET = STABLE_S + 5.0


async def test_an_agent_begins_with_its_minimum_and_a_second_look_writes_nothing():
    cluster = await placed()
    await cluster.pass_time(5)
    assert cluster.replicas == 2
    written = len(cluster.server.writes())
    await cluster.reconcile()
    await cluster.pass_time(30)
    assert len(cluster.server.writes()) == written


async def test_another_pod_comes_while_the_last_slot_is_still_free():
    cluster = await placed(policy=changed(POLICY, "spec.guards", {"headroomPercent": 0}))
    cluster.calls = {"p-01": 44, "p-02": 44}
    await cluster.pass_time(1)
    assert cluster.replicas == 2, "two slots are free"
    cluster.calls["p-01"] = 45
    await cluster.pass_time(1)
    assert cluster.replicas == 3


async def test_pods_for_all_calls_are_wanted_at_once():
    cluster = await placed()
    cluster.calls = {"p-01": 300, "p-02": 60}
    await cluster.pass_time(1)
    assert cluster.replicas == 10, "360 calls, a fifth kept free, 45 in each"


async def test_the_maximum_holds_and_the_agent_says_that_it_is_short():
    cluster = await placed(spec={"replicas": {"min": 2, "max": 4}})
    cluster.calls = {"p-01": 900}
    await cluster.pass_time(3)
    assert cluster.replicas == 4
    told = cluster.condition("ReplicasFollowCalls")
    assert (told["status"], told["reason"]) == ("False", "AtMaximum")
    assert "spec.replicas.max" in told["message"]
    cluster.calls = {}
    await cluster.pass_time(QUIET)
    assert cluster.condition("ReplicasFollowCalls")["status"] == "True"


async def test_the_tenants_share_binds_all_its_agents_together():
    cluster = await placed(policy=POLICY)
    policy = cluster.desired.zones["eu"]
    (tenant,) = policy.tenants
    cluster.desired.put_zone(type(policy)(**{
        **{name: getattr(policy, name) for name in policy.__dataclass_fields__},
        "tenants": (type(tenant)(namespaces=tenant.namespaces, max_replicas=3),),
    }))  # fmt: skip
    cluster.calls = {"p-01": 900}
    await cluster.pass_time(3)
    assert cluster.replicas == 3
    assert "maxReplicas" in cluster.condition("ReplicasFollowCalls")["message"]


async def test_a_survivor_is_able_as_soon_as_anybody_suspects_the_other_region():
    """A third region shared them so far; were it the next to go, all 440 calls would be here."""
    three = zone(("fra", "ams", "iad"), ())
    cluster = await placed(seen=view(three), plan=Plan(weights={"fra": 50, "ams": 50, "iad": 50}))
    cluster.calls, cluster.elsewhere = {"p-01": 40}, 400
    await cluster.pass_time(6)
    assert cluster.replicas == 10
    cluster.seen = view(three, observations=[said("iad", "ams", DOWN)])
    await cluster.pass_time(1)
    assert cluster.replicas == 13


async def test_calls_elsewhere_are_followed_within_seconds_and_calls_here_at_once():
    cluster = await placed()
    cluster.elsewhere = 400
    await cluster.pass_time(6)
    assert cluster.replicas == 12, "half of 400 by the weights, and the other half were the other region lost"


async def test_calls_of_other_zones_here_do_not_hide_an_agents_part_elsewhere():
    cluster = await placed()
    other = AgentRef("clinic", "back-office")
    cluster.desired.agents[other] = replace(cluster.desired.agents[REF], ref=other)
    cluster.calls, cluster.elsewhere, cluster.of_other_zones = {"p-01": 100}, 200, 900
    await cluster.pass_time(6)
    assert cluster.replicas == 9, "all 300 calls are this agent's, as far as anybody here can tell"


async def test_only_idle_pods_go_one_by_one_and_those_with_calls_stay():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    assert cluster.replicas == 9
    cluster.calls = {"p-01": 1, "p-08": 2, "p-09": 1}
    await cluster.pass_time(QUIET + 20 * STEP_S)
    assert cluster.replicas == 3
    assert {calls for _, calls in cluster.removed} == {0}
    assert set(cluster.pods) == {"p-01", "p-08", "p-09"}


async def test_they_go_slowly():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {}
    await cluster.pass_time(STABLE_S - 2)
    assert cluster.replicas == 9
    await cluster.pass_time(10)
    assert cluster.replicas == 8
    await cluster.pass_time(STEP_S)
    assert cluster.replicas == 7


async def test_costs_are_written_only_when_a_pod_is_to_go_and_only_on_a_difference():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {"p-01": 1, "p-04": 1}
    await cluster.pass_time(STABLE_S - 5)
    assert cluster.server.writes(PODS) == []
    await cluster.pass_time(10)
    assert {path.rpartition("/")[2] for _, path in cluster.server.writes(PODS)} == {"p-01", "p-04"}
    assert (cluster.cost("p-01"), cluster.cost("p-02")) == ("100", "0")


async def test_a_full_pod_which_kubernetes_would_take_first_keeps_all_in_their_place():
    """It is not ready, so its cost would not save it."""
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {"p-01": FULL}
    await cluster.pass_time(QUIET + 5 * STEP_S)
    assert cluster.removed == []
    cluster.calls = {"p-01": FULL - 1}
    await cluster.pass_time(30)
    assert [calls for _, calls in cluster.removed] == [0]


async def test_a_call_that_comes_between_the_last_read_and_the_write_keeps_the_pod():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {}
    listed = []

    def a_call_comes(path: str) -> None:
        if path == PODS:
            listed.append(path)
        elif path == DEPLOYMENT and listed:
            for name in cluster.pods:
                cluster.desired.note_load(REF, name, PodLoad(1, ready=True, heard_at=cluster.now))

    cluster.server.on_read = a_call_comes
    await cluster.pass_time(QUIET)
    assert listed
    assert (cluster.replicas, cluster.removed) == (9, [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"seen": view(memory=joined(zone(), ams=cordoned()))},
        {"seen": view(paused="new network")},
        {"seen": None},
        {"attempts": ("azure", "openai")},
    ],
    ids=["a region is out", "paused", "not looked yet", "another order of attempts"],
)
async def test_nothing_goes_during_an_impairment_and_more_may_come(wrong):
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {}
    for name, value in wrong.items():
        setattr(cluster, name, value)
    await cluster.pass_time(QUIET + 2 * STEP_S)
    assert (cluster.replicas, cluster.removed) == (9, [])
    cluster.calls = {"p-02": 500}
    await cluster.pass_time(2)
    assert cluster.replicas == 14


async def test_nothing_goes_while_a_pod_does_not_poll():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls, cluster.mute = {}, {"p-05"}
    cluster.desired.forget_pod(REF, "p-05")
    await cluster.pass_time(QUIET + 2 * STEP_S)
    assert cluster.removed == []


async def test_an_operator_that_begins_anew_leaves_what_runs_for_the_whole_window():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {}
    await cluster.pass_time(STABLE_S - 20)
    cluster.restart()
    await cluster.reconcile()
    await cluster.pass_time(STABLE_S - 5)
    assert cluster.replicas == 9
    await cluster.pass_time(10)
    assert cluster.replicas == 8


async def test_a_standby_writes_nothing_and_forgets():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    cluster.active = False
    written = len(cluster.server.writes())
    await cluster.pass_time(5)
    assert (cluster.replicas, len(cluster.server.writes())) == (2, written)


async def test_a_person_who_scales_to_nothing_is_mended():
    cluster = await placed()
    cluster.calls = {"p-01": 100}
    await cluster.pass_time(1)
    cluster.scale(0, "kubectl")
    await cluster.reconcile()
    assert cluster.replicas == 3


async def test_pods_that_a_person_adds_go_again_slowly():
    cluster = await placed()
    await cluster.pass_time(QUIET)
    cluster.scale(6, "kubectl")
    await cluster.reconcile()
    await cluster.pass_time(20)
    assert cluster.replicas == 6
    await cluster.pass_time(QUIET + 6 * STEP_S)
    assert cluster.replicas == 2


async def test_an_autoscaler_of_the_user_is_left_alone_and_named_and_busy_pods_cost_more():
    cluster = await placed()
    cluster.scale(5, "kube-controller-manager")
    cluster.calls = {"p-01": 300, "p-04": 1}
    await cluster.reconcile()
    await cluster.pass_time(5)
    assert cluster.replicas == 5
    told = cluster.condition("ReplicasFollowCalls")
    assert (told["status"], told["reason"]) == ("False", "ScaledByAnother")
    assert "kube-controller-manager" in told["message"]
    assert [cluster.cost(name) for name in sorted(cluster.pods)] == ["100", "0", "0", "100", "0"]
    written = len(cluster.server.writes())
    await cluster.pass_time(30)
    assert len(cluster.server.writes()) == written
    cluster.scale(3, "kube-controller-manager")
    assert all(calls == 0 for _, calls in cluster.removed[1:]), "only the full one is beyond the reach of a cost"


async def test_a_hand_that_scales_takes_the_deployment_back_from_an_autoscaler():
    cluster = await placed()
    cluster.scale(5, "kube-controller-manager")
    await cluster.reconcile()
    cluster.scale(5, "kubectl")
    await cluster.reconcile()
    assert cluster.condition("ReplicasFollowCalls")["status"] == "True"


async def test_one_fewer_whose_outcome_is_unknown_takes_no_second_pod():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {}
    await cluster.pass_time(STABLE_S - 5)
    cluster.server.lose_answer = DEPLOYMENT
    await cluster.pass_time(15)
    assert cluster.server.lose_answer == ""
    await cluster.reconcile()
    assert (cluster.replicas, len(cluster.removed)) == (8, 1)


async def test_no_right_to_list_pods_costs_a_pod_too_many_and_no_more():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {}

    def refused(path: str) -> None:
        if path == PODS:
            raise PermissionError(path)

    cluster.server.on_read = refused
    await cluster.pass_time(QUIET)
    assert cluster.replicas == 9
    assert cluster.condition("Placed")["status"] == "True"


async def test_no_pod_goes_during_a_rollout():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {}
    await cluster.pass_time(STABLE_S - 10)
    cluster.server.on_read = lambda path: (
        cluster.server.objects[DEPLOYMENT]["status"].update(updatedReplicas=3) if path == DEPLOYMENT else None
    )
    await cluster.pass_time(60)
    assert cluster.removed == []


async def test_what_is_reckoned_with_can_be_read_as_plain_data():
    cluster = await placed()
    cluster.calls, cluster.elsewhere = {"p-01": 60}, 40
    await cluster.pass_time(6)
    assert cluster.scaler.picture() == [{
        "agent": "clinic/front-desk", "replicas": 3, "enough": 3, "calls": 60, "busyPods": 1, "callsExpected": 60,
        "callsAfterNextLoss": 100, "nextLoss": "ams", "reason": "FollowsCalls", "held": None, "scaledBy": "holdfast",
    }]  # fmt: skip
    cluster.calls, cluster.elsewhere = {}, 0
    cluster.seen = view(paused="new network")
    await cluster.pass_time(1)
    (told,) = cluster.scaler.picture()
    assert told["held"] == {"reason": "Paused", "message": "zone eu is paused: new network"}


async def test_why_a_pod_cannot_go_can_be_read_as_well():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    await cluster.pass_time(1)
    cluster.calls = {"p-01": FULL}
    await cluster.pass_time(QUIET)
    (told,) = cluster.scaler.picture()
    assert told["held"]["message"] == "has calls, and Kubernetes would take it first: p-01"


async def test_an_agent_that_leaves_is_forgotten():
    cluster = await placed()
    cluster.intake.take("VoiceAgent", "DELETED", cluster.server.objects[STATUS])
    await cluster.reconcile()
    assert [ref async for ref in cluster.scaler.restless()] == []
    assert cluster.scaler.condition(REF).reason.code == "NotPlaced"


async def test_an_agent_whose_policy_is_gone_keeps_what_it_has():
    cluster = await placed()
    cluster.calls = {"p-01": 300}
    cluster.desired.drop_zone("eu")
    await cluster.pass_time(3)
    assert cluster.replicas == 2


@pytest.mark.parametrize(
    ("fields", "by"),
    [
        ([], ""),
        ([{"manager": "kubectl", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}], ""),
        ([{"manager": "keda", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}], "keda"),
        ([{"manager": "kube-controller-manager", "subresource": "status", "fieldsV1": {"f:status": {}}}], ""),
        ([{"manager": "kube-controller-manager", "subresource": "scale", "fieldsV1": {"f:spec": {}}}], ""),
        ([{"manager": "holdfast", "fieldsV1": {"f:spec": {"f:replicas": {}}}}], ""),
    ],
)
def test_who_scales_a_deployment_is_read_from_who_owns_its_replicas(fields, by):
    assert scaled_by({"metadata": {"managedFields": fields}}) == by
    assert scaled_by(None) == ""


def test_a_fresh_cluster_has_no_pods():
    assert Cluster().pods == {}


async def test_the_running_reconciler_follows_what_pods_say():
    """Watches apart, this is the operator: one listing, one queue, and the loop that looks at calls."""
    cluster = Cluster()
    for kind, each in (*(("regions", region) for region in REGIONS), ("failoverpolicies", POLICY)):
        path = f"/apis/holdfast.dev/v1alpha1/{kind}/{each['metadata']['name']}"
        cluster.server.objects[path] = {**each, "metadata": {**each["metadata"], "uid": "u-1", "resourceVersion": "1"}}
    reconciler = Reconciler(replace(cluster.context, canary_pods=0, desired=Desired()))
    running = asyncio.create_task(reconciler.run())
    try:
        await until(lambda: DEPLOYMENT in cluster.server.objects and cluster.replicas == 2)
        reconciler.context.desired.note_load(REF, "p-01", PodLoad(200, ready=False, heard_at=cluster.now))
        await until(lambda: cluster.replicas == 6)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
