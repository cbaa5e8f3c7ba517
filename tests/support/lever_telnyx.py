"""Telnyx as a vendor of the contract suites: the drivers against the simulated API over loopback sockets.

Where the vendor's description is at hand, every exchange is held against it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import world_telnyx_spec
from lever_vendor import CannotHappen

from holdfast.levers.base import PointingDriver, RoutingDriver
from holdfast.levers.telnyx_api import TelnyxApi, TelnyxLimits
from holdfast.levers.telnyx_applications import FIELDS, Sort, TelnyxApplications
from holdfast.levers.telnyx_numbers import TelnyxNumbers
from holdfast.levers.telnyx_sip_connection import PLACES, TelnyxSipConnection
from holdfast_gameday.world.telnyx import TelnyxApi as Simulated
from holdfast_gameday.world.telnyx_faults import Fault
from holdfast_gameday.world.telnyx_state import Kind, TelnyxState

FRA = "https://fra.voice.example.com/a/clinic/front-desk/voice#ct=1000&rt=3000&rc=1"
AMS = "https://ams.voice.example.com/a/clinic/front-desk/fallback#ct=1000&rt=3000&rc=1"
NUMBERS = ("+4930123451", "+4930123452")
KINDS: dict[Sort, Kind] = {"callControl": "call_control_application", "texml": "texml_application"}


async def key() -> str:
    return "KEY-practice"


@asynccontextmanager
async def simulated(**options: Any) -> AsyncIterator[tuple[Simulated, TelnyxApi]]:
    """The simulated API on loopback, and our client of it on a clock that stands still."""
    sim = Simulated(TelnyxState(), **options)
    async with sim.serving("127.0.0.1", 0) as address, httpx.AsyncClient(event_hooks=world_telnyx_spec.HOOKS) as http:
        limits = TelnyxLimits(clock=lambda: 0.0)
        yield sim, TelnyxApi(who="lever telnyx", api_url=f"http://{address}", key=key, http=http, limits=limits)


@dataclass
class _Faults:
    sim: Simulated

    def lose_next_write(self) -> None:
        self.sim.faults.arm(Fault("commit", times=1, seconds=0.0))

    def break_next_write(self) -> None:
        self.sim.faults.arm(Fault("partial", times=1))

    def lock_out(self, for_s: float) -> None:
        self.sim.limits.lock_out(for_s)

    def revoke(self) -> None:
        self.sim.faults.arm(Fault("revoked"))

    def go_down(self) -> None:
        self.sim.faults.arm(Fault("down"))

    def requests(self) -> int:
        return len(self.sim.requests)

    def writes(self) -> int:
        return sum(method != "GET" for method, _ in self.sim.requests)


@dataclass
class ApplicationsVendor(_Faults):
    driver: PointingDriver
    sort: Sort
    theirs: str
    names: tuple[str, str] = ("holdfast eu/clinic/front-desk", "holdfast eu/clinic/back-office")

    def meddle(self, name: str) -> None:
        held = self._held(name)
        assert held is not None
        fields = FIELDS[self.sort]
        body = {fields.name: name, fields.voice_url: "https://somewhere.example.com"}
        self.sim.state.write(KINDS[self.sort], held["id"], body, source="portal")

    def address(self, name: str) -> tuple[str, str] | None:
        held, fields = self._held(name), FIELDS[self.sort]
        return None if held is None else (held[fields.voice_url], held[fields.fallback_url])

    def foreign(self) -> object:
        return self.sim.state.get(KINDS[self.sort], self.theirs)

    def _held(self, name: str) -> dict[str, Any] | None:
        listed = self.sim.state.listed(KINDS[self.sort])
        return next((one for one in listed if one[FIELDS[self.sort].name] == name), None)


def applications(sort: Sort) -> Callable[[], AbstractAsyncContextManager[ApplicationsVendor]]:
    @asynccontextmanager
    async def stage() -> AsyncIterator[ApplicationsVendor]:
        async with simulated() as (sim, api):
            fields = FIELDS[sort]
            theirs = {fields.name: "their own holdfast eu/", fields.voice_url: "https://theirs.example.com"}
            driver = TelnyxApplications(name="telnyx-eu", zone="eu", sort=sort, api=api)
            yield ApplicationsVendor(sim, driver, sort, sim.state.add(KINDS[sort], **theirs))

    return stage


@dataclass
class NumbersVendor(_Faults):
    driver: PointingDriver
    theirs: str
    elsewhere: str
    names: tuple[str, str] = NUMBERS

    def break_next_write(self) -> None:
        raise CannotHappen("a move changes one field")

    def meddle(self, name: str) -> None:
        number = self._held(name)["id"]
        self.sim.state.write("phone_number", number, {"connection_id": self.elsewhere}, source="portal")

    def address(self, name: str) -> tuple[str, str] | None:
        connection = self._held(name)["connection_id"]
        if connection is None:
            return None
        held = self.sim.state.get("call_control_application", connection)
        return held["webhook_event_url"], held["webhook_event_failover_url"]

    def foreign(self) -> object:
        return self.sim.state.get("phone_number", self.theirs), self.sim.state.listed("call_control_application")

    def _held(self, name: str) -> dict[str, Any]:
        return next(one for one in self.sim.state.listed("phone_number") if one["phone_number"] == name)


@asynccontextmanager
async def numbers() -> AsyncIterator[NumbersVendor]:
    async with simulated() as (sim, api):
        for region, first, then in (("fra", FRA, AMS), ("ams", AMS, FRA)):
            sim.state.add(
                "call_control_application",
                application_name=f"holdfast eu/clinic/front-desk {region}",
                webhook_event_url=first,
                webhook_event_failover_url=then,
            )
        elsewhere = sim.state.add(
            "call_control_application", application_name="theirs", webhook_event_url="https://theirs.example.com"
        )
        for number in NUMBERS:
            sim.state.add("phone_number", phone_number=number, tags=["holdfast:eu"])
        theirs = sim.state.add("phone_number", phone_number="+49301234519", connection_id=elsewhere)
        driver = TelnyxNumbers(
            name="telnyx-numbers",
            zone="eu",
            api=api,
            applications=TelnyxApplications(name="telnyx-eu", zone="eu", sort="callControl", api=api),
        )
        yield NumbersVendor(sim, driver, theirs, elsewhere)


@dataclass
class SipConnectionVendor(_Faults):
    driver: RoutingDriver
    connection: str
    fqdns: dict[str, str]

    def unmark(self, region: str) -> None:
        kept = [tag for tag in self.held["tags"] if not tag.startswith(f"holdfast:eu/{region}")]
        self.sim.state.write("fqdn_connection", self.connection, {"tags": kept}, source="portal")

    def meddle(self, region: str) -> None:
        inbound = {**self.held["inbound"], "default_routing_method": "round-robin"}
        self.sim.state.write("fqdn_connection", self.connection, {"inbound": inbound}, source="portal")

    def enabled(self, region: str) -> bool:
        return self.fqdns[region] in self.places

    @property
    def held(self) -> dict[str, Any]:
        return self.sim.state.get("fqdn_connection", self.connection)

    @property
    def places(self) -> list[str | None]:
        return [self.held["inbound"][place] for place in PLACES]


@asynccontextmanager
async def sip_connection(*regions: str) -> AsyncIterator[SipConnectionVendor]:
    regions = regions or ("fra", "ams")
    async with simulated() as (sim, api):
        tags = [f"holdfast:eu/{region}" for region in regions] + ["billing:voice"]
        connection = sim.state.add("fqdn_connection", connection_name="trunk", tags=tags)
        fqdns = {
            region: sim.state.add("fqdn", fqdn=f"sip.{region}.example.com", connection_id=connection)
            for region in regions
        }
        named = dict(zip(PLACES, fqdns.values(), strict=False))
        sim.state.write(
            "fqdn_connection", connection, {"inbound": {**named, "timeout_1xx_secs": 2}}, source="portal"
        )
        driver = TelnyxSipConnection(
            name="telnyx-sip", zone="eu", connection_id=connection, fqdns={**fqdns, "gone": "404"}, api=api
        )
        yield SipConnectionVendor(sim, driver, connection, fqdns)
