"""Azure Voice Live, API version 2026-04-10: a flat session and the beta names of events, µ-law both ways.

Pure, one object per link. What it shares with OpenAI's own dialect is in `openai_items`. It knows no avatars, no
animation and no tools that Azure runs itself.

A model of the gpt-realtime family hears for itself and is transcribed by OpenAI's models; every other model, and an
agent, stands behind Azure's own speech recognition.

https://learn.microsoft.com/azure/ai-services/speech-service/voice-live-api-reference-2026-04-10
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers import openai_items, openai_realtime

API_VERSION = "2026-04-10"
AZURE_TRANSCRIPTION = "azure-speech"
OPENAI_TRANSCRIPTION = "gpt-4o-mini-transcribe"
_FORMAT = "g711_ulaw"
_REALTIME_MODELS = "gpt-realtime"
_OPENAI_VAD = "semantic_vad"
_SAID_PART = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceLiveSession:
    """What a session is configured with: exactly one of `model` and `agent`."""

    voice: str
    voice_type: str = ""
    """azure-standard, azure-custom, azure-realtime-native or openai. Empty: azure-standard for a name with a locale in
    it (en-US-AvaNeural), else openai."""
    voice_endpoint: str = ""
    """Where an azure-custom voice is deployed."""
    model: str = ""
    agent: str = ""
    """Of Microsoft Foundry. It brings its own model, instructions and tools, and wants a token of Entra."""
    project: str = ""
    """The agent's."""
    instructions: str = ""
    """Not sent to an agent, nor are the tools."""
    language: str = "en"
    barge_in: bool = True
    silence_ms: int = 500
    tools: Sequence[Mapping[str, Any]] = ()
    """Each with name, description and parameters."""
    turn_detection: str = ""
    """Empty: azure_semantic_vad, in its multilingual form for any language but English."""
    transcription: str = ""
    """Empty: what the model allows."""
    given_words: bool = True
    """Words that are known to the letter are given to the voice, without asking the model."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the session as the vendor names them, such as `temperature`; ours go before them."""


def link_url(base_url: str, session: VoiceLiveSession, query: Mapping[str, str]) -> str:
    """`base_url`: wss://RESOURCE.services.ai.azure.com/voice-live/realtime. ValueError says which field is wrong."""
    if bool(session.model) == bool(session.agent):
        raise ValueError("model, agent: exactly one of them has to be given")
    if bool(session.project) != bool(session.agent):
        raise ValueError("project: has to be given with an agent, and only then")
    who = {"model": session.model}
    if session.agent:
        who = {"agent-name": session.agent, "agent-project-name": session.project}
    return openai_realtime.link_url(base_url, {"api-version": API_VERSION, **who}, query)


class VoiceLiveCodec:
    silence_max_s = 0.0

    def __init__(self, session: VoiceLiveSession) -> None:
        self._session = session
        self._persona = "" if session.agent else session.instructions
        self._incoming = openai_items.Incoming(audio="response.audio", transcript="response.audio_transcript")

    # --- to the provider

    def opening(self) -> list[bytes]:
        asked = self._session
        session: dict[str, Any] = {
            **asked.extra,
            "modalities": ["text", "audio"],
            "voice": _voice(asked),
            "input_audio_format": _FORMAT,
            "output_audio_format": _FORMAT,
            "turn_detection": _turn_detection(asked),
            "input_audio_transcription": _transcription(asked),
        }
        if not asked.agent:
            session["instructions"] = asked.instructions
            session["tools"] = openai_items.tools(asked.tools)
            session["tool_choice"] = "auto"
        return [openai_items.to_json({"type": "session.update", "session": session})]

    def append(self, payload: bytes) -> bytes:
        return openai_items.append(payload)

    def noticed(self) -> tuple[()]:
        return ()

    def encode(self, effect: ev.ToProvider) -> list[bytes]:
        match effect:
            case ev.Respond(words=words):
                told: dict[str, Any] = openai_items.instructions(effect, self._persona)
                if words and self._session.given_words:
                    told = {"pre_generated_assistant_message": _message(words)}
                return [openai_items.to_json({"type": "response.create"} | ({"response": told} if told else {}))]
            case _:
                return openai_items.encode(effect, said_part=_SAID_PART)

    # --- from the provider

    def decode(self, message: bytes) -> Iterable[ev.Event]:
        return self._incoming.decode(message)


def _message(words: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": _SAID_PART, "text": words}]}


def _voice(asked: VoiceLiveSession) -> dict[str, str]:
    kind = asked.voice_type or ("azure-standard" if "-" in asked.voice else "openai")
    given = {"type": kind, "name": asked.voice}
    return given | {"endpoint_id": asked.voice_endpoint} if asked.voice_endpoint else given


def _turn_detection(asked: VoiceLiveSession) -> dict[str, Any]:
    english = asked.language.lower().partition("-")[0] == "en"
    kind = asked.turn_detection or ("azure_semantic_vad" if english else "azure_semantic_vad_multilingual")
    turns: dict[str, Any] = {"type": kind, "create_response": True, "interrupt_response": asked.barge_in}
    if kind != _OPENAI_VAD:
        turns["silence_duration_ms"] = asked.silence_ms
    return turns


def _transcription(asked: VoiceLiveSession) -> dict[str, str]:
    """Azure's own recognition takes a language with its region."""
    hears_itself = not asked.agent and asked.model.startswith(_REALTIME_MODELS)
    model = asked.transcription or (OPENAI_TRANSCRIPTION if hears_itself else AZURE_TRANSCRIPTION)
    if model == AZURE_TRANSCRIPTION:
        return {"model": model} | ({"language": asked.language} if asked.language else {})
    return {"model": model, **openai_items.language(asked.language)}
