"""When somebody should ask a provider: half-open or in silence, one at a time, and never while it is cooling down."""

from __future__ import annotations

import pytest

from holdfast.core import trials
from holdfast.core.providers import AttemptLine, Breaker, Failure
from holdfast.core.trials import Heard, Why

LINE = AttemptLine("openai", "api/model", key="key", own="own")
OPEN = Breaker(failure=Failure.ERROR, trips=1, opened_at=0.0, until=60.0)
QUIET, BUSY = Heard(60.0, 60.0), Heard(0.0, 600.0)


def due(heard: Heard = BUSY, *, now: float = 100.0, by_fleet: frozenset[str] = frozenset(), **breakers: Breaker):
    named = {"provider": LINE.provider, "key": LINE.key, "own": LINE.own}
    return trials.due(
        LINE, heard, {named[name]: each for name, each in breakers.items()}, now=now, by_fleet=by_fleet
    )


def test_what_calls_prove_well_is_left_alone():
    assert due() is None
    assert due(Heard(59.9, 600.0)) is None


def test_after_a_minute_of_silence_it_is_asked_and_then_not_for_another():
    assert due(QUIET) is Why.SILENT
    assert due(Heard(600.0, 59.9)) is None


def test_a_probe_that_failed_is_confirmed_after_five_seconds():
    assert due(Heard(4.9, 4.9, failed=True)) is None
    assert due(Heard(5.0, 5.0, failed=True)) is Why.SILENT


def test_nothing_is_asked_while_anything_of_it_is_cooling_down():
    for name in ("provider", "key", "own"):
        assert due(Heard(600.0, 600.0), now=59.9, **{name: OPEN}) is None


@pytest.mark.parametrize("name", ["provider", "key", "own"])
def test_half_open_it_is_asked_at_once_and_by_one_only(name: str):
    assert due(now=60.0, **{name: OPEN}) is Why.HALF_OPEN
    line = {"provider": LINE.provider, "key": LINE.key, "own": LINE.own}[name]
    sent = trials.tried(LINE, {line: OPEN}, now=60.0)[line]
    assert due(now=89.9, **{name: sent}) is None
    assert due(now=90.0, **{name: sent}) is Why.HALF_OPEN


def test_a_stage_is_tried_for_itself_whatever_becomes_of_the_others():
    hearing, thinking = (AttemptLine(f"cascade/{role}", role, own=f"own-{role}") for role in ("hearing", "thinking"))
    cascade = AttemptLine("cascade", stages=(hearing, thinking))
    asked = {
        part.name: trials.due(part, QUIET, {"hearing": OPEN}, now=30.0) for part in cascade.parts
    }
    assert asked == {"cascade/hearing": None, "cascade/thinking": Why.SILENT}


def test_a_half_open_provider_is_left_to_the_fleets_own_key_but_a_tenants_key_is_not():
    fleet = frozenset({LINE.provider})
    assert due(now=60.0, by_fleet=fleet, provider=OPEN) is None
    assert due(now=60.0, by_fleet=fleet, key=OPEN) is Why.HALF_OPEN
    assert due(now=60.0, by_fleet=fleet, key=OPEN, provider=OPEN) is Why.HALF_OPEN
