"""By which host calls reach a zone: the edge's, until it is out of our hands while it sends calls where none may go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from core_builders import DOWN, cordoned, joined, origins, view, zone

from holdfast.core import pointing, reasons
from holdfast.core.means import Lever
from holdfast.core.plans import View
from holdfast.core.pointing import Pointing
from holdfast.core.values import Cause, Zone

EDGE = zone().levers[0]
NUMBERS = Lever("numbers", "twilioNumber", "", "", "", points=True)
FRA_OUT = joined(zone(), fra=cordoned(Cause.LOST, 5.0))


def led(*levers: Lever, off: tuple[str, ...] = (), unknown: tuple[str, ...] = (), **more) -> View:
    of: Zone = replace(zone(), levers=levers)
    at_edge = replace(zone(), levers=tuple(lever for lever in levers if not lever.points))
    return view(of, routes=origins(at_edge, off, unknown), **more)


def test_calls_go_by_the_edge():
    found = pointing.choose(led(EDGE, NUMBERS), {})
    assert (found.host, found.direct, found.reason.code) == ("eu.voice.example.com", False, reasons.BY_EDGE)


def test_a_lost_region_that_is_off_at_the_edge_leaves_calls_with_it():
    assert not pointing.choose(led(EDGE, NUMBERS, off=("fra",), memory=FRA_OUT), {"edge": 60.0}).direct


@pytest.mark.parametrize("unknown", [(), ("fra",)])
def test_an_edge_that_refuses_for_three_seconds_is_gone_round(unknown: tuple[str, ...]):
    seen = led(EDGE, NUMBERS, unknown=unknown, memory=FRA_OUT)
    assert not pointing.choose(seen, {"edge": 2.9}).direct
    found = pointing.choose(seen, {"edge": 3.0})
    assert (found.host, found.region, found.reason.code) == ("ams.voice.example.com", "ams", reasons.EDGE_BYPASSED)
    assert found.reason.message == (
        "lever edge was refused or unknown for 3 s, so numbers and applications name ams itself"
    )


def test_an_edge_that_refuses_while_nothing_is_out_is_left_in_place():
    assert not pointing.choose(led(EDGE, NUMBERS), {"edge": 60.0}).direct


def test_a_second_edge_that_moved_carries_on():
    second = replace(EDGE, name="second")
    seen = led(EDGE, second, NUMBERS, memory=FRA_OUT)
    seen = seen.with_origin("second", "fra", enabled=False)
    assert not pointing.choose(seen, {"edge": 60.0, "second": 60.0}).direct


def test_without_a_lever_that_points_there_is_nothing_to_go_round_with():
    assert pointing.choose(led(EDGE, memory=FRA_OUT), {"edge": 60.0}).direct is False


def test_a_lever_on_trial_neither_stands_nor_takes_over():
    trial = replace(NUMBERS, dry_run=True)
    assert not pointing.choose(led(EDGE, trial, memory=FRA_OUT), {"edge": 60.0}).direct
    assert pointing.choose(led(replace(EDGE, dry_run=True), NUMBERS), {}).reason.code == reasons.NO_EDGE


def test_without_an_edge_addresses_name_the_first_region_that_is_able():
    found = pointing.choose(led(NUMBERS, verdicts={"fra": DOWN}), {})
    assert (found.region, found.reason.code) == ("ams", reasons.NO_EDGE)


def test_a_lever_that_is_no_edge_does_not_count_as_one():
    dispatcher = replace(EDGE, name="sip", edge=False)
    assert pointing.choose(led(dispatcher, NUMBERS), {}).reason.code == reasons.NO_EDGE


def test_with_nobody_seen_well_the_first_that_is_meant_to_serve_is_named():
    assert pointing.choose(led(NUMBERS, verdicts={"fra": DOWN, "ams": DOWN}), {}).region == "fra"


def test_no_address_ever_names_a_region_outside_the_residency():
    """Not even when it is the only one that is well: an empty zone fails closed."""
    abroad = replace(led(NUMBERS), zone=replace(zone(), levers=(NUMBERS,), residency="us"))
    found = pointing.choose(abroad, {})
    assert found == Pointing("eu.voice.example.com", None, found.reason)
    assert found.reason.message == "eu has no lever at the edge; no region serves"
