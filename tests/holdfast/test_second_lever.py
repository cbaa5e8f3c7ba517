"""A fleet end to end whose edge is out of hand: numbers take over after three seconds, and give back when it is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fleet_range import EU, Range, fleet_range, until

from holdfast.core.agents import AgentSpec, Attempt, Number, Persona
from holdfast.core.means import Carrier, Lever
from holdfast.core.values import AgentRef
from holdfast.desired import AgentEntry
from holdfast.levers.base import Pointer

NUMBER = "+4930123"
DESK = AgentRef("clinic", "front-desk")
SPEC = AgentSpec(
    zone="eu",
    persona=Persona("be kind", "hello"),
    attempts=(Attempt("openai", "openai"),),
    numbers=(Number("twilio-eu", NUMBER),),
)
ZONE = replace(
    EU,
    carriers=(Carrier("twilio-eu", "twilio", "AC1", "", "t"),),
    levers=(*EU.levers, Lever("numbers", "twilioNumber", "", "", "", points=True, carrier="twilio-eu")),
)


@dataclass
class Numbers:
    """An account whose numbers can be written although the edge cannot."""

    name: str = "numbers"
    held: dict[str, Pointer] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    async def list(self) -> dict[str, Pointer]:
        return dict(self.held)

    async def read(self, name: str) -> Pointer | None:
        return self.held.get(name)

    async def apply(self, pointer: Pointer) -> None:
        self.held[pointer.name] = pointer
        self.history.append(self.host())

    async def remove(self, name: str) -> bool:
        return self.held.pop(name, None) is not None

    def budget(self) -> None:
        """Nothing is counted."""

    def host(self) -> str:
        """Where the next call of the number is asked for."""
        return self.held[NUMBER].voice_url.split("/")[2] if NUMBER in self.held else ""


def well(ground: Range) -> bool:
    return all(
        loop.view is not None and loop.view.tally("fra").well and loop.view.tally("ams").well
        for fleet in ground.fleets.values()
        for loop in fleet.zone_loops().values()
    )


async def test_numbers_go_round_an_edge_that_refuses_and_come_back_to_it():
    numbers, entry = Numbers(), AgentEntry(DESK, "u-1", 1, zone="eu", spec=SPEC)
    async with fleet_range(zone=ZONE, agents=(entry,), holders={"numbers": numbers}) as ground:
        for name in ("fra", "ams", "iad"):
            ground.start(name)
        await until(ground.leader)
        await until(lambda: well(ground))
        await until(lambda: numbers.host() == "eu.voice.example.com")

        ground.origins.down = True
        await ground.kill("fra")
        await until(lambda: numbers.host() == "ams.voice.example.com", seconds=20)
        assert ground.enabled()["fra"] is True

        ground.origins.down = False
        await until(lambda: ground.enabled()["fra"] is False, seconds=20)
        await until(lambda: numbers.host() == "eu.voice.example.com", seconds=20)
        assert numbers.history == ["eu.voice.example.com", "ams.voice.example.com", "eu.voice.example.com"]
