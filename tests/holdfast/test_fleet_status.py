"""What the fleet writes into statuses, and how soon: news at once, other words later, nothing while calls wait."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet_apiserver import FakeApiServer

from holdfast import fleet_status, kube, telemetry
from holdfast.core import reasons
from holdfast.core.status import Condition
from holdfast.core.values import Reason
from holdfast.fleet_status import StatusBoard, Wanted

FRA = (kube.REGIONS, None, "fra")
AMS = (kube.REGIONS, None, "ams")


@dataclass
class Stand:
    """A cluster with two regions: what fra's status shall say changes, and that of ams does not."""

    server: FakeApiServer = field(default_factory=lambda: FakeApiServer("ams"))
    now: float = 100.0
    verdict: str = "up"
    detail: str = ""
    seen_up: bool = True
    message: str = "2 of 2 observers see fra up"
    calls: int = 3
    moving: bool = False
    moves_after: int = 1000  # Writes, until calls begin to wait for a move.

    def __post_init__(self) -> None:
        for resource, _, name in (FRA, AMS):
            found = {"metadata": {"name": name, "uid": name, "generation": 1}}
            self.server.objects[resource.path(None, name)] = found
        self.board = StatusBoard(
            client=self.server.client(), wanted=self.wanted, record=self.record, moving=self.is_moving,
            clock=lambda: self.now, wall=lambda: "2026-11-21T14:00:00Z", metrics=telemetry.Metrics(),
        )  # fmt: skip

    def is_moving(self) -> bool:
        return self.moving or len(self.server.writes("status")) >= self.moves_after

    def wanted(self) -> dict[fleet_status.Target, Wanted]:
        seen = {"observer": "ams", "verdict": self.verdict, "since": "2026-11-21T13:00:00Z", "detail": self.detail}
        condition = Condition("Reachable", self.seen_up, Reason(reasons.READY, self.message))
        fra = Wanted("Region", {"activeCalls": self.calls, "observations": [seen]}, [condition])
        return {FRA: fra, AMS: Wanted("Region", {"leader": "ams"}, [])}

    async def record(self, *_: object) -> None:
        raise AssertionError("nothing is told here")

    async def writes_after(self, seconds: float) -> int:
        before = len(self.server.writes("status"))
        self.now += seconds
        await self.board.write()
        return len(self.server.writes("status")) - before


async def test_what_does_not_change_is_not_written():
    stand = Stand()

    assert await stand.writes_after(0.5) == 2
    assert await stand.writes_after(60.0) == 0


async def test_a_verdict_or_a_condition_that_turns_is_written_at_once():
    stand = Stand()
    await stand.board.write()

    stand.verdict = "down"
    assert await stand.writes_after(0.5) == 1
    stand.seen_up = False
    assert await stand.writes_after(0.5) == 1


async def test_counts_and_other_words_for_the_same_are_written_at_most_every_five_seconds():
    """Found by `make soak`: in bad weather each probe fails in words of its own, and each was written."""
    stand = Stand(verdict="down", seen_up=False)
    await stand.board.write()
    written = 0
    for half_second in range(40):
        stand.detail = f"connect: no end within {1000 + half_second} ms"
        stand.message = f"{half_second % 2} of 2 observers see fra up"
        stand.calls = half_second
        written += await stand.writes_after(0.5)

    assert written == 4


async def test_the_last_words_are_shown_in_the_end():
    stand = Stand()
    await stand.board.write()
    stand.message = "1 of 2 observers sees fra up"
    await stand.writes_after(0.5)
    await stand.writes_after(5.0)

    stored = stand.server.objects[kube.REGIONS.path(None, "fra")]
    assert stored["status"]["conditions"][0]["message"] == "1 of 2 observers sees fra up"


async def test_statuses_wait_for_a_move_and_are_written_after_it():
    stand = Stand(moving=True)
    assert await stand.writes_after(0.5) == 0

    stand.moving = False
    assert await stand.writes_after(0.5) == 2


async def test_a_move_that_begins_in_the_middle_of_a_round_ends_the_round():
    """At a takeover every agent has something new to show, and the round would last as long as there are agents."""
    stand = Stand(moves_after=1)
    assert await stand.writes_after(0.5) == 1


async def test_a_move_that_cannot_be_done_keeps_people_in_the_dark_for_fifteen_seconds_at_most():
    stand = Stand(moving=True)
    assert await stand.writes_after(0.5) == 0
    assert await stand.writes_after(fleet_status.HELD_AT_MOST_S - 0.1) == 0
    assert await stand.writes_after(0.1) == 2


async def test_a_status_that_the_api_server_refuses_is_told_once_and_again_after_it_was_taken(caplog):
    stand = Stand()
    for mode, tolds in (("down", 0), (422, 2), (422, 2), ("up", 2), (422, 3)):
        stand.server.mode = mode
        stand.seen_up = not stand.seen_up
        stand.now += 60.0
        await stand.board.write()
        warned = [record for record in caplog.records if record.levelname == "WARNING"]
        assert len(warned) == tolds, mode
    assert {record.__dict__["object"] for record in warned} == {"fra", "ams"}
