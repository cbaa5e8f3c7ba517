"""From an attempt as configured to its codec and its link: the one place that knows which kinds of provider exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from holdfast_bridge import provider_link
from holdfast_bridge.provider_link import LoopbackLink, OnLost, OnMessage, ProviderLink
from holdfast_bridge.providers import ProviderCodec
from holdfast_bridge.providers.loopback import LoopbackCodec
from holdfast_bridge.providers.openai_realtime import OpenAIRealtimeCodec, RealtimeSession, link_url
from holdfast_bridge.settings import Attempt, Settings

Dial: TypeAlias = Callable[[Attempt, Settings, OnMessage, OnLost], Awaitable[ProviderLink]]


def codec_for(attempt: Attempt, settings: Settings) -> ProviderCodec:
    if attempt.kind == "loopback":
        return LoopbackCodec()
    agent = settings.agent
    return OpenAIRealtimeCodec(
        RealtimeSession(
            model=attempt.model,
            voice=attempt.voice,
            instructions=agent.persona.instructions,
            language=agent.persona.language,
            barge_in=agent.turns.barge_in,
            silence_ms=agent.turns.silence_ms,
            tools=[
                {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
                for tool in agent.tools
            ],
        )
    )


async def dial(attempt: Attempt, settings: Settings, on_message: OnMessage, on_lost: OnLost) -> ProviderLink:
    if attempt.kind == "loopback":
        return LoopbackLink(on_message)
    url, headers = address(attempt, settings)
    return await provider_link.dial(url, headers, on_message=on_message, on_lost=on_lost)


def address(attempt: Attempt, settings: Settings) -> tuple[str, dict[str, str]]:
    """Where a session is opened, and with which headers: the same for a call and for a probe."""
    headers = {**attempt.headers, "Authorization": f"Bearer {settings.provider_keys.get(attempt.name, '')}"}
    return link_url(attempt.base_url, model=attempt.model, query=attempt.query), headers
