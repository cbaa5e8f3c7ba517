"""Claims about a fleet, judged by a picture. Whole fleets with planted faults are the plugin's tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.core.claim import Claim, Cluster, Outcome, Picture, Token, Trouble, Vote, judge, skipped, warning
from holdfast.core.claims import CLAIMS, FIELDS, has_field
from holdfast.core.claims_before import CLAIMS_BEFORE, ENFORCE, Ground, Site


def schema(*paths: str) -> dict:
    """A CRD whose schema has just these properties."""
    root: dict = {}
    for path in paths:
        at = root
        for step in path.split("."):
            at = at.setdefault("properties", {}).setdefault(step, {})
    return {"versions": [{"schema": {"openAPIV3Schema": root}}]}


WHOLE = {name: schema(*fields) for name, fields in FIELDS.items()}


def shown(spec: dict | None = None, *conditions: tuple[str, str, str]) -> dict:
    told = [{"type": kind, "status": status, "reason": reason, "message": "m"} for kind, status, reason in conditions]
    return {"spec": spec or {}, "status": {"conditions": told}}


EU = {
    "regions": [{"name": "fra"}, {"name": "ams"}], "witnesses": ["iad"],
    "levers": [{"name": "edge", "cloudflareLoadBalancer": {}}, {"name": "numbers", "twilioNumber": {}}],
}  # fmt: skip
REGION = shown({"host": "h", "origins": {"edge": "pool"}}, ("RouteInSync", "True", "ReadBack"))


def cluster(name: str, **changes) -> Cluster:
    sound = Cluster(
        name, regions={"fra": REGION, "ams": REGION}, policies={"eu": shown(EU)}, agents={"clinic/desk": shown()},
        crds=WHOLE, pods=(2, 2), active=True, alive=True, votes={"eu": Vote("uid", 0.5)},
        tokens=(Token("iad", "ok"),), peers=tuple({"fra", "ams", "iad"} - {name}), clock=(-0.2, 0.4),
    )  # fmt: skip
    return replace(sound, **changes)


def picture(*clusters: Cluster, **changes) -> Picture:
    return Picture(clusters or (cluster("ams"), cluster("fra"), cluster("iad")), ("ams", "fra"), **changes)


def faults(seen: Picture) -> dict[str, tuple[Outcome, tuple[str, ...]]]:
    return {each.code: (each.outcome, each.details) for each in judge(CLAIMS, seen) if each.outcome is not Outcome.OK}


UNASKED = {"HostSilent": (Outcome.SKIPPED, ("not asked; --network asks every public name from here",))}


def test_a_sound_fleet_leaves_only_what_was_not_asked():
    assert faults(picture()) == UNASKED


def test_the_gravest_word_is_the_outcome_and_each_detail_is_said_once():
    troubles = (warning("a"), skipped("b"), Trouble("c"), warning("a"))
    (finding,) = judge([Claim("Code", "x", "it is so", lambda _: troubles)], None)

    assert (finding.outcome, finding.details, finding.anchor) == (Outcome.FAILED, ("a", "b", "c"), "code")
    assert judge([Claim("Code", "x", "it is so", lambda _: ())], None)[0].outcome is Outcome.OK


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"crds": {}}, "CrdOutdated", "iad: voiceagents.holdfast.dev lacks spec.failoverPolicy, status.cond"),
        ({"pods": (0, 2)}, "OperatorDown", "iad: 0 of 2 operator pods are ready"),
        ({"pods": (1, 2)}, "OperatorDown", "iad: 1 of 2 operator pods are ready"),
        ({"active": False}, "HeartbeatStale", "iad: no operator pod holds the Lease"),
        ({"alive": False}, "HeartbeatStale", "iad: the Lease holdfast-region is not renewed"),
        ({"doubts": True}, "ObserverDoubts", "iad reaches nothing else either"),
        ({"paused": "a launch"}, "Paused", "the fleet: a launch (said in iad)"),
        ({"peers": ("fra",)}, "PeerMissing", "iad has no peer ams in fleet.peers"),
        ({"tokens": (Token("fra", "expired", "d"),)}, "PeerTokenExpired", "iad: the token for fra is expired: d"),
        ({"tokens": (Token("fra", "refused", "d"),)}, "PeerTokenRefused", "iad: the token for fra is refused: d"),
        ({"tokens": (Token("fra", "missing", "d"),)}, "PeerTokenMissing", "iad: the token for fra is missing: d"),
        ({"votes": {}}, "VoteStale", "iad has no Lease holdfast-fleet-eu"),
        ({"votes": {"eu": Vote("uid", 60.0)}}, "VoteStale", "iad: nobody renews the vote of eu"),
        ({"votes": {"eu": Vote("uid", None)}}, "VoteStale", "iad: nobody renews the vote of eu"),
        ({"regions": {"fra": REGION}}, "RegionMissing", "iad has no Region ams"),
        ({"regions": {"fra": shown({"host": "x", "origins": {"edge": "pool"}}), "ams": REGION}}, "RegionDiffers",
         "Region fra in iad differs from that in ams, fra"),
        ({"policies": {}}, "PolicyDiffers", "iad has no FailoverPolicy eu, in which it has a vote"),
        ({"policies": {"eu": shown({**EU, "host": "x"})}}, "PolicyDiffers", "FailoverPolicy eu in iad differs"),
        ({"policies": {"eu": shown(EU, ("CopyInSync", "False", "SpecConflict"))}}, "CopyConflict",
         "zone eu: SpecConflict: m"),
        ({"policies": {"eu": shown(EU, ("QuorumHeld", "False", "NoMajority"))}}, "NoMajority",
         "zone eu: NoMajority: m"),
        ({"agents": {"clinic/desk": shown({}, ("Accepted", "False", "InvalidSpec"))}}, "AgentRefused",
         "clinic/desk in iad: InvalidSpec: m"),
        ({"agents": {"clinic/desk": shown({}, ("Ready", "False", "PodsNotReady"))}}, "AgentNotReady",
         "clinic/desk in iad: PodsNotReady: m"),
        ({"agents": {"clinic/desk": shown({}, ("FallbackReady", "False", "RouteDiffers"))}}, "FallbackWrong",
         "clinic/desk: RouteDiffers: m"),
        ({"agents": {"clinic/desk": shown({}, ("FallbackReady", "Unknown", "RouteUnknown"))}}, "FallbackWrong",
         "clinic/desk: RouteUnknown: m"),
        ({"regions": {"fra": shown(REGION["spec"], ("RouteInSync", "False", "RouteDiffers")), "ams": REGION}},
         "RouteDiffers", "fra: RouteDiffers: m"),
    ],
)  # fmt: skip
def test_a_fault_in_one_cluster_is_found_under_its_code(changes, code, detail):
    found = faults(picture(cluster("ams"), cluster("fra"), cluster("iad", **changes)))

    assert any(detail in each for each in found[code][1]), found


@pytest.mark.parametrize(
    ("part", "codes"),
    [
        ("crds", {"CrdOutdated"}), ("pods", {"OperatorDown"}), ("peers", {"PeerMissing"}),
        ("tokens", {"PeerTokenMissing", "PeerTokenExpired", "PeerTokenRefused"}),
        ("agents", {"FallbackWrong", "AgentRefused", "AgentNotReady"}),
    ],
)  # fmt: skip
def test_what_could_not_be_read_is_skipped_and_never_sound(part, codes):
    found = faults(picture(cluster("ams", **{part: None}), cluster("fra"), cluster("iad")))

    assert {code for code, (outcome, _) in found.items() if outcome is Outcome.SKIPPED} == codes | set(UNASKED)


def test_leases_that_may_not_be_read_say_nothing_about_heartbeats_and_votes():
    found = faults(picture(cluster("ams", active=False, votes={}, unread={"leases": "forbidden"}), cluster("fra")))

    assert found["HeartbeatStale"] == (Outcome.SKIPPED, ("ams: the Leases could not be read: forbidden",))
    assert "VoteStale" not in found


def test_a_token_that_was_not_judged_is_skipped():
    found = faults(picture(cluster("ams", tokens=(Token("fra", "unread", "forbidden"),))))

    assert found["PeerTokenRefused"] == (Outcome.SKIPPED, ("ams: the token for fra: forbidden",))


def test_a_cluster_without_a_vote_in_the_zone_needs_neither_its_lease_nor_its_policy():
    far = cluster("lhr", policies={"eu": shown(EU)}, votes={}, peers=())
    without = cluster("gru", policies={}, votes={})

    assert faults(picture(cluster("ams"), far, without)) == UNASKED


def test_what_a_dead_operator_last_said_is_asked_only_when_none_lives():
    ill = {"eu": shown(EU, ("LeverReachable", "False", "LeverUnreachable"))}
    dead = cluster("ams", policies=ill, alive=False)

    assert "LeverUnreachable" not in faults(picture(dead, cluster("fra")))
    assert "LeverUnreachable" in faults(picture(dead))


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ((2.0, 2.6), (-0.2, 0.4), "ams is 2.2 s ahead of fra (±0.6 s, by their heartbeats)"),
        ((-3.0, -2.4), (-0.2, 0.4), "ams is 2.8 s behind fra (±0.6 s, by their heartbeats)"),
        ((1.0, 1.6), (-0.2, 0.4), ""),
        (None, (-0.2, 0.4), ""),
    ],
)
def test_clocks_differ_for_certain_only_where_even_the_nearest_is_too_far(one, other, said):
    found = faults(picture(cluster("ams", clock=one), cluster("fra", clock=other)))

    assert found.get("ClockSkew", (None, ("",)))[1][0] == said


def test_clocks_that_an_operator_measured_are_believed():
    found = faults(picture(cluster("ams", skew={"fra": 1.2, "iad": -1.0})))

    assert found["ClockSkew"] == (Outcome.FAILED, ("fra is 1.2 s ahead of ams, as ams measures it",))


def test_zones_of_two_voters_levers_without_origins_and_pauses_are_seen_in_specs():
    spec = {**EU, "witnesses": None, "paused": True}
    bare = {"fra": shown({"host": "h"}), "ams": REGION}
    found = faults(picture(cluster("ams", policies={"eu": shown(spec)}, regions=bare)))

    assert found["NoWitness"][1] == ("zone eu: fra and ams have no majority without each other: name a witness",)
    assert found["NoOrigin"][1] == ("zone eu: Region fra has no spec.origins.edge",)
    assert found["Paused"] == (Outcome.WARNING, ("zone eu: spec.paused is true",))


def test_a_region_that_nobody_shows_is_not_blamed_for_its_origins():
    assert "NoOrigin" not in faults(picture(cluster("ams", regions={"ams": REGION})))


@pytest.mark.parametrize(("reason", "found"), [("OneRegion", False), ("NotEnoughPods", True)])
def test_a_zone_of_one_region_is_not_blamed_for_its_loss(reason, found):
    policies = {"eu": shown(EU, ("ReadyForLoss", "False", reason))}

    assert ("NotReadyForLoss" in faults(picture(cluster("ams", policies=policies)))) is found


def test_a_silent_cluster_and_silent_hosts_are_named():
    found = faults(picture(silent={"fra": "no answer"}, hosts={"a": "", "b": "no such name"}))

    assert found["ClusterUnread"] == (Outcome.FAILED, ("fra: no answer",))
    assert found["HostSilent"] == (Outcome.FAILED, ("b: no such name",))


def test_a_schema_without_versions_has_no_field():
    assert not has_field({}, "spec")
    assert has_field(schema("spec.host"), "spec.host")
    assert not has_field(schema("spec.host"), "spec.host.name")


# Before the installation.

FIT = Site("ams", version=(1, 32), denied=(), crds={}, exists=False, classes=("nginx",))


def before(site: Site, **changes) -> dict[str, tuple[Outcome, tuple[str, ...]]]:
    ground = replace(Ground((site,), "holdfast-system", named=True), **changes)
    return {each.code: (each.outcome, each.details) for each in judge(CLAIMS_BEFORE, ground) if each.details}


def test_a_fit_cluster_is_fit():
    assert before(FIT) == {}
    labelled = replace(FIT, exists=True, labels={ENFORCE: "restricted"}, crds={**WHOLE, "others.holdfast.dev": {}})
    assert before(labelled) == {}


@pytest.mark.parametrize(
    ("changes", "code", "outcome"),
    [
        ({"silent": "no answer"}, "ClusterSilent", Outcome.FAILED),
        ({"version": (1, 29)}, "KubernetesTooOld", Outcome.FAILED),
        ({"denied": ("create clusterroles",)}, "RightsMissing", Outcome.FAILED),
        ({"crds": {"regions.holdfast.dev": schema("spec.host")}}, "CrdForeign", Outcome.WARNING),
        ({"exists": True}, "NamespaceUnfit", Outcome.WARNING),
        ({"exists": True, "ending": True}, "NamespaceUnfit", Outcome.FAILED),
        ({"classes": ()}, "IngressClassMissing", Outcome.FAILED),
        ({"version": None}, "KubernetesTooOld", Outcome.SKIPPED),
        ({"denied": None}, "RightsMissing", Outcome.SKIPPED),
        ({"crds": None}, "CrdForeign", Outcome.SKIPPED),
        ({"exists": None}, "NamespaceUnfit", Outcome.SKIPPED),
        ({"classes": None}, "IngressClassMissing", Outcome.SKIPPED),
    ],
)
def test_what_would_stop_an_installation_is_named(changes, code, outcome):
    found = before(replace(FIT, **changes))

    assert list(found) == [code]
    assert found[code][0] is outcome


def test_contexts_are_asked_for_by_name():
    assert before(FIT, missing=("lhr",)) == {"ContextMissing": (Outcome.FAILED, ("the kubeconfig has no context lhr",))}
    assert before(FIT, named=False)["ContextMissing"][0] is Outcome.SKIPPED
