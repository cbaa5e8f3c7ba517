"""`doctor` over whole fleets: each planted fault is found under its own code, and a sound fleet has none."""

from __future__ import annotations

import base64
import io
import json
import socket
from pathlib import Path

import cli_near
import cli_picture
import cli_schemas
import jsonschema
import pytest
from cli_fleet import API, LEASES
from cli_picture import CONFIG, CRDS, DEPLOYMENT, NAMESPACE, TOKEN_REVIEWS, objects, turn

from holdfast.cli import doctor, examine, fleet
from holdfast.cli.exits import ExitStatus
from holdfast.cli.options import Options
from holdfast.core.claims import CLAIMS
from holdfast.core.claims_before import CLAIMS_BEFORE

PAGE = Path(doctor.PAGE)
FORBIDDEN = {"error": 'Error from server (Forbidden): secrets "peer-fra" is forbidden'}
REFUSED = {"error": "Unable to connect to the server: connection refused"}


@pytest.fixture
def whole(fleet):
    """A sound fleet with its CRDs."""
    return cli_picture.sound(fleet, whole=True)


def diagnosed(world, *, output: str = "json", connect=None, contexts=(), pre=False, **options) -> tuple[int, str]:
    told = Options(out=io.StringIO(), environment={}, contexts=contexts, **options)
    status = doctor.run(
        told, pre=pre, network=connect is not None, output=output, asking=cli_near.asking(world, told), connect=connect
    )
    return status, told.out.getvalue()


def found(world, **how) -> dict[str, tuple[str, str]]:
    """What does not hold: by code, its outcome and details."""
    claims = json.loads(diagnosed(world, **how)[1])["claims"]
    return {
        each["code"]: (each["outcome"], " | ".join(each["details"]))
        for each in claims
        if each["outcome"] not in ("ok", "skipped")
    }


def token(**claims) -> dict[str, dict[str, str]]:
    """A Secret with a signed-looking token that says so of itself."""
    said = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return {"data": {"token": base64.b64encode(f"head.{said}.sign".encode()).decode()}}


def test_a_sound_fleet_has_no_fault(whole):
    status, out = diagnosed(whole)
    told = json.loads(out)

    assert status == ExitStatus.DONE
    assert found(whole) == {}
    assert (told["success"], told["failed"], told["warnings"], told["skipped"]) == (True, 0, 0, 1)


# Ten faults and some more, each planted alone.


def test_a_peers_token_that_has_expired(whole):
    whole.clusters["ams"][f"{NAMESPACE}/secrets/peer-fra"] = token(exp=1_700_000_000)

    assert list(found(whole)) == ["PeerTokenExpired"]
    assert "ams: the token for fra is expired: Secret peer-fra, since " in found(whole)["PeerTokenExpired"][1]


def test_a_peers_token_that_is_refused(whole):
    whole.clusters["fra"][TOKEN_REVIEWS] = {"status": {"authenticated": False, "error": "unknown"}}
    outcome, details = found(whole)["PeerTokenRefused"]

    assert list(found(whole)) == ["PeerTokenRefused"]
    assert outcome == "failed"
    assert "ams: the token for fra is refused: fra does not know it" in details
    assert "iad: the token for fra is refused" in details


@pytest.mark.parametrize("there", [{}, {"data": {}}, {"data": {"token": "%%%"}}, {"data": {"token": "gAAA"}}])
def test_a_peers_token_that_is_not_there(whole, there):
    whole.clusters["ams"][f"{NAMESPACE}/secrets/peer-fra"] = there

    assert found(whole) == {
        "PeerTokenMissing": ("failed", "ams: the token for fra is missing: Secret peer-fra has no key token")
    }


def test_no_token_is_ever_printed_or_passed_as_an_argument(whole):
    secret = token(exp=1_700_000_000)["data"]["token"]
    whole.clusters["ams"][f"{NAMESPACE}/secrets/peer-fra"] = {"data": {"token": secret}}
    out = diagnosed(whole, output="text", verbose=True)[1] + diagnosed(whole)[1]

    assert secret not in out
    assert base64.b64decode(secret).decode() not in out


@pytest.mark.parametrize(("ago_s", "words"), [(-5.0, "ams is 5.4 s behind fra"), (40.4, "ams is 40.0 s ahead of fra")])
def test_a_clock_that_differs_is_found_by_its_heartbeats(whole, ago_s, words):
    """Also where it makes a heartbeat look old: that it moves is the sign of life."""
    whole.clusters["fra"][LEASES]["items"][0]["spec"]["ago"] = ago_s
    faults = found(whole)

    assert list(faults) == ["ClockSkew"]
    assert faults["ClockSkew"][1].startswith(f"{words} (±")


def test_a_clock_that_an_operator_measured_to_differ(whole):
    whole.clusters["ams"][LEASES]["items"][0] = cli_picture.beat("ams", skew={"fra": -1.4, "iad": 0.2})

    assert found(whole) == {"ClockSkew": ("failed", "fra is 1.4 s behind ams, as ams measures it")}


def test_a_secret_that_a_policy_names_is_missing(whole):
    said = "spec.levers[edge]: Secret holdfast-system/cloudflare-eu is missing or not readable"
    turn(objects(whole, "failoverpolicies", "eu")[1], "SecretsFound", "False", "MissingSecret", said)

    assert found(whole) == {"SecretMissing": ("failed", f"zone eu: MissingSecret: {said}")}


def test_a_fallback_that_points_at_the_wrong_region(whole):
    said = "the carrier's application differs"
    for each in objects(whole, "voiceagents", "front-desk"):
        turn(each, "FallbackReady", "False", "RouteDiffers", said)

    assert found(whole) == {"FallbackWrong": ("failed", f"clinic/front-desk: RouteDiffers: {said}")}


def test_two_regions_without_a_witness(whole):
    for each in objects(whole, "failoverpolicies", "eu"):
        each["spec"]["witnesses"] = []
        turn(each, "QuorumHeld", "False", "NoWitness", "fra and ams have no majority")

    assert found(whole) == {
        "NoWitness": ("failed", "zone eu: fra and ams have no majority without each other: name a witness")
    }


def test_a_region_that_one_cluster_lacks(whole):
    items = whole.clusters["iad"][f"{API}/regions"]["items"]
    items[:] = [each for each in items if each["metadata"]["name"] != "fra"]

    assert found(whole) == {"RegionMissing": ("failed", "iad has no Region fra")}


def test_a_region_that_differs_in_one_cluster_but_not_by_what_people_order(whole):
    whole.held("iad", "fra")["spec"]["host"] = "old.voice.example.com"
    whole.held("ams", "fra")["spec"]["cordon"] = {"until": "2026-11-21T14:05:00Z", "reason": "x"}

    assert found(whole) == {"RegionDiffers": ("failed", "Region fra in iad differs from that in ams, fra")}


def test_a_crd_of_an_older_version(whole):
    for cluster in whole.clusters.values():
        region = cluster[f"{CRDS}/regions.holdfast.dev"]
        spec = region["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        del spec["override"]
    faults = found(whole)

    assert list(faults) == ["CrdOutdated"]
    assert "fra: regions.holdfast.dev lacks spec.override.guard" in faults["CrdOutdated"][1]


def test_crds_that_differ_between_clusters(whole):
    whole.clusters["iad"][f"{CRDS}/voiceagents.holdfast.dev"]["spec"]["versions"][0]["served"] = False

    assert found(whole) == {
        "CrdDiffers": ("failed", "CRD voiceagents.holdfast.dev in iad differs from that in ams, fra")
    }


def test_an_operator_that_does_not_run(whole):
    whole.clusters["fra"][DEPLOYMENT]["status"] = {}

    assert found(whole) == {"OperatorDown": ("failed", "fra: 0 of 2 operator pods are ready")}


def test_an_operator_with_one_pod_less_is_a_warning(whole):
    whole.clusters["fra"][DEPLOYMENT]["status"]["readyReplicas"] = 1
    status, _ = diagnosed(whole)

    assert status == ExitStatus.DONE
    assert found(whole) == {"OperatorDown": ("warning", "fra: 1 of 2 operator pods are ready")}


def test_a_region_without_an_active_pod(whole):
    whole.clusters["fra"][LEASES]["items"][0]["spec"]["holderIdentity"] = ""
    faults = found(whole)

    assert list(faults) == ["HeartbeatStale"]
    assert faults["HeartbeatStale"][1] == "fra: no operator pod holds the Lease holdfast-region, so none is active"


def test_a_heartbeat_that_moves_no_more(whole):
    lease = whole.clusters["fra"][LEASES]["items"][0]["spec"]
    del lease["ago"]
    lease["renewTime"] = "2026-11-21T12:00:00Z"

    assert found(whole) == {"HeartbeatStale": ("failed", "fra: the Lease holdfast-region is not renewed")}


@pytest.mark.parametrize("broken", [{"ago": 900.0}, {"holderIdentity": ""}])
def test_a_vote_that_its_leader_cannot_renew(whole, broken):
    whole.clusters["fra"][LEASES]["items"][1]["spec"] |= broken

    assert list(found(whole)) == ["VoteStale"]


def test_a_vote_that_is_not_there(whole):
    del whole.clusters["fra"][LEASES]["items"][1]

    assert "fra has no Lease holdfast-fleet-eu" in found(whole)["VoteStale"][1]


def test_a_policy_that_is_not_followed(whole):
    turn(objects(whole, "failoverpolicies", "eu")[0], "Accepted", "False", "UnknownRegion", "there is no Region lhr")

    assert found(whole) == {"PolicyRefused": ("failed", "zone eu: UnknownRegion: there is no Region lhr")}


def test_a_lever_that_does_not_answer(whole):
    turn(objects(whole, "failoverpolicies", "eu")[0], "LeverReachable", "False", "LeverUnreachable", "edge: Timeout")

    assert found(whole) == {"LeverUnreachable": ("failed", "zone eu: LeverUnreachable: edge: Timeout")}


def test_a_region_without_an_origin_at_a_lever(whole):
    for each in objects(whole, "regions", "fra"):
        each["spec"]["origins"] = {}

    assert found(whole) == {"NoOrigin": ("failed", "zone eu: Region fra has no spec.origins.edge")}


def test_a_zone_that_is_not_ready_for_the_loss_of_its_largest_region(whole):
    said = "without ams (24 calls) 1 ready pods have room for 10 calls"
    turn(objects(whole, "failoverpolicies", "eu")[0], "ReadyForLoss", "False", "NotEnoughPods", said)

    assert found(whole) == {"NotReadyForLoss": ("failed", f"zone eu: NotEnoughPods: {said}")}


def test_a_zone_with_one_provider_is_sound_and_warned(whole):
    """Found on real clusters: who wants one provider only would be told at every look that the fleet has failed."""
    said = "without api.openai.com no other attempt is well for clinic/front-desk in fra"
    turn(objects(whole, "failoverpolicies", "eu")[0], "ReadyForLoss", "False", "NoOtherAttempt", said)

    assert found(whole) == {"NotReadyForLoss": ("warning", f"zone eu: NoOtherAttempt: {said}")}


def test_the_only_region_of_a_zone_is_its_own_fallback_and_not_blamed(whole):
    said = "the zone has one region: the fallback URL leads to fra, as the edge does"
    turn(objects(whole, "voiceagents", "front-desk")[0], "FallbackReady", "False", "OneRegion", said)

    assert found(whole) == {}


def test_a_cluster_that_cannot_be_read(whole):
    whole.breaks("fra", "hang")

    assert found(whole)["ClusterUnread"][1].startswith("fra: API server silent for 10.0 s")


def test_an_operator_that_does_not_know_a_voter(whole):
    whole.clusters["fra"][CONFIG]["data"]["settings.json"] = json.dumps({"peers": [{"name": "ams"}]})

    assert found(whole) == {"PeerMissing": ("failed", "fra has no peer iad in fleet.peers")}


def test_public_names_are_asked_on_request_only(whole):
    answers = {"fra.voice.example.com": "the name does not resolve"}

    assert found(whole, connect=lambda host: answers.get(host, "")) == {
        "HostSilent": ("failed", "fra.voice.example.com: the name does not resolve")
    }


def test_an_open_port_answers_and_a_closed_one_does_not():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert examine.reach("127.0.0.1", port) == ""
    assert examine.reach("127.0.0.1", port) == f"port {port} does not answer: Connection refused"
    assert examine.reach("nobody.invalid") == "the name does not resolve"


# Rights.


def test_what_one_may_not_read_is_skipped_and_says_why(whole):
    for cluster in whole.clusters.values():
        for path in (DEPLOYMENT, CONFIG, f"{API}/voiceagents", f"{CRDS}/regions.holdfast.dev", LEASES):
            cluster[path] = FORBIDDEN
    status, out = diagnosed(whole)
    skipped = {each["code"]: each for each in json.loads(out)["claims"] if each["outcome"] == "skipped"}

    assert status == ExitStatus.DONE
    assert {"CrdOutdated", "OperatorDown", "HeartbeatStale", "PeerMissing", "PeerTokenRefused", "FallbackWrong"} <= set(
        skipped
    )
    assert "(Forbidden)" in skipped["OperatorDown"]["details"][0]


@pytest.mark.parametrize("path", [f"{NAMESPACE}/secrets/peer-fra", TOKEN_REVIEWS])
def test_tokens_that_may_not_be_read_or_judged_are_skipped(whole, path):
    for cluster in whole.clusters.values():
        cluster[path] = FORBIDDEN
    told = {each["code"]: each for each in json.loads(diagnosed(whole)[1])["claims"]}

    assert told["PeerTokenRefused"]["outcome"] == "skipped"
    assert found(whole) == {}


def test_a_token_of_a_peer_that_cannot_be_read_is_skipped(whole):
    whole.breaks("fra", REFUSED)
    told = {each["code"]: each for each in json.loads(diagnosed(whole)[1])["claims"]}

    assert "ams: the token for fra: the peer's cluster could not be read" in told["PeerTokenRefused"]["details"]


# How it is said.


def test_every_claim_has_a_code_and_an_anchor_of_its_own():
    codes = [claim.code for claim in (*CLAIMS, *CLAIMS_BEFORE)]

    assert len(set(codes)) == len(codes)
    assert all(code.isalnum() and code[0].isupper() for code in codes)


@pytest.mark.skipif(not PAGE.exists(), reason="the page of the command line is not written yet")
def test_every_anchor_is_a_heading_of_the_page():
    headings = {line[4:].strip().lower() for line in PAGE.read_text().splitlines() if line.startswith("### ")}

    assert {claim.code.lower() for claim in (*CLAIMS, *CLAIMS_BEFORE)} <= headings


def test_text_names_the_code_the_page_and_the_details_of_what_does_not_hold(whole):
    whole.clusters["fra"][DEPLOYMENT]["status"] = {}
    status, out = diagnosed(whole, output="text")
    lines = out.splitlines()

    assert status == ExitStatus.FAILED
    assert lines[:2] == ["clusters", "  ✔ every region's cluster can be read"]
    at = lines.index("  ✖ the operator runs in every region  failed  OperatorDown  docs/cli.md#operatordown")
    assert lines[at + 1] == "      fra: 0 of 2 operator pods are ready"
    assert lines[-2:] == [
        f"✖ 1 failed, 0 warnings, 1 skipped of {len(CLAIMS)} claims", "next: kubectl holdfast doctor -o short"
    ]  # fmt: skip


def test_short_is_what_one_pastes_into_a_chat(whole):
    whole.clusters["fra"][DEPLOYMENT]["status"] = {}
    out = diagnosed(whole, output="short")[1]

    assert out.splitlines() == [
        "✖ the operator runs in every region  failed  OperatorDown  docs/cli.md#operatordown",
        "    fra: 0 of 2 operator pods are ready",
        f"✖ 1 failed, 0 warnings, 1 skipped of {len(CLAIMS)} claims",
        "next: kubectl holdfast doctor -v",
    ]


def test_many_details_are_counted_and_shown_on_request(whole):
    for cluster in whole.clusters.values():
        for each in range(9):
            ill = cli_picture.agent(f"desk-{each}")
            turn(ill, "Accepted", "False", "NoLegalAttempt", "none")
            cluster[f"{API}/voiceagents"]["items"].append(ill)

    assert "… 19 more, by -v" in diagnosed(whole, output="short")[1]
    assert "more, by -v" not in diagnosed(whole, output="short", verbose=True)[1]


@pytest.mark.parametrize("plant", ["nothing", "a fault"])
def test_json_has_its_published_shape(whole, plant):
    if plant == "a fault":
        whole.clusters["fra"][DEPLOYMENT]["status"] = {}
    jsonschema.validate(json.loads(diagnosed(whole)[1]), cli_schemas.schema("doctor"))


# Before anything is installed.

RIGHTS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
SPACE = "/api/v1/namespaces/holdfast-system"


@pytest.fixture
def bare(fleet):
    """Clusters without anything of ours, in which one may install it."""
    for name in cli_picture.REGIONS:
        fleet.clusters[name] = {
            "/version": {"major": "1", "minor": "32+"},
            CLASSES: {"items": [{"metadata": {"name": "nginx"}}]},
            RIGHTS: {"status": {"allowed": True}},
        }
    return fleet


PRE = {"pre": True, "contexts": cli_picture.REGIONS}


def test_bare_clusters_are_fit(bare):
    status, out = diagnosed(bare, **PRE)

    assert status == ExitStatus.DONE
    assert found(bare, **PRE) == {}
    jsonschema.validate(json.loads(out), cli_schemas.schema("doctor"))
    assert json.loads(out)["next"].startswith("helm install holdfast")


@pytest.mark.parametrize(
    ("plant", "code", "words"),
    [
        ({"/version": {"major": "1", "minor": "29"}}, "KubernetesTooOld", "fra runs Kubernetes 1.29, 1.30 is"),
        ({"/version": REFUSED}, "ClusterSilent", "fra: Unable to connect"),
        ({CLASSES: {"items": []}}, "IngressClassMissing", "fra has no IngressClass"),
        ({RIGHTS: [("clusterroles", {"status": {"allowed": False}}), ("", {"status": {"allowed": True}})]},
         "RightsMissing", "fra: you may not create clusterroles"),
        ({SPACE: {"metadata": {"deletionTimestamp": "2026-11-21T12:00:00Z"}}}, "NamespaceUnfit", "is being deleted"),
        ({SPACE: {"metadata": {"labels": {}}}}, "NamespaceUnfit", "has no label pod-security"),
        ({f"{CRDS}/regions.holdfast.dev": {"spec": {"versions": []}}}, "CrdForeign", "is there and lacks"),
    ],
)  # fmt: skip
def test_what_would_stop_an_installation_is_found_before(bare, plant, code, words):
    bare.clusters["fra"] |= plant
    faults = found(bare, **PRE)

    assert list(faults) == [code]
    assert words in faults[code][1]


def test_a_region_without_a_context_is_found_before(bare):
    assert found(bare, pre=True, contexts=("ams", "lhr")) == {
        "ContextMissing": ("failed", "the kubeconfig has no context lhr")
    }


def test_without_named_contexts_only_the_current_one_is_asked(bare):
    told = {each["code"]: each for each in json.loads(diagnosed(bare, pre=True)[1])["claims"]}

    assert told["ContextMissing"]["outcome"] == "skipped"


def test_rights_that_may_not_even_be_asked_for_are_skipped(bare):
    for cluster in bare.clusters.values():
        cluster |= {RIGHTS: FORBIDDEN, CLASSES: FORBIDDEN, SPACE: FORBIDDEN, "/version": {"gitVersion": "v1"},
                    f"{CRDS}/regions.holdfast.dev": FORBIDDEN}  # fmt: skip
    told = {each["code"]: each["outcome"] for each in json.loads(diagnosed(bare, **PRE)[1])["claims"]}

    assert {code for code, outcome in told.items() if outcome == "skipped"} == {
        "KubernetesTooOld", "RightsMissing", "CrdForeign", "NamespaceUnfit", "IngressClassMissing",
    }  # fmt: skip


# Through real processes.


def test_through_kubectl_it_finds_the_same(whole, run):
    whole.clusters["fra"][TOKEN_REVIEWS] = {"status": {"authenticated": False}}
    whole.clusters["fra"][DEPLOYMENT]["status"] = {}
    whole.write()
    status, out, err = run("doctor", "-o", "json", "--request-timeout=30s")
    told = {each["code"]: each["details"] for each in json.loads(out)["claims"] if each["outcome"] == "failed"}

    assert (status, err) == (ExitStatus.FAILED, "")
    assert {code: " | ".join(details) for code, details in told.items()} == {
        code: details for code, (_, details) in found(whole).items()
    }
    assert not [words for words in whole.asked() if "dG9rZW4" in " ".join(words) or "token " in " ".join(words)]


def test_the_fake_without_a_process_answers_as_the_one_with(whole):
    words = Options(budget_s=30.0)
    near = cli_near.asking(whole, words)
    far = doctor.asking_for(words)
    paths = [fleet.AGENTS, DEPLOYMENT, CONFIG, f"{CRDS}/regions.holdfast.dev", "/nothing", f"{API}/regions"]

    for asked in ([("fra", path) for path in paths], [("lhr", "/version")]):
        assert near.kubectl(30.0).get(asked) == far.kubectl(30.0).get(asked)
    body = {"spec": {"token": "x"}}
    words = ["create", "--raw", TOKEN_REVIEWS, "-f", "-"]
    assert near.kubectl(30.0).send("fra", words, body) == far.kubectl(30.0).send("fra", words, body)
