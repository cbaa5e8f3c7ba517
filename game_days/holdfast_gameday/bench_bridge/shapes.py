"""What a carrier and a provider say on their sockets, as bytes with holes: Twilio Media Streams, OpenAI Realtime. Pure.

Fields that no bridge reads are there all the same, because reading past them is part of the work.
"""

from __future__ import annotations

import json
from typing import Any

CONNECTED = b'{"event":"connected","protocol":"Call","version":"1.0.0"}'
MEDIA = (
    b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
    b'"payload":"%b"},"streamSid":"%b"}'
)
MARK = b'{"event":"mark","sequenceNumber":"%d","streamSid":"%b","mark":{"name":"%b"}}'
STOP = b'{"event":"stop","sequenceNumber":"%d","streamSid":"%b","stop":{"accountSid":"%b","callSid":"%b"}}'

_ITEM = b'"response_id":"resp_%012d","item_id":"item_%012d","output_index":0,"content_index":0'
DELTA = b'{"type":"response.output_audio.delta","event_id":"event_%012d",' + _ITEM + b',"delta":"%b"}'
WORDS = ("I", "can", "put", "you", "down", "for", "the", "table", "by", "the", "window", "on", "Friday.")
SESSION: dict[str, Any] = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_bench",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "instructions": "",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
}
_USAGE = {
    "total_tokens": 300,
    "input_tokens": 100,
    "output_tokens": 200,
    "input_token_details": {"cached_tokens": 0, "text_tokens": 50, "audio_tokens": 50},
    "output_token_details": {"text_tokens": 50, "audio_tokens": 150},
}


def start(stream: str, account: str, call: str, parameters: dict[str, str]) -> bytes:
    told = {
        "accountSid": account,
        "streamSid": stream,
        "callSid": call,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": parameters,
    }
    return _json({"event": "start", "sequenceNumber": "1", "start": told, "streamSid": stream})


def session(kind: str) -> bytes:
    """`kind`: created or updated."""
    return _json({"type": f"session.{kind}", "event_id": "event_session", "session": SESSION})


def line_begins(number: int) -> list[bytes]:
    response = {"object": "realtime.response", "id": _response(number), "status": "in_progress", "output": []}
    item = {"id": _item(number), "object": "realtime.item", "type": "message", "role": "assistant", "content": []}
    return [
        _event("response.created", number, response=response),
        _event("response.output_item.added", number, response_id=_response(number), output_index=0, item=item),
        _of_item("response.content_part.added", number, part={"type": "audio", "transcript": ""}),
    ]


def words(number: int, place: int) -> bytes:
    """What is said in the line, a word at a time."""
    return _of_item("response.output_audio_transcript.delta", number, delta=WORDS[place % len(WORDS)] + " ")


def line_ends(number: int, count: int) -> list[bytes]:
    """`count`: so many words were said in it. The caller's turn that it answered is written down now, too."""
    text = " ".join(WORDS[place % len(WORDS)] for place in range(count))
    content = [{"type": "output_audio", "transcript": text}]
    item = {
        "id": _item(number), "object": "realtime.item", "type": "message", "status": "completed", "role": "assistant",
        "content": content,
    }  # fmt: skip
    response = {
        "object": "realtime.response", "id": _response(number), "status": "completed", "status_details": None,
        "output": [item], "usage": _USAGE,
    }  # fmt: skip
    heard = {"content_index": 0, "transcript": "a table for eight on Friday evening, please"}
    return [
        _of_item("response.output_audio.done", number),
        _of_item("response.output_audio_transcript.done", number, transcript=text),
        _of_item("response.content_part.done", number, part={"type": "audio", "transcript": text}),
        _event("response.output_item.done", number, response_id=_response(number), output_index=0, item=item),
        _event("response.done", number, response=response),
        _event("input_audio_buffer.committed", number, item_id=f"item_caller{number:06d}", previous_item_id=None),
        _event(
            "conversation.item.input_audio_transcription.completed", number, item_id=f"item_caller{number:06d}", **heard
        ),
    ]


def _of_item(kind: str, number: int, **more: Any) -> bytes:
    place = {"response_id": _response(number), "item_id": _item(number), "output_index": 0, "content_index": 0}
    return _event(kind, number, **place, **more)


def _event(kind: str, number: int, **more: Any) -> bytes:
    return _json({"type": kind, "event_id": f"event_{number:012d}", **more})


def _response(number: int) -> str:
    return f"resp_{number:012d}"


def _item(number: int) -> str:
    return f"item_{number:012d}"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
