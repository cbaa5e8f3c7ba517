"""The dry run: what it says of a zone that would survive the fault, and of one that would not."""

from pathlib import Path

import pytest

from holdfast_gameday import readiness, scenario
from holdfast_gameday.result import Outcome

_, SCENARIO = scenario.load(Path(__file__).parents[2] / "game_days" / "scenarios" / "region-loss.yaml")
READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "AsWished"}]}

UNKNOWN = {"type": "Ready", "status": "Unknown"}


def _policy(**status):
    spec = {"regions": [{"name": "fra", "weight": 50}, {"name": "ams", "weight": 50}], "guards": {"minServing": 1}}
    return {"spec": spec, "status": {"leader": "fra", **READY, **status}}


def _regions(**serving):
    return {name: {"status": {"serving": value}} for name, value in serving.items()}


def _judge(policy=None, regions=None, agent=None):
    return readiness.claims(
        SCENARIO, policy or _policy(), regions or _regions(fra=True, ams=True), agent or {"status": READY}
    )


def _broken(claims):
    return [claim.name for claim in claims if not claim.held]


def test_a_zone_with_another_serving_region_is_ready():
    claims = _judge()

    assert _broken(claims) == []
    assert readiness.outcome(claims) is Outcome.PASSED


@pytest.mark.parametrize(
    ("world", "broken"),
    [
        ({"regions": _regions(fra=True, ams=False)}, "others can take over"),
        ({"regions": _regions(fra=True)}, "others can take over"),
        ({"policy": _policy(leader="")}, "somebody leads"),
        ({"policy": _policy(conditions=[])}, "the policy is ready"),
        ({"agent": {"status": {"conditions": [UNKNOWN]}}}, "clinic/front-desk is ready here"),
    ],
)
def test_what_would_not_be_survived_is_refused_by_name(world, broken):
    claims = _judge(**world)

    assert _broken(claims) == [broken]
    assert readiness.outcome(claims) is Outcome.REFUSED


def test_a_policy_that_is_not_here_is_refused():
    assert _broken(readiness.claims(SCENARIO, None, {}, None)) == ["the policy is here"]
