"""The shared picture of the own cluster: readers wait past what they know."""

import asyncio

import pytest

from holdfast.core.values import AgentRef, Region
from holdfast.desired import Desired, PodReport

REF = AgentRef("clinic", "front-desk")
FRA = Region(name="fra", host="fra.voice.example.com", jurisdiction="eu")


async def test_a_change_wakes_every_waiter():
    desired = Desired()
    waiting = [asyncio.create_task(desired.wait_past(0)) for _ in range(2)]
    await asyncio.sleep(0)
    desired.put_region(FRA)

    assert await asyncio.gather(*waiting) == [1, 1]


async def test_saying_the_same_again_wakes_nobody():
    desired = Desired()
    desired.put_region(FRA)
    desired.put_region(FRA)

    assert desired.revision == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(desired.wait_past(1), 0.01)


def test_missing_keys_are_those_of_all_pods_once():
    desired = Desired()
    desired.report(REF, "a", PodReport(ready=False, missing_keys=("Secret clinic/openai key api-key",)))
    desired.report(REF, "b", PodReport(ready=False, missing_keys=("Secret clinic/openai key api-key",)))
    assert desired.missing_keys(REF) == ("Secret clinic/openai key api-key",)

    desired.report(REF, "a", PodReport(ready=True))
    desired.forget_pod(REF, "b")
    assert desired.missing_keys(REF) == ()
