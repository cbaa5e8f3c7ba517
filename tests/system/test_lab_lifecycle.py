"""Claims about the life of the lab: it comes up quickly, leaves nothing behind, and its regions fall and rise alone."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator

import lab_snapshot
import pytest
import pytest_asyncio

from holdfast_gameday.lab import names, paths
from holdfast_gameday.lab.commands import run
from holdfast_gameday.lab.range_of_clusters import Lab, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
LAB = [sys.executable, "-m", "holdfast_gameday.lab"]


@pytest_asyncio.fixture
async def clean() -> AsyncIterator[dict[str, list[str]]]:
    await run([*LAB, "down"], deadline_s=60)
    yield lab_snapshot.take()
    await run([*LAB, "down"], deadline_s=60)


def _begun() -> int:
    return sum((paths.region(each) / "init.pid").exists() for each in names.REGIONS)


async def _interrupted(sent: signal.Signals) -> int:
    """Starts `up` and sends it a signal when its second region has begun."""
    process = await asyncio.create_subprocess_exec(*LAB, "up", "--empty", stderr=asyncio.subprocess.DEVNULL)
    async with asyncio.timeout(60):
        while _begun() < 2:  # noqa: ASYNC110 - another process makes the files
            await asyncio.sleep(0.02)
        process.send_signal(sent)
        return await process.wait()


async def test_after_down_the_machine_is_as_before(clean: dict[str, list[str]]) -> None:
    """`up` ends and the clusters stay; `down`, another process, takes all of it away."""
    started = time.monotonic()
    await run([*LAB, "up", "--empty"], deadline_s=120)
    took = time.monotonic() - started
    during = lab_snapshot.take()
    assert len(during["processes"]) > 24
    assert during["links"] == clean["links"]
    assert during["packet filter"] == clean["packet filter"]
    assert during["kernel settings"] == clean["kernel settings"]
    await run([*LAB, "down"], deadline_s=60)
    assert lab_snapshot.take() == clean
    assert took <= 20


async def test_down_cleans_up_after_a_start_that_was_killed(clean: dict[str, list[str]]) -> None:
    assert await _interrupted(signal.SIGKILL) == -signal.SIGKILL
    assert lab_snapshot.take() != clean
    await run([*LAB, "down"], deadline_s=60)
    assert lab_snapshot.take() == clean


async def test_ctrl_c_during_a_start_leaves_nothing(clean: dict[str, list[str]]) -> None:
    assert await _interrupted(signal.SIGINT) == 130
    assert lab_snapshot.take() == clean


async def test_down_on_a_clean_machine_changes_nothing(clean: dict[str, list[str]]) -> None:
    await run([*LAB, "down"], deadline_s=10)
    assert lab_snapshot.take() == clean


async def test_a_killed_region_falls_alone_and_comes_back_with_its_data(clean: dict[str, list[str]]) -> None:
    async with running(empty=True) as lab:
        await lab.kubectl("fra", "create", "configmap", "kept", "--from-literal=word=amber")
        await lab.kill("fra")
        assert [await lab.ready(each) for each in ("fra", "ams", "iad")] == [False, True, True]
        await lab.heal("fra")
        assert await lab.ready("fra")
        assert await lab.kubectl("fra", "get", "configmap", "kept", "-o", "jsonpath={.data.word}") == "amber"
    assert lab_snapshot.take() == clean


async def test_a_silent_region_answers_nobody_and_a_cut_parts_only_two(clean: dict[str, list[str]]) -> None:
    async with running(empty=True) as lab:
        await lab.cut("ams", "iad")
        assert await _reaches(lab, "ams", "fra")
        assert not await _reaches(lab, "ams", "iad")
        assert not await _reaches(lab, "iad", "ams")
        await lab.heal_cut("ams", "iad")
        assert await _reaches(lab, "ams", "iad")
        await lab.blackhole("fra")
        started = time.monotonic()
        assert not await _reaches(lab, "ams", "fra")
        assert time.monotonic() - started >= 2  # a refusal would come at once
        await lab.heal("fra")
        assert await _reaches(lab, "ams", "fra")


async def _reaches(lab: Lab, here: str, there: str) -> bool:
    """Whether a connection from one region to the other's API server opens within two seconds."""
    script = "import socket, sys; socket.create_connection((sys.argv[1], 6443), 2)"
    argv = ["nsenter", f"--net=/run/netns/{names.REGIONS[here].netns}", sys.executable, "-c", script]
    process = await asyncio.create_subprocess_exec(*argv, names.REGIONS[there].ip, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait() == 0




async def _connects_in_s(here: str, there: str) -> float:
    script = (
        "import socket, sys, time; t = time.monotonic(); "
        "socket.create_connection((sys.argv[1], 6443), 5); print(time.monotonic() - t)"
    )
    return float(await run(
        ["nsenter", f"--net=/run/netns/{here}", sys.executable, "-c", script, names.REGIONS[there].ip]
    ))  # fmt: skip


async def test_slow_links_delay_what_goes_from_region_to_region_and_nothing_else(clean: dict[str, list[str]]) -> None:
    """Also after a region was lost and came back, and cuts bite on slow links, too."""
    async with running(empty=True) as lab:
        await lab.slow_links(150)
        assert await _connects_in_s("hf-fra", "ams") >= 0.3
        assert await _connects_in_s(names.WAN, "ams") < 0.3
        await lab.kill("fra")
        await lab.heal("fra")
        assert await _connects_in_s("hf-ams", "fra") >= 0.3
        await lab.cut("ams", "fra")
        assert not await _reaches(lab, "ams", "fra")
        await lab.heal_cut("ams", "fra")
        await lab.slow_links(0)
        assert await _connects_in_s("hf-fra", "ams") < 0.3
    assert lab_snapshot.take() == clean


async def test_lost_packets_are_lost_and_taken_back(clean: dict[str, list[str]]) -> None:
    async with running(empty=True) as lab:
        await lab.lose(100)
        assert not await _reaches(lab, "ams", "fra")
        await lab.lose(0)
        assert await _reaches(lab, "ams", "fra")
