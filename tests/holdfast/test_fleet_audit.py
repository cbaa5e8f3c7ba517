"""Keeping decisions in the own cluster: only with a decision, off its path, and nothing of another pod's is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from fleet_apiserver import FakeApiServer

from holdfast import telemetry
from holdfast.core import audit, reasons
from holdfast.core.explain import Entry, Kind, Outcome, Subject
from holdfast.core.values import Reason
from holdfast.fleet_audit import FleetAudit

PATH = "/api/v1/namespaces/holdfast-system/configmaps/holdfast-decisions"
OUT = Entry(
    Subject(Kind.REGION, "fra"), "eu", Outcome.DECIDED, "cordon fra (lost)",
    Reason(reasons.REGION_LOST, "2 of 2 observers see fra down"), epoch=7,
)  # fmt: skip
BACK = replace(OUT, action="lift the cordon of fra (lost)", reason=Reason(reasons.REGION_RECOVERED, "fra is up"))


class Desk:
    """One cluster and the pods that keep decisions in it, each a second later than the other."""

    def __init__(self) -> None:
        self.server = FakeApiServer("ams")
        self.seconds = 0
        self.metrics = telemetry.Metrics()

    def wall(self) -> str:
        self.seconds += 1
        return f"2026-11-21T14:00:{self.seconds:02d}.000Z"

    def pod(self, retry_s: float = 0.01) -> FleetAudit:
        return FleetAudit(
            client=self.server.client(), namespace="holdfast-system", region="ams", wall=self.wall,
            metrics=self.metrics, coalesce_s=0.01, retry_s=retry_s,
        )  # fmt: skip

    def kept(self) -> list[Entry]:
        data = self.server.objects[PATH]["data"] if PATH in self.server.objects else {}
        return [record.entry for record in audit.decode(data.get("records", "")).records]

    def failures(self, task: str = "audit") -> float:
        return self.metrics.failures.labels(task)._value.get()


@asynccontextmanager
async def running(pod: FleetAudit) -> AsyncIterator[FleetAudit]:
    task = asyncio.create_task(pod.run())
    try:
        yield pod
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    """The server is in memory and has no event of ours to wait for."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


async def test_decisions_told_within_a_moment_are_one_write():
    desk = Desk()
    async with running(desk.pod()) as pod:
        assert pod.tell("zone-eu", [OUT]) == (OUT,)
        assert pod.tell("zone-eu", [OUT, BACK]) == (BACK,)
        await until(lambda: desk.kept() == [OUT, BACK])

    assert len(desk.server.writes()) == 1
    assert desk.server.objects[PATH]["data"]["region"] == "ams"


async def test_a_round_that_decides_nothing_new_writes_nothing():
    desk = Desk()
    async with running(desk.pod()) as pod:
        pod.tell("zone-eu", [OUT])
        await until(lambda: desk.kept() == [OUT])
        for _ in range(20):
            pod.tell("zone-eu", [OUT])
            pod.tell("zone-us", [])
            await asyncio.sleep(0.002)

    assert len(desk.server.writes()) == 1


async def test_an_idle_operator_reads_once_and_writes_nothing():
    desk = Desk()
    async with running(desk.pod()):
        await until(lambda: bool(desk.server.requests))
        await asyncio.sleep(0.05)

    assert desk.server.requests == [("GET", PATH)]


async def test_a_restart_forgets_nothing():
    desk = Desk()
    async with running(desk.pod()) as pod:
        pod.tell("zone-eu", [OUT])
        await until(lambda: desk.kept() == [OUT])
    async with running(desk.pod()) as anew:
        await until(lambda: bool(anew.trail.records))
        assert anew.tell("zone-eu", [OUT]) == ()
        anew.tell("zone-eu", [BACK])
        await until(lambda: desk.kept() == [OUT, BACK])


async def test_a_restart_writes_nothing_even_if_it_decides_before_it_has_read():
    desk = Desk()
    async with running(desk.pod()) as pod:
        pod.tell("zone-eu", [OUT])
        await until(lambda: desk.kept() == [OUT])
    anew = desk.pod()
    anew.tell("zone-eu", [OUT])
    async with running(anew):
        await until(lambda: anew.trail.records[0].at == "2026-11-21T14:00:01.000Z")
        anew.tell("zone-eu", [OUT, BACK])
        await until(lambda: len(desk.kept()) > 1)

    assert desk.kept() == [OUT, BACK]


async def test_what_another_pod_wrote_meanwhile_is_joined():
    """Two pods may both believe to be active for a moment."""
    desk = Desk()
    async with running(desk.pod()) as one, running(desk.pod()) as other:
        await until(lambda: len(desk.server.requests) == 2)
        one.tell("zone-eu", [OUT])
        await until(lambda: desk.kept() == [OUT])
        other.tell("zone-eu", [BACK])
        await until(lambda: desk.kept() == [OUT, BACK])
        one.tell("zone-eu", [replace(OUT, epoch=9), replace(BACK, epoch=9)])
        await until(lambda: len(desk.kept()) == 3)


async def test_a_config_map_that_was_deleted_is_made_again():
    desk = Desk()
    async with running(desk.pod()) as pod:
        pod.tell("zone-eu", [OUT])
        await until(lambda: desk.kept() == [OUT])
        del desk.server.objects[PATH]
        pod.tell("zone-eu", [BACK])
        await until(lambda: desk.kept() == [OUT, BACK])


async def test_a_decision_never_waits_for_an_api_server_that_hangs():
    desk = Desk()
    desk.server.mode = "hang"
    async with running(desk.pod()) as pod:
        await asyncio.sleep(0.02)
        pod.tell("zone-eu", [OUT])

        assert [record.entry for record in pod.trail.records] == [OUT]


async def test_a_failed_write_is_counted_and_tried_again():
    desk = Desk()
    desk.server.mode = "down"
    async with running(desk.pod()) as pod:
        pod.tell("zone-eu", [OUT])
        await until(lambda: desk.failures() >= 2)
        desk.server.mode = "up"
        await until(lambda: desk.kept() == [OUT])


async def test_the_next_decision_does_not_wait_for_the_retry():
    desk = Desk()
    desk.server.mode = "down"
    async with running(desk.pod(retry_s=60.0)) as pod:
        await until(lambda: desk.failures() == 1)
        desk.server.mode = "up"
        pod.tell("zone-eu", [OUT])
        await until(lambda: desk.kept() == [OUT])


async def test_what_was_told_before_the_start_is_written_at_the_start():
    desk = Desk()
    pod = desk.pod()
    pod.tell("zone-eu", [OUT])
    async with running(pod):
        await until(lambda: desk.kept() == [OUT])


async def test_a_damaged_record_is_counted_and_the_rest_kept():
    desk = Desk()
    async with running(desk.pod()) as pod:
        pod.tell("zone-eu", [OUT])
        await until(lambda: desk.kept() == [OUT])
    desk.server.objects[PATH]["data"]["records"] += "\n{"
    async with running(desk.pod()) as anew:
        await until(lambda: [record.entry for record in anew.trail.records] == [OUT])

    assert desk.failures("audit-unreadable") == 1
