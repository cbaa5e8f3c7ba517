"""GPT-Live's dialect both ways, and as a call sees it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from bridge_core import of
from provider_gpt_live import BOOK, SILENCE, SOUND, Live

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import failures
from holdfast_bridge.core.failures import Failure
from holdfast_bridge.providers.gpt_live import GptLiveCodec, LiveSession, link_url

# --- the start


def opening(*history: ev.Seed, **changes: Any) -> dict[str, Any]:
    session = {"model": "gpt-live-1", "backend_model": "gpt-5.5", "instructions": "Be kind.", **changes}
    [message] = GptLiveCodec(LiveSession(**session), history).opening()
    event = json.loads(message)
    assert event["type"] == "session.start"
    started: dict[str, Any] = event["session"]
    return started


def test_the_session_speaks_ulaw_both_ways_and_delegates_its_tools() -> None:
    session = opening(voice="marin", tools=[BOOK])
    assert session["audio"] == {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": "marin"}}
    assert session["delegation"]["type"] == "responses"
    backend = session["delegation"]["responses"]
    assert backend["model"] == "gpt-5.5"
    assert [tool["name"] for tool in backend["tools"]] == ["book", "end_call"]
    assert "Books a table." in session["instructions"]
    assert session["instructions"].startswith("Be kind.")


def test_the_past_is_given_at_the_start_with_tools_narrated() -> None:
    told = opening(
        ev.SeedText("user", "hi"), ev.SeedText("assistant", "yes?"), ev.SeedText("system", "Be quick."),
        ev.SeedTool("1.1.c", "book", '{"wish":"a table"}', "B7"),
    )["input"]  # fmt: skip
    assert [message["role"] for message in told] == ["user", "assistant", "developer", "developer"]
    assert told[1]["content"] == [{"type": "output_text", "text": "yes?"}]
    assert told[0]["content"] == [{"type": "input_text", "text": "hi"}]
    narrated = told[3]["content"][0]["text"]
    assert "book" in narrated
    assert '{"wish":"a table"}' in narrated
    assert narrated.endswith("B7")


def test_a_long_past_loses_its_oldest_messages_first() -> None:
    many = opening(*(ev.SeedText("user", f"word {number}") for number in range(200)))["input"]
    assert len(many) == 128
    assert many[-1]["content"][0]["text"] == "word 199"
    long = opening(*(ev.SeedText("user", f"{number} " + "予約" * 400) for number in range(30)))["input"]
    assert sum(len(message["content"][0]["text"].encode()) for message in long) <= 8_192 * 3
    assert long[-1]["content"][0]["text"].startswith("29 ")


def test_the_session_is_ready_once() -> None:
    live = Live()
    assert live.ready == [ev.ProviderReady(attentive=False)]
    assert live.read(type="session.started", session={}) == []


def test_a_session_may_take_longer_to_start_than_its_sound_may_stop() -> None:
    """A call waits two seconds for a session, and says itself that it did not come."""
    live = Live()
    assert live.codec.silence_max_s == 1.0
    assert GptLiveCodec(LiveSession(model="m", backend_model="b", instructions="")).silence_max_s > 2.0


@pytest.mark.parametrize(
    ("url", "query", "field"),
    [
        ("wss://api.openai.com/v1/live/sessions", {"model": "gpt-live-1"}, "query"),
        ("wss://api.openai.com/v1/live/sessions?model=gpt-live-1", {}, "query"),
        ("wss://r.openai.azure.com/openai/live/sessions", {}, "base_url"),
    ],
)
def test_an_address_that_the_vendor_would_refuse_is_refused_here(url: str, query: dict[str, str], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}:"):
        link_url(url, query)


@pytest.mark.parametrize(
    "url", ["wss://api.openai.com/v1/live/sessions", "wss://r.openai.azure.com/openai/v1/live/sessions"]
)
def test_the_addresses_of_both_vendors_are_taken_as_they_are(url: str) -> None:
    assert link_url(url, {}) == url
    assert link_url(f"{url}/", {}) == url


# --- to the provider


def test_audio_goes_out_as_base64() -> None:
    assert json.loads(Live().codec.append(b"\x00\xff")) == {"type": "session.input_audio.append", "audio": "AP8="}
    assert Live().sent(ev.AppendAudio(b"\x00\xff")) == [{"type": "session.input_audio.append", "audio": "AP8="}]


def test_nothing_can_be_truncated() -> None:
    assert Live().sent(ev.Truncate("line1", 400)) == []


def test_what_is_seeded_later_is_told_silently_and_words_are_no_instructions() -> None:
    told = Live().sent(
        ev.SeedConversation(
            (ev.SeedText("user", "(pressed 5)"), ev.SeedText("assistant", "Yes?"), ev.SeedTool("c", "book", "{}", "B7"))
        )
    )
    assert [message["type"] for message in told] == ["session.thinking.append", "session.instructions.append"]
    assert all(message["delegation_id"] is None for message in told)
    assert 'The caller said: "(pressed 5)"\nYou said: "Yes?"' in told[0]["content"]


def test_what_the_start_has_told_is_not_told_again() -> None:
    known = (ev.SeedText("user", "hi"), ev.SeedText("assistant", "yes?"))
    live = Live(*known)
    assert live.sent(ev.SeedConversation(known)) == []
    [pressed] = live.sent(ev.SeedConversation((ev.SeedText("user", "hi"),)))
    assert pressed["content"].endswith('The caller said: "hi"')


def test_a_long_note_is_cut_to_what_an_append_takes() -> None:
    told = Live().sent(ev.SeedConversation((ev.SeedText("user", "予約" * 600), ev.SeedText("user", "a word " * 500))))
    assert len(told) > 2
    assert all(len(message["content"].encode()) <= 1_500 for message in told)
    assert "".join(message["content"] for message in told).count("予約") == 600


def test_asking_to_speak_is_commentary_and_given_words_are_asked_for_exactly() -> None:
    [greet] = Live().sent(ev.Respond("Greet the caller kindly."))
    assert greet["type"] == "session.commentary.append"
    assert greet["delegation_id"] is None
    assert greet["content"].startswith("Do this at once")
    assert greet["content"].endswith(": Greet the caller kindly.")
    [exact] = Live().sent(ev.Respond("Go on. Say exactly: Hi!", "Hi!"))
    assert exact["content"] == "Say exactly: Hi!"
    assert [m["content"][:13] for m in Live().sent(ev.Respond("…", "a word " * 400))] == ["Say exactly: "] * 2


def test_an_answer_is_asked_for_with_the_words_that_were_only_noted() -> None:
    live = Live()
    live.sent(ev.SeedConversation((ev.SeedText("user", "what is my code"),)))
    [first] = live.sent(ev.Respond())
    [second] = live.sent(ev.Respond())
    assert 'just said: "what is my code"' in first["content"]
    assert "just said" not in second["content"]


def test_keys_that_were_pressed_one_by_one_are_answered_together() -> None:
    live = Live()
    for digit in "471":
        live.sent(ev.SeedConversation((ev.SeedText("user", f"(pressed {digit})"),)))
    [answer] = live.sent(ev.Respond())
    assert answer["content"].endswith('said: "(pressed 4) (pressed 7) (pressed 1)"')
    live.sent(ev.SeedConversation((ev.SeedText("user", "(pressed 1)"),)))
    live.caller("never mind")
    assert "pressed" not in live.sent(ev.Respond())[0]["content"]


# --- tools


def test_a_call_is_given_out_when_its_response_has_completed() -> None:
    live = Live()
    assert live.inner("response.output_item.done", item={"type": "reasoning", "id": "rs", "summary": []}) == []
    assert live.asks("c1") == []
    assert live.asks("c1") == []
    assert live.inner("response.completed", response={"output": []}) == [
        ev.ToolCall("c1", "book", "{}"), ev.ResponseDone(ok=True, detail="tools"),
    ]  # fmt: skip
    assert live.inner("response.completed", response={"output": []}) == []


@pytest.mark.parametrize("end", ["response.failed", "response.incomplete", "response.cancelled", "error"])
def test_the_calls_of_a_response_that_was_not_completed_are_forgotten(end: str) -> None:
    live = Live()
    live.asks("c1")
    live.asks("c2", delegation="d2")
    assert of(ev.ToolCall, live.inner(end)) == []
    assert live.inner("response.completed") == []
    assert of(ev.ToolCall, live.inner("response.completed", "d2")) == [ev.ToolCall("c2", "book", "{}")]


@pytest.mark.parametrize(
    ("failed", "detail"),
    [
        ({"kind": "response.failed", "response": {"error": {"code": "server_error"}}}, "server_error"),
        ({"kind": "response.failed", "response": {"error": None}}, "backend_failed"),
        ({"kind": "error", "code": "rate_limit_exceeded", "message": "m"}, "rate_limit_exceeded"),
    ],
)
def test_a_backend_that_fails_fails_the_response(failed: dict[str, Any], detail: str) -> None:
    assert Live().inner(**failed) == [ev.ResponseDone(ok=False, detail=detail)]


def test_a_backend_is_not_told_to_go_on_while_another_response_of_it_still_asks() -> None:
    live = Live()
    live.asks("c1")
    live.inner("response.completed")
    live.asks("c2", delegation="d2")
    assert [message["type"] for message in live.sent(ev.ToolOutput("c1", "B7"))] == ["response.item.create"]
    live.inner("response.completed", "d2")
    assert [message["type"] for message in live.sent(ev.ToolOutput("c2", "B8"))][-1] == "response.create"


def test_a_call_that_was_not_completed_is_not_run() -> None:
    live = Live()
    live.asks("c1", status="incomplete")
    assert live.inner("response.completed") == []


def test_the_backend_goes_on_once_all_its_calls_have_their_outputs() -> None:
    live = Live()
    live.asks("c1", delegation=None)
    live.asks("c2", delegation=None)
    live.inner("response.completed", None)
    [first] = live.sent(ev.ToolOutput("c2", "B7"))
    assert first["item"] == {"type": "function_call_output", "call_id": "c2", "output": "B7"}
    second = live.sent(ev.ToolOutput("c1", "B8"), ev.Respond())
    assert [message["type"] for message in second] == ["response.item.create", "response.create"]
    assert live.sent(ev.ToolOutput("c1", "B8"), ev.ToolOutput("c9", "?")) == []


def test_the_output_of_the_call_that_ends_the_phone_call_lets_nothing_go_on() -> None:
    live = Live()
    live.asks("c1", "end_call")
    live.inner("response.completed")
    assert [message["type"] for message in live.sent(ev.ToolOutput("c1", "{}"))] == ["response.item.create"]


def test_a_call_that_is_too_long_is_asked_for_under_no_name() -> None:
    live = Live()
    live.asks("c1", arguments="x" * 20_000)
    assert of(ev.ToolCall, live.inner("response.completed")) == [ev.ToolCall("c1", "", "{}")]


def test_a_call_within_a_line_leaves_the_response_open_and_so_does_its_result() -> None:
    live = Live()
    live.sounds(SOUND)
    live.asks("c1")
    assert live.inner("response.completed") == [ev.ToolCall("c1", "book", "{}")]
    live.sent(ev.ToolOutput("c1", "B7"))
    assert live.sounds(SOUND) == [ev.ResponseStarted(), ev.ProviderAudio("line1", SOUND)]
    assert live.sounds(SOUND) == [ev.ProviderAudio("line1", SOUND)]


def test_a_backend_that_takes_its_time_after_a_tool_has_not_stalled() -> None:
    live = Live()
    live.asks("c1")
    live.inner("response.completed")
    assert live.sounds(*[SILENCE] * 200) == []
    live.sent(ev.ToolOutput("c1", "B7"), ev.Respond())
    assert live.sounds(*[SILENCE] * 79) == [ev.SpeechStopped(words=False)]
    assert live.sounds(SILENCE) == [ev.ProviderLost("stall")]


def test_a_request_after_the_answer_of_a_tool_is_a_request_of_its_own() -> None:
    live = Live()
    live.asks("c1")
    live.inner("response.completed")
    assert live.sent(ev.ToolOutput("c1", "B7"), ev.Respond())[-1]["type"] == "response.create"
    live.line("Booked.")
    assert live.sent(ev.Respond())[0]["type"] == "session.commentary.append"


def test_a_call_made_for_an_answer_that_was_asked_for_leaves_the_request_open() -> None:
    live = Live()
    live.sent(ev.Respond())
    live.asks("c1")
    assert live.inner("response.completed") == [ev.ToolCall("c1", "book", "{}")]
    assert [message["type"] for message in live.sent(ev.ToolOutput("c1", "B7"))][-1] == "response.create"
    assert live.sounds(SOUND)[0] == ev.ResponseStarted()


# --- the end


@pytest.mark.parametrize(
    ("reason", "lost"),
    [
        ("expired", ev.ProviderLost("session_expired")),
        ("content", ev.ProviderLost("content_filter", retry_same=False)),
        ("connection_lost", ev.ProviderLost("connection_lost")),
        ("close_requested", ev.ProviderLost("closed_1000")),
        ("remote_hangup", ev.ProviderLost("closed_1000")),
        ("something new", ev.ProviderLost("session_closed")),
    ],
)
def test_a_closed_session_says_why(reason: str, lost: ev.Event) -> None:
    assert Live().read(type="session.closed", reason=reason, usage={"seconds": 1}) == [lost]


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        ({"type": "server_error", "code": "internal_error"}, [ev.ProviderLost("internal_error")]),
        ({"type": "x", "code": "insufficient_quota"}, [ev.ProviderLost("quota", retry_same=False)]),
        ({"type": "x", "code": "credit_balance_exhausted"}, [ev.ProviderLost("quota", retry_same=False)]),
        ({"type": "x", "code": "billing_hard_limit_reached"}, [ev.ProviderLost("quota", retry_same=False)]),
        ({"type": "x", "code": "invalid_api_key"}, [ev.ProviderLost("auth", retry_same=False)]),
        ({"type": "x", "code": "account_deactivated"}, [ev.ProviderLost("auth", retry_same=False)]),
        ({"type": "x", "code": "forbidden"}, [ev.ProviderLost("auth", retry_same=False)]),
        ({"type": "x", "code": "forbidden", "param": "session.audio.output.voice"}, []),
        ({"type": "x", "code": "rate_limit_exceeded"}, [ev.ProviderLost("rate", retry_same=False)]),
        ({"type": "rate_limit_error", "code": "y"}, [ev.ProviderLost("rate", retry_same=False)]),
        ({"type": "invalid_request_error", "code": "function_call_outputs_required"}, []),
        ({"type": "invalid_request_error", "code": None, "param": "content"}, []),
    ],
)
def test_an_error_on_a_session_loses_it_only_when_nothing_can_go_on(
    error: dict[str, object], lost: list[ev.Event]
) -> None:
    assert Live().read(type="error", event_id="e", error={"message": "m", **error}) == lost


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("auth", Failure.AUTH), ("quota", Failure.QUOTA), ("rate", Failure.RATE_LIMITED), ("config", Failure.CONFIG),
        ("stall", Failure.STALL), ("unreadable", Failure.ERROR), ("backend_failed", Failure.ERROR),
        ("rate_limit_exceeded", Failure.RATE_LIMITED), ("connection_lost", Failure.ERROR),
        ("session_closed", Failure.ERROR), ("session_expired", None), ("content_filter", None), ("closed_1000", None),
    ],
)  # fmt: skip
def test_the_words_for_a_loss_say_whose_failure_it_is(word: str, kind: Failure | None) -> None:
    assert failures.kind(word) is kind


@pytest.mark.parametrize("code", ["unknown_parameter", "forbidden"])
def test_a_refused_start_is_a_mistake_in_the_settings(code: str) -> None:
    codec = GptLiveCodec(LiveSession(model="m", backend_model="b", instructions=""))
    error = {"type": "invalid_request_error", "code": code, "message": "m", "param": "session.audio.output.voice"}
    lost = list(codec.decode(json.dumps({"type": "error", "error": error}).encode()))
    assert lost == [ev.ProviderLost("config", retry_same=False)]


def test_unknown_events_are_let_pass() -> None:
    live = Live()
    assert live.read(type="session.usage.updated", usage={"seconds": 15}) == []
    assert live.read(type="session.delegation.created", delegation={"id": "d", "target": "responses"}) == []
    assert live.inner("response.unheard_of") == []


def test_sound_is_read_even_when_its_type_comes_late() -> None:
    message = {"event_id": "e" * 200, "type": "session.output_audio.delta", "delta": base64.b64encode(SOUND).decode()}
    assert list(Live().codec.decode(json.dumps(message).encode()))[1] == ev.ProviderAudio("line1", SOUND)


def test_some_garbage_is_dropped_and_much_of_it_loses_the_provider() -> None:
    live = Live()
    broken = [b"{", b"[]", b'{"type":"response.event","event":{}}', b"\xff", b'{"type":"session.output_audio.delta"}']
    outcomes = [list(live.codec.decode(message)) for message in broken * 2]
    assert outcomes[:2] == [[]] * 2
    assert outcomes[2] == [ev.ProviderLost("unreadable")]
