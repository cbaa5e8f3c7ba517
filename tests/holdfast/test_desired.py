"""The shared picture of the own cluster: readers wait past what they know."""

import asyncio

import pytest

from holdfast.core.capacity import PodLoad
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


def test_calls_of_pods_are_kept_by_pod_and_wake_nobody():
    """They come and go all the time; whoever scales by them looks now and then, at those that moved."""
    desired = Desired()
    desired.note_load(REF, "a", PodLoad(3, ready=True, heard_at=1.0))
    desired.note_load(REF, "b", PodLoad(0, ready=False, heard_at=1.0))
    assert (desired.revision, desired.load_of(REF).calls, desired.loads_moved) == (0, 3, {REF})

    desired.loads_moved.clear()
    desired.note_load(REF, "a", PodLoad(3, ready=True, heard_at=2.0))
    assert desired.loads_moved == set()
    assert desired.load_of(REF).pods["a"].heard_at == 2.0

    assert desired.load_of(REF).pods["a"].since == 1.0, "it has been ready ever since"
    desired.note_load(REF, "a", PodLoad(3, ready=False, heard_at=3.0))
    assert desired.load_of(REF).pods["a"].since == 3.0

    desired.forget_pod(REF, "a")
    assert (desired.load_of(REF).calls, desired.loads_moved) == (0, {REF})
    desired.drop_agent(REF)
    assert desired.load_of(REF).pods == {}


def test_missing_keys_and_problems_are_those_of_all_pods_once():
    desired = Desired()
    said = PodReport(ready=False, missing_keys=("Secret clinic/openai key api-key",), problems=("not tried: a",))
    desired.report(REF, "a", said)
    desired.report(REF, "b", said)
    assert desired.missing_keys(REF) == ("Secret clinic/openai key api-key",)
    assert desired.problems(REF) == ("not tried: a",)

    desired.report(REF, "a", PodReport(ready=True))
    desired.forget_pod(REF, "b")
    assert (desired.missing_keys(REF), desired.problems(REF)) == ((), ())
