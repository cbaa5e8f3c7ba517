"""`kubectl holdfast explain` as it is installed: found by a real kubectl, answered from a real API server."""

import asyncio
import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import cli_stories
import jsonschema
import pytest
from api_objects import AGENT, POLICY, REGIONS
from apiserver import binaries, until

from holdfast import telemetry
from holdfast.fleet_audit import FleetAudit

pytestmark = pytest.mark.cluster

SCHEMA = json.loads(Path("docs/explain.schema.json").read_text())
CONDITION = {
    "type": "Ready", "status": "False", "reason": "RegionCordoned", "message": cli_stories.LOST.message,
    "observedGeneration": 1, "lastTransitionTime": "2026-11-21T14:00:52Z",
}  # fmt: skip


@pytest.fixture
def client(api):
    return api.client("ams")


@pytest.fixture
async def kept(api, client):
    """What an operator keeps of a lost region, written by two pods, one after the other."""
    done = api.apply(*REGIONS, copy.deepcopy(POLICY), copy.deepcopy(AGENT))
    assert done.returncode == 0, done.stderr
    patch = json.dumps({"status": {"leader": "ams", "conditions": [CONDITION]}})
    done = api.kubectl("patch", "region", "fra", "--subresource=status", "--type=merge", "-p", patch)
    assert done.returncode == 0, done.stderr
    times = iter(("2026-11-21T14:00:52.100Z", "2026-11-21T14:00:52.400Z", "2026-11-21T14:01:10.000Z"))
    before = 0
    for told in ([cli_stories.CORDON], [cli_stories.OFF, cli_stories.DWELL]):
        pod = FleetAudit(
            client=client, namespace="holdfast-system", region="ams", wall=lambda: next(times),
            metrics=telemetry.Metrics(), coalesce_s=0.05, retry_s=0.05,
        )  # fmt: skip
        task = asyncio.create_task(pod.run())
        try:
            await until(lambda pod=pod, before=before: len(pod.trail.records) == before)
            for each in told:
                pod.tell("zone-eu", [each])
            before += len(told)
            await until(lambda before=before: len(_lines(api)) == before)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    yield api
    api.kubectl("delete", "configmap", "holdfast-decisions", "-n", "holdfast-system")
    api.kubectl("delete", "voiceagents,failoverpolicies,regions", "--all", "--all-namespaces")
    await client.close()


def _lines(api) -> list[str]:
    found = api.kubectl("get", "configmap", "holdfast-decisions", "-n", "holdfast-system", "-o", "json")
    return json.loads(found.stdout)["data"]["records"].splitlines() if found.returncode == 0 else []


def ask(api, *words: str) -> subprocess.CompletedProcess[str]:
    """Through kubectl, which looks for the plugin on PATH."""
    return subprocess.run(
        [binaries() / "kubectl", "holdfast", "explain", *words, "--request-timeout=30s"],
        capture_output=True, text=True, timeout=60, check=False,
        env={
            "PATH": f"{Path(sys.executable).parent}:{binaries()}:{os.environ['PATH']}",
            "KUBECONFIG": str(api.kubeconfig),
            "LANG": "C.UTF-8",
            "HOME": os.environ.get("HOME", "/"),
        },
    )  # fmt: skip


async def test_a_lost_region_is_explained_by_what_its_operator_kept(kept):
    done = ask(kept, "fra")
    lines = done.stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].startswith("✖ fra takes no new calls   RegionLost   zone eu")
    assert "  2026-11-21T14:00:52Z  RegionLost  cordon fra (lost)  by ams (epoch 7)" in lines
    assert any(line.startswith("  2026-11-21T14:01:10Z  Dwell  lift the cordon") for line in lines)
    # This context is called after neither region, but what it keeps says whose cluster it is.
    assert [line for line in lines if line.startswith("Could not read")] == [
        "Could not read fra: the kubeconfig has no context of that name",
        "Could not read iad: the kubeconfig has no context of that name",
    ]

    again = ask(kept, *lines[-1].removeprefix("next: kubectl holdfast explain ").split())
    assert again.stdout.startswith("● fra: decided: turn fra off at edge   RegionLost   zone eu")


async def test_an_agent_is_found_in_its_namespace_and_answered_in_json(kept):
    done = ask(kept, "front-desk", "-n", "clinic", "-o", "json")

    answer = json.loads(done.stdout)
    jsonschema.validate(answer, SCHEMA)
    assert (answer["kind"], answer["name"], answer["zones"]) == ("agent", "clinic/front-desk", ["eu"])
    assert [each["action"] for each in answer["decisions"]] == ["turn fra off at edge", "cordon fra (lost)"]


async def test_a_name_that_nothing_bears_says_what_to_type(kept):
    done = ask(kept, "frankfurt")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("next: kubectl ")
