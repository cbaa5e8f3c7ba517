"""From the stages of a cascade as configured to their codecs: the one place that knows which kinds of stage exist.

    hearing    deepgram-flux, deepgram-nova
    thinking   openai-chat (everything that speaks its dialect), anthropic, bedrock
    speaking   elevenlabs, deepgram-aura, cartesia

A kind or an option that is not known is said as a SettingsError, and before a call needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from holdfast_bridge.agent_config import Attempt, Stage
from holdfast_bridge.cascade_provider import Address, Stages
from holdfast_bridge.core import stages as st
from holdfast_bridge.errors import SettingsError
from holdfast_bridge.kind_options import configured
from holdfast_bridge.providers import (
    HearingCodec,
    SpeakingCodec,
    ThinkingCodec,
    anthropic,
    bedrock,
    cartesia,
    deepgram,
    deepgram_aura,
    deepgram_flux,
    deepgram_nova,
    elevenlabs,
    openai_chat,
)
from holdfast_bridge.settings import Settings

Made = TypeVar("Made")


def stages(attempt: Attempt, settings: Settings, *, call: str) -> Stages:
    """The codecs of one link; each is made anew, for it remembers what was said on its link."""
    assert attempt.hearing is not None
    assert attempt.thinking is not None
    assert attempt.speaking is not None
    keys = {role: settings.provider_keys.get(f"{attempt.name}/{role}", "") for role in ROLES}
    hearing, hearing_at = _chosen(HEARING, attempt.hearing, "hearing")(attempt.hearing, keys["hearing"], settings)
    speaking, speaking_at = _chosen(SPEAKING, attempt.speaking, "speaking")(
        attempt.speaking, keys["speaking"], settings
    )
    thinking = _chosen(THINKING, attempt.thinking, "thinking")(
        attempt.thinking, keys["thinking"], _placeholders(settings, call)
    )
    return Stages(
        hearing=hearing, hearing_at=hearing_at, thinking=thinking, speaking=speaking, speaking_at=speaking_at
    )


def prove(attempt: Attempt, settings: Settings) -> None:
    """SettingsError when it could not be opened as it is written."""
    try:
        stages(attempt, settings, call="a-call").thinking.request(st.Thought(instructions="", history=()), now=0.0)
    except (SettingsError, ValueError) as error:
        raise SettingsError(f"attempt {attempt.name}: {error}") from error


ROLES = ("hearing", "thinking", "speaking")

# --- hearing


def _flux(stage: Stage, key: str, settings: Settings) -> tuple[HearingCodec, Address]:
    language = settings.agent.persona.language
    session = configured(
        deepgram_flux.FluxSession,
        stage.options,
        of=stage.kind,
        model=stage.model or deepgram_flux.model_for(language),
        language_hints=(language,),
    )
    return deepgram_flux.FluxHearing(), Address(
        deepgram_flux.link_url(stage.base_url, session, stage.query),
        {**stage.headers, **deepgram.headers(key)},
    )


def _nova(stage: Stage, key: str, settings: Settings) -> tuple[HearingCodec, Address]:
    agent = settings.agent
    session = configured(
        deepgram_nova.NovaSession,
        stage.options,
        of=stage.kind,
        model=stage.model,
        language=agent.persona.language,
        silence_ms=agent.turns.silence_ms,
    )
    return deepgram_nova.NovaHearing(session), Address(
        deepgram_nova.link_url(stage.base_url, session, stage.query),
        {**stage.headers, **deepgram.headers(key)},
    )


# --- thinking


def _chat(stage: Stage, key: str, placeholders: Mapping[str, str]) -> ThinkingCodec:
    return openai_chat.OpenAIChat(_asked(openai_chat.OpenAIChatConfig, stage, placeholders, key=key))


def _anthropic(stage: Stage, key: str, placeholders: Mapping[str, str]) -> ThinkingCodec:
    return anthropic.AnthropicMessages(_asked(anthropic.AnthropicConfig, stage, placeholders, key=key))


def _bedrock(stage: Stage, key: str, placeholders: Mapping[str, str]) -> ThinkingCodec:
    """The key is two or three words: the access key's id, its secret and, if it is a temporary one, its token."""
    words = [*key.split(), "", "", ""]
    config = _asked(
        bedrock.BedrockConfig,
        stage,
        placeholders,
        access_key_id=words[0],
        secret_access_key=words[1],
        session_token=words[2],
    )
    return bedrock.BedrockConverse(config)


def _asked(kind: type[Made], stage: Stage, placeholders: Mapping[str, str], **keys: str) -> Made:
    """Where and how a language model is asked."""
    return configured(
        kind,
        stage.options,
        of=stage.kind,
        base_url=stage.base_url,
        model=stage.model,
        headers=stage.headers,
        query=stage.query,
        placeholders=placeholders,
        **keys,
    )


# --- speaking


def _elevenlabs(stage: Stage, key: str, settings: Settings) -> tuple[SpeakingCodec, Address]:
    session = _voice(elevenlabs.ElevenLabsVoice, stage, settings)
    return elevenlabs.ElevenLabsSpeaking(session), Address(
        elevenlabs.link_url(stage.base_url, session, stage.query),
        {**stage.headers, **elevenlabs.headers(key)},
    )


def _aura(stage: Stage, key: str, settings: Settings) -> tuple[SpeakingCodec, Address]:
    session = _voice(deepgram_aura.AuraVoice, stage, settings)
    return deepgram_aura.AuraSpeaking(), Address(
        deepgram_aura.link_url(stage.base_url, session, stage.query),
        {**stage.headers, **deepgram.headers(key)},
    )


def _cartesia(stage: Stage, key: str, settings: Settings) -> tuple[SpeakingCodec, Address]:
    session = _voice(cartesia.CartesiaVoice, stage, settings)
    return cartesia.CartesiaSpeaking(session), Address(
        cartesia.link_url(stage.base_url, session, stage.query),
        {**stage.headers, **cartesia.headers(key)},
    )


def _voice(kind: type[Made], stage: Stage, settings: Settings) -> Made:
    language = settings.agent.persona.language
    return configured(kind, stage.options, of=stage.kind, voice=stage.voice, model=stage.model, language=language)


HEARING: Mapping[str, Callable[[Stage, str, Settings], tuple[HearingCodec, Address]]] = {
    "deepgram-flux": _flux,
    "deepgram-nova": _nova,
}
THINKING: Mapping[str, Callable[[Stage, str, Mapping[str, str]], ThinkingCodec]] = {
    "openai-chat": _chat,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
}
SPEAKING: Mapping[str, Callable[[Stage, str, Settings], tuple[SpeakingCodec, Address]]] = {
    "elevenlabs": _elevenlabs,
    "deepgram-aura": _aura,
    "cartesia": _cartesia,
}


def _chosen(kinds: Mapping[str, Made], stage: Stage, role: str) -> Made:
    try:
        return kinds[stage.kind]
    except KeyError:
        known = ", ".join(kinds)
        raise SettingsError(f"{role}: no kind {stage.kind!r} is known here; use one of {known}") from None


def _placeholders(settings: Settings, call: str) -> dict[str, str]:
    """What {…} in a URL, a query or a header of a language model stands for."""
    agent = settings.agent
    return {"tenant": agent.namespace, "agent": agent.agent, "region": agent.region, "call": call}
