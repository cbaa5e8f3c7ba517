"""OpenAI Realtime, the GA dialect, µ-law both ways with the server's own turn detection. Pure, one object per link.

What it shares with the other dialects of this protocol, which is most of it, is in `openai_items`.

https://platform.openai.com/docs/api-reference/realtime
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers import openai_items


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSession:
    """What a session is configured with. Its model is named in the address alone."""

    voice: str
    instructions: str
    language: str = "en"
    barge_in: bool = True
    silence_ms: int = 500
    tools: Sequence[Mapping[str, Any]] = ()
    """Each with name, description and parameters."""
    transcription: str = "gpt-4o-mini-transcribe"
    """What writes the caller's words down; on Azure the name of its deployment."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the session as the vendor names them, such as `reasoning`; ours go before them."""


def link_url(base_url: str, names: Mapping[str, str], query: Mapping[str, str]) -> str:
    """`names`: the dialect's own part of the query. What is asked for in `query` goes before all else."""
    parts = urlsplit(base_url)
    own = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query=urlencode({**own, **names, **query})))


class OpenAIRealtimeCodec:
    silence_max_s = 0.0

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        incoming = openai_items.Incoming(audio="response.output_audio", transcript="response.output_audio_transcript")
        self.decode = incoming.decode

    # --- to the provider

    def opening(self) -> list[bytes]:
        asked = self._session
        hearing = {"model": asked.transcription, **openai_items.language(asked.language)}
        session = {
            **asked.extra,
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": asked.instructions,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": hearing,
                    "turn_detection": {
                        "type": "server_vad",
                        "silence_duration_ms": asked.silence_ms,
                        "create_response": True,
                        "interrupt_response": asked.barge_in,
                    },
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": asked.voice},
            },
            "tools": openai_items.tools(asked.tools),
            "tool_choice": "auto",
        }
        return [openai_items.to_json({"type": "session.update", "session": session})]

    append = staticmethod(openai_items.append)

    def noticed(self) -> tuple[()]:
        return ()

    def encode(self, effect: ev.ToProvider) -> list[bytes]:
        match effect:
            case ev.Respond():
                told = openai_items.instructions(effect, self._session.instructions)
                return [openai_items.to_json({"type": "response.create"} | ({"response": told} if told else {}))]
            case _:
                return openai_items.encode(effect, said_part="output_text")
