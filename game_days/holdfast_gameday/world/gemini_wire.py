"""The client messages of the Live API, read as the vendor reads them: protobuf's JSON, strict in its fields.

Names in camelCase and in snake_case are one. What the vendor does not know closes the link with 1007 and its own words.
It knows no sessions: what may be said when is their business.

https://ai.google.dev/api/live
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

KINDS = ("setup", "clientContent", "realtimeInput", "toolResponse")
_FREE = frozenset({"args", "response", "parametersJsonSchema", "responseJsonSchema", "labels", "default", "example"})
_UNDERSCORE = re.compile(r"_([a-z0-9])")
_CAPITAL = re.compile(r"([A-Z])")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_REASON_OCTETS = 123
Count = int | str
"""64-bit numbers may come as strings."""


class Closed(Exception):
    """The vendor closes the link over this message."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:_REASON_OCTETS].decode(errors="ignore")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    pass


class Part(_Strict):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: dict[str, Any] | None = None
    function_call: dict[str, Any] | None = None
    function_response: dict[str, Any] | None = None


class Content(_Strict):
    parts: list[Part] = []
    role: str = ""


class Schema(_Strict):
    type: str = ""
    format: str | None = None
    title: str | None = None
    description: str | None = None
    nullable: bool | None = None
    enum: list[str] | None = None
    items: Schema | None = None
    properties: dict[str, Schema] | None = None
    required: list[str] | None = None
    any_of: list[Schema] | None = None
    property_ordering: list[str] | None = None
    default: Any = None
    example: Any = None
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    min_items: Count | None = None
    max_items: Count | None = None
    min_length: Count | None = None
    max_length: Count | None = None
    min_properties: Count | None = None
    max_properties: Count | None = None


class Declaration(_Strict):
    name: str
    description: str = ""
    parameters: Schema | None = None
    parameters_json_schema: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    behavior: Literal["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"] = "UNSPECIFIED"


class Tool(_Strict):
    function_declarations: list[Declaration] = []
    google_search: dict[str, Any] | None = None


class Generation(_Strict):
    response_modalities: list[str] = []
    speech_config: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    candidate_count: int | None = None
    seed: int | None = None
    media_resolution: str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    thinking_config: dict[str, Any] | None = None
    enable_affective_dialog: bool | None = None


class Detection(_Strict):
    disabled: bool = False
    start_of_speech_sensitivity: str | None = None
    end_of_speech_sensitivity: str | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


class Realtime(_Strict):
    automatic_activity_detection: Detection = msgspec.field(default_factory=Detection)
    activity_handling: Literal[
        "ACTIVITY_HANDLING_UNSPECIFIED", "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"
    ] = "START_OF_ACTIVITY_INTERRUPTS"
    turn_coverage: str | None = None


class Resumption(_Strict):
    handle: str = ""


class History(_Strict):
    initial_history_in_client_content: bool = False


class Setup(_Strict):
    model: str
    generation_config: Generation = msgspec.field(default_factory=Generation)
    system_instruction: Content | None = None
    tools: list[Tool] = []
    realtime_input_config: Realtime = msgspec.field(default_factory=Realtime)
    input_audio_transcription: dict[str, Any] | None = None
    output_audio_transcription: dict[str, Any] | None = None
    session_resumption: Resumption | None = None
    context_window_compression: dict[str, Any] | None = None
    history_config: History = msgspec.field(default_factory=History)
    proactivity: dict[str, Any] | None = None
    explicit_vad_signal: bool = False
    safety_settings: list[dict[str, Any]] = []
    labels: dict[str, str] = {}


class ClientContent(_Strict):
    turns: list[Content] = []
    turn_complete: bool = False


class Blob(_Strict):
    data: str
    mime_type: str = ""


class RealtimeInput(_Strict):
    audio: Blob | None = None
    media_chunks: list[Blob] = []
    video: Blob | None = None
    text: str | None = None
    activity_start: dict[str, Any] | None = None
    activity_end: dict[str, Any] | None = None
    audio_stream_end: bool = False


class FunctionResponse(_Strict):
    response: dict[str, Any]
    id: str = ""
    name: str = ""
    scheduling: str | None = None
    will_continue: bool | None = None


class ToolResponse(_Strict):
    function_responses: list[FunctionResponse]


Message = Setup | ClientContent | RealtimeInput | ToolResponse
_TYPES: Mapping[str, type[Message]] = {
    "setup": Setup, "clientContent": ClientContent, "realtimeInput": RealtimeInput, "toolResponse": ToolResponse,
}  # fmt: skip


def read(data: bytes) -> Message:
    """The one thing that a message holds."""
    try:
        given = camel(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Closed(1007, "Invalid JSON payload received.") from error
    if not isinstance(given, dict) or len(given) != 1:
        raise Closed(1007, "Request contains an invalid argument.")
    kind, value = next(iter(given.items()))
    if kind not in _TYPES:
        raise Closed(1007, f'Invalid JSON payload received. Unknown name "{kind}": Cannot find field.')
    try:
        message = msgspec.convert(value, _TYPES[kind])
    except msgspec.ValidationError as error:
        raise Closed(1007, _said(str(error), kind)) from error
    if isinstance(message, Setup):
        _check(message)
    return message


def audio(blob: Blob) -> bytes:
    """In either alphabet of base64, as protobuf takes it."""
    if not blob.mime_type.startswith("audio/pcm") or "rate=16000" not in blob.mime_type:
        raise Closed(1007, "The practice range hears audio/pcm;rate=16000 only.")
    try:
        return base64.b64decode(blob.data.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise Closed(1007, "Invalid value at 'realtime_input.audio.data': Base64 decoding failed.") from error


def camel(value: Any) -> Any:
    """All names of fields in camelCase; what is the user's own is left as it is."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = {_UNDERSCORE.sub(lambda found: found[1].upper(), name): each for name, each in value.items()}
    return {name: _inside(name, each) for name, each in named.items()}


def _inside(name: str, value: Any) -> Any:
    if name in _FREE and isinstance(value, dict):
        return value
    if name == "properties" and isinstance(value, dict):
        return {own: camel(schema) for own, schema in value.items()}
    return camel(value)


def _check(setup: Setup) -> None:
    if setup.generation_config.response_modalities not in ([], ["AUDIO"]):
        raise Closed(1007, "Request contains an invalid argument.")
    declared = [each for tool in setup.tools for each in tool.function_declarations]
    for number, each in enumerate(declared):
        where = f"setup.tools[0].function_declarations[{number}]"
        if not _NAME.fullmatch(each.name):
            raise Closed(1007, f"* {where}.name: Invalid function name.")
        if each.parameters is not None:
            _check_schema(each.parameters, f"{where}.parameters")


def _check_schema(schema: Schema, where: str) -> None:
    kind = schema.type.upper()
    if schema.any_of:
        for number, each in enumerate(schema.any_of):
            _check_schema(each, f"{where}.any_of[{number}]")
        return
    if kind not in {"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"}:
        raise Closed(1007, f"Invalid value at '{where}.type': \"{schema.type}\"")
    if kind == "OBJECT" and where.endswith("parameters") and not schema.properties:
        raise Closed(1007, f"* {where}.properties: should be non-empty for OBJECT type")
    if kind == "ARRAY" and schema.items is None:
        raise Closed(1007, f"* {where}.items: missing field.")
    if schema.enum and kind != "STRING":
        raise Closed(1007, f"* {where}.enum: only allowed for STRING type")
    for number, name in enumerate(schema.required or ()):
        if name not in (schema.properties or {}):
            raise Closed(1007, f"* {where}.required[{number}]: property is not defined")
    for name, each in (schema.properties or {}).items():
        _check_schema(each, f"{where}.properties[{name}]")
    if schema.items is not None:
        _check_schema(schema.items, f"{where}.items")


def _said(error: str, kind: str) -> str:
    """msgspec names the place as `$.tools[0].functionDeclarations[0]`; the vendor in its own spelling."""
    what, _, place = error.partition(" - at `$")
    path = re.sub(r"\[\.\.\.\]", "", place.rstrip("`"))
    where = _CAPITAL.sub(lambda found: "_" + found[1].lower(), kind + path)
    if "unknown field" in what:
        return f"Invalid JSON payload received. Unknown name \"{what.split('`')[1]}\" at '{where}': Cannot find field."
    return f"Invalid value at '{where}'"
