"""The API server's own restricted standard, asked about every pod that we would make."""

import json

import chart
import pytest
from api_objects import AGENT, POLICY, REGIONS, stored

from holdfast.api import translate
from holdfast.core import place, placement
from holdfast.core.agents import Keys
from holdfast.core.values import AgentRef

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def guarded(api):
    namespace = {
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "guarded", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }  # fmt: skip
    assert api.apply(namespace).returncode == 0
    return api


def templates():
    site = place.Place(
        ref=AgentRef("clinic", "front-desk"), generation=1, spec=translate.agent(AGENT), keys=Keys(zone_key=b"k"),
        release=place.Release(region="fra", namespace="holdfast-system", bridge_image="bridge:1", extra_ca="PEM"),
        regions={each.name: each for each in map(translate.region, REGIONS)}, zone=translate.zone(stored(POLICY)),
    )  # fmt: skip
    yield "bridge", placement.deployment(site)["spec"]["template"]
    if chart.available():
        for (kind, name), each in chart.rendered().items():
            if kind in {"Deployment", "StatefulSet"}:
                yield name, each["spec"]["template"]
            if kind == "CronJob":
                yield name, each["spec"]["jobTemplate"]["spec"]["template"]


def test_every_pod_is_admitted_to_a_restricted_namespace(guarded):
    for name, template in templates():
        pod = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name},
            "spec": template["spec"],
        }  # fmt: skip
        done = guarded.kubectl("create", "--dry-run=server", "-n", "guarded", "-f", "-", stdin=json.dumps(pod))
        assert done.returncode == 0, f"{name}: {done.stderr}"
