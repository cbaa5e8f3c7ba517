"""Done on three real clusters: every flow of a call is one that the NetworkPolicies allow, and no other would be.

Nothing in the lab enforces them. Where a network plug-in does, the same objects decide.
"""

from __future__ import annotations

import asyncio

import pytest
import stage_fixture
from stage_fixture import dial, over

from holdfast_gameday import flow_check
from holdfast_gameday.lab import names
from holdfast_gameday.listed_flows import RANGES_NAMED

pytestmark = stage_fixture.marks
VALUES = {RANGES_NAMED}  # with which the lab is installed


async def test_no_flow_of_a_call_in_any_region_is_without_a_policy_that_allows_it(stage):
    """The call is live while the kernels' tables are read, so its own flows are among them."""
    if stage.lab.backend.name != "local":
        pytest.skip("flows are read from the network namespaces of the local backend")
    call = dial(stage)
    async with asyncio.timeout(45):
        await call.settled.wait()
    regions = stage.installation.regions
    judged = {name: await flow_check.judge(cluster, name, values=VALUES) for name, cluster in regions.items()}
    carrying = next(name for name in regions if names.REGIONS[name].host == call.host)
    call.finish()
    await over(call)

    assert {name: each.violations for name, each in judged.items()} == dict.fromkeys(regions, ())
    assert min(len(each.judged) for each in judged.values()) > 0
    assert {8081, 6379, 8090, 443} <= {flow.port for flow in judged[carrying].judged}
