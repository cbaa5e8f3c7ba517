"""The chart, rendered as Helm renders it and checked as data."""

import copy
import json

import chart
import pytest

from holdfast.settings import Settings

pytestmark = pytest.mark.skipif(not chart.available(), reason="no helm: run `make tools`")


@pytest.fixture(scope="module")
def objects():
    return chart.rendered()


def bent(path: str, value) -> dict:
    values = copy.deepcopy(chart.VALUES)
    *steps, last = path.split(".")
    at = values
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    at[last] = value
    return values


def pods(objects):
    """(name, pod spec) of everything that runs."""
    for (kind, name), each in objects.items():
        if kind in {"Deployment", "StatefulSet"}:
            yield name, each["spec"]["template"]["spec"]
        if kind == "CronJob":
            yield name, each["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_every_pod_satisfies_the_restricted_standard(objects):
    seen = dict(pods(objects))
    assert set(seen) == {"holdfast-operator", "holdfast-redis", "holdfast-gameday"}
    for pod in seen.values():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_bridges_reach_the_active_pod_only(objects):
    selector = objects["Service", "holdfast-operator"]["spec"]["selector"]

    assert selector == {"app.kubernetes.io/name": "holdfast-operator", "holdfast.dev/active": "true"}
    labels = objects["Deployment", "holdfast-operator"]["spec"]["template"]["metadata"]["labels"]
    assert "holdfast.dev/active" not in labels


def test_two_operator_pods_of_which_one_may_be_disrupted(objects):
    assert objects["Deployment", "holdfast-operator"]["spec"]["replicas"] == 2
    assert objects["PodDisruptionBudget", "holdfast-operator"]["spec"]["maxUnavailable"] == 1


def test_the_settings_are_what_the_operator_reads(objects):
    written = json.loads(objects["ConfigMap", "holdfast-operator"]["data"]["settings.json"])
    told = Settings.model_validate(written)

    assert (told.region, told.namespace, told.zones) == ("fra", "holdfast-system", ("eu",))
    assert told.bridge_image == "localhost/holdfast-bridge:dev"
    assert told.redis_url == "redis://holdfast-redis.holdfast-system.svc:6379/0"
    assert [each["name"] for each in told.regions] == ["fra", "ams", "iad"]
    assert set(written) <= {each.alias for each in Settings.model_fields.values()}
    assert written["peers"] == [{
        "name": "ams", "server": "https://172.30.0.12:6443",
        "caFile": "/etc/holdfast/peers/ams/ca.crt", "tokenFile": "/etc/holdfast/peers/ams/token",
    }]  # fmt: skip
    assert len(told.reference_targets) >= 3


def test_an_extra_authority_reaches_operator_and_bridges():
    objects = chart.rendered(bent("extraCA", "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"))
    data = objects["ConfigMap", "holdfast-operator"]["data"]
    (container,) = objects["Deployment", "holdfast-operator"]["spec"]["template"]["spec"]["containers"]

    assert data["ca.crt"].startswith("-----BEGIN CERTIFICATE-----\nabc")
    assert {"name": "SSL_CERT_FILE", "value": "/etc/holdfast/ca/ca.crt"} in container["env"]
    assert json.loads(data["settings.json"])["extraCA"] is True


def test_a_peers_token_comes_from_its_secret_and_never_from_values(objects):
    (volume,) = [
        each for each in objects["Deployment", "holdfast-operator"]["spec"]["template"]["spec"]["volumes"]
        if each["name"] == "holdfast"
    ]  # fmt: skip
    secrets = [each["secret"] for each in volume["projected"]["sources"] if "secret" in each]

    assert {"name": "peer-ams", "optional": True, "items": [{"key": "token", "path": "peers/ams/token"}]} in secrets


def rules(objects, kind, name):
    return [
        (group, resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in objects[kind, name]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def test_nobody_may_do_everything(objects):
    for kind, name in objects:
        if kind in {"Role", "ClusterRole"}:
            for rule in rules(objects, kind, name):
                assert "*" not in rule, name


def test_the_operator_reads_secrets_of_its_own_namespace_only(objects):
    wide, own = (
        {verb for _, resource, verb, _ in rules(objects, kind, "holdfast-operator") if resource == "secrets"}
        for kind in ("ClusterRole", "Role")
    )

    assert wide == {"create", "patch"}
    assert own == {"get"}


def test_a_peer_reads_this_group_and_updates_votes_and_nothing_else(objects):
    assert {(group, verb) for group, _, verb, _ in rules(objects, "ClusterRole", "holdfast-peer")} == {
        ("holdfast.dev", "get"), ("holdfast.dev", "list"), ("holdfast.dev", "watch"),
    }  # fmt: skip
    assert set(rules(objects, "Role", "holdfast-peer")) == {
        ("coordination.k8s.io", "leases", "get", ()),
        ("coordination.k8s.io", "leases", "update", ("holdfast-fleet-eu",)),
        ("coordination.k8s.io", "leases", "patch", ("holdfast-fleet-eu",)),
        ("", "configmaps", "get", ("holdfast-tombstones",)),
    }
    assert ("Lease", "holdfast-fleet-eu") in objects


def test_a_reader_sees_what_the_plugin_needs_and_nothing_else(objects):
    """It is bound to nobody: who is on call is not the chart's to know."""
    wide = {(group, verb) for group, _, verb, _ in rules(objects, "ClusterRole", "holdfast-reader")}

    assert wide == {("holdfast.dev", "get"), ("holdfast.dev", "list"), ("holdfast.dev", "watch")}
    assert sorted(rules(objects, "Role", "holdfast-reader"), key=str) == [
        ("", "configmaps", "get", ("holdfast-decisions",)),
        ("coordination.k8s.io", "leases", "get", ()),
        ("coordination.k8s.io", "leases", "list", ()),
    ]
    assert not {kind for kind, name in objects if name == "holdfast-reader"} - {"Role", "ClusterRole"}


def test_who_is_on_call_may_order_a_region_and_change_nothing_else(objects):
    wide = {(kind, verb) for _, kind, verb, _ in rules(objects, "ClusterRole", "holdfast-on-call")}

    assert wide == {("regions", verb) for verb in ("get", "list", "watch", "patch")}
    assert not {kind for kind, name in objects if name == "holdfast-on-call"} - {"ClusterRole"}


def test_the_operator_reaches_turn_servers_and_what_its_owner_names(objects):
    def ports(rendered):
        egress = rendered["NetworkPolicy", "holdfast-operator"]["spec"]["egress"]
        return {(each["port"], each["protocol"]) for rule in egress for each in rule["ports"]}

    assert {(3478, "UDP"), (3478, "TCP"), (5349, "TCP")} <= ports(objects)
    own = chart.rendered(bent("networkPolicy.operatorEgress", [{"port": 5060, "protocol": "UDP"}]))
    assert (5060, "UDP") in ports(own)
    assert (3478, "UDP") not in ports(own)


def test_redis_keeps_a_volume_only_where_there_is_a_storage_class(objects):
    stateful = objects["StatefulSet", "holdfast-redis"]["spec"]
    assert stateful["template"]["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    assert "volumeClaimTemplates" not in stateful

    claimed = chart.rendered(bent("redis.storageClass", "fast"))["StatefulSet", "holdfast-redis"]["spec"]
    assert claimed["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    assert "volumes" not in claimed["template"]["spec"]


def test_an_external_redis_replaces_the_embedded_one():
    objects = chart.rendered(bent("redis.url", "rediss://cache.example.com:6380/0"))

    assert ("StatefulSet", "holdfast-redis") not in objects
    settings = json.loads(objects["ConfigMap", "holdfast-operator"]["data"]["settings.json"])
    assert settings["redisUrl"] == "rediss://cache.example.com:6380/0"


def test_only_bridges_reach_redis_and_the_control_port(objects):
    redis = objects["NetworkPolicy", "holdfast-redis"]["spec"]
    assert redis["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in redis
    control = objects["NetworkPolicy", "holdfast-operator"]["spec"]["ingress"][0]
    for rule in (*redis["ingress"], control):
        (source,) = rule["from"]
        assert source["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "holdfast-bridge"}


def test_the_rehearsal_is_suspended_and_dry(objects):
    job = objects["CronJob", "holdfast-gameday"]["spec"]
    (container,) = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]

    assert job["suspend"] is True
    assert container["command"] + container["args"] == [
        "python3", "-m", "holdfast_gameday", "run", "/scenarios/region-loss.yaml", "--dry-run",
    ]  # fmt: skip
    assert objects["ConfigMap", "holdfast-scenarios"]["data"]["region-loss.yaml"].strip()


def test_the_words_of_a_pause_reach_the_operator():
    objects = chart.rendered(bent("paused", "the vendor migrates"))
    written = json.loads(objects["ConfigMap", "holdfast-operator"]["data"]["settings.json"])

    assert Settings.model_validate(written).paused == "the vendor migrates"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("region.name", "", "/region/name"),
        ("region.name", "lhr", "is not among fleet.regions"),
        ("fleet.regions.0.host", "https://fra", "/fleet/regions/0/host"),
        ("fleet.referenceTargets", ["https://one.example.com"], "/fleet/referenceTargets"),
        ("fleet.peers.0.server", "http://172.30.0.12", "/fleet/peers/0/server"),
        ("operator.replicas", 0, "/operator/replicas"),
        ("paused", True, "/paused"),
        ("regions", [], "additional properties 'regions' not allowed"),
    ],
)
def test_wrong_values_are_refused_with_their_path(path, value, words):
    done = chart.helm("template", "holdfast", chart.CHART, values=bent(path, value))

    assert done.returncode != 0
    assert words in done.stderr


def test_helm_lints_it():
    done = chart.helm("lint", chart.CHART)

    assert done.returncode == 0, done.stdout


def test_the_notes_end_with_the_next_step():
    done = chart.helm("install", "holdfast", chart.CHART, "--dry-run=client")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("next: ")
