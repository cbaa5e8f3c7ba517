"""The simulated Realtime API as a bridge meets it: over a socket, with nothing but the protocol."""

import asyncio

import aiohttp
import pytest
from picows import WSInvalidStatusError
from world_vendors import KEY, RealtimeClient, check_realtime_event, telephone_session

from holdfast_gameday.world import voice
from holdfast_gameday.world.connections import ConnectionLog
from holdfast_gameday.world.openai_realtime import Fault, OpenAIRealtime
from holdfast_gameday.world.openai_response import Pace

SOON = Pace(first_audio_s=0.005, chunk_ms=200, speed=40.0)
BOOK = {
    "type": "function", "name": "book", "description": "Books.",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}, "required": ["wish"]},
}  # fmt: skip
END_CALL = {"type": "function", "name": "end_call", "description": "Ends.", "parameters": {"type": "object"}}


@pytest.fixture
async def sim():
    server = OpenAIRealtime(keys={KEY: "clinic", "sk-other": "dental"}, pace=SOON, record_events=True)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        yield server
    for event in server.events:
        check_realtime_event(event)


def _said(text: str, number: int = 1) -> bytes:
    return voice.encode_utterance(voice.Speaker.CALLER, 7, number, text) + voice.silence(15)


def _frames(audio: bytes) -> list[voice.VoiceFrame]:
    return [sound for sound in voice.VoiceScanner().feed(audio) if isinstance(sound, voice.VoiceFrame)]


def _user(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _assistant(text: str) -> dict:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def _update(**session: object) -> dict:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


async def _ask(client: RealtimeClient, text: str, number: int = 1) -> tuple[str, dict]:
    """Says it by voice; gives what came back as heard in the frames, and the finished response."""
    client.speak(_said(text, number))
    done = (await client.until("response.done"))["response"]
    return " ".join(dict.fromkeys(frame.text for frame in _frames(client.audio(done["id"])))), done


async def test_a_spoken_turn_is_heard_transcribed_and_answered_in_the_vendors_order(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()

    heard, done = await _ask(client, "good morning")

    assert heard == "you said: good morning"
    assert done["status"] == "completed"
    kinds = [kind for kind in client.kinds() if not kind.endswith(".delta")]
    assert kinds == [
        "session.created", "session.updated", "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done", "response.created",
        "rate_limits.updated", "conversation.item.input_audio_transcription.completed", "response.output_item.added",
        "conversation.item.added", "response.content_part.added", "response.output_audio.done",
        "response.output_audio_transcript.done", "response.content_part.done", "response.output_item.done",
        "conversation.item.done", "response.done",
    ]  # fmt: skip


async def test_speech_carries_session_utterance_and_a_gapless_index(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()

    _, first = await _ask(client, "tell me more 12")
    _, second = await _ask(client, "hello", 2)

    frames = _frames(client.audio(first["id"]))
    assert {(frame.kind, frame.speaker, frame.utterance) for frame in frames} == {(voice.Speaker.AGENT, 1, 1)}
    assert [frame.index for frame in frames] == list(range(125))
    assert "12" in frames[0].text
    assert _frames(client.audio(second["id"]))[0].utterance == 2
    assert first["usage"]["output_token_details"]["audio_tokens"] == 50


async def test_it_knows_only_what_its_own_conversation_holds(sim):
    """A fact told before a failure is known after it because it was carried over, for no other reason."""
    told = await (await RealtimeClient.connect(sim.address)).ready()
    await _ask(told, "my code is 4711")
    assert (await _ask(told, "what is my code", 2))[0] == "your code is 4711"

    fresh = await (await RealtimeClient.connect(sim.address)).ready()
    assert (await _ask(fresh, "what is my code"))[0] == "I do not know your code"

    seeded = await (await RealtimeClient.connect(sim.address)).ready()
    for item in (_user("my code is 4711"), _assistant("you said: my code is 4711")):
        seeded.send("conversation.item.create", item=item)
    assert (await _ask(seeded, "what is my code"))[0] == "your code is 4711"


async def test_it_greets_says_exactly_and_answers_what_was_left_open(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()

    async def respond(**response: object) -> str:
        client.send("response.create", response=response)
        return (await client.until("response.output_audio_transcript.done"))["transcript"]

    assert await respond(instructions="Greet: Welcome to the clinic.") == "Welcome to the clinic."
    await client.until("response.done")
    assert await respond() == "hello"
    await client.until("response.done")
    assert await respond(instructions="Be brief. Say exactly: One moment, please.") == "One moment, please."
    await client.until("response.done")
    assert await respond(instructions="Go on where the caller stopped hearing you.") == "as I was saying"
    await client.until("response.done")
    client.send("conversation.item.create", item=_user("the door is open"))
    assert await respond() == "you said: the door is open"


async def test_a_tool_is_called_once_and_its_result_spoken(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready(tools=[BOOK])

    client.speak(_said("book a table for two"))
    call = await client.until("response.function_call_arguments.done")
    done = (await client.until("response.done"))["response"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"booking": "B1001"}'}
    client.send("conversation.item.create", item=output)
    client.send("response.create")

    assert (call["name"], call["arguments"]) == ("book", '{"wish": "a table for two"}')
    assert done["output"][0]["type"] == "function_call"
    assert (await client.until("response.output_audio_transcript.done"))["transcript"] == "booked B1001"


async def test_goodbye_is_said_before_the_call_is_ended(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready(tools=[END_CALL])

    heard, done = await _ask(client, "goodbye")

    assert heard == "goodbye"
    assert [item["type"] for item in done["output"]] == ["message", "function_call"]
    assert done["output"][1]["name"] == "end_call"


async def test_barge_in_cuts_the_answer_short(sim):
    sim.vendor.pace = Pace(first_audio_s=0.0, chunk_ms=200, speed=0.5)
    client = await (await RealtimeClient.connect(sim.address)).ready()
    client.speak(_said("tell me more 3"))
    await client.until("response.output_audio.delta")

    client.speak(voice.encode_utterance(voice.Speaker.CALLER, 7, 2, "stop"))
    done = (await client.until("response.done"))["response"]

    assert done["status"] == "cancelled"
    assert done["status_details"]["reason"] == "turn_detected"
    assert done["output"][0]["status"] == "incomplete"
    assert len(client.audio(done["id"])) == 1600


async def test_truncation_is_held_against_the_audio_that_exists(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()
    _, done = await _ask(client, "hello")
    item = done["output"][0]["id"]  # 20 characters are too few: 15 frames, 300 ms

    client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=301)
    error = (await client.until("error"))["error"]
    client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=120)
    truncated = await client.until("conversation.item.truncated")
    client.send("conversation.item.retrieve", item_id=item)
    kept = (await client.until("conversation.item.retrieved"))["item"]

    assert error["message"] == "Audio content of 300ms is already shorter than 301ms"
    assert truncated["audio_end_ms"] == 120
    assert kept["content"] == [{"type": "output_audio"}], "the text that was not heard stayed in the context"


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "wave"}, "invalid_value", "type"),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value", "audio"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        (_update(modalities=["audio"]), "unknown_parameter", "session.modalities"),
        (_update(audio={"input": {"format": {"type": "audio/pcm"}}}),
         "invalid_value", "session.audio.input.format.type"),
        (_update(audio={"input": {"turn_detection": {"type": "x"}}}),
         "invalid_value", "session.audio.input.turn_detection.type"),
        ({"type": "conversation.item.create", "item": {"type": "message", "role": "assistant",
          "content": [{"type": "text", "text": "x"}]}}, "invalid_value", "item.content[0].type"),
        ({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "x"}},
         "invalid_tool_call_id", None),
        ({"type": "conversation.item.create", "previous_item_id": "x", "item": _user("hi")},
         "item_create_invalid_previous_item_id", "previous_item_id"),
        ({"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id", "item_id"),
        ({"type": "response.create", "response": {"voice": "x"}}, "unknown_parameter", "response.voice"),
        ({"type": "response.create", "response": ["x"]}, "invalid_type", "response"),
    ],
)  # fmt: skip
async def test_a_bad_event_is_answered_with_an_error_and_the_socket_stays(sim, event, code, param):
    client = await (await RealtimeClient.connect(sim.address)).ready()

    client.send(**{"kind": event["type"], "event_id": "mine", **{k: v for k, v in event.items() if k != "type"}})
    error = (await client.until("error"))["error"]
    for broken in (b"{not json", b'{"type":"\xff"}', b'{"a":' * 10_000):
        client.send_raw(broken)
        assert (await client.until("error"))["error"]["code"] == "invalid_json"

    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "mine"
    assert (await _ask(client, "still there"))[0] == "you said: still there"


async def test_a_message_in_fragments_is_put_together_and_a_binary_one_closes_the_socket(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()

    client.send_fragments(b'{"type": "response', b'.cancel"}')
    assert (await client.until("error"))["error"]["code"] == "response_cancel_not_active"
    client.send_binary(b"audio")
    await asyncio.wait_for(client.gone.wait(), 30)

    assert client.close_code == 1003


def test_the_check_of_events_refuses_what_the_vendor_does_not_describe():
    """Guards the guard: every test here leans on it."""
    with pytest.raises(AssertionError, match="audio_start_ms"):
        check_realtime_event({"type": "input_audio_buffer.speech_started", "event_id": "e", "item_id": "i"})
    with pytest.raises(AssertionError, match="no event"):
        check_realtime_event({"type": "response.audio.delta", "event_id": "e"})


async def test_a_second_response_waits_for_the_first(sim):
    sim.vendor.pace = Pace(first_audio_s=1.0)
    client = await (await RealtimeClient.connect(sim.address)).ready()

    client.send("response.create")
    client.send("response.create")

    assert (await client.until("error"))["error"]["code"] == "conversation_already_has_active_response"
    client.send("response.cancel")
    assert (await client.until("response.done"))["response"]["status_details"]["reason"] == "client_cancelled"


async def test_items_can_be_placed_first_and_deleted(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()
    client.send("conversation.item.create", item={**_user("my code is 1"), "id": "one"})
    client.send("conversation.item.create", item={**_user("my code is 2"), "id": "two"}, previous_item_id="root")
    client.send("conversation.item.delete", item_id="one")
    await client.until("conversation.item.deleted")

    assert (await _ask(client, "what is my code"))[0] == "your code is 2"


async def test_without_turn_detection_the_client_commits(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready(turn_detection=None)

    client.speak(_said("by hand"))
    client.send("input_audio_buffer.commit")
    completed = await client.until("conversation.item.input_audio_transcription.completed")

    assert completed["transcript"] == "by hand"
    assert "input_audio_buffer.speech_started" not in client.kinds()


async def test_the_voice_is_fixed_once_it_was_heard(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()
    await _ask(client, "hello")

    changed = telephone_session()
    changed["audio"]["output"]["voice"] = "cedar"
    client.send("session.update", session=changed)

    assert (await client.until("error"))["error"]["code"] == "cannot_update_voice"


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("/v1/realtime?model=m", "sk-wrong", 401), ("/v1/realtime", KEY, 400), ("/v2/realtime?model=m", KEY, 404)],
)
async def test_an_upgrade_without_key_model_or_path_is_refused(sim, path, key, status):
    from picows import WSListener, ws_connect

    with pytest.raises(WSInvalidStatusError) as refused:
        await ws_connect(WSListener, f"ws://{sim.address}{path}", extra_headers={"Authorization": f"Bearer {key}"})

    assert refused.value.response.status == status
    assert sim.counts.refused == 1


async def test_the_beta_interface_is_gone(sim):
    client = await RealtimeClient.connect(sim.address, headers={"OpenAI-Beta": "realtime=v1"})

    assert (await client.until("error"))["error"]["code"] == "beta_api_shape_disabled"
    await asyncio.wait_for(client.gone.wait(), 30)
    assert client.close_code == 4000


async def test_a_refusal_hits_one_key_and_the_share_asked_for(sim):
    sim.inject(Fault("refuse", keys={"clinic"}, share=0.5, status=429))
    outcomes = []
    for _ in range(4):
        try:
            (await RealtimeClient.connect(sim.address)).close()
            outcomes.append(101)
        except WSInvalidStatusError as error:
            outcomes.append(int(error.response.status))
    await (await RealtimeClient.connect(sim.address, key="sk-other")).ready()

    assert outcomes == [101, 429, 101, 429]


async def test_a_probe_of_a_key_is_refused_like_its_links(sim):
    sim.inject(Fault("refuse", keys={"clinic"}, status=429, error_code="rate_limit_exceeded"))
    async with aiohttp.ClientSession(f"http://{sim.address}") as http:
        for key, status in ((KEY, 429), ("sk-other", 200), ("sk-wrong", 401)):
            async with http.get("/v1/models", headers={"Authorization": f"Bearer {key}"}) as answer:
                assert answer.status == status

    assert [name for _, name in sim.refusals] == ["clinic"]


async def test_a_stalled_session_says_nothing_until_it_is_healed(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()
    sim.inject(Fault("stall"))
    client.speak(_said("anyone there"))
    with pytest.raises(TimeoutError):
        await client.until("response.created", within=0.1)

    sim.heal()
    assert (await _ask(client, "and now", 2))[0] == "you said: and now"


async def test_sessions_are_closed_on_demand_with_the_code_asked_for(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()

    sim.inject(Fault("close", code=1013, reason="overloaded"))
    await asyncio.wait_for(client.gone.wait(), 30)

    assert client.close_code == 1013
    assert sim.sessions == []


async def test_a_failing_response_names_the_error_and_the_next_one_after_healing_speaks(sim):
    client = await (await RealtimeClient.connect(sim.address)).ready()
    sim.inject(Fault("error", error_type="rate_limit_error", error_code="rate_limit_exceeded"))
    client.speak(_said("hello"))
    done = (await client.until("response.done"))["response"]
    error = (await client.until("error"))["error"]
    sim.heal()

    assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "rate_limit_exceeded")
    assert error["type"] == "rate_limit_error"
    assert (await _ask(client, "again", 2))[0] == "you said: again"


async def test_a_fault_is_met_by_sessions_opened_after_it(sim):
    sim.inject(Fault("close", code=1011))
    client = await RealtimeClient.connect(sim.address)

    await asyncio.wait_for(client.gone.wait(), 30)
    assert client.close_code == 1011


async def test_every_connection_is_logged_with_its_source():
    record = ConnectionLog()
    server = OpenAIRealtime(keys={KEY: "clinic"}, connection_log=record, name="eu.api.openai.com")
    async with server.serving("127.0.0.1", 0) as address:
        await (await RealtimeClient.connect(address)).ready()

    assert [(entry.source, entry.name, entry.address, entry.kind) for entry in record.entries] == [
        ("127.0.0.1", "eu.api.openai.com", str(address), "openai-realtime")
    ]
