"""From an attempt as configured to a provider that can be spoken with.

A provider is one codec on one socket (`speech_codecs`), or a cascade of three stages (`stage_codecs`). A call does not
see which.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import aiohttp
import msgspec

from holdfast_bridge import provider_link, speech_codecs, stage_codecs
from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.cascade_provider import CascadeProvider, Hear, OnWait, Spawn
from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st
from holdfast_bridge.core.cascade import CascadePlan
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.provider_link import LoopbackLink, OnLost, ProviderLink
from holdfast_bridge.providers import ProviderCodec
from holdfast_bridge.settings import Settings


class Provider(Protocol):
    """One attempt, open."""

    def begin(self) -> None:
        """Say what the provider has to be told first; `ProviderReady` follows when it can be used."""
        ...

    def append(self, payload: bytes) -> None:
        """A piece of the caller's audio, once per frame."""
        ...

    def tell(self, effect: ev.ToProvider) -> None: ...

    def suspect(self) -> str:
        """When nothing comes: the part of it that is to blame. Empty: it is all one."""
        ...

    def close(self) -> None:
        """End it without reporting it as lost."""
        ...


@dataclass(frozen=True, slots=True)
class ForCall:
    """What a provider has to know of the call that it is opened for."""

    call: str
    past: tuple[ev.Seed, ...]
    """What was said and done before, for providers that have to be told at once; all are told again when ready."""
    hear: Hear
    lost: OnLost
    spawn: Spawn
    waited: OnWait = lambda _: None
    """Told how long the stages of a cascade took."""


Open: TypeAlias = Callable[[Attempt, Settings, ForCall], Awaitable[Provider]]


ENDS_SOON_S = 120.0
"""So long before a vendor closes a session the call begins to look for a moment to change it."""


class SocketProvider:
    """One codec on one link. Told of every message by `heard`, once the link is there.

    `session_max_s`: after so long the vendor closes the session; 0: it does not.
    """

    def __init__(self, codec: ProviderCodec, asked: ForCall, *, session_max_s: float = 0.0) -> None:
        self._session_max_s = session_max_s
        self._ending: asyncio.TimerHandle | None = None
        self._codec = codec
        self._asked = asked
        self._link: ProviderLink | None = None
        self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0
        self._listening: asyncio.TimerHandle | None = None

    def joined(self, link: ProviderLink) -> SocketProvider:
        self._link = link
        return self

    def heard(self, message: bytes) -> None:
        self._heard_at = self._loop.time()
        self._asked.hear(self._codec.decode(message))

    def begin(self) -> None:
        self._send(self._codec.opening())
        self._heard_at = self._loop.time()
        self._listen()
        if self._session_max_s:
            soon = (ev.ProviderEnding(ENDS_SOON_S),)
            self._ending = self._loop.call_later(self._session_max_s - ENDS_SOON_S, self._asked.hear, soon)

    def append(self, payload: bytes) -> None:
        if (message := self._codec.append(payload)) and self._link is not None:
            self._link.send(message)
        if said := self._codec.noticed():
            self._asked.hear(said)

    def tell(self, effect: ev.ToProvider) -> None:
        self._send(self._codec.encode(effect))

    def suspect(self) -> str:
        return ""

    def close(self) -> None:
        link, self._link = self._link, None
        for timer in (self._listening, self._ending):
            if timer is not None:
                timer.cancel()
        if link is not None:
            link.close()

    def _send(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            if self._link is not None:
                self._link.send(message)

    def _listen(self) -> None:
        """Messages come fifty times a second, so none sets the timer anew: it looks when it fires."""
        left_s = self._heard_at + self._codec.silence_max_s - self._loop.time()
        if self._link is None or self._codec.silence_max_s <= 0:
            return
        if left_s <= 0:
            self._asked.lost("stall", True)
        else:
            self._listening = self._loop.call_later(left_s, self._listen)


class Providers:
    """Opens providers. `http` carries what is asked by requests; sockets are each attempt's own.

    `secret`: what an attempt that is one socket is dialled with, or ProviderUnreachable.
    """

    def __init__(self, http: aiohttp.ClientSession, secret: Callable[[Attempt, Settings], str]) -> None:
        self._http = http
        self._secret = secret

    async def open(self, attempt: Attempt, settings: Settings, asked: ForCall) -> Provider:
        """An open provider, or ProviderUnreachable within the link's deadline."""
        if attempt.kind == "cascade":
            return await self._cascade(attempt, settings, asked)
        codec = speech_codecs.codec_for(attempt, settings, asked.past)
        provider = SocketProvider(codec, asked, session_max_s=speech_codecs.session_max_s(attempt))
        if attempt.kind == "loopback":
            return provider.joined(LoopbackLink(provider.heard))
        url, headers = speech_codecs.address(attempt, settings, self._secret(attempt, settings))
        link = await provider_link.dial(
            url,
            headers,
            on_message=provider.heard,
            on_binary=provider.heard,
            on_lost=asked.lost,
            pong_within_s=speech_codecs.pong_within_s(attempt),
        )
        return provider.joined(link)

    async def _cascade(self, attempt: Attempt, settings: Settings, asked: ForCall) -> Provider:
        agent = settings.agent
        plan = CascadePlan(
            instructions=agent.persona.instructions,
            tools=tuple(st.Tool(tool.name, tool.description, tool.parameters) for tool in agent.tools),
            barge_in=agent.turns.barge_in,
        )
        provider = CascadeProvider(
            stage_codecs.stages(attempt, settings, call=asked.call),
            plan,
            http=self._http,
            hear=asked.hear,
            spawn=asked.spawn,
            wall=time.time,
            on_wait=asked.waited,
        )
        await provider.connect()
        return provider


def fit(settings: Settings) -> Settings:
    """Without the attempts that could not be opened as they are written: found out at start, not in a call.

    SettingsError when none would be left.
    """
    unfit = {attempt.name: why for attempt in settings.agent.attempts if (why := _why_unfit(attempt, settings))}
    if not unfit:
        return settings
    kept = tuple(attempt for attempt in settings.agent.attempts if attempt.name not in unfit)
    if not kept:
        raise SettingsError("; ".join(unfit.values()))
    agent = msgspec.structs.replace(settings.agent, attempts=kept)
    return replace(settings, agent=agent, unfit=tuple(unfit.values()))


def _why_unfit(attempt: Attempt, settings: Settings) -> str:
    try:
        if attempt.kind == "cascade":
            stage_codecs.prove(attempt, settings)
        else:
            speech_codecs.prove(attempt, settings)
    except SettingsError as error:
        return str(error)
    return ""
