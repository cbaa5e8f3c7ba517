"""Links of pods in a namespace of this machine's own network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from holdfast_gameday.lab import network
from holdfast_gameday.lab.commands import run

pytestmark = pytest.mark.system

NETNS = "hf-links-test"


@pytest.fixture
async def links() -> AsyncIterator[None]:
    await network.create(NETNS)
    try:
        for name in ("pod1", "pod2"):
            await run(["ip", "-n", NETNS, "link", "add", name, "type", "veth", "peer", "name", f"{name}-end"])
        yield
    finally:
        await network.remove(NETNS)


@pytest.mark.usefixtures("links")
async def test_a_link_that_went_by_itself_does_not_keep_the_others() -> None:
    """A dying pod's namespace took its link along between the look and the removal: the region did not start again."""
    await network.remove_links(NETNS, ["pod1", "went-by-itself", "pod2"])
    left = json.loads(await run(["ip", "-n", NETNS, "-j", "link", "show", "type", "veth"]) or "[]")
    assert left == []
