"""From a speech-to-speech attempt as configured to its codec and its address: the one place that knows these kinds.

    openai             OpenAI Realtime, and whatever speaks its GA dialect
    azure-openai       the same on a resource of Azure OpenAI, v1
    azure-voice-live   Azure Voice Live
    gpt-live           OpenAI GPT-Live, and the same on Azure
    gemini             Gemini Live, with an API key or on Vertex AI

What is wrong with a kind's configuration is said as a SettingsError, and before a call needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import events as ev
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.kind_options import configured
from holdfast_bridge.provider_link import PING_S
from holdfast_bridge.providers import (
    ProviderCodec,
    azure,
    azure_voice_live,
    gemini_session,
    gpt_live,
    openai_realtime,
)
from holdfast_bridge.providers.loopback import LoopbackCodec
from holdfast_bridge.settings import Settings

Past = tuple[ev.Seed, ...]
"""What was said and done before a link; only kinds that cannot be told later want it in advance."""
Reached = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind's codec is made, one per link, and where and with which headers it is dialled with this secret."""

    codec: Callable[[Attempt, Settings, Past], ProviderCodec]
    address: Callable[[Attempt, Settings, str], Reached]
    pong_within_s: float = PING_S
    """A vendor that is slow to answer a ping is alive all the same."""
    session_max_s: float = 0.0
    """After so long the vendor closes a session, whatever happens in it; 0: it does not, or says so itself in time."""


def codec_for(attempt: Attempt, settings: Settings, past: Past = ()) -> ProviderCodec:
    return _kind(attempt).codec(attempt, settings, past)


def address(attempt: Attempt, settings: Settings, secret: str) -> Reached:
    """The same for a call and for a probe."""
    url, headers = _kind(attempt).address(attempt, settings, secret)
    return url, {**attempt.headers, **headers}


def pong_within_s(attempt: Attempt) -> float:
    return _kind(attempt).pong_within_s


def session_max_s(attempt: Attempt) -> float:
    return _kind(attempt).session_max_s


def prove(attempt: Attempt, settings: Settings) -> None:
    """SettingsError when it could not be dialled as it is written."""
    try:
        codec_for(attempt, settings).opening()
        address(attempt, settings, "a secret")
    except (SettingsError, ValueError) as error:
        raise SettingsError(f"attempt {attempt.name}: {error}") from error


def _kind(attempt: Attempt) -> Kind:
    try:
        return KINDS[attempt.kind]
    except KeyError:
        raise SettingsError(f"attempt {attempt.name}: no kind {attempt.kind!r} is known here") from None


def _tools(settings: Settings) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in settings.agent.tools
    )


# --- OpenAI's dialect


def _realtime(attempt: Attempt, settings: Settings, _: Past) -> ProviderCodec:
    agent = settings.agent
    session = configured(
        openai_realtime.RealtimeSession,
        attempt.options,
        of=attempt.kind,
        voice=attempt.voice,
        instructions=agent.persona.instructions,
        language=agent.persona.language,
        barge_in=agent.turns.barge_in,
        silence_ms=agent.turns.silence_ms,
        tools=_tools(settings),
    )
    return openai_realtime.OpenAIRealtimeCodec(session)


def _openai_address(attempt: Attempt, _: Settings, secret: str) -> Reached:
    url = openai_realtime.link_url(attempt.base_url, {"model": attempt.model}, attempt.query)
    return url, {"Authorization": f"Bearer {secret}"}


def _azure_openai_address(attempt: Attempt, _: Settings, secret: str) -> Reached:
    return azure.openai_link_url(attempt.base_url, attempt.model, attempt.query), azure.headers(secret)


# --- Azure Voice Live


def _voice_live_session(attempt: Attempt, settings: Settings) -> azure_voice_live.VoiceLiveSession:
    agent = settings.agent
    return configured(
        azure_voice_live.VoiceLiveSession,
        attempt.options,
        of=attempt.kind,
        voice=attempt.voice,
        model=attempt.model,
        instructions=agent.persona.instructions,
        language=agent.persona.language,
        barge_in=agent.turns.barge_in,
        silence_ms=agent.turns.silence_ms,
        tools=_tools(settings),
    )


def _voice_live(attempt: Attempt, settings: Settings, _: Past) -> ProviderCodec:
    return azure_voice_live.VoiceLiveCodec(_voice_live_session(attempt, settings))


def _voice_live_address(attempt: Attempt, settings: Settings, secret: str) -> Reached:
    url = azure_voice_live.link_url(attempt.base_url, _voice_live_session(attempt, settings), attempt.query)
    return url, azure.headers(secret)


# --- OpenAI GPT-Live


def _gpt_live(attempt: Attempt, settings: Settings, past: Past) -> ProviderCodec:
    session = configured(
        gpt_live.LiveSession,
        attempt.options,
        of=attempt.kind,
        model=attempt.model,
        voice=attempt.voice,
        instructions=settings.agent.persona.instructions,
        tools=_tools(settings),
    )
    return gpt_live.GptLiveCodec(session, past)


def _gpt_live_address(attempt: Attempt, _: Settings, secret: str) -> Reached:
    url = gpt_live.link_url(attempt.base_url, attempt.query)
    return url, azure.headers(secret) if gpt_live.on_azure(url) else {"Authorization": f"Bearer {secret}"}


# --- Gemini Live


def _gemini_session(attempt: Attempt, settings: Settings) -> gemini_session.LiveSession:
    agent = settings.agent
    return configured(
        gemini_session.LiveSession,
        attempt.options,
        of=attempt.kind,
        model=attempt.model,
        voice=attempt.voice,
        instructions=agent.persona.instructions,
        barge_in=agent.turns.barge_in,
        silence_ms=agent.turns.silence_ms,
        tools=_tools(settings),
    )


def _gemini(attempt: Attempt, settings: Settings, past: Past) -> ProviderCodec:
    # Its resampling brings numpy, which a pod without Gemini does not have to carry.
    from holdfast_bridge.providers import gemini_live  # noqa: PLC0415

    return gemini_live.GeminiCodec(_gemini_session(attempt, settings), past)


def _gemini_address(attempt: Attempt, settings: Settings, secret: str) -> Reached:
    session = _gemini_session(attempt, settings)
    url = gemini_session.link_url(attempt.base_url, session, query=attempt.query)
    return url, gemini_session.headers(session, secret)


def _loopback(attempt: Attempt, settings: Settings, past: Past) -> ProviderCodec:  # noqa: ARG001 - it takes no settings
    return LoopbackCodec()


_HOUR_S = 3_600.0

KINDS: Mapping[str, Kind] = {
    "openai": Kind(_realtime, _openai_address, session_max_s=_HOUR_S),
    "azure-openai": Kind(_realtime, _azure_openai_address, session_max_s=_HOUR_S / 2),
    "azure-voice-live": Kind(_voice_live, _voice_live_address, session_max_s=_HOUR_S),
    "gpt-live": Kind(_gpt_live, _gpt_live_address, session_max_s=2 * _HOUR_S),
    # It says when a link ends, but one was seen to be closed after 58 minutes without a word.
    "gemini": Kind(_gemini, _gemini_address, pong_within_s=30.0, session_max_s=_HOUR_S - 150),
    "loopback": Kind(_loopback, lambda attempt, _settings, _secret: (attempt.base_url, {})),
}
