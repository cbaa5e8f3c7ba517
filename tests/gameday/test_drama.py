"""A game day whose callers cannot get to where they are needed says so, and does not dial for ever."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast_gameday import drama
from holdfast_gameday.lab import names
from holdfast_gameday.lab.commands import LabError
from holdfast_gameday.scenario import AtLeast, Calls, load

SCENARIO = Path("game_days/scenarios/region-loss.yaml")


@dataclass
class Callers:
    """Every call lands in the next of these regions at once; the last one takes all others."""

    lands_in: list[str]
    calls: list[Any] = field(default_factory=list)

    def place(self, number: str, script: object) -> Any:
        region = self.lands_in.pop(0) if len(self.lands_in) > 1 else self.lands_in[0]
        settled = asyncio.Event()
        settled.set()
        call = SimpleNamespace(host=names.REGIONS[region].host, settled=settled, over=asyncio.Event())
        call.hang_up = call.over.set
        self.calls.append(call)
        return call


def played(*lands_in: str) -> tuple[drama.Drama, Callers]:
    """Two of three calls are wanted in fra."""
    _, scenario = load(SCENARIO)
    calls = Calls(count=3, at_least=AtLeast(region="fra", count=2))
    few = scenario.model_copy(update={"calls": calls, "bystanders": None})
    callers, nobody = Callers(list(lands_in)), cast("Any", None)
    world = cast("Any", SimpleNamespace(callers=callers))
    return drama.Drama(few, nobody, world, nobody, nobody, operators_off=True), callers


async def test_calls_are_placed_until_enough_are_in_the_region_that_will_die() -> None:
    stage, callers = played("ams", "ams", "ams", "ams", "fra")
    await stage._place_calls()
    going_on = [call.host for call in callers.calls if not call.over.is_set()]
    assert sorted(going_on) == sorted([names.REGIONS["ams"].host, *[names.REGIONS["fra"].host] * 2])


async def test_a_region_that_no_call_gets_to_is_named_with_what_to_look_at() -> None:
    stage, _ = played("ams")
    with pytest.raises(LabError, match=r"0 of 2 calls landed in fra.*kubectl holdfast explain fra"):
        await stage._place_calls()
