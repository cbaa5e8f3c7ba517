"""The simulated Azure OpenAI v1 as the vendor's own client, the `openai` package, sees it."""

import asyncio
import base64

import pytest
from openai import AsyncOpenAI
from picows import WSInvalidStatusError
from world_azure import SOON, TOKEN, dial, said
from world_vendors import KEY, telephone_session

from holdfast_gameday.world.azure_openai import AzureOpenAI
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import VendorSockets

pytestmark = pytest.mark.contract
DEPLOYMENTS = {"desk": "gpt-realtime", "ears": "gpt-4o-mini-transcribe"}
PATH = "/openai/v1/realtime?model=desk"


@pytest.fixture
async def sim():
    azure = AzureOpenAI(keys={KEY: "clinic"}, tokens={TOKEN: "clinic"}, deployments=DEPLOYMENTS, pace=SOON)
    server = VendorSockets(azure)
    async with server.serving("127.0.0.1", 0) as address:
        server.address = address
        yield server


def _client(sim) -> AsyncOpenAI:
    headers = {"api-key": KEY}
    return AsyncOpenAI(api_key="not asked for", base_url=f"http://{sim.address}/openai/v1", default_headers=headers)


async def _until(connection, kind: str):
    async with asyncio.timeout(30):
        async for event in connection:
            if event.type == kind:
                return event
    raise ConnectionError(kind)


def _heard_by(model: str) -> dict:
    session = telephone_session()
    session["audio"]["input"]["transcription"] = {"model": model}
    return session


async def test_openais_client_holds_a_conversation_with_a_deployment_by_the_key_in_azures_header(sim):
    async with _client(sim) as client, client.realtime.connect(model="desk") as connection:
        created = await _until(connection, "session.created")
        await connection.session.update(session=_heard_by("ears"))
        await connection.input_audio_buffer.append(audio=base64.b64encode(said("my code is 4711")).decode())
        heard = await _until(connection, "conversation.item.input_audio_transcription.completed")
        spoken = await _until(connection, "response.output_audio_transcript.done")
        done = await _until(connection, "response.done")

    assert created.session.model == "gpt-realtime"
    assert heard.transcript == "my code is 4711"
    assert spoken.transcript == "you said: my code is 4711"
    assert done.response.status == "completed"


async def test_words_are_not_transcribed_by_a_model_that_is_not_deployed_and_the_reply_goes_on(sim):
    async with _client(sim) as client, client.realtime.connect(model="desk") as connection:
        await connection.session.update(session=_heard_by("gpt-4o-mini-transcribe"))
        await connection.input_audio_buffer.append(audio=base64.b64encode(said("hello")).decode())
        failed = await _until(connection, "conversation.item.input_audio_transcription.failed")
        done = await _until(connection, "response.done")

    assert failed.error.code == "DeploymentNotFound"
    assert done.response.status == "completed"


async def test_openais_client_lists_models_by_either_header(sim):
    async with _client(sim) as client:
        assert [model.id async for model in client.models.list()] == ["gpt-realtime", "gpt-4o-mini-transcribe"]
    async with AsyncOpenAI(api_key=KEY, base_url=f"http://{sim.address}/openai/v1") as client:
        assert len([model async for model in client.models.list()]) == 2


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (PATH, {"api-key": "wrong"}, 401, "401"),
        (PATH, {}, 401, "401"),
        (PATH, {"Authorization": "Bearer wrong"}, 401, "401"),
        (f"{PATH}&api-version=2025-04-01-preview", {"api-key": KEY}, 401, "401"),
        ("/openai/realtime?deployment=desk&api-version=2025-04-01-preview", {"api-key": KEY}, 404, "404"),
        ("/openai/v1/realtime", {"api-key": KEY}, 404, "DeploymentNotFound"),
        ("/openai/v1/realtime?model=gpt-realtime", {"api-key": KEY}, 404, "DeploymentNotFound"),
        ("/openai/v1/realtime?model=ears", {"api-key": KEY}, 400, "OpperationNotSupported"),
    ],
)
async def test_an_upgrade_is_refused_in_azures_words(sim, path, headers, status, code):
    with pytest.raises(WSInvalidStatusError) as refused:
        await dial(f"ws://{sim.address}{path}", headers)

    assert refused.value.response.status == status
    assert f'"code":"{code}"'.encode() in refused.value.raw_body
    assert sim.counts.refused == 1


async def test_a_token_of_entra_is_as_good_as_a_key(sim):
    client = await dial(f"ws://{sim.address}{PATH}", {"Authorization": f"Bearer {TOKEN}"})
    await client.ready()

    assert sim.counts.by_key == {"clinic": 1}


async def test_a_reply_that_breaks_while_it_sounds_ends_in_an_error(sim):
    sim.inject(Fault(kind="error", at="speaking", error_code="internal_error"))
    client = await dial(f"ws://{sim.address}{PATH}")
    await client.ready()
    client.speak(said("tell me more 3"))
    done = (await client.until("response.done"))["response"]
    error = (await client.until("error"))["error"]

    assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "internal_error")
    assert client.audio(done["id"])
    assert error["type"] == "server_error"


async def test_a_link_that_is_closed_after_a_tool_was_called_has_told_the_call(sim):
    sim.inject(Fault(kind="close", at="tool", code=1011))
    client = await dial(f"ws://{sim.address}{PATH}")
    book = {"type": "function", "name": "book", "description": "", "parameters": {"type": "object"}}
    await client.ready(tools=[book])
    client.speak(said("book a table"))
    item = (await client.until("response.output_item.done"))["item"]
    await asyncio.wait_for(client.gone.wait(), 30)

    assert item["name"] == "book"
    assert client.close_code == 1011


async def test_a_refusal_on_demand_names_what_it_was_told_to(sim):
    sim.inject(Fault(kind="refuse", status=429, error_code="429", retry_after_s=7))
    with pytest.raises(WSInvalidStatusError) as refused:
        await dial(f"ws://{sim.address}{PATH}")

    assert refused.value.response.status == 429
    assert refused.value.response.headers["Retry-After"] == "7"
