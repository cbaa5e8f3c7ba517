"""The providers that a call has open: the one in use, and at most one more that is held ready.

It opens, drops and changes over as it is told, reports outcomes by the part of an attempt that they speak of, and hands
on what the provider in use says. What a provider that is not in use says is not the call's. It decides nothing, except
how long it waits for a link.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import events as ev
from holdfast_bridge.core.cascade import RECITED
from holdfast_bridge.core.latency import Waited
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providing import ForCall, Open, Provider
from holdfast_bridge.seams import Services
from holdfast_bridge.settings import Settings

READY_WITHIN_S = 2.0

log = logging.getLogger(__name__)


class _Link:
    """One attempt being opened, or open."""

    def __init__(self, index: int, attempt: Attempt) -> None:
        self.index = index
        self.attempt = attempt
        self.provider: Provider | None = None
        self.ready = asyncio.Event()
        self.greeting: ev.ProviderReady | None = None
        self.failure = ""

    def part(self, part: str) -> str:
        """The name under which outcomes of this part of the attempt are counted."""
        return f"{self.attempt.name}/{part}" if part else self.attempt.name

    def close(self) -> None:
        provider, self.provider = self.provider, None
        if provider is not None:
            provider.close()


class Links:
    """`feed` takes what happens to the call, `waited` how long its stages took; `past` tells what was said and done."""

    def __init__(
        self,
        services: Services,
        call: str,
        *,
        attempts: Sequence[Attempt],
        settings: Settings,
        open_provider: Open,
        feed: Callable[[ev.Event], None],
        past: Callable[[], tuple[ev.Seed, ...]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None] | None],
        waited: Callable[[Waited], None],
    ) -> None:
        self._services = services
        self._call = call
        self._attempts = attempts
        self._settings = settings
        self._open_provider = open_provider
        self._feed = feed
        self._past = past
        self._spawn = spawn
        self._waited = waited
        self._used: _Link | None = None
        self._held: _Link | None = None

    def append(self, payload: bytes) -> None:
        """A piece of the caller's audio, once per frame."""
        if self._used is not None and self._used.provider is not None:
            self._used.provider.append(payload)

    def tell(self, effect: ev.ToProvider) -> None:
        if self._used is not None and self._used.provider is not None:
            self._used.provider.tell(effect)

    def change(self, order: ev.ConnectProvider | ev.Prepare | ev.Unprepare) -> None:
        match order:
            case ev.ConnectProvider(attempt=index, blame=blame):
                self._connect(index, blame=blame)
            case ev.Prepare(attempt=index):
                self._release()
                self._held = self._opened(index)
            case ev.Unprepare():
                self._release()

    def close(self) -> None:
        self._release()
        self._drop_used()

    def _connect(self, index: int, *, blame: bool) -> None:
        """By the link that is held, if it is to this attempt."""
        used, held = self._used, self._held
        if used is not None and used.provider is not None and blame:  # The call gave up on what is still there.
            failure = used.failure or "stall"
            log.warning("provider given up", extra={"call": self._call, "error": failure})
            self._services.provider_result(used.part(used.provider.suspect()), False, failure, 0.0)
        self._drop_used()
        if held is None or held.index != index:
            self._release()
            self._used = self._opened(index)
            return
        self._used, self._held = held, None
        if held.greeting is not None:
            self._feed(held.greeting)

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _drop_used(self) -> None:
        """Nothing that the old link still says counts."""
        used, self._used = self._used, None
        if used is not None:
            used.close()

    def _opened(self, index: int) -> _Link:
        link = _Link(index, self._attempts[index])
        self._spawn(self._bring_up(link))
        return link

    async def _bring_up(self, link: _Link) -> None:
        def lost(word: str, retry_same: bool) -> None:
            self._lost(link, ev.ProviderLost(word, retry_same))

        try:
            async with asyncio.timeout(READY_WITHIN_S):
                asked = ForCall(self._call, self._past(), partial(self._said, link), lost, self._spawn, self._waited)
                provider = await self._open_provider(link.attempt, self._settings, asked)
                if not self._wanted(link):
                    provider.close()
                    return
                link.provider = provider
                provider.begin()
                await link.ready.wait()
        except ProviderUnreachable as error:
            refused = ev.ProviderLost(error.error_class, error.retry_same, error.part, error.retry_after_s)
            self._lost(link, refused)
        except TimeoutError:
            self._lost(link, ev.ProviderLost("timeout"))

    def _wanted(self, link: _Link) -> bool:
        return link is self._used or link is self._held

    def _said(self, link: _Link, said: Iterable[ev.Event]) -> None:
        for event in said:
            used = link is self._used
            if not used and link is not self._held:
                return
            if type(event) is ev.ProviderLost:
                self._lost(link, event)
                return
            if type(event) is ev.ProviderReady:
                self._is_ready(link, event)
            elif used:
                if type(event) is ev.ResponseDone:
                    self._came_to_an_end(link, event)
                self._feed(event)

    def _is_ready(self, link: _Link, event: ev.ProviderReady) -> None:
        link.ready.set()
        link.greeting = event
        for part in link.attempt.opened:
            self._services.provider_result(part, True, "", 0.0)
        self._feed(event if link is self._used else ev.Prepared(link.index))

    def _came_to_an_end(self, link: _Link, done: ev.ResponseDone) -> None:
        if not done.ok:
            link.failure = done.detail
            return
        for part in link.attempt.opened if done.detail == RECITED else link.attempt.parts:
            self._services.provider_spoke(part)

    def _lost(self, link: _Link, lost: ev.ProviderLost) -> None:
        if not self._wanted(link):
            return
        part = link.part(lost.part)
        log.warning("provider lost", extra={"call": self._call, "attempt": part, "error": lost.reason})
        self._services.provider_result(part, False, lost.reason, lost.retry_after_s)
        if link is self._used:
            self._drop_used()
            self._feed(lost)
        else:
            self._release()
            self._feed(ev.PreparedLost(link.index))
