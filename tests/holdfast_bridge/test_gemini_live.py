"""Gemini Live both ways: what is sent when, how tools are told, and what is done with nonsense."""

from __future__ import annotations

import base64
import json

import pytest
from bridge_gemini import (
    FRAME,
    REMARK,
    VERTEX,
    ask_tool,
    blob,
    codec,
    heard,
    kinds,
    read,
    ready,
    said,
    sent,
    sound,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.providers import gemini_history
from holdfast_bridge.providers.gemini_live import GeminiCodec
from holdfast_bridge.providers.gemini_session import Asks, History, LiveSession, headers, link_url

SEEDS = (
    ev.SeedText("user", "my code\nis 4711"),
    ev.SeedTool("1.1.c", "book", "{}", "7"),
    ev.SeedText("assistant", "ようこそ"),
)
PACKED = [
    "Caller: my code is 4711",
    "Note: Done already in this call: the tool book was called with the arguments {}, and its result was: 7",
    "You: ようこそ",
]


def setup(c: GeminiCodec) -> dict[str, object]:
    [message] = sent(c.opening())
    return message["setup"]  # type: ignore[return-value]


def pcm_octets(message: bytes) -> int:
    return len(base64.b64decode(json.loads(message)["realtimeInput"]["audio"]["data"]))


# --- the setup


def test_the_session_speaks_and_writes_both_sides_down() -> None:
    book = {"name": "book", "description": "", "parameters": {"properties": {"day": {"type": "string"}}}}
    asked = setup(codec(barge_in=False, silence_ms=700, tools=[book], generation={"temperature": 0.5}))
    assert asked["model"] == "models/gemini-3.8-live"
    assert asked["systemInstruction"] == {"parts": [{"text": "Be kind."}]}
    assert asked["generationConfig"] == {
        "temperature": 0.5,
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert asked["inputAudioTranscription"] == asked["outputAudioTranscription"] == {}
    assert asked["realtimeInputConfig"] == {
        "automaticActivityDetection": {"silenceDurationMs": 700},
        "activityHandling": "NO_INTERRUPTION",
    }
    assert asked["historyConfig"] == {"initialHistoryInClientContent": True}
    assert asked["sessionResumption"] == {}
    assert asked["contextWindowCompression"] == {"slidingWindow": {}}
    [tool] = asked["tools"]  # type: ignore[misc]
    booking, ending = tool["functionDeclarations"]
    assert booking["parameters"] == {"type": "OBJECT", "properties": {"day": {"type": "STRING"}}}
    assert booking["description"] == "book"
    assert ending["name"] == "end_call"
    assert "parameters" not in ending


def test_vertex_has_the_models_whole_name_and_no_history_of_its_own() -> None:
    asked = setup(codec(vertex=VERTEX, vad_signals=True))
    assert asked["model"] == "projects/clinic/locations/europe-west4/publishers/google/models/gemini-3.8-live"
    assert asked["explicitVadSignal"] is True
    assert "historyConfig" not in asked


def test_a_resumed_session_is_not_told_again_what_the_server_kept() -> None:
    c = codec(SEEDS, resume="handle-7", history=History.PACKED)
    asked = setup(c)
    assert asked["sessionResumption"] == {"handle": "handle-7"}
    assert asked["systemInstruction"] == {"parts": [{"text": "Be kind."}]}
    assert "historyConfig" not in asked
    assert c.encode(ev.SeedConversation(SEEDS)) == []


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        ("wss://g.example", {}, "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"),
        ("wss://g.example/live/", {"api_version": "v1"},
         "/live/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent"),
        ("wss://g.example", {"vertex": VERTEX}, "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent"),
        ("wss://g.example/ws/google.any/path", {}, "/ws/google.any/path"),
    ],
)  # fmt: skip
def test_the_link_leads_to_the_services_own_path(base: str, changes: dict[str, object], expected: str) -> None:
    session = LiveSession(model="m", voice="", instructions="", **changes)  # type: ignore[arg-type]
    assert link_url(base, session) == f"wss://g.example{expected}"
    assert link_url(base, session, query={"tenant": "a b"}) == f"wss://g.example{expected}?tenant=a+b"


def test_each_service_has_its_own_proof_of_identity() -> None:
    session = LiveSession(model="m", voice="", instructions="")
    assert headers(session, "AIza") == {"x-goog-api-key": "AIza"}
    on_vertex = LiveSession(model="m", voice="", instructions="", vertex=VERTEX)
    assert headers(on_vertex, "ya29") == {"Authorization": "Bearer ya29"}


# --- what was said before


def test_history_is_told_as_turns_and_calls_for_no_reply() -> None:
    c = codec()
    seeds = (
        ev.SeedText("assistant", "Good morning"),
        ev.SeedText("user", "book a table"),
        ev.SeedTool("1.1.c", "book", '{"day":"mon"}', '{"booking":"B7"}'),
        ev.SeedText("assistant", "booked B7"),
    )
    [message] = sent(c.encode(ev.SeedConversation(seeds)))
    content = message["clientContent"]
    assert content["turnComplete"] is True  # type: ignore[index]
    assert [turn["role"] for turn in content["turns"]] == ["user", "model", "user", "model"]  # type: ignore[index]
    told = [[part["text"] for part in turn["parts"]] for turn in content["turns"]]  # type: ignore[index]
    assert told[0] == ["(the call begins)"]
    assert told[2][0] == "book a table"
    assert told[2][1] == (
        f"{REMARK}Done already in this call: the tool book was called with the arguments "
        '{"day":"mon"}, and its result was: {"booking":"B7"}'
    )
    assert told[3] == ["booked B7"]


def test_a_call_without_a_past_says_so_before_its_first_sound() -> None:
    c = codec()
    first, second = json.loads(c.append(FRAME)), c.append(FRAME)
    assert first == {
        "clientContent": {"turns": [{"role": "user", "parts": [{"text": "(the call begins)"}]}], "turnComplete": True}
    }
    assert pcm_octets(second) == 2 * 640
    assert pcm_octets(c.append(FRAME)) == 640


def test_a_call_without_a_past_says_so_before_it_asks_for_the_greeting() -> None:
    ending, asking = sent(codec().encode(ev.Respond("Say exactly: Hello")))
    assert ending["clientContent"]["turns"][0]["parts"] == [{"text": "(the call begins)"}]  # type: ignore[index]
    assert asking == {
        "clientContent": {
            "turns": [{"role": "user", "parts": [{"text": f"{REMARK}Say exactly: Hello"}]}], "turnComplete": True,
        }
    }  # fmt: skip


@pytest.mark.parametrize("changes", [{"vertex": VERTEX}, {"history": History.PACKED}])
def test_where_there_is_no_history_it_stands_in_the_instructions(changes: dict[str, object]) -> None:
    c = codec(SEEDS, **changes)
    instructions, past = setup(c)["systemInstruction"]["parts"]  # type: ignore[index]
    assert instructions == {"text": "Be kind."}
    assert past["text"].splitlines()[1:] == PACKED
    assert c.encode(ev.SeedConversation(SEEDS)) == []
    assert len(c.encode(ev.Respond("Say exactly: Hello"))) == 1


def test_what_has_changed_since_the_setup_is_told_as_a_text_that_waits() -> None:
    c = codec(SEEDS[:1], vertex=VERTEX)
    [message] = sent(c.encode(ev.SeedConversation(SEEDS)))
    content = message["clientContent"]
    assert content["turnComplete"] is False  # type: ignore[index]
    [turn] = content["turns"]  # type: ignore[index]
    assert turn["parts"][0]["text"].splitlines()[1:] == PACKED
    assert codec(vertex=VERTEX).encode(ev.SeedConversation((ev.SeedText("user", ""),))) == []


def test_only_the_newest_of_a_very_long_call_is_packed() -> None:
    packed = gemini_history.packed([ev.SeedText("user", f"{number} " + "ж" * 999) for number in range(40)])
    assert len(packed) < 25_000
    assert "Caller: 39 ж" in packed
    assert "Caller: 3 ж" not in packed


def test_what_has_to_be_known_in_the_middle_of_a_call_is_told_with_the_next_question() -> None:
    c = ready()
    c.append(FRAME)
    assert c.encode(ev.SeedConversation((ev.SeedText("user", "(pressed 1)"),))) == []
    [message] = sent(c.encode(ev.Respond()))
    [turn] = message["clientContent"]["turns"]  # type: ignore[index]
    known, asked = [part["text"] for part in turn["parts"]]
    assert known.endswith("\nCaller: (pressed 1)")
    assert asked == f"{REMARK}Answer the caller now, as the conversation stands."
    assert b"pressed" not in c.encode(ev.Respond("again"))[0]


def test_a_model_that_takes_no_content_is_asked_by_text_in_the_stream() -> None:
    c = ready(asks=Asks.REALTIME_TEXT)
    assert sent(c.encode(ev.Respond("Say exactly: Hello"))) == [
        {"realtimeInput": {"text": f"{REMARK}Say exactly: Hello"}}
    ]
    c = codec(SEEDS[:1], asks=Asks.REALTIME_TEXT, vertex=VERTEX)
    assert c.encode(ev.SeedConversation(SEEDS)) == []
    [message] = sent(c.encode(ev.Respond("Say exactly: Hello")))
    assert "ようこそ" in message["realtimeInput"]["text"]  # type: ignore[index]


def test_the_callers_sound_goes_out_at_sixteen_kilohertz() -> None:
    c = ready()
    message = c.append(b"\x80" * 160)
    assert json.loads(message)["realtimeInput"]["audio"]["mimeType"] == "audio/pcm;rate=16000"
    assert pcm_octets(message) == 640
    assert c.encode(ev.AppendAudio(FRAME))[0].startswith(b'{"realtimeInput"')


def test_what_was_not_heard_cannot_be_told() -> None:
    assert ready().encode(ev.Truncate("a1", 400, "your code")) == []


# --- tools


def test_a_tools_result_makes_the_model_go_on_by_itself() -> None:
    c = ready()
    ask_tool(c)
    assert sent(c.encode(ev.ToolOutput("f1", '{"booking":"B7"}'))) == [
        {"toolResponse": {"functionResponses": [{"id": "f1", "name": "book", "response": {"booking": "B7"}}]}}
    ]
    assert c.encode(ev.Respond()) == []
    assert kinds(sound(c)) == ["ResponseStarted", "ProviderAudio"]


def test_a_model_that_waits_for_words_after_a_tool_gets_an_empty_one() -> None:
    """gemini-3.1-flash-live does: https://github.com/pipecat-ai/pipecat/pull/4366"""
    c = ready(asks=Asks.REALTIME_TEXT)
    ask_tool(c)
    c.encode(ev.ToolOutput("f1", "7"))
    assert sent(c.encode(ev.Respond())) == [{"realtimeInput": {"text": " "}}]


def test_after_its_answer_the_model_is_asked_again_in_words() -> None:
    c = ready()
    ask_tool(c)
    c.encode(ev.ToolOutput("f1", "7"))
    sound(c)
    said(c, turnComplete=True)
    assert len(c.encode(ev.Respond())) == 1


def test_it_goes_on_when_the_last_of_its_tools_is_answered() -> None:
    c = ready()
    calls = [{"id": "f1", "name": "look", "args": {}}, {"id": "f2", "name": "book", "args": None}]
    asked = [event for event in read(c, toolCall={"functionCalls": calls}) if isinstance(event, ev.ToolCall)]
    assert asked == [ev.ToolCall("f1", "look", "{}"), ev.ToolCall("f2", "book", "{}")]
    c.encode(ev.ToolOutput("f1", "1"))
    assert said(c, turnComplete=True) == []
    assert len(c.encode(ev.Respond())) == 1
    c.encode(ev.ToolOutput("f2", "2"))
    assert c.encode(ev.Respond()) == []


def test_a_call_without_a_fit_id_gets_one_of_ours_and_is_answered_under_theirs() -> None:
    c = ready(vertex=VERTEX)
    calls = [{"name": "book", "args": {}}, {"name": "book"}, {"id": "a\r\nb", "name": "book"}]
    events = read(c, toolCall={"functionCalls": calls})
    asked = [event.id for event in events if isinstance(event, ev.ToolCall)]
    assert len(set(asked)) == 3
    assert all(call.isascii() and call.isprintable() for call in asked)
    answers = [sent(c.encode(ev.ToolOutput(call, "7")))[0]["toolResponse"] for call in asked]
    assert answers == [
        {"functionResponses": [{"name": "book", "response": {"output": 7}}]},
        {"functionResponses": [{"name": "book", "response": {"output": 7}}]},
        {"functionResponses": [{"name": "book", "response": {"output": 7}, "id": "a\r\nb"}]},
    ]


def test_a_call_that_is_told_twice_is_run_once() -> None:
    c = ready()
    assert "ToolCall" in kinds(ask_tool(c))
    assert ask_tool(c) == []


def test_a_hundred_calls_at_once_are_not_all_run() -> None:
    c = ready()
    calls = [{"id": f"f{number}", "name": "book"} for number in range(100)]
    assert kinds(read(c, toolCall={"functionCalls": calls})).count("ToolCall") == 32
    assert read(c, toolCall={"functionCalls": []}) == []


def test_arguments_too_long_to_be_read_reach_no_tool_as_an_object() -> None:
    """The model waits for an answer to each of its calls, so that even this one is passed on."""
    c = ready()
    calls = [{"id": "f1", "name": "book", "args": {"x": "y" * 17_000}}, {"id": "f2", "name": "book", "args": [1]}]
    asked = [event for event in read(c, toolCall={"functionCalls": calls}) if isinstance(event, ev.ToolCall)]
    assert [json.loads(event.arguments) for event in asked] == ["(too long to be read)", [1]]


def test_the_result_of_a_call_that_was_taken_back_is_told_with_the_next_question() -> None:
    c = ready()
    read(c, toolCall={"functionCalls": [{"id": "f1", "name": "book", "args": {}}]})
    assert read(c, toolCallCancellation={"ids": ["f1", "unknown", ""]}) == []
    assert c.encode(ev.ToolOutput("f1", "B7")) == []
    [message] = c.encode(ev.Respond())
    assert b"the tool book was called with the arguments {}, and its result was: B7" in message


def test_a_model_that_bears_no_sound_during_a_tool_hears_the_caller_after_it() -> None:
    c = ready(mute_during_tools=True)
    c.append(FRAME)
    ask_tool(c)
    assert [c.append(FRAME) for _ in range(3)] == [b""] * 3
    assert c.encode(ev.AppendAudio(FRAME)) == []
    c.encode(ev.ToolOutput("f1", "7"))
    assert pcm_octets(c.append(FRAME)) == 5 * 640


def test_three_seconds_at_most_are_kept_for_after_a_tool() -> None:
    c = ready(mute_during_tools=True)
    ask_tool(c)
    for _ in range(400):
        c.append(FRAME)
    c.encode(ev.ToolOutput("f1", "7"))
    assert pcm_octets(c.append(FRAME)) == 96_000 + 640


# --- the connection


def test_the_session_is_ready_once() -> None:
    c = codec()
    assert read(c, setupComplete={"sessionId": "s"}) == [ev.ProviderReady(attentive=False)]
    assert read(c, setupComplete={}) == []


def test_only_a_session_that_tells_of_speech_proves_something_by_telling_nothing() -> None:
    c = codec(vertex=VERTEX, vad_signals=True)
    assert read(c, setupComplete={}) == [ev.ProviderReady(attentive=True)]


@pytest.mark.parametrize(
    ("left", "expected"),
    [("50s", 50.0), ("9.5s", 9.5), ("", 0.0), ("soon", 0.0), ("nan", 0.0), ("-3s", 0.0), ("1e99s", 3_600.0)],
)
def test_the_end_of_the_connection_is_known_beforehand(left: str, expected: float) -> None:
    assert read(ready(), goAway={"timeLeft": left}) == [ev.ProviderEnding(expected)]


def test_the_newest_handle_is_kept_while_the_session_can_be_resumed() -> None:
    c = ready()
    read(c, sessionResumptionUpdate={"newHandle": "h1", "resumable": True})
    assert c.resumption == "h1"
    read(c, sessionResumptionUpdate={})
    assert c.resumption == ""
    read(c, sessionResumptionUpdate={"newHandle": "h" * 5_000, "resumable": True})
    assert c.resumption == ""


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retry_same"),
    [
        (1007, "API key not valid. Please pass a valid API key.", Failure.AUTH, False),
        (1008, "Method doesn't allow unregistered callers (callers without", Failure.AUTH, False),
        (1008, "models/gemini-9 is not found for API version v1beta, or is not supported", Failure.CONFIG, False),
        (1008, "Publisher Model `projects/p` was not found or your project does not", Failure.CONFIG, False),
        (1007, "Request contains an invalid argument.", Failure.CONFIG, False),
        (1007, 'Invalid JSON payload received. Unknown name "x" at \'setup\'', Failure.CONFIG, False),
        (1008, "Operation is not implemented, or supported, or enabled.", Failure.CONFIG, False),
        (1011, "You exceeded your current quota, please check your plan and billing details.", Failure.QUOTA, False),
        (1011, "Resource has been exhausted (e.g. check quota).", Failure.RATE_LIMITED, False),
        (1011, "Internal error encountered.", Failure.ERROR, True),
        (1008, "The operation was aborted.", None, True),
        (1011, "Deadline expired before operation could complete.", None, True),
    ],
)
def test_a_close_means_what_its_reason_says(code: int, reason: str, kind: Failure | None, retry_same: bool) -> None:
    """The vendor closes with the same few codes for whatever happens."""
    word, again = failures.closed(code, reason)
    assert (failures.kind(word), again) == (kind, retry_same)


def test_a_wrong_key_is_one_under_any_status() -> None:
    refused = failures.refused(400, body='{"error":{"code":400,"message":"API key not valid. Please pass ..."}}')
    assert failures.kind(refused.word) is Failure.AUTH


# --- nonsense


def test_unknown_messages_and_fields_are_let_pass() -> None:
    c = ready()
    assert read(c, practiceUnheardOf={"a": [1]}) == []
    assert said(c, groundingMetadata={}, interimInputTranscription={"text": "well"}) == []
    assert read(c, usageMetadata={"totalTokenCount": 7}) == []
    assert said(c, modelTurn={"parts": [{"text": "thinking", "thought": True}, {"inlineData": {}}]}) == []


def test_some_garbage_is_dropped_and_much_of_it_loses_the_provider() -> None:
    c = ready()
    garbage = [b"{", b"[]", b'{"serverContent":7}', b"\xff", b'{"serverContent":{"turnComplete":"x"}}'] * 2
    outcomes = [list(c.decode(message)) for message in garbage]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [ev.ProviderLost("unreadable")]
    assert list(c.decode(b"{")) == []


def test_sound_that_we_cannot_read_is_garbage() -> None:
    c = ready()
    outcomes = [said(c, modelTurn=blob(bytes(960), "audio/pcm;rate=48000")) for _ in range(3)]
    assert outcomes == [[]] * 2 + [[ev.ProviderLost("unreadable")]]
    assert kinds(said(ready(), modelTurn=blob(bytes(960), "audio/pcm"))) == ["UserTurn", "ResponseStarted"]


@pytest.mark.parametrize(
    "message",
    [
        b'{"setupComplete":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"x":' + b"[" * 100_000,
        b'{"goAway":{"timeLeft":' + b"9" * 9_000 + b"}}",
        b'{"toolCall":{"functionCalls":[{"name":"x","args":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}}",
        b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"data":"!!"}}]}}}',
        b'{"serverContent":{"inputTranscription":{"text":"\xed\xa0\x80"}}}',
    ],
)
def test_hostile_messages_raise_nothing_and_make_no_sound(message: bytes) -> None:
    assert not [event for event in ready().decode(message) if isinstance(event, ev.ProviderAudio | ev.ProviderLost)]


def conversation() -> list[bytes]:
    c = ready()
    recorded: list[bytes] = []

    class Recorder:
        def decode(self, message: bytes) -> list[ev.Event]:
            recorded.append(message)
            return list(c.decode(message))

    r = Recorder()
    heard(r, "tell me, bitte, もっと")  # type: ignore[arg-type]
    sound(r, words="here is")  # type: ignore[arg-type]
    said(r, interrupted=True)  # type: ignore[arg-type]
    said(r, turnComplete=True)  # type: ignore[arg-type]
    ask_tool(r)  # type: ignore[arg-type]
    read(r, toolCallCancellation={"ids": ["f1"]})  # type: ignore[arg-type]
    sound(r, words="goodbye")  # type: ignore[arg-type]
    said(r, generationComplete=True)  # type: ignore[arg-type]
    said(r, turnComplete=True, turnCompleteReason="RESPONSE_REJECTED")  # type: ignore[arg-type]
    read(r, goAway={"timeLeft": "50s"})  # type: ignore[arg-type]
    return recorded


CONVERSATION = conversation()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_order_cut_or_garbling_of_a_conversation_raises_or_makes_sound_of_nothing(data: st.DataObject) -> None:
    messages = data.draw(st.lists(st.sampled_from(CONVERSATION), max_size=30))
    c = ready()
    came = given_out = 0
    for message in messages:
        cut = data.draw(st.integers(0, len(message)) | st.none())
        noise = data.draw(st.binary(max_size=4))
        text = message if cut is None else message[:cut] + noise + message[cut + len(noise) :]
        came += text.count(b'"data"') * 160
        events = c.decode(text)
        given_out += sum(len(event.payload) for event in events if isinstance(event, ev.ProviderAudio))
        for event in c.noticed():
            assert isinstance(event, ev.SpeechStopped)
        c.append(FRAME)
        c.encode(ev.Respond())
    assert given_out <= came


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_a_message_or_garbage(message: bytes) -> None:
    assert list(ready().decode(message)) == []
