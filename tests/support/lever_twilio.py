"""The simulated Twilio, over loopback sockets, as vendors of the contract suites: applications, numbers and a trunk.

Every exchange of a driver is held against the vendor's descriptions; what does not fit fails the case at its end.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
import world_twilio_region as w
from lever_vendor import CannotHappen
from world_twilio_spec import CheckedTransport

from holdfast.levers.budget import RateBudget
from holdfast.levers.twilio_api import TwilioAccount, TwilioApi
from holdfast.levers.twilio_application import TwilioApplications
from holdfast.levers.twilio_number import TwilioNumbers
from holdfast.levers.twilio_trunk import TwilioTrunk
from holdfast_gameday.world.twilio import TwilioSim
from holdfast_gameday.world.twilio_faults import Fault, FaultKind
from holdfast_gameday.world.twilio_state import Account, Application, Number
from holdfast_gameday.world.twilio_trunks import OriginationUrl, Trunk

IRELAND_KEY, IRELAND_SECRET = "SK" + "1" * 32, "secret-of-the-irish-key"
DISASTER = "https://third.voice.example.com/a/clinic/front-desk/fallback"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class TwilioStage:
    """The account with a half in us1 and one in ie1, each with a key of its own, and what reaches them."""

    sim: TwilioSim
    home: Account
    ireland: Account
    transport: CheckedTransport
    http: httpx.AsyncClient
    clock: Clock = field(default_factory=Clock)

    def api(self, half: Account, *, key: str = "", secret: str = "", requests: int = 1000, concurrent: int = 8) -> Any:
        user = key or next(iter(half.api_keys))
        password = secret or half.api_keys.get(user, "")

        async def credentials() -> tuple[str, str]:
            return user, password

        return TwilioApi(
            name="twilio-eu",
            account=TwilioAccount(half.sid, region=half.region),
            credentials=credentials,
            http=self.http,
            budget=RateBudget(requests=requests, window_s=60, reserve=requests // 10, clock=self.clock),
            concurrent=concurrent,
        )

    def arm(self, kind: FaultKind, **options: Any) -> None:
        self.sim.faults.arm(Fault(kind=kind, **options))

    def requests(self, method: str = "") -> list[str]:
        return [path for verb, _, path in self.transport.requests if method in ("", verb)]

    def writes(self) -> int:
        return sum(verb != "GET" for verb, _, _ in self.transport.requests)


@contextlib.asynccontextmanager
async def twilio(**options: Any) -> AsyncIterator[TwilioStage]:
    async with w.carrier(**options) as sim:
        home = sim.state.accounts[w.ACCOUNT]
        ireland = sim.state.add_account(
            w.ACCOUNT, auth_token="irish-token", api_keys={IRELAND_KEY: IRELAND_SECRET}, region="ie1"
        )
        transport = CheckedTransport(str(sim.address))
        async with httpx.AsyncClient(transport=transport, timeout=None) as http:
            yield TwilioStage(sim, home, ireland, transport, http)
        if transport.failed:
            raise transport.failed[0]


@dataclass
class TwilioVendor:
    """What differs between the drivers is given as functions."""

    driver: Any
    stage: TwilioStage
    meddle: Callable[[str], None]
    names: tuple[str, str] = ("", "")
    unmark: Any = None
    enabled: Any = None
    address: Any = None
    foreign: Any = None

    def lose_next_write(self) -> None:
        self.stage.arm(FaultKind.COMMIT_THEN_TIMEOUT, method="POST", times=1)

    def break_next_write(self) -> None:
        raise CannotHappen("a change is one write")

    def lock_out(self, for_s: float) -> None:
        # Twilio names no time; the driver's first pause is shorter, and its clock stands still in these cases.
        self.stage.arm(FaultKind.TOO_MANY)

    def revoke(self) -> None:
        self.stage.home.api_keys.clear()
        self.stage.ireland.api_keys.clear()

    def go_down(self) -> None:
        self.stage.arm(FaultKind.DROP)

    def requests(self) -> int:
        return len(self.stage.requests())

    def writes(self) -> int:
        return self.stage.writes()


@contextlib.asynccontextmanager
async def applications() -> AsyncIterator[TwilioVendor]:
    async with twilio() as stage:
        state, half = stage.sim.state, stage.ireland
        others = [
            state.add_application(half, friendly_name=name, voice_url="https://theirs", voice_fallback_url="https://b")
            for name in ("theirs", "holdfast us/clinic/front-desk")
        ]
        driver = TwilioApplications(name="twilio-eu", mark="holdfast eu/", api=stage.api(half))

        def named(name: str) -> Application | None:
            return next((a for a in half.applications.values() if a.friendly_name == name), None)

        def address(name: str) -> tuple[str, str] | None:
            found = named(name)
            return found and (found.voice_url, found.voice_fallback_url)

        yield TwilioVendor(
            driver,
            stage,
            meddle=lambda name: setattr(named(name), "voice_url", "https://elsewhere.example.com"),
            names=("holdfast eu/clinic/front-desk", "holdfast eu/clinic/night"),
            address=address,
            foreign=lambda: [asdict(other) for other in others if other.sid in half.applications],
        )


NUMBERS = ("+4930000001", "+4930000002")
ON_TRUNK, NOT_NAMED = "+4930000003", "+4930000004"


@contextlib.asynccontextmanager
async def numbers() -> AsyncIterator[TwilioVendor]:
    """The first number's calls are processed in ie1, the second's in us1."""
    async with twilio() as stage:
        state = stage.sim.state
        for number in (*NUMBERS, NOT_NAMED):
            state.add_number(stage.home, number, voice_url="https://demo.example.com/welcome")
        trunk = state.add_trunk(stage.home)
        state.add_number(stage.home, ON_TRUNK, trunk_sid=trunk.sid)
        state.voice_regions[NUMBERS[0]] = "ie1"
        driver = number_driver(stage)

        def record(number: str) -> Number:
            return state.find_number(number)[1]

        yield TwilioVendor(
            driver,
            stage,
            meddle=lambda number: setattr(record(number), "voice_url", "https://elsewhere.example.com"),
            names=NUMBERS,
            address=lambda number: (record(number).voice_url, record(number).voice_fallback_url),
            foreign=lambda: [asdict(record(number)) for number in (ON_TRUNK, NOT_NAMED)],
        )


def number_driver(stage: TwilioStage, **options: Any) -> TwilioNumbers:
    home = stage.api(stage.home)
    parts: dict[str, Any] = {
        "name": "numbers",
        "numbers": (*NUMBERS, ON_TRUNK, "+4930999999"),
        "halves": {"us1": home, "ie1": stage.api(stage.ireland)},
        "clock": stage.clock,
        "routes": home,
    }
    return TwilioNumbers(**(parts | options))


def sip(region: str) -> str:
    return f"sip:{region}.sbc.example.com"


def standing_trunk(stage: TwilioStage) -> Trunk:
    """An entry each for fra and ams, both on and marked, and one of somebody else that is off."""
    state = stage.sim.state
    trunk = state.add_trunk(stage.ireland, friendly_name="clinic", disaster_recovery_url=DISASTER)
    for region in ("fra", "ams"):
        state.add_origination_url(trunk, f"holdfast:eu/{region} our SBC", sip(region))
    state.add_origination_url(trunk, "legacy", "sip:legacy.example.com").enabled = False
    return trunk


def trunk_driver(stage: TwilioStage, trunk: Trunk, **options: Any) -> TwilioTrunk:
    parts: dict[str, Any] = {
        "name": "trunk",
        "zone": "eu",
        "trunk_sid": trunk.sid,
        "origins": {region: sip(region) for region in ("fra", "ams", "gone")},
        "api": stage.api(stage.ireland),
        "clock": stage.clock,
        "disaster_url": DISASTER,
    }
    return TwilioTrunk(**(parts | options))


def entry(trunk: Trunk, region: str) -> OriginationUrl:
    """By its mark, or by its address when the mark is gone."""
    entries = trunk.origination_urls.values()
    marked = [e for e in entries if e.friendly_name.startswith(f"holdfast:eu/{region}")]
    return (marked or [e for e in entries if e.sip_url == sip(region)])[0]


def _trunk(weights: Mapping[str, int] | None) -> Callable[[], Any]:
    @contextlib.asynccontextmanager
    async def stand() -> AsyncIterator[TwilioVendor]:
        async with twilio() as stage:
            trunk = standing_trunk(stage)
            yield TwilioVendor(
                trunk_driver(stage, trunk, weights=weights),
                stage,
                meddle=lambda region: setattr(entry(trunk, region), "sip_url", "sip:elsewhere.example.com"),
                unmark=lambda region: setattr(entry(trunk, region), "friendly_name", "somebody else's"),
                enabled=lambda region: entry(trunk, region).enabled,
            )

    return stand


trunk = _trunk(None)
weighted_trunk = _trunk({"fra": 50, "ams": 50})
