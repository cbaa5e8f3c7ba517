"""The providers that a call has open, with attempts that are opened by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bridge_world import bridge, settings

from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import events as ev
from holdfast_bridge.linking import Links
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providing import ForCall
from holdfast_bridge.settings import Settings

READY = ev.ProviderReady()
FIRST, SECOND = ev.ConnectProvider(0), ev.ConnectProvider(1)


@dataclass
class HandProvider:
    """Says what the test says."""

    name: str
    asked: ForCall
    told: list[ev.ToProvider] = field(default_factory=list)
    audio: bytes = b""
    begun: bool = False
    closed: bool = False

    def begin(self) -> None:
        self.begun = True

    def append(self, payload: bytes) -> None:
        self.audio += payload

    def tell(self, effect: ev.ToProvider) -> None:
        self.told.append(effect)

    def suspect(self) -> str:
        return ""

    def close(self) -> None:
        self.closed = True

    def says(self, *events: ev.Event) -> None:
        self.asked.hear(events)


@dataclass
class World:
    links: Links
    opened: list[HandProvider]
    fed: list[ev.Event]
    results: list[tuple[str, bool, str]]

    async def settled(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@asynccontextmanager
async def world(*, refuse: str = "") -> AsyncIterator[World]:
    opened: list[HandProvider] = []
    fed: list[ev.Event] = []
    given = settings(1, more={"second": 2})

    async def open_provider(attempt: Attempt, _: Settings, asked: ForCall) -> HandProvider:
        if attempt.name == refuse:
            raise ProviderUnreachable("auth", retry_same=False)
        opened.append(HandProvider(attempt.name, asked))
        return opened[-1]

    async with bridge(given) as b, asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            return group.create_task(work)

        links = Links(
            b.services, "CA1", attempts=given.agent.attempts, settings=given, open_provider=open_provider,
            feed=fed.append, past=lambda: (), spawn=spawn, waited=lambda _: None,
        )  # fmt: skip
        at = World(links, opened, fed, b.results)
        links.change(FIRST)
        await at.settled()
        opened[0].says(READY)
        yield at
        links.close()
        for provider in opened:
            provider.says(READY)


async def test_what_is_held_ready_says_nothing_to_the_call_but_that_it_is_ready() -> None:
    async with world() as at:
        at.links.change(ev.Prepare(1))
        await at.settled()
        at.opened[1].says(READY, ev.SpeechStarted())
        assert at.fed == [READY, ev.Prepared(1)]
        at.links.append(b"frame")
        assert (at.opened[0].audio, at.opened[1].audio) == (b"frame", b"")


async def test_the_held_one_is_taken_at_once_and_the_old_one_is_closed() -> None:
    async with world() as at:
        at.links.change(ev.Prepare(1))
        await at.settled()
        at.opened[1].says(READY)
        at.links.change(SECOND)
        assert at.fed == [READY, ev.Prepared(1), READY]
        assert at.opened[0].closed
        assert len(at.opened) == 2, "no third link is needed"
        at.links.append(b"frame")
        assert at.opened[1].audio == b"frame"
        at.opened[0].says(ev.SpeechStarted())
        assert ev.SpeechStarted() not in at.fed


async def test_one_that_is_still_coming_up_is_waited_for() -> None:
    async with world() as at:
        at.links.change(ev.Prepare(1))
        await at.settled()
        at.links.change(SECOND)
        assert at.fed == [READY]
        at.opened[1].says(READY)
        assert at.fed == [READY, READY]
        assert len(at.opened) == 2


async def test_a_session_is_changed_for_another_of_the_same_attempt_without_blame() -> None:
    async with world() as at:
        at.links.change(ev.Prepare(0))
        await at.settled()
        at.opened[1].says(READY)
        at.links.change(ev.ConnectProvider(0, blame=False))
        assert at.opened[0].closed
        assert not at.opened[1].closed
        assert [result for result in at.results if not result[1]] == []


async def test_one_that_stalled_is_blamed_when_the_held_one_takes_over() -> None:
    async with world() as at:
        at.links.change(ev.Prepare(1))
        await at.settled()
        at.opened[1].says(READY)
        at.links.change(SECOND)
        assert ("first", False, "stall") in at.results


async def test_the_loss_of_a_held_one_is_counted_and_leaves_the_call_as_it_is() -> None:
    async with world(refuse="second") as at:
        at.links.change(ev.Prepare(1))
        await at.settled()
        assert at.fed == [READY, ev.PreparedLost(1)]
        assert ("second", False, "auth") in at.results
        assert not at.opened[0].closed


async def test_one_that_is_not_needed_any_more_is_closed() -> None:
    async with world() as at:
        at.links.change(ev.Prepare(1))
        await at.settled()
        at.links.change(ev.Unprepare())
        assert at.opened[1].closed
        at.opened[1].says(READY)
        assert at.fed == [READY]


async def test_another_attempt_than_the_held_one_is_opened_anew() -> None:
    async with world() as at:
        at.links.change(ev.Prepare(1))
        await at.settled()
        at.links.change(FIRST)
        await at.settled()
        assert at.opened[1].closed
        assert [provider.name for provider in at.opened] == ["first", "second", "first"]
