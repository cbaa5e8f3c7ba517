"""Calls of one pod, each with its own choice: drawn by its caller's lot, kept in a hand-over, left when it fails."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from bridge_world import Bridge, ScriptedProvider, bridge, dial_in, provider, settings

from holdfast_bridge import choosing
from holdfast_bridge.core.choice import Moment
from holdfast_bridge.core.journal import CallRecord

A, B = 0, 9_999
"""Lots of a caller whom `a` answers, and of one whom `b` does."""


@dataclass
class World:
    bridge: Bridge
    vendors: dict[str, ScriptedProvider]

    async def call(self, lot: int, *, call: str = "CA1", epoch: int = 1) -> Any:
        socket = await dial_in(self.bridge.port.port)
        socket.start(f"good {call} {epoch} {lot}", call=call)
        if epoch == 1:
            await socket.until(lambda: socket.audio)
        return socket

    def ordered(self, *, ill: str) -> None:
        self.bridge.settings = dataclasses.replace(self.bridge.settings, ill=frozenset(ill.split()))

    @property
    def opened(self) -> dict[str, int]:
        return {name: len(vendor.sessions) for name, vendor in self.vendors.items()}


@asynccontextmanager
async def world(**changes: Any) -> AsyncIterator[World]:
    """Three attempts, of which `a` and `b` share the callers."""
    async with provider() as (a, first), provider() as (b, second), provider() as (spare, third):
        given = settings(first, more={"b": second, "spare": third}, greeting="hello")
        shares = {"first": 50, "b": 50, "spare": 0}
        attempts = tuple(
            msgspec.structs.replace(each, weight=shares[each.name], **changes.get(each.name, {}))
            for each in given.agent.attempts
        )
        given = dataclasses.replace(given, agent=msgspec.structs.replace(given.agent, attempts=attempts))
        async with bridge(given) as pod:
            yield World(pod, {"first": a, "b": b, "spare": spare})


def record(**changes: Any) -> CallRecord:
    given = {
        "call": "CA1", "agent": "clinic/front-desk", "epoch": 1, "seq": 1, "region": "ams", "pod": "p0",
        "started_at": time.time(), "updated_at": time.time(),
    }  # fmt: skip
    return CallRecord(**{**given, **changes})


async def test_a_caller_begins_with_the_attempt_that_his_lot_falls_to() -> None:
    """`b` stands before `first` on the line, which is laid out by name."""
    async with world() as w:
        for number, lot in enumerate((A, A, B)):
            await w.call(lot, call=f"CA{number}")
        assert w.opened == {"first": 1, "b": 2, "spare": 0}
        assert w.bridge.began == [("b",), ("b",), ("first",)]


async def test_a_caller_whose_attempt_is_ill_is_answered_by_another_and_comes_back_when_it_is_well() -> None:
    async with world() as w:
        w.ordered(ill="b")
        await w.call(A, call="CA1")
        w.ordered(ill="")
        await w.call(A, call="CA2")
        assert w.opened == {"first": 1, "b": 1, "spare": 0}


async def test_a_failover_goes_by_the_rest_in_order() -> None:
    async with world() as w:
        w.vendors["b"].refuse = w.vendors["first"].refuse = 401
        await w.call(A)
        assert [name for name, ok, _ in w.bridge.results if not ok] == ["b", "first"]
        assert w.opened["spare"] == 1


@pytest.mark.parametrize(("in_use", "answered"), [("first", "first"), ("spare", "spare"), ("gone", "b"), ("", "b")])
async def test_a_call_that_is_handed_over_goes_on_with_the_attempt_that_it_had(in_use: str, answered: str) -> None:
    async with world() as w:
        w.bridge.journal.known = record(attempt=in_use)
        await w.call(A, epoch=2)
        await w.vendors[answered].until(lambda: w.vendors[answered].sessions)
        assert w.opened == {"first": 0, "b": 0, "spare": 0} | {answered: 1}


async def test_the_journal_says_which_attempt_is_in_use_and_none_when_it_is_lost() -> None:
    async with world() as w:
        await w.call(A)
        await w.bridge.journal.until(lambda: w.bridge.journal.records[-1].attempt == "b")
        before = len(w.bridge.journal.records)
        for vendor in w.vendors.values():
            vendor.refuse = 401
        session = w.vendors["b"].sessions[0]
        assert session.transport is not None
        session.transport.disconnect(graceful=False)
        await w.bridge.journal.until(lambda: w.bridge.journal.records[before:] and not w.bridge.book.calls)
        assert w.bridge.journal.records[-1].attempt == ""


def test_the_time_in_a_zone_is_that_of_its_clocks_and_a_zone_that_is_not_known_has_none() -> None:
    """The first second of summer time in Berlin, a Sunday: 2026-03-29 01:00 UTC."""
    assert choosing.moments(["Europe/Berlin", "UTC", "Mars/Olympus", "../etc/passwd", ""], 1_774_746_000.0) == {
        "Europe/Berlin": Moment(6, 180), "UTC": Moment(6, 60),
    }  # fmt: skip
