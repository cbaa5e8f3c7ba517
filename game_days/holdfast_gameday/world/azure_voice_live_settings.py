"""The flat session of Azure Voice Live: what `session.update` may hold, what is shown of it, and its words in GA.

It refuses what the vendor refuses, field by field, and beyond that what the practice range cannot do: any audio but
µ-law, avatars, animation, timestamps, interim responses, and a vendor that truncates by itself.

https://learn.microsoft.com/azure/ai-services/speech-service/voice-live-api-reference-2026-04-10
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from holdfast_gameday.world.openai_errors import Refusal, unfitting
from holdfast_gameday.world.openai_session import Identity

FORMAT = "g711_ulaw"
AZURE_SPEECH = "azure-speech"
_RATE = 8000
_REALTIME_MODELS = "gpt-realtime"
_HEARD_BY_AZURE = ("azure-speech", "mai-transcribe")
_HEARD_BY_OPENAI = (
    "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "mai-transcribe",
)  # fmt: skip
_BEYOND_US = ("animation", "avatar", "output_audio_timestamp_types", "interim_response")
_TURN_DEFAULTS: dict[str, Any] = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
    "create_response": True, "interrupt_response": True, "auto_truncate": False,
}  # fmt: skip
_SILENCE_MS = 500


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _OpenAIVoice(_Part, tag_field="type", tag="openai"):
    name: Literal["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]


class _NativeVoice(_Part, tag_field="type", tag="azure-realtime-native"):
    name: str


class _StandardVoice(_Part, tag_field="type", tag="azure-standard"):
    name: str
    temperature: float | None = None
    custom_lexicon_url: str | None = None
    custom_text_normalization_url: str | None = None
    prefer_locales: list[str] | None = None
    locale: str | None = None
    style: str | None = None
    pitch: str | None = None
    rate: str | None = None
    volume: str | None = None


class _CustomVoice(_StandardVoice, tag_field="type", tag="azure-custom", kw_only=True):
    endpoint_id: str


class _PersonalVoice(_StandardVoice, tag_field="type", tag="azure-personal", kw_only=True):
    model: str


Voice: TypeAlias = _OpenAIVoice | _NativeVoice | _StandardVoice | _CustomVoice | _PersonalVoice


class _EndOfUtterance(_Part):
    model: Literal["semantic_detection_v1", "semantic_detection_v1_en", "semantic_detection_v1_multilingual"]
    threshold_level: Literal["low", "medium", "high", "default"] | None = None
    timeout_ms: float | None = None


class _OpenAISemantic(_Part, tag_field="type", tag="semantic_vad"):
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    auto_truncate: bool | None = None


class _ServerVad(_Part, tag_field="type", tag="server_vad"):
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    speech_duration_ms: int | None = None
    end_of_utterance_detection: _EndOfUtterance | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    auto_truncate: bool | None = None


class _AzureSemantic(_ServerVad, tag_field="type", tag="azure_semantic_vad"):
    remove_filler_words: bool | None = None
    languages: list[str] | None = None
    appended_text_after_truncation: str | None = None


class _AzureSemanticEn(_AzureSemantic, tag_field="type", tag="azure_semantic_vad_en"):
    pass


class _AzureSemanticMultilingual(_AzureSemantic, tag_field="type", tag="azure_semantic_vad_multilingual"):
    pass


Turns: TypeAlias = _OpenAISemantic | _ServerVad | _AzureSemantic | _AzureSemanticEn | _AzureSemanticMultilingual


class _Transcription(_Part):
    model: str
    language: str | None = None
    prompt: str | None = None
    custom_speech: dict[str, str] | None = None
    phrase_list: list[str] | None = None


class _NoiseReduction(_Part):
    type: Literal["azure_deep_noise_suppression", "near_field", "far_field"]


class _EchoCancellation(_Part):
    type: Literal["server_echo_cancellation"]
    reference_source: Literal["server", "client"] | None = None
    channels: int | None = None


class _Tool(_Part):
    type: Literal["function"]
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class _Session(_Part):
    model: str | None = None
    modalities: list[Literal["text", "audio", "animation", "avatar"]] | None = None
    voice: str | Voice | None = None
    instructions: str | None = None
    input_audio_sampling_rate: int | None = None
    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] | None = None
    output_audio_format: Literal["pcm16", "pcm16_8000hz", "pcm16_16000hz", "g711_ulaw", "g711_alaw"] | None = None
    turn_detection: Turns | None = None
    input_audio_noise_reduction: _NoiseReduction | None = None
    input_audio_echo_cancellation: _EchoCancellation | None = None
    input_audio_transcription: _Transcription | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    max_response_output_tokens: int | Literal["inf"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    animation: Any = None
    avatar: Any = None
    output_audio_timestamp_types: Any = None
    interim_response: Any = None


def hears_itself(model: str) -> bool:
    """Models of this family take audio; all others, and agents, stand behind Azure's speech recognition."""
    return model.startswith(_REALTIME_MODELS)


def defaults(who: Identity) -> dict[str, Any]:
    itself = hears_itself(who.model)
    voice = {"type": "openai", "name": "alloy"} if itself else {"type": "azure-standard", "name": "en-US-AvaNeural"}
    return {
        "id": f"sess_{who.prefix}{who.number:04x}",
        "object": "realtime.session",
        "model": who.model,
        "modalities": ["audio", "text"],
        "instructions": "",
        "voice": voice,
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_sampling_rate": 24000,
        "input_audio_transcription": None if itself else {"model": AZURE_SPEECH},
        "input_audio_noise_reduction": None,
        "input_audio_echo_cancellation": None,
        "turn_detection": dict(_TURN_DEFAULTS),
        "tools": [],
        "tool_choice": "auto",
        "temperature": 0.8,
        "max_response_output_tokens": "inf",
        "expires_at": who.expires_at,
    }


def merged(settings: Mapping[str, Any], patch: object) -> dict[str, Any]:
    """The session after this update, or the refusal of it. Every field given replaces the old one whole."""
    try:
        session = msgspec.convert(patch, _Session)
    except msgspec.ValidationError as error:
        raise unfitting(str(error)) from error
    assert isinstance(patch, Mapping)
    _check_range(session, patch)
    _check_model(session, settings["model"])
    given = dict(patch)
    if isinstance(session.voice, str):
        given["voice"] = {"type": "openai", "name": session.voice}
    if session.turn_detection is not None:
        own = {name: value for name, value in patch["turn_detection"].items() if value is not None}
        given["turn_detection"] = {"create_response": True, "interrupt_response": True, "auto_truncate": False, **own}
    if session.input_audio_format == FORMAT:
        given["input_audio_sampling_rate"] = _RATE
    return {**settings, **given}


def in_ga(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same session as GA would be told of it, as far as our mind listens."""
    sound = {"format": {"type": "audio/pcmu"}}
    turns = settings["turn_detection"]
    hearing: dict[str, Any] = {"transcription": settings["input_audio_transcription"], "turn_detection": None}
    if turns is not None:
        hearing["turn_detection"] = {
            "type": "server_vad",
            "prefix_padding_ms": turns.get("prefix_padding_ms") or 0,
            "silence_duration_ms": turns.get("silence_duration_ms") or _SILENCE_MS,
            "create_response": turns["create_response"],
            "interrupt_response": turns["interrupt_response"],
        }
    return {
        "type": "realtime",
        "output_modalities": modality(settings["modalities"]),
        "instructions": settings["instructions"] or "",
        "tools": settings["tools"] or [],
        "tool_choice": settings["tool_choice"] or "auto",
        "audio": {
            "input": hearing | (sound if settings["input_audio_format"] == FORMAT else {}),
            "output": {"voice": settings["voice"]} | (sound if settings["output_audio_format"] == FORMAT else {}),
        },
    }


def modality(modalities: list[str]) -> list[str]:
    """GA knows one at a time, because sound has its text with it."""
    return ["audio"] if "audio" in modalities else ["text"]


def _check_range(session: _Session, patch: Mapping[str, Any]) -> None:
    for name in _BEYOND_US:
        if patch.get(name) is not None:
            raise Refusal(f"The practice range has no '{name}'.", "invalid_value", f"session.{name}")
    for name in ("input_audio_format", "output_audio_format"):
        if patch.get(name) not in (None, FORMAT):
            raise Refusal(f"The practice range speaks {FORMAT} only.", "invalid_value", f"session.{name}")
    if session.modalities is not None and not set(session.modalities) <= {"text", "audio"}:
        raise Refusal("The practice range has text and audio only.", "invalid_value", "session.modalities")
    if session.turn_detection is not None and session.turn_detection.auto_truncate:
        param = "session.turn_detection.auto_truncate"
        raise Refusal("The practice range truncates nothing by itself.", "invalid_value", param)


def _check_model(session: _Session, model: str) -> None:
    if session.model not in (None, model):
        raise Refusal("The model of a session cannot be changed.", "invalid_value", "session.model")
    if session.input_audio_format == FORMAT and session.input_audio_sampling_rate not in (None, _RATE):
        param = "session.input_audio_sampling_rate"
        raise Refusal(f"Invalid value: {FORMAT} has {_RATE} samples a second.", "invalid_value", param)
    if isinstance(session.turn_detection, _OpenAISemantic) and not hears_itself(model):
        param = "session.turn_detection.type"
        raise Refusal(f"Invalid value: 'semantic_vad' is not supported with {model}.", "invalid_value", param)
    hearing = session.input_audio_transcription
    if hearing is not None and hearing.model not in (_HEARD_BY_OPENAI if hears_itself(model) else _HEARD_BY_AZURE):
        param = "session.input_audio_transcription.model"
        raise Refusal(f"Invalid value: '{hearing.model}' is not supported with {model}.", "invalid_value", param)
