"""What both dialects of OpenAI's realtime protocol share: items and audio out, events in."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.providers import openai_items
from holdfast_bridge.providers.openai_items import Incoming
from holdfast_gameday.world import voice
from holdfast_gameday.world.azure_voice_live_dialect import VoiceLiveDialect
from holdfast_gameday.world.openai_response import Pace
from holdfast_gameday.world.openai_session import GA, Dialect, Identity, Session

WHO = Identity(1, "abc", "gpt-realtime", 4_000_000_000)
WORDS = {
    "ga": ("response.output_audio", "response.output_audio_transcript"),
    "beta": ("response.audio", "response.audio_transcript"),
}


def incoming(dialect: str = "ga") -> Incoming:
    audio, transcript = WORDS[dialect]
    return Incoming(audio=audio, transcript=transcript)


def read(reader: Incoming, **event: object) -> list[ev.Event]:
    return list(reader.decode(json.dumps(event).encode()))


def items(*seeds: ev.Seed) -> list[dict[str, Any]]:
    sent = openai_items.encode(ev.SeedConversation(seeds), said_part="output_text")
    return [json.loads(message)["item"] for message in sent]


def called(**item: object) -> dict[str, object]:
    call = {"type": "function_call", "call_id": "c", "name": "book", "arguments": "{}", **item}
    return {"type": "response.output_item.done", "item": call}


def failed(error: object) -> dict[str, object]:
    details = {} if error is None else {"status_details": {"error": error}}
    return {"type": "response.done", "response": {"status": "failed", **details}}


# --- to the provider


def test_a_conversation_is_seeded_item_by_item() -> None:
    assert items(
        ev.SeedText("system", "rules"), ev.SeedText("user", "grüezi"), ev.SeedText("assistant", "はい"),
        ev.SeedTool("1.1.c", "book", '{"wish":"a table"}', "7"),
    ) == [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "rules"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "grüezi"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "はい"}]},
        {"type": "function_call", "call_id": "1.1.c", "name": "book", "arguments": '{"wish":"a table"}'},
        {"type": "function_call_output", "call_id": "1.1.c", "output": "7"},
    ]  # fmt: skip


def test_nothing_is_seeded_where_nothing_was_said() -> None:
    assert items(ev.SeedText("user", ""), ev.SeedText("assistant", " \n")) == []
    assert items(ev.SeedTool("1.1.c", "book", "", ""))[0]["arguments"] == "{}"


@pytest.mark.parametrize("key", ["2.3.toolu_01A09q90qw90lq917835lq9", "2.1.functions.予約:0", "x" * 200])
def test_another_vendors_call_is_seeded_under_an_id_that_this_one_takes(key: str) -> None:
    call, output = items(ev.SeedTool(key, "book", "{}", "7"))
    assert call["call_id"] == output["call_id"]
    assert len(call["call_id"]) <= 32
    assert call["call_id"].isascii()
    assert items(ev.SeedTool(f"{key}2", "book", "{}", "7"))[0]["call_id"] != call["call_id"]


def test_a_result_and_what_was_heard_are_told() -> None:
    def sent(effect: openai_items.Lasting) -> list[dict[str, Any]]:
        return [json.loads(message) for message in openai_items.encode(effect, said_part="text")]

    output = {"type": "function_call_output", "call_id": "c", "output": "7"}
    assert sent(ev.ToolOutput("c", "7")) == [{"type": "conversation.item.create", "item": output}]
    cut = {"item_id": "item_1", "content_index": 0, "audio_end_ms": 400}
    assert sent(ev.Truncate("item_1", 400)) == [{"type": "conversation.item.truncate", **cut}]
    assert sent(ev.AppendAudio(b"\x00\xff")) == [{"type": "input_audio_buffer.append", "audio": "AP8="}]


def test_a_tool_without_parameters_is_offered_with_an_empty_schema() -> None:
    book, end_call = openai_items.tools([{"name": "book", "description": "Books.", "parameters": {}}])
    empty = {"type": "object", "properties": {}}
    assert book == {"type": "function", "name": "book", "description": "Books.", "parameters": empty}
    assert end_call["name"] == "end_call"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (ev.Respond(), {}),
        (ev.Respond("Go on."), {"instructions": "Be kind.\n\nGo on."}),
        (ev.Respond("Say exactly: hi", words="hi"), {"instructions": "Say exactly: hi"}),
    ],
)
def test_a_response_is_told_the_persona_again_unless_its_words_are_given(
    wish: ev.Respond, told: dict[str, str]
) -> None:
    assert openai_items.instructions(wish, "Be kind.") == told


# --- from the provider


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_what_the_agent_says_comes_as_sound_and_words(dialect: str) -> None:
    audio, transcript = WORDS[dialect]
    reader = incoming(dialect)
    sound = base64.b64encode(b"abc").decode()
    assert read(reader, type=f"{audio}.delta", item_id="i", delta=sound) == [ev.ProviderAudio("i", b"abc")]
    assert read(reader, type=f"{audio}.delta", item_id="i", delta="") == []
    assert read(reader, type=f"{audio}.done", item_id="i") == [ev.ProviderAudioDone("i")]
    said = ev.ProviderTranscript("i", "Grüe", final=False)
    assert read(reader, type=f"{transcript}.delta", item_id="i", delta="Grüe") == [said]
    whole = ev.ProviderTranscript("i", "Grüezi はい", final=True)
    assert read(reader, type=f"{transcript}.done", item_id="i", transcript="Grüezi はい") == [whole]


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_sound_is_read_even_when_its_type_comes_late(dialect: str) -> None:
    kind = f"{WORDS[dialect][0]}.delta"
    message = json.dumps({"event_id": "e" * 200, "type": kind, "item_id": "i", "delta": "YWJj"})
    assert list(incoming(dialect).decode(message.encode())) == [ev.ProviderAudio("i", b"abc")]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"type": "conversation.item.input_audio_transcription.delta", "item_id": "u", "delta": "h"},
            ev.UserTranscript("u", "h", final=False),
        ),
        (
            {"type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "transcript": "cześć\n"},
            ev.UserTranscript("u", "cześć", final=True),
        ),
        (
            {"type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "transcript": None},
            ev.UserTranscript("u", "", final=True),
        ),
        ({"type": "input_audio_buffer.committed", "previous_item_id": None, "item_id": "u"}, ev.UserTurn("u")),
        ({"type": "input_audio_buffer.speech_started", "audio_start_ms": 1, "item_id": "u"}, ev.SpeechStarted()),
        ({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1, "item_id": "u"}, ev.SpeechStopped()),
        ({"type": "response.created", "response": {"status": "in_progress"}}, ev.ResponseStarted()),
        ({"type": "response.done", "response": {"status": "cancelled"}}, ev.ResponseDone(ok=True, detail="cancelled")),
        (
            {"type": "response.done", "response": {"status": "completed", "status_details": None}},
            ev.ResponseDone(ok=True, detail="completed"),
        ),
        (called(), ev.ToolCall("c", "book", "{}")),
        (called(status="completed", arguments='{"wish":"テーブル"}'), ev.ToolCall("c", "book", '{"wish":"テーブル"}')),
    ],
)
def test_what_the_server_says_becomes_an_event(event: dict[str, object], expected: ev.Event) -> None:
    assert read(incoming(), **event) == [expected]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.created", "session": {}},
        {"type": "rate_limits.updated", "rate_limits": []},
        {"type": "response.output_item.done", "item": {"type": "message", "role": "assistant"}},
        {"type": "response.audio_timestamp.delta", "item_id": "i", "text": "a"},
        {"type": "warning", "warning": {"code": None, "message": "hm", "param": None}},
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "u", "error": {"code": "x"}},
        {"type": "practice.unheard_of"},
        called(call_id=""),
    ],
)
def test_what_concerns_nobody_is_let_pass(event: dict[str, object]) -> None:
    assert read(incoming(), **event) == []


def test_the_session_is_ready_once() -> None:
    reader = incoming()
    assert read(reader, type="session.updated", session={}) == [ev.ProviderReady()]
    assert read(reader, type="session.updated", session={}) == []


# --- tools


def test_a_call_that_was_cut_off_with_its_reply_is_not_run() -> None:
    """The vendor ends an item as incomplete when its response was interrupted, with half of the arguments."""
    reader = incoming()
    assert read(reader, **called(status="incomplete", arguments='{"wish":"a ta')) == []
    assert read(reader, **called(status="in_progress")) == []
    assert read(reader, **called(status="completed")) == [ev.ToolCall("c", "book", "{}")]


def test_several_calls_of_a_reply_come_in_order_and_one_that_is_told_twice_runs_once() -> None:
    reader = incoming()
    told = [called(call_id="a"), called(call_id="b", name="look"), called(call_id="a"), called(call_id="b")]
    assert [event for each in told for event in read(reader, **each)] == [
        ev.ToolCall("a", "book", "{}"), ev.ToolCall("b", "look", "{}"),
    ]  # fmt: skip


def test_no_more_calls_are_remembered_than_a_long_session_makes() -> None:
    reader = incoming()
    for number in range(openai_items.MAX_CALLS + 1):
        read(reader, **called(call_id=f"c{number}"))
    assert len(reader._called) == openai_items.MAX_CALLS
    assert read(reader, **called(call_id=f"c{openai_items.MAX_CALLS}")) == []


def test_a_call_that_is_too_long_is_refused_by_name_so_that_the_model_goes_on() -> None:
    arguments = json.dumps({"wish": "x" * openai_items.MAX_ARGUMENTS})
    assert read(incoming(), **called(arguments=arguments)) == [ev.ToolCall("c", "", "{}")]


# --- failures


@pytest.mark.parametrize(
    ("error", "expected", "kind"),
    [
        ({"type": "server_error", "code": None}, ev.ProviderLost("server_error"), Failure.ERROR),
        ({"type": "server_error", "code": "boom"}, ev.ProviderLost("boom"), Failure.ERROR),
        ({"type": "invalid_request_error", "code": "session_expired"}, ev.ProviderLost("session_expired"), None),
        ({"code": "invalid_api_key"}, ev.ProviderLost("auth", retry_same=False), Failure.AUTH),
        ({"code": "account_deactivated"}, ev.ProviderLost("auth", retry_same=False), Failure.AUTH),
        ({"type": "insufficient_quota"}, ev.ProviderLost("quota", retry_same=False), Failure.QUOTA),
        ({"code": "credit_balance_exhausted"}, ev.ProviderLost("quota", retry_same=False), Failure.QUOTA),
        ({"type": "rate_limit_error"}, ev.ProviderLost("rate", retry_same=False), Failure.RATE_LIMITED),
        ({"type": "invalid_request_error", "code": "invalid_value"}, ev.ProviderLost("config", retry_same=False),
         Failure.CONFIG),
        ({"code": 400}, ev.ProviderLost("config", retry_same=False), Failure.CONFIG),
    ],
)  # fmt: skip
def test_an_error_before_the_session_stands_loses_the_provider(
    error: dict[str, object], expected: ev.ProviderLost, kind: Failure | None
) -> None:
    assert read(incoming(), type="error", error=error) == [expected]
    assert failures.kind(expected.reason) is kind


@pytest.mark.parametrize(
    ("error", "events"),
    [
        ({"type": "invalid_request_error", "code": "response_cancel_not_active"}, []),
        ({"type": "invalid_request_error", "code": "conversation_already_has_active_response"}, []),
        ({"type": "invalid_request_error", "code": None, "message": "Audio content of 9250ms is already shorter"}, []),
        ({"code": None, "message": "hm", "param": None}, []),
        ({"type": "rate_limit_error", "code": "rate_limit_exceeded"}, []),
        ({"type": "server_error", "code": None}, [ev.ProviderLost("server_error")]),
        ({"type": "invalid_request_error", "code": "session_expired"}, [ev.ProviderLost("session_expired")]),
        ({"type": "insufficient_quota", "code": None}, [ev.ProviderLost("quota", retry_same=False)]),
    ],
)
def test_most_errors_leave_a_session_that_stands_usable(error: dict[str, object], events: list[ev.Event]) -> None:
    reader = incoming()
    read(reader, type="session.updated")
    assert read(reader, type="error", error=error) == events


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "server_error", "code": "boom"}, ev.ResponseDone(ok=False, detail="boom")),
        ({"type": "server_error"}, ev.ResponseDone(ok=False, detail="server_error")),
        ({"code": "content_filter"}, ev.ResponseDone(ok=False, detail="content_filter")),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, ev.ProviderLost("rate_limit_exceeded", retry_same=False)),
        ({"type": "rate_limit_error"}, ev.ProviderLost("rate_limit_error", retry_same=False)),
        ({"code": "insufficient_quota"}, ev.ProviderLost("insufficient_quota", retry_same=False)),
        ({"type": "invalid_request_error"}, ev.ProviderLost("invalid_request_error", retry_same=False)),
        ("it broke", ev.ResponseDone(ok=False, detail="response-failed")),
        ({"code": None}, ev.ResponseDone(ok=False, detail="response-failed")),
        (None, ev.ResponseDone(ok=False, detail="response-failed")),
        ({"code": {"a": 1}}, ev.ResponseDone(ok=False, detail="response-failed")),
        ({"code": "Call +49 30 555010 failed"}, ev.ResponseDone(ok=False, detail="response-failed")),
        ({"code": "x" * 41, "type": "server_error"}, ev.ResponseDone(ok=False, detail="server_error")),
    ],
)
def test_a_response_that_failed_says_why_in_a_word_and_what_cannot_help_is_not_asked_again(
    error: object, expected: ev.Event
) -> None:
    assert read(incoming(), **failed(error)) == [expected]


# --- what cannot be read


def test_some_garbage_is_dropped_and_much_of_it_loses_the_provider_once() -> None:
    reader = incoming()
    outcomes = [list(reader.decode(message)) for message in [b"{", b"[]", b'{"type":7}', b"\xff", b"null"] * 4]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [ev.ProviderLost("unreadable")]
    assert outcomes[3:] == [[]] * 17
    assert failures.kind("unreadable") is Failure.ERROR


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"response.done","response":{"status":"failed","status_details":{"error":' + b"9" * 5_000 + b"}}}",
        b'{"type":"x","a":' + b"[" * 100_000,
        b'{"type":"error","error":{"code":' + b'{"a":' * 50_000,
        b'{"type":"response.output_audio.delta","item_id":"i","delta":"YWJ"}',
        b'{"type":"response.output_audio.delta","item_id":"i","delta":7}',
        b'{"type":"response.output_audio.delta","item_id":"' + b"i" * 1_000 + b'","delta":"YWJj"}',
        b'{"type":"response.output_audio_transcript.delta","item_id":"i","delta":"\xff\xfe"}',
        b'{"type":"input_audio_buffer.committed"}',
    ],
)
def test_a_hostile_message_is_no_more_than_unreadable(message: bytes) -> None:
    reader = incoming()
    assert [list(reader.decode(message)) for _ in range(9)][-1] in ([], [ev.ResponseDone(False, "response-failed")])


class Timers(list[Any]):
    """Time does not pass; what is due later is done when asked."""

    def later(self, _: float, do: Any) -> Timers:
        self.append(do)
        return self

    def cancel(self) -> None:
        self.clear()


def conversation(dialect: str) -> list[bytes]:
    """What the simulated vendor sends in a call of two turns, in one of which a tool is called."""
    sent: list[bytes] = []
    worded = VoiceLiveDialect(WHO, api_version="2026-04-10")
    timers = Timers()
    session = Session(
        WHO, send=lambda event: sent.append(json.dumps(event).encode()), later=timers.later,
        pace=Pace(chunk_ms=500), dialect=GA if dialect == "ga" else Dialect(worded.inward, worded.outward),
    )  # fmt: skip
    session.open()
    book = {"type": "function", "name": "book", "parameters": {"type": "object"}}
    ulaw, heard = {"format": {"type": "audio/pcmu"}}, {"model": "whisper-1"}
    asked = {"type": "realtime", "tools": [book], "audio": {"input": {**ulaw, "transcription": heard}, "output": ulaw}}
    if dialect == "beta":
        flat = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}
        asked = {"tools": [book], "input_audio_transcription": heard, **flat}
    session.receive(json.dumps({"type": "session.update", "session": asked}).encode())
    for number, text in enumerate(("grüezi はい", "book a table"), start=1):
        audio = voice.encode_utterance(voice.Speaker.CALLER, 7, number, text) + voice.silence(30)
        session.receive(openai_items.append(audio))
        while timers:
            timers.pop(0)()
    assert not any(b'"error"' in message for message in sent)
    return sent


CONVERSATIONS = {dialect: conversation(dialect) for dialect in WORDS}
HOW = st.sampled_from(["whole", "cut", "hurt", "alien"])
HURT = st.tuples(st.integers(0, 99), st.integers(0, 400), st.binary(max_size=6), HOW)


def hurt(message: bytes, at: int, put: bytes, how: str) -> bytes:
    if how == "cut":
        return message[:at]
    garbled = message[:at] + put + message[at + len(put) :]
    return {"whole": message, "hurt": garbled, "alien": put}[how]


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_whole_conversation_is_read_to_its_last_word(dialect: str) -> None:
    reader = incoming(dialect)
    events = [event for message in CONVERSATIONS[dialect] for event in reader.decode(message)]
    said = [event.text for event in events if isinstance(event, ev.ProviderTranscript) and event.final]
    heard = [event.text for event in events if isinstance(event, ev.UserTranscript) and event.final]
    assert said == ["こうおっしゃいました、grüezi はい"]
    assert heard == ["grüezi はい", "book a table"]
    assert [event.name for event in events if isinstance(event, ev.ToolCall)] == ["book"]
    assert sum(isinstance(event, ev.ResponseDone) for event in events) == 2


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@settings(max_examples=60, deadline=None)
@given(order=st.lists(HURT, max_size=60))
def test_whatever_becomes_of_a_conversation_nothing_is_raised_and_no_sound_is_made_up(
    dialect: str, order: list[tuple[int, int, bytes, str]]
) -> None:
    known, reader = CONVERSATIONS[dialect], incoming(dialect)
    came = [hurt(known[index % len(known)], at, put, how) for index, at, put, how in order]
    events = [event for message in came for event in reader.decode(message)]
    sound = sum(len(event.payload) for event in events if isinstance(event, ev.ProviderAudio))
    assert sound <= sum(map(len, came)) * 3 / 4
    assert sum(isinstance(event, ev.ProviderReady) for event in events) <= 1
    calls = [event.id for event in events if isinstance(event, ev.ToolCall)]
    assert len(calls) == len(set(calls))
