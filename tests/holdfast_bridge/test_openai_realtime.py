"""The GA dialect both ways."""

from __future__ import annotations

import base64
import json

import pytest

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.openai_realtime import OpenAIRealtimeCodec, RealtimeSession, link_url


def codec(**changes: object) -> OpenAIRealtimeCodec:
    session = RealtimeSession(model="gpt-realtime", voice="marin", instructions="Be kind.", **changes)  # type: ignore[arg-type]
    return OpenAIRealtimeCodec(session)


def sent(effect: ev.ToProvider) -> list[dict[str, object]]:
    return [json.loads(message) for message in codec().encode(effect)]


def read(codec: OpenAIRealtimeCodec, **event: object) -> list[ev.Event]:
    return list(codec.decode(json.dumps(event).encode()))


def test_the_session_speaks_ulaw_both_ways_with_the_servers_turn_detection() -> None:
    book = {"name": "book", "description": "", "parameters": {}}
    [message] = codec(barge_in=False, silence_ms=700, tools=[book]).opening()
    session = json.loads(message)["session"]
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    turns = session["audio"]["input"]["turn_detection"]
    assert turns["type"] == "server_vad"
    assert turns["silence_duration_ms"] == 700
    assert turns["interrupt_response"] is False
    assert [tool["name"] for tool in session["tools"]] == ["book", "end_call"]


def test_audio_goes_out_as_base64() -> None:
    message = json.loads(codec().append(b"\x00\xff"))
    assert message == {"type": "input_audio_buffer.append", "audio": "AP8="}


def test_a_conversation_is_seeded_item_by_item() -> None:
    items = sent(
        ev.SeedConversation(
            (ev.SeedText("user", "hi"), ev.SeedText("assistant", "yes"), ev.SeedTool("1.1.c", "book", "{}", "7"))
        )
    )
    kinds = [(i["item"]["type"], i["item"].get("role")) for i in items]  # type: ignore[index,attr-defined]
    said = [("message", "user"), ("message", "assistant")]
    done = [("function_call", None), ("function_call_output", None)]
    assert kinds == said + done
    assert items[1]["item"]["content"] == [{"type": "output_text", "text": "yes"}]  # type: ignore[index]


def test_what_was_heard_is_told_in_milliseconds() -> None:
    assert sent(ev.Truncate("item_1", 400)) == [
        {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 400}
    ]


def test_asking_to_speak_with_and_without_instructions() -> None:
    assert sent(ev.Respond()) == [{"type": "response.create"}]
    assert sent(ev.Respond("Say hi")) == [{"type": "response.create", "response": {"instructions": "Say hi"}}]


def test_the_session_is_ready_once() -> None:
    c = codec()
    assert read(c, type="session.created", session={}) == []
    assert read(c, type="session.updated", session={}) == [ev.ProviderReady()]
    assert read(c, type="session.updated", session={}) == []


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"type": "response.output_audio.delta", "item_id": "i", "delta": base64.b64encode(b"abc").decode()},
            ev.ProviderAudio("i", b"abc"),
        ),
        ({"type": "response.output_audio.done", "item_id": "i"}, ev.ProviderAudioDone("i")),
        (
            {"type": "response.output_audio_transcript.delta", "item_id": "i", "delta": "he"},
            ev.ProviderTranscript("i", "he", final=False),
        ),
        (
            {"type": "response.output_audio_transcript.done", "item_id": "i", "transcript": "hello"},
            ev.ProviderTranscript("i", "hello", final=True),
        ),
        (
            {"type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "transcript": "hi"},
            ev.UserTranscript("u", "hi", final=True),
        ),
        ({"type": "input_audio_buffer.committed", "item_id": "u"}, ev.UserTurn("u")),
        ({"type": "input_audio_buffer.speech_started", "audio_start_ms": 1, "item_id": "u"}, ev.SpeechStarted()),
        ({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1, "item_id": "u"}, ev.SpeechStopped()),
        ({"type": "response.created", "response": {"status": "in_progress"}}, ev.ResponseStarted()),
        ({"type": "response.done", "response": {"status": "cancelled"}}, ev.ResponseDone(ok=True, detail="cancelled")),
        (
            {
                "type": "response.done",
                "response": {"status": "failed", "status_details": {"error": {"type": "server_error", "code": "boom"}}},
            },
            ev.ResponseDone(ok=False, detail="boom"),
        ),
        (
            {
                "type": "response.output_item.done",
                "item": {"type": "function_call", "call_id": "c", "name": "book", "arguments": "{}"},
            },
            ev.ToolCall("c", "book", "{}"),
        ),
    ],
)
def test_what_the_server_says_becomes_an_event(event: dict[str, object], expected: ev.Event) -> None:
    assert read(codec(), **event) == [expected]


def test_an_audio_delta_is_read_even_when_its_type_comes_late() -> None:
    message = {"event_id": "e" * 200, "type": "response.output_audio.delta", "item_id": "i", "delta": "YWJj"}
    assert list(codec().decode(json.dumps(message).encode())) == [ev.ProviderAudio("i", b"abc")]


def test_unknown_events_and_harmless_errors_are_let_pass() -> None:
    c = codec()
    read(c, type="session.updated")
    assert read(c, type="rate_limits.updated", rate_limits=[]) == []
    harmless = {"type": "invalid_request_error", "code": "response_cancel_not_active"}
    assert read(c, type="error", error=harmless) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "server_error", "code": None}, ev.ProviderLost("server_error")),
        ({"type": "invalid_request_error", "code": "session_expired"}, ev.ProviderLost("session_expired")),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, ev.ProviderLost("auth", retry_same=False)),
        ({"type": "invalid_request_error", "code": "invalid_value"}, ev.ProviderLost("config", retry_same=False)),
    ],
)
def test_an_error_before_the_session_stands_or_of_the_server_loses_the_provider(
    error: dict[str, object], expected: ev.Event
) -> None:
    assert read(codec(), type="error", error=error) == [expected]


def test_some_garbage_is_dropped_and_much_of_it_loses_the_provider() -> None:
    c = codec()
    outcomes = [list(c.decode(message)) for message in [b"{", b"[]", b'{"type":7}', b"\xff", b"null"] * 2]
    assert outcomes[:-1] == [[]] * 9
    assert outcomes[-1] == [ev.ProviderLost("unreadable")]


def test_a_gateways_query_is_kept_beside_the_model() -> None:
    url = link_url("wss://gw.example.com/v1/realtime", model="gpt-realtime", query={"tenant": "a b"})
    assert url == "wss://gw.example.com/v1/realtime?model=gpt-realtime&tenant=a+b"
