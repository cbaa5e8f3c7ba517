"""The applications of a zone's agents: right while we lead, gone only for a tombstone."""

from __future__ import annotations

import httpx
from fleet_vendors import FakeTwilio

from holdfast import telemetry
from holdfast.core import copies, fallback
from holdfast.core.agents import AgentSpec, Attempt, Number, Persona
from holdfast.core.values import AgentRef, Carrier, Region, Zone, ZoneRegion
from holdfast.desired import AgentEntry, Desired
from holdfast.fleet_applications import ApplicationLoop
from holdfast.levers.budget import RateBudget
from holdfast.levers.twilio_api import TwilioAccount, TwilioApi
from holdfast.levers.twilio_application import TwilioApplications

AGENT = AgentRef("clinic", "front-desk")
ZONE = Zone(
    name="eu",
    uid="u",
    generation=1,
    residency="eu",
    host="eu.voice.example.com",
    regions=(ZoneRegion("fra", 50), ZoneRegion("ams", 50)),
    carriers=(Carrier("twilio-eu", "twilio", "AC1", "https://api.twilio.com", "twilio-eu"),),
)
SPEC = AgentSpec(
    zone="eu",
    persona=Persona("be kind", "hello"),
    attempts=(Attempt("openai", "openai"),),
    numbers=(Number("twilio-eu", "+4930123"),),
)


class Desk:
    """A zone that we lead, with one agent."""

    def __init__(self) -> None:
        self.twilio = FakeTwilio()
        self.leading = True
        self.serving = ("fra", "ams")
        self.now = 0.0
        self.stones: list[copies.Tombstone] = []
        self.desired = Desired()
        self.desired.put_zone(ZONE)
        for name, domain in (("fra", "hetzner"), ("ams", "leaseweb")):
            self.desired.put_region(Region(name, f"{name}.voice.example.com", "eu", domain))
        self.desired.put_agent(AgentEntry(AGENT, "u-1", 1, zone="eu", spec=SPEC))
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.twilio))
        api = TwilioApi(
            name="twilio-eu",
            account=TwilioAccount("AC1"),
            credentials=self.key,
            http=http,
            budget=RateBudget(requests=100, window_s=60, reserve=10, clock=lambda: self.now),
        )
        account = TwilioApplications(name="twilio-eu", mark="holdfast eu/", api=api)
        self.loop = ApplicationLoop(
            zone="eu",
            desired=self.desired,
            accounts=lambda _zone, _carrier: account,
            leading=lambda: self.leading,
            wanted=lambda: fallback.choose(ZONE, regions=self.desired.regions, serving=self.serving),
            stones=lambda: self.stones,
            clock=lambda: self.now,
            metrics=telemetry.Metrics(),
        )

    async def key(self) -> tuple[str, str]:
        return "SK1", "s"

    def fallback(self) -> str:
        (application,) = self.twilio.applications.values()
        return application["voice_fallback_url"]


async def test_the_fallback_leads_to_a_region_that_is_not_first_at_the_edge() -> None:
    desk = Desk()
    await desk.loop.round(ZONE)
    assert desk.fallback() == "https://ams.voice.example.com/a/clinic/front-desk/fallback#ct=1000&rt=3000&rc=1"


async def test_what_was_written_counts_as_right_only_after_it_was_read_back() -> None:
    desk = Desk()
    await desk.loop.round(ZONE)
    assert desk.loop.conditions()[AGENT].status is None
    await desk.loop.round(ZONE)
    assert desk.loop.conditions()[AGENT].status is True
    assert desk.twilio.writes == 1


async def test_drift_is_put_right_within_fifteen_seconds() -> None:
    desk = Desk()
    await desk.loop.round(ZONE)
    await desk.loop.round(ZONE)
    (application,) = desk.twilio.applications.values()
    application["voice_url"] = "https://elsewhere.example.com"
    desk.now = 15.0
    await desk.loop.round(ZONE)
    assert application is not None
    (application,) = desk.twilio.applications.values()
    assert application["voice_url"].startswith("https://eu.voice.example.com/")


async def test_an_agent_that_is_merely_not_listed_keeps_its_application() -> None:
    desk = Desk()
    await desk.loop.round(ZONE)
    desk.desired.drop_agent(AGENT)
    await desk.loop.round(ZONE)
    assert len(desk.twilio.applications) == 1


async def test_a_tombstone_removes_the_application_once() -> None:
    desk = Desk()
    await desk.loop.round(ZONE)
    desk.desired.drop_agent(AGENT)
    desk.stones = [copies.Tombstone(copies.Key("VoiceAgent", "clinic", "front-desk"), "u-1")]
    await desk.loop.round(ZONE)
    await desk.loop.round(ZONE)
    assert desk.twilio.applications == {}
    assert desk.twilio.writes == 2


async def test_who_lost_the_lead_writes_nothing() -> None:
    desk = Desk()
    desk.leading = False
    await desk.loop.round(ZONE)
    assert desk.twilio.writes == 0


async def test_a_carrier_that_refuses_is_left_alone_for_a_while_and_shown() -> None:
    desk = Desk()
    desk.twilio.status = 500
    await desk.loop.round(ZONE)
    assert desk.loop.conditions()[AGENT].status is None
    desk.twilio.status = None
    await desk.loop.round(ZONE)
    assert desk.twilio.writes == 0
    desk.now = 2.5
    await desk.loop.round(ZONE)
    assert desk.twilio.writes == 1
