"""How Azure Voice Live words the protocol of `openai_session`: flat settings, the beta names of events, texts to speak.

One object per session, because what is said depends on how the session is set up. It knows no sockets and no keys.

    GA                                            Voice Live
    response.output_audio.delta, …                response.audio.delta, …
    conversation.item.added, .done                conversation.item.created
    content of type output_text, output_audio     text, audio; a client may say output_text all the same
    output_modalities                             modalities
    rate_limits.updated                           not said
    transcription beside the response             with azure-speech: no pieces, and before the response, as the model
                                                  is given the text only
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast_gameday.world import azure_voice_live_settings as flat
from holdfast_gameday.world.openai_errors import Refusal
from holdfast_gameday.world.openai_response import Event
from holdfast_gameday.world.openai_session import Identity

_NAMES = {
    f"response.output_{name}.{end}": f"response.{name}.{end}"
    for name in ("audio", "audio_transcript", "text")
    for end in ("delta", "done")
} | {"conversation.item.added": "conversation.item.created"}
_UNSAID = ("conversation.item.done", "rate_limits.updated")
_PARTS = {"output_text": "text", "output_audio": "audio"}
_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_PARAMS = {
    "session.audio.input.format.type": "session.input_audio_format",
    "session.audio.output.format.type": "session.output_audio_format",
}
_RESPONSE_PARAMS = (
    "modalities", "instructions", "voice", "output_audio_format", "tools", "tool_choice", "temperature",
    "max_output_tokens", "max_response_output_tokens", "reasoning_effort", "conversation", "metadata",
    "pre_generated_assistant_message",
)  # fmt: skip
_GIVEN_WORDS_SINCE = "2026-01-01"


class VoiceLiveDialect:
    def __init__(self, who: Identity, *, api_version: str) -> None:
        self._version = api_version
        self._settings = flat.defaults(who)
        self._asked = self._settings  # becomes the session's when it is accepted
        self._held: list[Event] | None = None

    # --- from the client

    def inward(self, event: Event) -> Event:
        kind = event.get("type")
        if kind == "session.update":
            self._asked = flat.merged(self._settings, event.get("session"))
            return {**event, "session": flat.in_ga(self._asked)}
        if kind == "conversation.item.create" and isinstance(event.get("item"), dict):
            return {**event, "item": _said_in_ga(event["item"])}
        if kind == "response.create":
            return {**event, "response": self._response(event.get("response") or {})}
        return event

    def _response(self, params: Mapping[str, Any]) -> dict[str, Any]:
        for name in params:
            if name not in _RESPONSE_PARAMS or (name == "pre_generated_assistant_message" and not self._speaks_given):
                raise Refusal(f"Unknown parameter: 'response.{name}'.", "unknown_parameter", f"response.{name}")
        if params.get("output_audio_format") not in (None, flat.FORMAT):
            param = "response.output_audio_format"
            raise Refusal(f"The practice range speaks {flat.FORMAT} only.", "invalid_value", param)
        kept = ("instructions", "tools", "tool_choice", "conversation", "metadata")
        asked = {name: params[name] for name in kept if params.get(name) is not None}
        if params.get("modalities"):
            asked["output_modalities"] = flat.modality(params["modalities"])
        if (given := params.get("pre_generated_assistant_message")) is not None:
            # Our mind speaks to the letter what it is told in these words.
            asked["instructions"] = f"Say exactly: {_given_words(given)}"
        return asked

    @property
    def _speaks_given(self) -> bool:
        return self._version >= _GIVEN_WORDS_SINCE

    # --- to the client

    def outward(self, event: Event) -> Iterable[Event]:
        kind = event["type"]
        if kind in _UNSAID:
            return ()
        if kind in ("session.created", "session.updated"):
            self._settings = self._asked
            return ({**event, "session": self._settings},)
        if kind.startswith(_TRANSCRIPTION):
            return self._caller_text(event)
        if kind == "input_audio_buffer.committed" and self._heard_by_azure:
            self._held = []
            return (event,)
        if self._held is not None:
            self._held.append(event)
            return ()
        return (self._worded(event),)

    @property
    def _heard_by_azure(self) -> bool:
        return (self._settings["input_audio_transcription"] or {}).get("model") == flat.AZURE_SPEECH

    def _caller_text(self, event: Event) -> Iterable[Event]:
        if self._heard_by_azure and event["type"].endswith(".delta"):
            return ()
        said = {name: value for name, value in event.items() if name != "usage"}
        held, self._held = self._held or [], None
        return (said, *(self._worded(_with_text(late, said)) for late in held))

    def _worded(self, event: Event) -> Event:
        worded = {**event, "type": _NAMES.get(event["type"], event["type"])}
        if "item" in event:
            worded["item"] = _said_in_beta(event["item"])
        if "response" in event:
            worded["response"] = self._snapshot(event["response"])
        if event["type"] == "error" and event["error"]["param"] in _PARAMS:
            message = event["error"]["message"].replace("audio/pcmu", flat.FORMAT)
            worded["error"] = {**event["error"], "message": message, "param": _PARAMS[event["error"]["param"]]}
        return worded

    def _snapshot(self, response: Event) -> Event:
        spoken = response["output_modalities"] == ["audio"]
        shown = {name: value for name, value in response.items() if name != "output_modalities"}
        return {
            "status_details": None,
            **shown,
            "output": [_said_in_beta(item) for item in response["output"]],
            "usage": _usage(response["usage"]) if "usage" in response else None,
            "modalities": ["audio", "text"] if spoken else ["text"],
            "voice": self._settings["voice"],
            "output_audio_format": self._settings["output_audio_format"],
            "temperature": self._settings["temperature"],
            "metadata": None,
        }


def _given_words(message: object) -> str:
    param = "response.pre_generated_assistant_message"
    if not isinstance(message, dict) or (message.get("type"), message.get("role")) != ("message", "assistant"):
        raise Refusal("Invalid value: expected a message of the assistant.", "invalid_value", param)
    content = message.get("content")
    texts = [part.get("text") for part in content or () if isinstance(part, dict) and part.get("type") == "text"]
    if not isinstance(content, list) or len(content) != 1 or len(texts) != 1 or not texts[0]:
        raise Refusal("Invalid value: expected one part of text.", "invalid_value", f"{param}.content")
    return str(texts[0])


def _said_in_ga(item: Event) -> Event:
    """A text of the assistant's, which Voice Live takes under its own name and under GA's."""
    if item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    parts = [
        {**part, "type": "output_text"} if isinstance(part, dict) and part.get("type") == "text" else part
        for part in item["content"]
    ]
    return {**item, "content": parts}


def _said_in_beta(item: Event) -> Event:
    if "content" not in item:
        return item
    return {**item, "content": [{**part, "type": _PARTS.get(part["type"], part["type"])} for part in item["content"]]}


def _with_text(event: Event, said: Event) -> Event:
    """The caller's item, with what was understood of it before the model was asked."""
    item = event.get("item") or {}
    if event["type"] != "conversation.item.added" or item.get("id") != said["item_id"] or "transcript" not in said:
        return event
    return {**event, "item": {**item, "content": [{"type": "input_audio", "transcript": said["transcript"]}]}}


def _usage(usage: Event) -> Event:
    none = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    heard = {**usage["input_token_details"], "image_tokens": 0, "cached_tokens_details": none}
    said = {**usage["output_token_details"], "reasoning_tokens": 0}
    return {**usage, "input_token_details": heard, "output_token_details": said}
