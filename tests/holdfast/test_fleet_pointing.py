"""The addresses of a zone's agents: right while we lead, moves before repairs, gone only for a tombstone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast import telemetry
from holdfast.core import copies, fallback
from holdfast.core.agents import AgentSpec, Attempt, Number, Persona
from holdfast.core.means import Carrier, Lever
from holdfast.core.pointing import Pointing
from holdfast.core.values import AgentRef, Budget, Reason, Region, Zone, ZoneRegion
from holdfast.desired import AgentEntry, Desired
from holdfast.errors import DriverError
from holdfast.fleet_pointing import REPAIRS_A_ROUND, Aim, PointingLoop
from holdfast.levers.base import Pointer

AGENT = AgentRef("clinic", "front-desk")
NAME = "holdfast eu/clinic/front-desk"
ZONE = Zone(
    name="eu",
    uid="u",
    generation=1,
    residency="eu",
    host="eu.voice.example.com",
    regions=(ZoneRegion("fra", 50), ZoneRegion("ams", 50)),
    carriers=(Carrier("twilio-eu", "twilio", "AC1", "https://api.twilio.com", "twilio-eu"),),
)
NUMBERS = Lever("numbers", "twilioNumber", "", "", "", points=True, carrier="twilio-eu")
BY_EDGE = Pointing(ZONE.host, None, Reason("ByEdge", ""))
TO_FRA = Pointing("fra.voice.example.com", "fra", Reason("NoEdge", ""))
TO_AMS = Pointing("ams.voice.example.com", "ams", Reason("NoEdge", ""))


def spec(*numbers: str) -> AgentSpec:
    return AgentSpec(
        zone="eu",
        persona=Persona("be kind", "hello"),
        attempts=(Attempt("openai", "openai"),),
        numbers=tuple(Number("twilio-eu", number) for number in numbers),
    )


@dataclass
class Account:
    """A holder of addresses that does what it is told, unless it is told to fail."""

    name: str
    held: dict[str, Pointer] = field(default_factory=dict)
    applied: list[Pointer] = field(default_factory=list)
    listings: int = 0
    left: Budget | None = None
    error: DriverError | None = None
    lose_answers: bool = False

    async def list(self) -> dict[str, Pointer]:
        self._may()
        self.listings += 1
        return dict(self.held)

    async def read(self, name: str) -> Pointer | None:
        return self.held.get(name)

    async def apply(self, pointer: Pointer) -> None:
        self._may()
        self.applied.append(pointer)
        self.held[pointer.name] = pointer
        if self.lose_answers:
            raise DriverError("Timeout", f"{self.name}: no answer in 2 s", retryable=True, outcome_unknown=True)

    async def remove(self, name: str) -> bool:
        self._may()
        return self.held.pop(name, None) is not None

    def budget(self) -> Budget | None:
        return self.left

    def _may(self) -> None:
        if self.error is not None:
            raise self.error


class Desk:
    """A zone that we lead."""

    def __init__(self, zone: Zone = ZONE, agents: dict[AgentRef, AgentSpec] | None = None) -> None:
        self.zone = zone
        self.applications, self.numbers = Account("applications of twilio-eu"), Account("numbers")
        self.leading, self.now = True, 0.0
        self.serving: tuple[str, ...] = ("fra", "ams")
        self.pointing = BY_EDGE
        self.calls: dict[AgentRef, int] = {}
        self.stones: list[copies.Tombstone] = []
        self.desired = Desired()
        self.desired.put_zone(zone)
        for name, domain in (("fra", "hetzner"), ("ams", "leaseweb")):
            self.desired.put_region(Region(name, f"{name}.voice.example.com", "eu", domain))
        for ref, wish in (agents or {AGENT: spec("+4930123")}).items():
            self.desired.put_agent(AgentEntry(ref, f"u-{ref}", 1, zone="eu", spec=wish))
        self.loop = self.started()

    def started(self) -> PointingLoop:
        """A loop of a pod that has just become the leader."""
        return PointingLoop(
            zone="eu",
            desired=self.desired,
            drivers=self.drivers,
            leading=lambda: self.leading,
            fenced=self.fenced,
            aim=self.aim,
            calls=lambda agent: self.calls.get(agent, 0),
            stones=lambda: self.stones,
            clock=lambda: self.now,
            metrics=telemetry.Metrics(),
        )

    def drivers(self, zone: Zone) -> dict[str, Account]:
        held = {self.applications.name: self.applications}
        return {**held, "numbers": self.numbers} if zone.levers else held

    def aim(self) -> Aim | None:
        chosen = fallback.choose(self.zone, regions=self.desired.regions, serving=self.serving)
        return Aim(self.pointing, chosen) if chosen else None

    async def fenced(self) -> bool:
        return self.leading

    async def rounds(self, count: int = 1) -> None:
        for _ in range(count):
            await self.loop.round(self.zone)
            self.now += 0.5


def many(count: int) -> dict[AgentRef, AgentSpec]:
    return {AgentRef("clinic", f"desk-{index:03}"): spec(f"+4930{index:03}") for index in range(count)}


DIRECT = replace(ZONE, levers=(NUMBERS,))


async def test_the_fallback_leads_to_a_region_that_is_not_first_at_the_edge():
    desk = Desk()
    await desk.rounds()
    assert desk.applications.held[NAME] == Pointer(
        NAME,
        "https://eu.voice.example.com/a/clinic/front-desk/voice#ct=1000&rt=3000&rc=1",
        "https://ams.voice.example.com/a/clinic/front-desk/fallback#ct=1000&rt=3000&rc=1",
    )


async def test_what_was_written_counts_as_right_only_after_it_was_read_back():
    desk = Desk()
    await desk.rounds()
    assert desk.loop.conditions()[AGENT].status is None
    await desk.rounds()
    assert desk.loop.conditions()[AGENT].status is True
    assert len(desk.applications.applied) == 1


async def test_nothing_is_asked_or_written_while_nothing_changes():
    desk = Desk()
    await desk.rounds(2)
    asked = desk.applications.listings
    await desk.rounds(20)
    assert (desk.applications.listings, len(desk.applications.applied)) == (asked, 1)


async def test_what_others_changed_is_put_right_within_fifteen_seconds():
    desk = Desk()
    await desk.rounds(2)
    desk.applications.held[NAME] = Pointer(NAME, "https://elsewhere.example.com", "")
    desk.now += 15.0
    await desk.rounds()
    assert desk.applications.held[NAME].voice_url.startswith("https://eu.voice.example.com/")


async def test_where_the_policy_only_reports_a_changed_number_is_left_and_shown():
    report = replace(ZONE, levers=(replace(NUMBERS, enforce=False),))
    desk = Desk(report)
    await desk.rounds(2)
    desk.numbers.held["+4930123"] = Pointer("+4930123", "https://theirs.example.com", "")
    desk.now += 15.0
    await desk.rounds(3)
    assert desk.numbers.held["+4930123"].voice_url == "https://theirs.example.com"
    assert desk.loop.drift() == {"numbers": ("+4930123",)}
    assert desk.loop.conditions()[AGENT].status is False


async def test_a_move_is_written_even_where_drift_is_only_reported():
    report = replace(ZONE, levers=(replace(NUMBERS, enforce=False),))
    desk = Desk(report)
    desk.pointing = TO_FRA
    await desk.rounds(2)
    desk.pointing, desk.serving = TO_AMS, ("ams",)
    await desk.rounds()
    assert desk.numbers.held["+4930123"].voice_url.startswith("https://ams.voice.example.com/")


async def test_a_lever_on_trial_is_read_and_never_written():
    desk = Desk(replace(ZONE, levers=(replace(NUMBERS, dry_run=True),)))
    await desk.rounds(3)
    assert (desk.numbers.applied, desk.numbers.listings > 0) == ([], True)


async def test_the_agents_with_the_most_calls_are_moved_first():
    desk = Desk(DIRECT, many(30))
    desk.pointing = TO_FRA
    desk.calls = {AgentRef("clinic", "desk-020"): 40, AgentRef("clinic", "desk-007"): 3}
    await desk.rounds()
    assert [pointer.name for pointer in desk.numbers.applied[:3]] == ["+4930020", "+4930007", "+4930000"]


async def test_repairs_wait_for_moves_and_are_paced():
    """A thousand fallbacks that change with a failover must not stand before the calls that it moves."""
    desk = Desk(DIRECT, many(200))
    desk.pointing = TO_FRA
    await desk.rounds(90)
    desk.numbers.applied.clear()
    desk.applications.applied.clear()
    desk.pointing, desk.serving = TO_AMS, ("ams",)
    await desk.rounds()
    assert len(desk.numbers.applied) == 200
    assert len(desk.applications.applied) <= REPAIRS_A_ROUND
    await desk.rounds(60)
    assert all("ams.voice" in pointer.fallback_url for pointer in desk.applications.held.values())


async def test_a_pod_that_takes_over_goes_on_where_the_last_one_stopped():
    desk = Desk(DIRECT, many(20))
    desk.pointing = TO_FRA
    await desk.rounds(3)
    desk.pointing = TO_AMS
    for name in list(desk.numbers.held)[:12]:
        before = desk.numbers.held[name]
        desk.numbers.held[name] = replace(before, voice_url=before.voice_url.replace("fra.voice", "ams.voice"))
    desk.numbers.applied.clear()
    desk.loop = desk.started()
    await desk.rounds()
    assert len(desk.numbers.applied) == 8


async def test_a_repair_leaves_what_is_kept_for_failover():
    desk = Desk()
    right = f"https://{ZONE.host}/a/clinic/front-desk/voice#ct=1000&rt=3000&rc=1"
    desk.applications.held[NAME] = Pointer(NAME, right, "https://gone.example.com")
    desk.applications.left = Budget(left=10, reserve=10)
    await desk.rounds(2)
    assert desk.applications.applied == []
    desk.applications.left = Budget(left=11, reserve=10)
    await desk.rounds()
    assert len(desk.applications.applied) == 1


async def test_who_lost_the_lead_writes_nothing():
    desk = Desk()
    desk.leading = False
    await desk.rounds()
    assert desk.applications.applied == []


async def test_a_write_whose_answer_is_lost_is_read_before_anything_else():
    desk = Desk()
    desk.applications.lose_answers = True
    await desk.rounds()
    assert (desk.loop.conditions()[AGENT].status, len(desk.applications.applied)) == (None, 1)
    desk.applications.lose_answers = False
    desk.now += 2.0
    await desk.rounds()
    assert (desk.loop.conditions()[AGENT].status, len(desk.applications.applied)) == (True, 1)


async def test_a_carrier_that_refuses_is_left_alone_for_a_while_and_shown():
    desk = Desk()
    desk.applications.error = DriverError("VendorError", "carrier twilio-eu: 500", retryable=True)
    await desk.rounds()
    assert desk.loop.conditions()[AGENT].status is None
    assert desk.loop.troubles() == {"applications of twilio-eu": "VendorError: carrier twilio-eu: 500"}
    desk.applications.error = None
    await desk.rounds()
    assert desk.applications.applied == []
    desk.now += 2.0
    await desk.rounds()
    assert len(desk.applications.applied) == 1


async def test_one_account_that_fails_does_not_hold_up_another():
    desk = Desk(DIRECT)
    desk.applications.error = DriverError("Unauthorized", "carrier twilio-eu: 401", retryable=False)
    await desk.rounds()
    assert len(desk.numbers.applied) == 1


async def test_an_agent_that_is_merely_not_listed_keeps_its_application():
    desk = Desk()
    await desk.rounds()
    desk.desired.drop_agent(AGENT)
    await desk.rounds()
    assert list(desk.applications.held) == [NAME]


async def test_a_tombstone_removes_the_application_once_and_leaves_the_number():
    desk = Desk(DIRECT)
    await desk.rounds(2)
    desk.desired.drop_agent(AGENT)
    desk.stones = [copies.Tombstone(copies.Key("VoiceAgent", "clinic", "front-desk"), "u-1")]
    await desk.rounds(2)
    assert (desk.applications.held, list(desk.numbers.held)) == ({}, ["+4930123"])
