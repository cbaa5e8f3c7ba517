"""The dry run of a scenario inside a real region: would the zone survive this fault right now? It breaks nothing.

It reads the cluster's own copies through its own API server, with the pod's own service account, and prints one line
per claim. Unknown counts as not ready: a claim that cannot be judged is no readiness.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from holdfast_gameday.result import Claim, Outcome
from holdfast_gameday.scenario import Scenario

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "/apis/holdfast.dev/v1alpha1"
DEADLINE_S = 10.0
Json = Mapping[str, Any]


def claims(scenario: Scenario, policy: Json | None, regions: Mapping[str, Json], agent: Json | None) -> list[Claim]:
    """What must hold before the fault so that it would be survived. Pure."""
    if policy is None:
        return [Claim(name="the policy is here", wanted=scenario.policy, seen="not found", held=False)]
    spec, status = policy.get("spec", {}), policy.get("status", {})
    members = [region["name"] for region in spec.get("regions", [])]
    floor = spec.get("guards", {}).get("minServing", 1)
    lost = scenario.fault.region
    serving = [name for name in members if regions.get(name, {}).get("status", {}).get("serving") is True]
    left = [name for name in serving if name != lost]
    return [
        Claim(name="the region is of this zone", wanted=f"{lost} in {scenario.policy}", seen=", ".join(members),
              held=lost in members),
        Claim(name="others can take over", wanted=f"at least {floor} serving without {lost}",
              seen=", ".join(left) or "none", held=len(left) >= floor),
        Claim(name="somebody leads", wanted="a region holds the vote", seen=status.get("leader") or "nobody",
              held=bool(status.get("leader"))),
        _condition(policy, "Ready", "the policy is ready"),
        _condition(agent, "Ready", f"{scenario.agent} is ready here"),
    ]  # fmt: skip


def outcome(judged: list[Claim]) -> Outcome:
    return Outcome.PASSED if all(claim.held for claim in judged) else Outcome.REFUSED


def run(scenario: Scenario) -> int:
    """Prints the claims; 0 when a game day would be let begin, 4 when it would be refused."""
    try:
        judged = claims(scenario, *_read(scenario))
    except (OSError, KeyError, httpx.HTTPError) as error:
        print(f"the cluster cannot be read: {error}. Run this in a pod with a service account.", file=sys.stderr)
        return 1
    for claim in judged:
        print(f"{'✓' if claim.held else '✗'} {claim.name}: {claim.seen} (wanted {claim.wanted})")
    found = outcome(judged)
    print(f"{found}: {scenario.title} (dry run, nothing was broken)")
    return 0 if found is Outcome.PASSED else 4


def _condition(document: Json | None, kind: str, name: str) -> Claim:
    if document is None:
        return Claim(name=name, wanted="True", seen="not found", held=False)
    for found in document.get("status", {}).get("conditions", []):
        if found.get("type") == kind:
            seen = found["status"] if found["status"] == "True" else f"{found['status']}, {found.get('reason', '')}"
            return Claim(name=name, wanted="True", seen=seen, held=found["status"] == "True")
    return Claim(name=name, wanted="True", seen="no such condition yet", held=False)


def _read(scenario: Scenario) -> tuple[Json | None, Mapping[str, Json], Json | None]:
    server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    token = (ACCOUNT / "token").read_text().strip()
    namespace, agent = scenario.agent.split("/")
    with httpx.Client(
        base_url=server, verify=context, timeout=DEADLINE_S, headers={"Authorization": f"Bearer {token}"}
    ) as api:
        policy = _get(api, f"{API}/failoverpolicies/{scenario.policy}")
        regions = _get(api, f"{API}/regions") or {"items": []}
        found = _get(api, f"{API}/namespaces/{namespace}/voiceagents/{agent}")
    return policy, {region["metadata"]["name"]: region for region in regions["items"]}, found


def _get(api: httpx.Client, path: str) -> Json | None:
    answer = api.get(path)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    answer.raise_for_status()
    document: Json = answer.json()
    return document
