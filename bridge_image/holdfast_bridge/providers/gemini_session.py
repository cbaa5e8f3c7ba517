"""How a Gemini Live session is reached and set up, with an API key or on Vertex AI. Pure.

It holds what differs between models and between the two services; what is said on the link is in `gemini_live`.

https://ai.google.dev/api/live
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/multimodal-live
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit, urlunsplit

from holdfast_bridge.providers import gemini_schema
from holdfast_bridge.providers.history import END_CALL_TOOL

DEVELOPER_PATH = "/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"
VERTEX_PATH = "/ws/google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent"


class History(Enum):
    """How a session is told what was said before."""

    CONFIG = "config"
    """As turns, which the server takes before the conversation without calling the model."""
    PACKED = "packed"
    """As one text at the end of the instructions, for servers without `historyConfig`: what they are told as content
    before the caller's sound, some models ignore, as gemini-live-2.5-flash was seen to do."""


class Asks(Enum):
    """How the model is asked to speak."""

    CONTENT = "content"
    REALTIME_TEXT = "realtime-text"
    """For models that take content only as history and close with 1007 otherwise, as gemini-3.1-flash-live did."""


@dataclass(frozen=True, slots=True)
class Vertex:
    project: str
    location: str
    audience: str = ""
    """Of the pod's own token, which the operator mounts for it. Empty: the metadata server vouches for the pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """What a session is configured with."""

    model: str
    voice: str
    instructions: str
    barge_in: bool = True
    silence_ms: int = 500
    tools: Sequence[Mapping[str, Any]] = ()
    """Each with name, description and parameters."""
    vertex: Vertex | None = None
    """None: the developer API."""
    api_version: str = ""
    history: History | None = None
    """None: as the service has it; Vertex knows no `historyConfig`."""
    asks: Asks = Asks.CONTENT
    tool_behavior: Literal["", "BLOCKING", "NON_BLOCKING"] = ""
    """Empty: the model's own. A blocking call is cancelled when the caller speaks."""
    mute_during_tools: bool = False
    """No audio while a tool runs, for models that close with 1008 at it. What the caller says meanwhile comes after."""
    replies_to_all: bool = True
    """False for models that may take words as not meant for them (proactive audio): silence then is no stall."""
    vad_signals: bool = False
    """On Vertex: ask to be told when the caller begins and ends to speak."""
    generation: Mapping[str, Any] = field(default_factory=dict)
    """More of `generationConfig`, as a temperature or a budget for thinking."""
    no_store: bool = False
    """Ask for no handle by which the session could be resumed: for one the vendor keeps all that was said for a day.
    https://docs.cloud.google.com/gemini-enterprise-agent-platform/resources/zero-data-retention"""
    resume: str = ""
    """The handle of an earlier session, whose conversation this one goes on with."""

    @property
    def seeds_by_config(self) -> bool:
        by_service = History.PACKED if self.vertex else History.CONFIG
        return (self.history or by_service) is History.CONFIG and not self.resume

    @property
    def tells_activity(self) -> bool:
        return self.vad_signals and self.vertex is not None

    @property
    def packs(self) -> bool:
        return not (self.seeds_by_config or self.resume)


def link_url(base_url: str, session: LiveSession, *, query: Mapping[str, str] | None = None) -> str:
    """`base_url` is the service's host, or a gateway's whole path to it."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    if "/ws/google." not in path:
        known, version = (VERTEX_PATH, "v1") if session.vertex else (DEVELOPER_PATH, "v1beta")
        path += known.format(version=session.api_version or version)
    return urlunsplit(parts._replace(path=path, query=urlencode(query or {})))


def headers(session: LiveSession, secret: str) -> dict[str, str]:
    """`secret`: an API key, on Vertex an access token."""
    return {"Authorization": f"Bearer {secret}"} if session.vertex else {"x-goog-api-key": secret}


def setup(session: LiveSession, *, past: str = "") -> dict[str, Any]:
    """The first message of a session. `past`: the conversation so far, as one text."""
    generation: dict[str, Any] = {**session.generation, "responseModalities": ["AUDIO"]}
    if session.voice:
        generation["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": session.voice}}}
    handling = "START_OF_ACTIVITY_INTERRUPTS" if session.barge_in else "NO_INTERRUPTION"
    asked: dict[str, Any] = {
        "model": _model(session),
        "generationConfig": generation,
        "tools": [{"functionDeclarations": [_declared(tool, session) for tool in (*session.tools, _END_CALL)]}],
        "realtimeInputConfig": {
            "automaticActivityDetection": {"silenceDurationMs": session.silence_ms},
            "activityHandling": handling,
        },
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "contextWindowCompression": {"slidingWindow": {}},
    }
    if session.resume or not session.no_store:
        # A handle that is null is refused by newer models.
        asked["sessionResumption"] = {"handle": session.resume} if session.resume else {}
    if instructions := [{"text": text} for text in (session.instructions, past) if text]:
        asked["systemInstruction"] = {"parts": instructions}
    if session.seeds_by_config:
        asked["historyConfig"] = {"initialHistoryInClientContent": True}
    if session.tells_activity:
        asked["explicitVadSignal"] = True
    return {"setup": asked}


def _model(session: LiveSession) -> str:
    if session.vertex is None:
        return session.model if "/" in session.model else f"models/{session.model}"
    if session.model.startswith("projects/"):
        return session.model
    where = f"projects/{session.vertex.project}/locations/{session.vertex.location}"
    name = session.model if "/" in session.model else f"publishers/google/models/{session.model}"
    return f"{where}/{name}"


def _declared(tool: Mapping[str, Any], session: LiveSession) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool["name"], "description": tool.get("description") or tool["name"]}
    if (parameters := gemini_schema.parameters(tool.get("parameters") or {})) is not None:
        declared["parameters"] = parameters
    if session.tool_behavior:
        declared["behavior"] = session.tool_behavior
    return declared


_END_CALL: Mapping[str, Any] = {"name": END_CALL_TOOL.name, "description": END_CALL_TOOL.description}
