"""The simulated Realtime API as the vendor's own client, the `openai` package, sees it."""

import asyncio
import base64
import socket

import pytest
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeErrorEvent, SessionUpdatedEvent
from world_vendors import KEY, check_realtime_event, telephone_session
from world_vendors_tls import contexts

from holdfast_gameday.world import voice
from holdfast_gameday.world.openai_realtime import OpenAIRealtime
from holdfast_gameday.world.openai_response import Pace

pytestmark = pytest.mark.contract
BOOK = {
    "type": "function", "name": "book", "description": "Books.",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}},
}  # fmt: skip


@pytest.fixture
async def sim():
    server = OpenAIRealtime(
        keys={KEY: "clinic"}, pace=Pace(first_audio_s=0.005, speed=40.0), record_events=True
    )
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        yield server
    for event in server.events:
        check_realtime_event(event)


def _client(sim, key: str = KEY) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=f"http://{sim.address}/v1")


async def _until(connection, kind: str):
    async with asyncio.timeout(30):
        async for event in connection:
            if event.type == kind:
                return event
    raise ConnectionError(kind)


async def _speak(connection, text: str) -> None:
    audio = voice.encode_utterance(voice.Speaker.CALLER, 1, 1, text) + voice.silence(15)
    await connection.input_audio_buffer.append(audio=base64.b64encode(audio).decode())


async def test_the_official_client_holds_a_spoken_conversation(sim):
    async with _client(sim) as client, client.realtime.connect(model="gpt-realtime") as connection:
        await _until(connection, "session.created")
        await connection.session.update(session=telephone_session(instructions="You are a receptionist."))
        updated = await _until(connection, "session.updated")
        assert isinstance(updated, SessionUpdatedEvent)
        assert updated.session.audio.output.voice == "marin"

        await _speak(connection, "my code is 4711")
        heard = await _until(connection, "conversation.item.input_audio_transcription.completed")
        spoken = await _until(connection, "response.output_audio_transcript.done")
        done = await _until(connection, "response.done")

    assert heard.transcript == "my code is 4711"
    assert spoken.transcript == "you said: my code is 4711"
    assert done.response.status == "completed"
    assert done.response.usage.total_tokens > 0


async def test_the_official_client_seeds_a_conversation_and_runs_a_tool(sim):
    async with _client(sim) as client, client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session=telephone_session(tools=[BOOK]))
        content = [{"type": "input_text", "text": "book a room"}]
        await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        await connection.response.create()
        call = await _until(connection, "response.function_call_arguments.done")
        await _until(connection, "response.done")
        output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"booking": "B7"}'}
        await connection.conversation.item.create(item=output)
        await connection.response.create(response={"output_modalities": ["text"]})
        text = await _until(connection, "response.output_text.done")

    assert call.name == "book"
    assert text.text == "booked B7"


async def test_the_official_client_gets_errors_as_events_and_keeps_its_connection(sim):
    async with _client(sim) as client, client.realtime.connect(model="gpt-realtime") as connection:
        await connection.conversation.item.truncate(item_id="none", audio_end_ms=1, content_index=0)
        error = await _until(connection, "error")
        await connection.response.cancel()
        second = await _until(connection, "error")

    assert isinstance(error, RealtimeErrorEvent)
    assert error.error.code == "item_truncate_invalid_item_id"
    assert second.error.code == "response_cancel_not_active"


async def test_the_official_client_probes_its_key_by_listing_models(sim):
    async with _client(sim) as client:
        assert [model.id async for model in client.models.list()] == ["gpt-realtime", "gpt-realtime-mini"]


async def test_the_official_client_is_refused_with_a_wrong_key(sim):
    with pytest.raises(Exception, match="401"):
        async with _client(sim, "sk-wrong") as client, client.realtime.connect(model="gpt-realtime"):
            pass


async def test_the_official_client_connects_over_tls_by_the_websocket_base_url(sim, tmp_path):
    server_side, client_side = contexts(tmp_path, "eu.api.openai.com")
    async with sim.serving("127.0.0.1", 0, ssl_context=server_side) as address:
        url = f"wss://eu.api.openai.com:{address.port}/v1"
        async with AsyncOpenAI(api_key=KEY, websocket_base_url=url) as client:
            options = {"ssl": client_side, "sock": socket.create_connection(("127.0.0.1", address.port))}
            async with client.realtime.connect(
                model="gpt-realtime", websocket_connection_options=options
            ) as connection:
                created = await _until(connection, "session.created")

    assert created.session.type == "realtime"
