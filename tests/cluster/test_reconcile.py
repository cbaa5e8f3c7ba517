"""The reconciler against a real API server, with the rights that the chart gives it and no others."""

import asyncio
import contextlib
import json

import chart
import pytest
from api_objects import AGENT, POLICY, REGIONS, ZONE_SECRETS, changed
from apiserver import conditions, until

from holdfast import fleet_picture, fleet_secrets, handlers, kube, telemetry
from holdfast.core.place import Release
from holdfast.core.status import Condition
from holdfast.core.values import AgentRef, Reason
from holdfast.desired import Desired, PodReport
from holdfast.fleet_status import StatusBoard, Target, Wanted
from holdfast.handlers.reconciler import Reconciler

pytestmark = pytest.mark.cluster

KINDS = "configmaps,deployments,services,ingresses,poddisruptionbudgets,networkpolicies,secrets"
REF = AgentRef("clinic", "front-desk")


@pytest.fixture
def clean(api):
    """Nothing of ours when a test begins: each says what there is."""
    api.kubectl("delete", f"va,{KINDS},events", "--all", "-A", "--now")
    api.kubectl("delete", "fop,regions", "--all", "--now")
    return api


@contextlib.asynccontextmanager
async def operator(api, token_file, *, active=lambda: True, regions=()):
    client = api.client("fra", token_file=token_file)
    context = handlers.Context(
        kube=client,
        secrets=fleet_secrets.Secrets(client, "holdfast-system"),
        desired=Desired(),
        release=Release(region="fra", namespace="holdfast-system", bridge_image="localhost/holdfast-bridge:dev",
                        ingress_class="holdfast-lab", redis_url="redis://holdfast-redis.holdfast-system.svc:6379/0"),
        active=active,
        events=handlers.Recorder(client, pod="operator-1", wall=lambda: "2026-11-21T08:00:00Z"),
        wall=lambda: "2026-11-21T08:00:00Z",
        regions=regions,
    )  # fmt: skip
    reconciler = Reconciler(context)
    running = asyncio.create_task(reconciler.run())
    try:
        yield reconciler
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await client.close()


async def settled(reconciler: Reconciler, *, rounds: int = 1) -> None:
    """Until everything there is has been looked at and nothing waits."""
    before = reconciler.rounds
    await until(lambda: reconciler.rounds >= before + rounds and not len(reconciler.pending))


def versions(api) -> dict[str, str]:
    """The resourceVersion of everything that could have been written."""
    written = {}
    for scope in (f"{KINDS},voiceagents,events", "failoverpolicies,regions"):
        for each in json.loads(api.kubectl("get", scope, "-A", "-o", "json").stdout)["items"]:
            metadata = each["metadata"]
            if metadata.get("namespace") in {"default", "kube-system"}:
                continue
            name = f"{each['kind']} {metadata.get('namespace')}/{metadata['name']}"
            written[name] = metadata["resourceVersion"]
    return written


async def test_an_agent_is_placed_by_the_rights_of_the_chart(clean, token_file):
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)

    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)

    names = clean.kubectl("get", KINDS, "-n", "clinic", "-o", "name").stdout.split()
    assert sorted(names) == [
        "configmap/front-desk-bridge",
        "deployment.apps/front-desk-bridge",
        "ingress.networking.k8s.io/front-desk-bridge",
        "networkpolicy.networking.k8s.io/front-desk-bridge",
        "poddisruptionbudget.policy/front-desk-bridge",
        "secret/front-desk-bridge",
        "service/front-desk-bridge",
    ]
    assert conditions(clean, "va", "front-desk")["Placed"][:2] == ("True", "Placed")
    assert conditions(clean, "fop", "eu")["SecretsFound"][:2] == ("True", "SecretsFound")
    canary = clean.kubectl("get", "deployment", "canary-bridge", "-n", "holdfast-system", "-o", "name").stdout
    assert canary.strip() == "deployment.apps/canary-bridge"


async def test_a_second_look_writes_nothing(clean, token_file):
    """The smallest sign of a controller that fights with itself or with the API server's defaults."""
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)
    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)
        await reconciler.look()  # Only now are there pods to tell of; in a cluster the watch brings them.
        await settled(reconciler, rounds=5)
        before = versions(clean)
        await reconciler.look()
        await settled(reconciler, rounds=5)
        assert versions(clean) == before

    # Nor does the next operator, which remembers nothing.
    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)
    assert versions(clean) == before


async def test_drift_is_mended(clean, token_file):
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)
    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)
        clean.kubectl("scale", "deployment", "front-desk-bridge", "-n", "clinic", "--replicas=0")
        clean.kubectl("delete", "service", "front-desk-bridge", "-n", "clinic")
        await reconciler.look()
        await settled(reconciler)

    shown = clean.kubectl("get", "deployment", "front-desk-bridge", "-n", "clinic", "-o", "jsonpath={.spec.replicas}")
    assert shown.stdout == "2"
    assert clean.kubectl("get", "service", "front-desk-bridge", "-n", "clinic").returncode == 0


@pytest.mark.parametrize(
    ("path", "value", "reason", "words"),
    [
        ("spec.failoverPolicy", "nowhere", "UnknownPolicy", "spec.failoverPolicy"),
        ("spec.telephony.numbers.0.number", "+4930555099", "NumberNotAllowed", "spec.telephony.numbers[0].number"),
        ("spec.telephony.numbers.0.carrier", "telnyx", "CarrierNotAllowed", "spec.telephony.numbers[0].carrier"),
        ("spec.attempts.0.realtime.baseUrl", "wss://us.api.openai.com/v1", "HostOutsideResidency",
         "spec.attempts[openai].realtime.baseUrl"),
    ],
)  # fmt: skip
async def test_a_bad_agent_says_which_field_and_stops_nobody(clean, token_file, path, value, reason, words):
    bad = changed(changed(AGENT, path, value), "metadata.name", "bad")
    clean.apply(*REGIONS, POLICY, AGENT, bad, *ZONE_SECRETS)

    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=6)

    status, code, message = conditions(clean, "va", "bad")["Ready"]
    assert (status, code) == ("False", reason)
    assert words in message
    assert clean.kubectl("get", "deployment", "bad-bridge", "-n", "clinic").returncode != 0
    assert conditions(clean, "va", "front-desk")["Placed"][0] == "True"
    assert reason in clean.kubectl("describe", "va", "bad", "-n", "clinic").stdout


async def test_a_refused_edit_leaves_what_runs_as_it_is(clean, token_file):
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)
    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)
        clean.apply(changed(AGENT, "spec.telephony.numbers.0.number", "+4930555099"))
        await reconciler.look()
        await settled(reconciler)

    assert conditions(clean, "va", "front-desk")["Accepted"][:2] == ("False", "NumberNotAllowed")
    assert clean.kubectl("get", "deployment", "front-desk-bridge", "-n", "clinic").returncode == 0


@pytest.mark.parametrize(
    ("bent", "reason", "field"),
    [
        (changed(POLICY, "spec.regions.1.name", "lhr"), "UnknownRegion", "spec.regions["),
        (changed(changed(POLICY, "spec.witnesses", []), "spec.regions.1.name", "iad"), "RegionOutsideResidency",
         "spec.regions["),
        (changed(POLICY, "spec.residency", "ch"), "NoLegalRegion", "spec.regions: "),
        (changed(POLICY, "spec.host", "fra.voice.example.com"), "CyclicFallback", "spec.host: "),
    ],
)  # fmt: skip
async def test_a_bad_policy_says_which_field(clean, token_file, bent, reason, field):
    clean.apply(*REGIONS, bent, *ZONE_SECRETS)

    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=4)

    status, code, message = conditions(clean, "fop", "eu")["Accepted"]
    assert (status, code) == ("False", reason)
    assert message.startswith(field)


async def test_a_number_of_two_policies_is_told_on_both_and_its_agent_runs_on(clean, token_file):
    second = changed(changed(POLICY, "metadata.name", "eu-2"), "spec.host", "eu-2.voice.example.com")
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)
    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)
        clean.apply(second)
        await reconciler.look()
        await settled(reconciler, rounds=5)

    for policy in ("eu", "eu-2"):
        status, code, message = conditions(clean, "fop", policy)["Accepted"]
        assert (status, code) == ("False", "NumberContested")
        assert "eu, eu-2" in message
    assert conditions(clean, "va", "front-desk")["Accepted"][:2] == ("False", "NumberContested")
    assert conditions(clean, "va", "front-desk")["Placed"][:2] == ("True", "Placed")


async def test_a_cordon_is_taken_in_and_outlives_the_charts_own_word_on_the_region(clean, token_file):
    """The operator writes the Regions of its chart's values; what a person wrote beside them stays."""
    told = chart.VALUES["fleet"]["regions"]
    patch = {"spec": {"cordon": {"until": "2026-11-21T12:00:00Z", "reason": "new disks"}}}
    async with operator(clean, token_file, regions=told) as reconciler:
        await settled(reconciler, rounds=2)
        clean.kubectl("patch", "region", "fra", "--type=merge", "-p", json.dumps(patch))
        clean.kubectl("patch", "region", "fra", "--type=merge", "-p", '{"spec":{"host":"elsewhere.example.com"}}')
        await reconciler.look()
        await settled(reconciler, rounds=5)

    assert reconciler.context.desired.orders["fra"].cordon.reason == "new disks"
    shown = clean.kubectl("get", "region", "fra", "-o", "jsonpath={.spec.host} {.spec.cordon.reason}").stdout
    assert shown == "fra.voice.example.com new disks"


async def test_a_missing_secret_is_named_on_policy_and_agent(clean, token_file):
    clean.apply(*REGIONS, POLICY, AGENT, *(each for each in ZONE_SECRETS if each["metadata"]["name"] != "twilio-eu"))

    async with operator(clean, token_file) as reconciler:
        await until(lambda: conditions(clean, "va", "front-desk") and conditions(clean, "fop", "eu"))
        assert reconciler.rounds > 0

    for kind, name, type_ in (("va", "front-desk", "Ready"), ("fop", "eu", "SecretsFound")):
        status, code, message = conditions(clean, kind, name)[type_]
        assert (status, code) == ("False", "MissingSecret")
        assert "spec.carriers[twilio-eu]" in message
        assert "twilio-eu" in message


async def test_a_missing_provider_key_and_an_unfit_attempt_are_named_as_the_pod_reports_them(clean, token_file):
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)
    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)
        unfit = "not tried: attempt backup: options has no 'tempo'; it has none"
        report = PodReport(ready=False, missing_keys=("Secret clinic/openai key api-key",), problems=(unfit,))
        reconciler.context.desired.report(REF, "front-desk-bridge-1", report)
        await settled(reconciler)

    status, code, message = conditions(clean, "va", "front-desk")["KeysPresent"]
    assert (status, code) == ("False", "MissingKeys")
    assert message == "missing: Secret clinic/openai key api-key"
    assert conditions(clean, "va", "front-desk")["SettingsFollowed"] == ("False", "SettingsRefused", unfit)


async def test_a_standby_learns_everything_and_writes_nothing(clean, token_file):
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)
    before = versions(clean)
    is_active = False
    async with operator(clean, token_file, active=lambda: is_active) as reconciler:
        await until(lambda: REF in reconciler.context.desired.agents)
        assert versions(clean) == before
        is_active = True
        await settled(reconciler, rounds=5)
    assert clean.kubectl("get", "deployment", "front-desk-bridge", "-n", "clinic").returncode == 0


async def test_the_fleets_regions_come_from_the_charts_values(clean, token_file):
    regions = chart.VALUES["fleet"]["regions"]
    async with operator(clean, token_file, regions=regions) as reconciler:
        await settled(reconciler, rounds=2)

    found = clean.kubectl("get", "regions", "-o", "jsonpath={.items[*].metadata.name}").stdout.split()
    assert found == ["ams", "fra", "iad"]


async def test_an_agent_leaves_a_region_that_its_zone_leaves(clean, token_file):
    clean.apply(*REGIONS, POLICY, AGENT, *ZONE_SECRETS)
    async with operator(clean, token_file) as reconciler:
        await settled(reconciler, rounds=5)
        clean.apply(changed(POLICY, "spec.regions", [{"name": "ams", "weight": 1}]))
        await reconciler.look()
        await settled(reconciler)

    assert conditions(clean, "va", "front-desk")["Ready"][:2] == ("False", "OutsideZone")
    assert clean.kubectl("get", "deployment", "front-desk-bridge", "-n", "clinic").returncode != 0
    held = json.loads(clean.kubectl("get", "secret", "front-desk-bridge", "-n", "clinic", "-o", "json").stdout)
    assert not held.get("data")


async def test_a_status_says_so_when_an_agents_pods_have_all_gone(clean, token_file):
    """Regression: the API server refused it, and the status said what was true before for as long as no pod came."""
    assert clean.apply(AGENT).returncode == 0
    target = (kube.AGENTS, REF.namespace, REF.name)
    client = clean.client("fra", token_file=token_file)
    says: dict[Target, Wanted] = {}
    board = StatusBoard(
        client=client, wanted=lambda: says, record=None, moving=lambda: False, clock=lambda: 0.0,
        wall=lambda: "2026-11-21T08:00:00Z", metrics=telemetry.Metrics(),
    )  # fmt: skip
    try:
        for by_pod, reason in (({"front-desk-a": 2}, "Before"), ({}, "After")):
            condition = Condition("Reachable", True, Reason(reason, "as it is"))
            says[target] = Wanted("VoiceAgent", fleet_picture.counted(by_pod), [condition])
            await board.write()
    finally:
        await client.close()

    told = json.loads(clean.kubectl("get", "va", REF.name, "-n", REF.namespace, "-o", "json").stdout)["status"]
    assert told["activeCalls"] == 0
    assert not told.get("callsByPod")
    assert conditions(clean, "va", REF.name)["Reachable"][1] == "After"
