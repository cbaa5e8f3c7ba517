"""The simulated Voice Live as the vendor's own client, `azure-ai-voicelive`, sees it, and at its limits."""

import asyncio
import base64

import pytest
from azure.ai.voicelive import aio
from azure.ai.voicelive import models as az
from azure.core.credentials import AzureKeyCredential
from picows import WSInvalidStatusError
from world_azure import (
    BOOK,
    TOKEN,
    VOICE,
    EntraToken,
    check_voice_live_event,
    dial_voice_live,
    flat_session,
    ready,
    said,
    voice_live,
    words_in,
)
from world_vendors import KEY

from holdfast_gameday.world.openai_response import Pace
from holdfast_gameday.world.vendor_faults import Fault

pytestmark = pytest.mark.contract
VERSION = "api-version=2026-04-10"


@pytest.fixture
async def sim():
    async with voice_live() as (server, address):
        server.address = address
        yield server


def _connect(sim, *, key: str = KEY, model: str = "gpt-4.1", **more):
    credential = more.pop("credential", AzureKeyCredential(key))
    return aio.connect(credential=credential, endpoint=f"http://{sim.address}", model=model, **more)


async def _until(connection, kind: az.ServerEventType):
    async with asyncio.timeout(30):
        async for event in connection:
            if event.type == kind:
                return event
    raise ConnectionError(kind)


async def _speak(connection, text: str) -> None:
    await connection.input_audio_buffer.append(audio=base64.b64encode(said(text)).decode())


def _telephone(**more) -> az.RequestSession:
    return az.RequestSession(
        modalities=[az.Modality.TEXT, az.Modality.AUDIO],
        voice=az.AzureStandardVoice(name="en-US-AvaNeural"),
        input_audio_format=az.InputAudioFormat.G711_ULAW,
        output_audio_format=az.OutputAudioFormat.G711_ULAW,
        turn_detection=az.AzureSemanticVad(silence_duration_ms=200),
        input_audio_transcription=az.AudioInputTranscriptionOptions(model="azure-speech"),
        **more,
    )


async def test_the_official_client_holds_a_spoken_conversation(sim):
    async with _connect(sim) as connection:
        await _until(connection, az.ServerEventType.SESSION_CREATED)
        await connection.session.update(session=_telephone(instructions="You are a receptionist."))
        updated = await _until(connection, az.ServerEventType.SESSION_UPDATED)
        await _speak(connection, "my code is 4711")
        heard = await _until(connection, az.ServerEventType.CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_COMPLETED)
        delta = await _until(connection, az.ServerEventType.RESPONSE_AUDIO_DELTA)
        spoken = await _until(connection, az.ServerEventType.RESPONSE_AUDIO_TRANSCRIPT_DONE)
        done = await _until(connection, az.ServerEventType.RESPONSE_DONE)

    assert updated.session.voice["name"] == "en-US-AvaNeural"
    assert updated.session.turn_detection.type == "azure_semantic_vad"
    assert heard.transcript == "my code is 4711"
    assert words_in(delta.delta) == "you said: my code is 4711"
    assert spoken.transcript == "you said: my code is 4711"
    assert done.response.status == "completed"
    assert done.response.usage.total_tokens > 0
    assert done.response.output[0].content[0].transcript == "you said: my code is 4711"


async def test_the_official_client_seeds_a_conversation_and_runs_a_tool(sim):
    book = az.FunctionTool(name="book", description="Books.", parameters=BOOK["parameters"])
    async with _connect(sim) as connection:
        await connection.session.update(session=_telephone(tools=[book]))
        for item in (
            az.AssistantMessageItem(content=[az.OutputTextContentPart(text="What can I do for you?")]),
            az.UserMessageItem(content=[az.InputTextContentPart(text="book a room")]),
        ):
            await connection.conversation.item.create(item=item)
        await connection.response.create()
        call = await _until(connection, az.ServerEventType.RESPONSE_FUNCTION_CALL_ARGUMENTS_DONE)
        await _until(connection, az.ServerEventType.RESPONSE_DONE)
        output = az.FunctionCallOutputItem(call_id=call.call_id, output='{"booking": "B7"}')
        await connection.conversation.item.create(item=output)
        await connection.response.create(response={"modalities": ["text"]})
        text = await _until(connection, az.ServerEventType.RESPONSE_TEXT_DONE)

    assert (call.name, call.arguments) == ("book", '{"wish": "a room"}')
    assert text.text == "booked B7"


async def test_the_official_client_has_given_words_spoken_and_remembered(sim):
    words = az.AssistantMessageItem(content=[az.OutputTextContentPart(text="Grüezi, ich bin wieder da.")])
    async with _connect(sim) as connection:
        await connection.session.update(session=_telephone())
        await connection.response.create(response=az.ResponseCreateParams(pre_generated_assistant_message=words))
        created = await _until(connection, az.ServerEventType.CONVERSATION_ITEM_CREATED)
        delta = await _until(connection, az.ServerEventType.RESPONSE_AUDIO_DELTA)
        await _until(connection, az.ServerEventType.RESPONSE_DONE)
        await connection.conversation.item.retrieve(item_id=created.item.id)
        kept = await _until(connection, az.ServerEventType.CONVERSATION_ITEM_RETRIEVED)

    assert words_in(delta.delta) == "Grüezi, ich bin wieder da."
    assert kept.item.content[0].transcript == "Grüezi, ich bin wieder da."


async def test_the_official_client_truncates_what_was_not_heard(sim):
    async with _connect(sim) as connection:
        await connection.session.update(session=_telephone())
        await connection.response.create()
        item = (await _until(connection, az.ServerEventType.RESPONSE_OUTPUT_ITEM_DONE)).item
        await _until(connection, az.ServerEventType.RESPONSE_DONE)
        await connection.conversation.item.truncate(item_id=item.id, audio_end_ms=120, content_index=0)
        cut = await _until(connection, az.ServerEventType.CONVERSATION_ITEM_TRUNCATED)
        await connection.conversation.item.truncate(item_id=item.id, audio_end_ms=121, content_index=0)
        error = await _until(connection, az.ServerEventType.ERROR)

    assert (cut.item_id, cut.audio_end_ms) == (item.id, 120)
    assert error.error.message == "Audio content of 120ms is already shorter than 121ms"


async def test_the_official_client_is_let_in_by_a_token_and_to_an_agent_by_nothing_else(sim):
    async with _connect(sim, credential=EntraToken(), model=None, agent_name="desk", project_name="p") as connection:
        await _until(connection, az.ServerEventType.SESSION_CREATED)
    with pytest.raises(aio.ConnectionError, match="401"):
        async with _connect(sim, model=None, agent_name="desk", project_name="clinic"):
            pass


async def test_the_official_client_is_refused_with_a_wrong_key(sim):
    with pytest.raises(aio.ConnectionError, match="401"):
        async with _connect(sim, key="wrong"):
            pass


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        (f"{VERSION}&model=gpt-4.1", {"api-key": "wrong"}, 401),
        (f"{VERSION}&model=gpt-4.1", {"Authorization": f"Bearer {KEY}"}, 401),
        ("model=gpt-4.1", {"api-key": KEY}, 400),
        ("api-version=2024-01-01&model=gpt-4.1", {"api-key": KEY}, 400),
        (VERSION, {"api-key": KEY}, 400),
        (f"{VERSION}&agent-name=desk", {"Authorization": f"Bearer {TOKEN}"}, 400),
    ],
)
async def test_an_upgrade_without_key_version_or_model_is_refused(sim, query, headers, status):
    with pytest.raises(WSInvalidStatusError) as refused:
        await dial_voice_live(sim.address, query, **headers)

    assert refused.value.response.status == status


@pytest.mark.parametrize("shown", [f"api-key={KEY}", f"Authorization=Bearer%20{TOKEN}"])
async def test_a_key_or_a_token_may_stand_in_the_query(sim, shown):
    client = await dial_voice_live(sim.address, f"{VERSION}&model=gpt-4.1&{shown}", accept="*/*")
    await client.until("session.created")


async def test_a_resource_takes_so_many_connections_a_minute_and_then_asks_to_wait():
    now = 1000.0
    async with voice_live(connections_per_minute=2, clock=lambda: now) as (_, address):
        await dial_voice_live(address)
        now = 1010.0
        await dial_voice_live(address)
        now = 1059.5
        with pytest.raises(WSInvalidStatusError) as refused:
            await dial_voice_live(address)
        now = 1060.0
        await dial_voice_live(address)
        with pytest.raises(WSInvalidStatusError):
            await dial_voice_live(address)

    assert refused.value.response.status == 429
    assert refused.value.response.headers["Retry-After"] == "1"


async def test_thirty_connections_a_minute_is_what_a_resource_takes(sim):
    for _ in range(30):
        await dial_voice_live(sim.address)
    with pytest.raises(WSInvalidStatusError):
        await dial_voice_live(sim.address)


async def test_a_session_ends_with_its_hour():
    async with voice_live(session_s=0.05) as (_, address):
        client = await dial_voice_live(address)
        error = (await client.until("error"))["error"]
        await asyncio.wait_for(client.gone.wait(), 30)

    assert error["code"] == "session_expired"
    assert client.close_code == 1001


async def test_everything_that_is_said_is_known_to_the_sdk_and_comes_in_the_vendors_order(sim):
    client = await ready(await dial_voice_live(sim.address))
    client.speak(said("good morning"))
    await client.until("response.done")

    for event in client.events:
        check_voice_live_event(event)
    kinds = [kind for kind in client.kinds() if not kind.endswith(".delta")]
    assert kinds == [
        "session.created", "session.updated", "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed", "conversation.item.input_audio_transcription.completed",
        "conversation.item.created", "response.created", "response.output_item.added", "conversation.item.created",
        "response.content_part.added", "response.audio.done", "response.audio_transcript.done",
        "response.content_part.done", "response.output_item.done", "response.done",
    ]  # fmt: skip
    heard = next(event["item"] for event in client.events if event["type"] == "conversation.item.created")
    assert heard["content"] == [{"type": "input_audio", "transcript": "good morning"}]


async def test_a_model_that_hears_for_itself_is_transcribed_beside_its_reply(sim):
    client = await dial_voice_live(sim.address, f"{VERSION}&model=gpt-realtime")
    await ready(client, input_audio_transcription={"model": "gpt-4o-mini-transcribe"})
    client.speak(said("good morning"))
    await client.until("response.done")

    kinds = client.kinds()
    assert "conversation.item.input_audio_transcription.delta" in kinds
    completed = kinds.index("conversation.item.input_audio_transcription.completed")
    assert kinds.index("response.created") < completed


@pytest.mark.parametrize(
    ("patch", "code", "param"),
    [
        ({"type": "realtime"}, "unknown_parameter", "session.type"),
        ({"audio": {"input": {}}}, "unknown_parameter", "session.audio"),
        ({"output_modalities": ["audio"]}, "unknown_parameter", "session.output_modalities"),
        ({"input_audio_format": "audio/pcmu"}, "invalid_value", "session.input_audio_format"),
        ({"input_audio_format": "pcm16"}, "invalid_value", "session.input_audio_format"),
        ({"input_audio_sampling_rate": 24000}, "invalid_value", "session.input_audio_sampling_rate"),
        ({"turn_detection": {"type": "semantic"}}, "invalid_value", "session.turn_detection.type"),
        ({"turn_detection": {"type": "semantic_vad"}}, "invalid_value", "session.turn_detection.type"),
        ({"turn_detection": {"type": "server_vad", "languages": ["en"]}},
         "unknown_parameter", "session.turn_detection.languages"),
        ({"turn_detection": {"type": "azure_semantic_vad", "auto_truncate": True}},
         "invalid_value", "session.turn_detection.auto_truncate"),
        ({"voice": {"type": "azure", "name": "x"}}, "invalid_value", "session.voice.type"),
        ({"voice": {"type": "openai", "name": "x"}}, "invalid_value", "session.voice.name"),
        ({"voice": {"type": "azure-custom", "name": "x"}}, "missing_required_parameter", "session.voice.endpoint_id"),
        ({"input_audio_transcription": {"model": "whisper-1"}},
         "invalid_value", "session.input_audio_transcription.model"),
        ({"model": "gpt-5"}, "invalid_value", "session.model"),
        ({"avatar": {"character": "lisa"}}, "invalid_value", "session.avatar"),
        ({"modalities": ["text", "animation"]}, "invalid_value", "session.modalities"),
        ({"max_response_output_tokens": "all"}, "invalid_value", "session.max_response_output_tokens"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools.name"),
    ],
)  # fmt: skip
async def test_a_session_is_checked_field_by_field(sim, patch, code, param):
    client = await dial_voice_live(sim.address)
    client.send("session.update", session=flat_session(**patch))
    error = (await client.until("error"))["error"]

    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    check_voice_live_event(client.events[-1])
    await ready_again(client)


async def ready_again(client) -> None:
    client.send("session.update", session=flat_session())
    updated = await client.until("session.updated")
    assert updated["session"]["voice"] == VOICE
    assert updated["session"]["input_audio_sampling_rate"] == 8000


@pytest.mark.parametrize(
    ("response", "param"),
    [
        ({"output_modalities": ["audio"]}, "response.output_modalities"),
        ({"output_audio_format": "pcm16"}, "response.output_audio_format"),
        ({"pre_generated_assistant_message": "hello"}, "response.pre_generated_assistant_message"),
        ({"pre_generated_assistant_message": {"type": "message", "role": "assistant", "content": []}},
         "response.pre_generated_assistant_message.content"),
    ],
)  # fmt: skip
async def test_a_response_is_checked_field_by_field(sim, response, param):
    client = await ready(await dial_voice_live(sim.address))
    client.send("response.create", response=response)

    assert (await client.until("error"))["error"]["param"] == param


async def test_words_cannot_be_given_before_the_version_that_knows_them(sim):
    client = await ready(await dial_voice_live(sim.address, "api-version=2025-10-01&model=gpt-4.1"))
    words = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}]}
    client.send("response.create", response={"pre_generated_assistant_message": words})

    assert (await client.until("error"))["error"]["code"] == "unknown_parameter"


async def test_sound_before_its_format_is_agreed_is_refused_in_the_flat_words(sim):
    client = await dial_voice_live(sim.address)
    client.send("input_audio_buffer.append", audio="AAAA")
    error = (await client.until("error"))["error"]

    assert error["param"] == "session.input_audio_format"
    assert "g711_ulaw" in error["message"]


async def test_gas_name_for_what_the_agent_said_is_taken_and_shown_as_text(sim):
    """Recorded of the vendor: it takes `output_text` from clients and speaks of `text`."""
    client = await ready(await dial_voice_live(sim.address))
    content = [{"type": "output_text", "text": "yes"}]
    client.send("conversation.item.create", item={"type": "message", "role": "assistant", "content": content})

    created = await client.until("conversation.item.created")
    assert created["item"]["content"] == [{"type": "text", "text": "yes"}]


async def test_barge_in_cuts_the_answer_short():
    async with voice_live(pace=Pace(first_audio_s=0.0, chunk_ms=200, speed=0.5)) as (_, address):
        client = await ready(await dial_voice_live(address))
        client.speak(said("tell me more 3"))
        await client.until("response.audio.delta")
        client.speak(said("stop", 2)[:1600])
        done = (await client.until("response.done"))["response"]

    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")


async def test_without_turn_detection_the_client_commits(sim):
    client = await ready(await dial_voice_live(sim.address), turn_detection=None)
    client.speak(said("by hand"))
    client.send("input_audio_buffer.commit")
    completed = await client.until("conversation.item.input_audio_transcription.completed")
    await client.until("conversation.item.created")

    assert completed["transcript"] == "by hand"
    assert "input_audio_buffer.speech_started" not in client.kinds()


async def test_a_reply_that_fails_names_the_error_and_the_next_one_after_healing_speaks(sim):
    client = await ready(await dial_voice_live(sim.address))
    sim.inject(Fault(kind="error", error_type="server_error", error_code="internal_error"))
    client.speak(said("hello"))
    done = (await client.until("response.done"))["response"]
    error = (await client.until("error"))["error"]
    sim.heal()
    client.speak(said("again", 2))

    assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "internal_error")
    assert error["type"] == "server_error"
    assert (await client.until("response.audio_transcript.done"))["transcript"] == "you said: again"
    for event in client.events:
        check_voice_live_event(event)


@pytest.mark.parametrize(("kind", "code"), [("close", 1013), ("drop", None)])
async def test_a_link_ends_while_the_reply_sounds(sim, kind, code):
    sim.inject(Fault(kind=kind, at="speaking", code=1013))
    client = await ready(await dial_voice_live(sim.address))
    client.speak(said("tell me more 3"))
    await client.until("response.audio.delta")
    await asyncio.wait_for(client.gone.wait(), 30)

    assert client.close_code == code
    assert "response.done" not in client.kinds()


async def test_a_slow_reply_is_announced_late_and_may_be_cancelled_before(sim):
    client = await ready(await dial_voice_live(sim.address))
    sim.inject(Fault(kind="slow", delay_s=30.0))
    client.send("response.create")
    client.send("response.cancel")
    await client.until("response.created")
    late = (await client.until("response.done"))["response"]
    sim.heal()
    client.send("response.create")

    assert late["status_details"]["reason"] == "client_cancelled"
    assert (await client.until("response.done"))["response"]["status"] == "completed"
