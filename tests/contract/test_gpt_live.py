"""The simulated GPT-Live as the vendor's own client, the `openai` package, sees it, and in what it refuses."""

import asyncio
import base64

import pytest
from openai import AsyncOpenAI
from openai.types.live import ErrorEvent, SessionStartedEvent
from world_gpt_live import (
    KEY,
    QUICK,
    LiveClient,
    agent_frames,
    caller,
    check_live_event,
    listening,
    serving,
    start,
)

from holdfast_gameday.world import voice
from holdfast_gameday.world.gpt_live import GptLive
from holdfast_gameday.world.vendor_faults import Fault

pytestmark = pytest.mark.contract


@pytest.fixture
async def world():
    vendor = GptLive(keys={KEY: "clinic"}, pace=QUICK, record_events=True)
    async with serving(vendor) as (sockets, address):
        yield sockets, address
    for event in vendor.events:
        check_live_event(event)


def _client(address: str, key: str = KEY, base: str = "/v1", **more) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=key, base_url=f"http://{address}{base}", **more)


async def _until(connection, kind: str):
    async with asyncio.timeout(30):
        async for event in connection:
            if event.type == kind:
                return event
    raise ConnectionError(kind)


async def _inner(connection, kind: str) -> dict:
    while (event := (await _until(connection, "response.event")).event)["type"] != kind:
        pass
    return event


async def _heard(connection, text: str) -> None:
    """Until the agent has said all of this."""
    audio = b""
    async with asyncio.timeout(30):
        async for event in connection:
            if event.type == "session.output_audio.delta":
                audio += base64.b64decode(event.delta)
                if any(frame.last and frame.text == text for frame in agent_frames(audio)):
                    return


async def _append(connection, audio: bytes) -> None:
    await connection.session.input_audio.append(audio=base64.b64encode(listening() + audio).decode())


# --- the vendor's client


async def test_the_official_client_holds_a_spoken_conversation_and_closes_it(world):
    _, address = world
    async with _client(address) as client, client.live.connect() as connection:
        await connection.session.start(session=start(instructions="You are a receptionist."), event_id="e1")
        started = await _until(connection, "session.started")
        await _append(connection, caller("my code is 4711"))
        heard = ""
        while heard != "my code is 4711":
            heard += (await _until(connection, "session.input_transcript.delta")).delta
        await _heard(connection, "you said: my code is 4711")
        await connection.session.close()
        closed = await _until(connection, "session.closed")

    assert isinstance(started, SessionStartedEvent)
    assert started.client_event_id == "e1"
    assert started.session.audio.format.rate == 8000
    assert started.session.delegation.responses.model == "gpt-5.5"
    assert closed.reason == "close_requested"
    assert closed.usage.seconds > 0


async def test_the_official_client_runs_a_tool_for_the_backend(world):
    _, address = world
    async with _client(address) as client, client.live.connect() as connection:
        await connection.session.start(session=start())
        await _until(connection, "session.started")
        await _append(connection, caller("book a table"))
        created = await _until(connection, "session.delegation.created")
        first = await _inner(connection, "response.output_item.done")
        second = await _inner(connection, "response.output_item.done")
        completed = await _inner(connection, "response.completed")
        await connection.response.create()
        early = await _until(connection, "error")
        output = {"type": "function_call_output", "call_id": second["item"]["call_id"], "output": '{"booking": "B7"}'}
        await connection.response.item.create(item=output)
        await connection.response.create()
        await _heard(connection, "booked B7")

    assert created.delegation.target == "responses"
    assert first["item"]["type"] == "reasoning"
    assert second["item"]["name"] == "book"
    assert second["item"]["status"] == "completed"
    assert completed["response"]["output"] == []
    assert early.error.code == "function_call_outputs_required"


async def test_the_official_client_gets_errors_as_events_and_may_start_after_them(world):
    _, address = world
    async with _client(address) as client, client.live.connect() as connection:
        await connection.session.start(session=start(voice="marin"), event_id="e1")
        unknown = await _until(connection, "error")
        await connection.session.start(session=start(audio={"format": {"type": "audio/pcmu"}}))
        missing = await _until(connection, "error")
        await connection.session.start(session=start())
        await _until(connection, "session.started")

    assert isinstance(unknown, ErrorEvent)
    assert unknown.error.code == "unknown_parameter"
    assert unknown.error.param == "session.voice"
    assert unknown.error.client_event_id == "e1"
    assert missing.error.param == "session.audio.format.rate"


async def test_the_official_client_probes_its_key_by_listing_models(world):
    _, address = world
    async with _client(address) as client:
        assert "gpt-live-1" in [model.id async for model in client.models.list()]


@pytest.mark.parametrize(
    ("key", "query", "status"), [("sk-wrong", {}, "401"), (KEY, {"model": "gpt-live-1"}, "400")]
)
async def test_the_official_client_is_refused_with_a_wrong_key_and_with_a_query(world, key, query, status):
    _, address = world
    with pytest.raises(Exception, match=status):
        async with _client(address, key) as client, client.live.connect(extra_query=query):
            pass


async def test_the_official_client_forks_a_stored_session_that_it_lost(world):
    _, address = world
    async with _client(address) as client:
        async with client.live.connect() as connection:
            await connection.session.start(session=start(store=True))
            first = (await _until(connection, "session.started")).session.id
            await _append(connection, caller("my code is 4711"))
            await _heard(connection, "you said: my code is 4711")
        async with client.live.forks.connect(session_id=first) as connection:
            await connection.session.start(session={})
            second = (await _until(connection, "session.started")).session.id
            await _append(connection, caller("what is my code", utterance=2))
            await _heard(connection, "your code is 4711")

    assert second != first


async def test_the_official_client_reaches_azure_by_its_deployments(world):
    vendor = GptLive(keys={KEY: "clinic"}, pace=QUICK, azure=True, models=["voice"], backends=["mind"])
    async with serving(vendor) as (_, address):
        backend = {"type": "responses", "responses": {"model": "mind"}}
        client = _client(address, "unused", "/openai/v1", default_headers={"api-key": KEY})
        async with client, client.live.connect() as connection:
            await connection.session.start(session=start(model="voice"))
            unknown = await _until(connection, "error")
            await connection.session.start(session=start(model="voice", delegation=backend))
            await _until(connection, "session.started")
        with pytest.raises(Exception, match="404"):
            await LiveClient.dial(address, path="/openai/live/sessions", header="api-key")

    assert unknown.error.param == "session.delegation.responses.model"


# --- what the session says by itself


async def test_commentary_is_spoken_and_thinking_is_known_but_not_spoken(world):
    _, address = world
    client = await (await LiveClient.dial(address)).ready()
    client.send("session.thinking.append", content='The caller said: "my code is 4711"', delegation_id=None)
    client.send("session.commentary.append", content="Your table is free.", delegation_id=None)
    await client.until("session.thinking.appended")
    await client.until_said("Your table is free.")
    client.send("session.commentary.append", content="Say exactly: Guten Tag!", delegation_id=None)
    await client.until_said("Guten Tag!")
    client.speak(caller("what is my code"))
    await client.until_said("your code is 4711")

    assert client.said() == "Your table is free.Guten Tag!your code is 4711"


async def test_a_caller_who_speaks_silences_the_model_at_once(world):
    _, address = world
    client = await (await LiveClient.dial(address)).ready()
    client.speak(caller("tell me more 1"))
    await client.holds(lambda: len(agent_frames(client.audio)) >= 20)
    before = len(client.audio)
    client.speak(voice.encode_utterance(voice.Speaker.CALLER, 1, 2, "wait"))
    await client.until("session.input_transcript.delta")
    await client.holds(lambda: client.audio[before:].endswith(b"\xff" * 8_000))

    assert not agent_frames(client.audio)[-1].last


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"audio": {"format": {"type": "audio/pcm", "rate": 24000}}}, "session.audio.format.type"),
        ({"model": "gpt-realtime"}, "session.model"),
        ({"delegation": {"type": "responses"}}, "session.delegation.responses.model"),
        ({"input": [{"role": "system", "content": [{"text": "x"}]}]}, "session.input[0].role"),
        ({"input": [{"role": "user", "content": [{"text": "x"}, {"text": "y"}]}]}, "session.input[0].content"),
        ({"input": [{"role": "assistant", "content": [{"text": "x"}]}]}, "session.input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}] * 129}, "session.input"),
        ({"input": [{"role": "user", "content": [{"text": "x" * 25_000}]}]}, "session.input"),
    ],
)
async def test_a_start_that_the_vendor_refuses_is_refused(world, session, param):
    _, address = world
    client = await LiveClient.dial(address)
    client.send("session.start", session=start(**session))
    assert (await client.until("error"))["error"]["param"] == param


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "session.start", "session": {}}, "session_already_started"),
        ({"type": "session.input_audio.commit"}, "invalid_value"),
        ({"type": "session.input_audio.append", "audio": "!"}, "invalid_value"),
        ({"type": "session.commentary.append", "content": "hi"}, "missing_required_parameter"),
        ({"type": "session.commentary.append", "content": "hi", "delegation_id": "d"}, "invalid_value"),
        ({"type": "session.thinking.append", "content": "x" * 1501, "delegation_id": None}, "string_above_max_length"),
        ({"type": "session.update", "session": {"instructions": "x"}}, "unknown_parameter"),
        ({"type": "session.update", "session": {"delegation": {"type": "client"}}}, "invalid_value"),
        (
            {"type": "response.item.create", "item": {"type": "function_call_output", "call_id": "x", "output": ""}},
            "invalid_value",
        ),
        ({"type": "response.create", "response": {}}, "unknown_parameter"),
    ],
)
async def test_an_event_that_the_vendor_refuses_is_refused_and_the_session_goes_on(world, event, code):
    _, address = world
    client = await (await LiveClient.dial(address)).ready()
    client.send(**{"kind": event["type"], **{name: value for name, value in event.items() if name != "type"}})
    assert (await client.until("error"))["error"]["code"] == code
    client.send("session.update", session={"delegation": {"type": "responses", "responses": {"tools": []}}})
    assert (await client.until("session.updated"))["session"]["delegation"]["responses"]["tools"] == []


async def test_nothing_may_be_sent_before_the_start(world):
    _, address = world
    client = await LiveClient.dial(address)
    client.send("session.input_audio.append", audio="//8=")
    assert (await client.until("error"))["error"]["code"] == "session_not_started"


async def test_a_session_ends_when_its_time_is_over():
    vendor = GptLive(keys={KEY: "clinic"}, pace=QUICK, session_s=0.05)
    async with serving(vendor) as (_, address):
        client = await (await LiveClient.dial(address)).ready()
        closed = await client.until("session.closed")
        await client.link.gone.wait()

    assert closed["reason"] == "expired"
    assert client.link.close_code == 1000


async def test_a_line_under_way_is_said_to_its_end_before_the_session_closes(world):
    _, address = world
    client = await (await LiveClient.dial(address)).ready()
    client.send("session.commentary.append", content="Goodbye and thank you.", delegation_id=None)
    client.send("session.close")
    await client.until("session.closed")
    assert agent_frames(client.audio)[-1].last


async def test_muted_input_is_not_heard(world):
    _, address = world
    client = await (await LiveClient.dial(address)).ready()
    client.send("session.input_audio.mute")
    await client.until("session.input_audio.muted")
    client.speak(caller("my code is 4711"))
    client.send("session.input_audio.unmute")
    client.speak(caller("what is my code", utterance=2))
    await client.until_said("I do not know your code")


# --- faults


async def test_an_error_on_demand_comes_instead_of_an_answer_and_ends_with_the_fault(world):
    sockets, address = world
    client = await (await LiveClient.dial(address)).ready()
    sockets.inject(Fault(kind="error", error_type="server_error", error_code="internal_error"))
    client.speak(caller("hello there"))
    failed = await client.until("error")
    sockets.heal()
    client.speak(caller("hello again", utterance=2))
    await client.until_said("you said: hello again")

    assert failed["error"]["type"] == "server_error"


async def test_a_stall_silences_even_the_silence(world):
    sockets, address = world
    client = await (await LiveClient.dial(address)).ready()
    client.speak(caller("tell me more 1"))
    sockets.inject(Fault(kind="stall", at="speaking"))
    await client.holds(lambda: agent_frames(client.audio))
    heard = len(client.audio)
    other = await (await LiveClient.dial(address)).ready()
    await other.holds(lambda: len(other.audio) >= 16_000)

    assert len(client.audio) <= heard + 800


async def test_upgrades_are_refused_on_demand_in_the_vendors_words(world):
    sockets, address = world
    sockets.inject(Fault(kind="refuse", status=429, error_code="insufficient_quota", retry_after_s=7))
    with pytest.raises(Exception, match="429") as refused:
        await LiveClient.dial(address)

    assert b"insufficient_quota" in refused.value.raw_body
    assert refused.value.response.headers["Retry-After"] == "7"
