"""The simulated Live API as the vendor's own client, the `google-genai` package, sees it."""

import asyncio
import contextlib
import json

import aiohttp
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from picows import WSMsgType, ws_connect
from world_gemini import KEY, MODEL, SLOWLY, TOKEN, Call, doubled, live, serving, spoken, understood
from world_vendors_tls import contexts

from holdfast_bridge.providers.gemini_live import GeminiCodec
from holdfast_gameday.world.gemini_session import Limits
from holdfast_gameday.world.vendor_faults import Fault

pytestmark = pytest.mark.contract
OLDER = "gemini-live-2.5-flash-native-audio"
BOOK = {
    "name": "book", "description": "Books.", "behavior": "BLOCKING",
    "parameters": {"type": "OBJECT", "properties": {"wish": {"type": "STRING"}}, "required": ["wish"]},
}  # fmt: skip
TELEPHONE = {
    "response_modalities": ["AUDIO"],
    "input_audio_transcription": {},
    "output_audio_transcription": {},
    "realtime_input_config": {"automatic_activity_detection": {"silence_duration_ms": 200}},
    "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
    "system_instruction": "You are a receptionist.",
}


@pytest.fixture
def trust(tmp_path):
    return contexts(tmp_path, "localhost")


@contextlib.asynccontextmanager
async def _client(trust, *, key: str = KEY, vertex: bool = False, token: str = TOKEN, **server):
    server_side, client_side = trust
    async with serving(ssl_context=server_side, **server) as running:
        options = types.HttpOptions(
            base_url=f"https://127.0.0.1:{running.address.port}", async_client_args={"ssl": client_side}
        )
        if vertex:
            client = genai.Client(
                vertexai=True, project="clinic", location="europe-west4", http_options=options,
                credentials=Credentials(token=token),
            )  # fmt: skip
        else:
            client = genai.Client(api_key=key, http_options=options)
        async with client.aio as aio:
            yield running, aio
        client.close()


async def _turn(session) -> list[types.LiveServerMessage]:
    """All messages up to the end of a turn."""
    async with asyncio.timeout(30):
        return [message async for message in session.receive()]


async def _all(session, seen: list[types.LiveServerMessage]) -> None:
    """Keeps what comes, until the connection ends."""
    async with asyncio.timeout(30):
        while True:
            async for message in session.receive():
                seen.append(message)  # noqa: PERF401 - what came before the end is wanted


def _heard(messages) -> list[str]:
    return understood(b"".join(message.data for message in messages if message.data))


def _words(messages, side: str) -> str:
    said = [getattr(message.server_content, side, None) for message in messages]
    return "".join(each.text or "" for each in said if each).strip()


async def _speak(session, text: str, number: int = 1) -> None:
    sound = types.Blob(data=doubled(spoken(text, number)), mime_type="audio/pcm;rate=16000")
    await session.send_realtime_input(audio=sound)


@pytest.mark.parametrize(("model", "vertex"), [(MODEL, False), (MODEL, True), (OLDER, True)])
async def test_the_official_client_holds_a_spoken_conversation(trust, model, vertex):
    async with (
        _client(trust, vertex=vertex) as (_, aio),
        aio.live.connect(model=model, config=TELEPHONE) as session,
    ):
        await _speak(session, "my code is 4711")
        first = await _turn(session)
        await _speak(session, "what is my code", 2)
        second = await _turn(session)

    assert _words(first, "input_transcription") == "my code is 4711"
    assert _words(first, "output_transcription") == "you said: my code is 4711"
    assert _heard(first) == ["you said: my code is 4711"]
    assert _heard(second) == ["your code is 4711"]
    assert first[-1].usage_metadata.total_token_count > 0
    assert any(message.server_content.generation_complete for message in first if message.server_content)


async def test_the_official_client_seeds_a_history_that_calls_for_no_reply(trust):
    config = {**TELEPHONE, "history_config": {"initial_history_in_client_content": True}}
    history = [
        types.Content(role="user", parts=[types.Part(text="my code is 4711")]),
        types.Content(role="model", parts=[types.Part(text="noted")]),
    ]
    async with (
        _client(trust) as (running, aio),
        aio.live.connect(model=MODEL, config=config) as session,
    ):
        await session.send_client_content(turns=history, turn_complete=True)
        await _speak(session, "what is my code")
        answer = await _turn(session)
        turns = running.session.turns

    assert _heard(answer) == ["your code is 4711"]
    assert turns == 1


async def test_the_official_client_runs_a_tool(trust):
    config = {**TELEPHONE, "tools": [{"function_declarations": [BOOK]}]}
    async with (
        _client(trust) as (_, aio),
        aio.live.connect(model=MODEL, config=config) as session,
    ):
        await session.send_client_content(turns={"role": "user", "parts": [{"text": "book a room"}]})
        async with asyncio.timeout(30):
            call = await anext(message.tool_call async for message in session.receive() if message.tool_call)
        [asked] = call.function_calls
        answer = types.FunctionResponse(id=asked.id, name=asked.name, response={"booking": "B7"})
        await session.send_tool_response(function_responses=answer)
        told = await _turn(session)

    assert (asked.name, asked.args) == ("book", {"wish": "a room"})
    assert _heard(told) == ["booked B7"]


async def test_the_official_client_interrupts_by_speaking(trust):
    async with (
        _client(trust, pace=SLOWLY) as (_, aio),
        aio.live.connect(model=MODEL, config=TELEPHONE) as session,
    ):
        await _speak(session, "tell me more 1")
        async with asyncio.timeout(30):
            await anext(message async for message in session.receive() if message.data)
        await _speak(session, "hello", 2)
        cut = await _turn(session)
        answer = await _turn(session)

    assert any(message.server_content and message.server_content.interrupted for message in cut)
    assert not any(message.server_content and message.server_content.generation_complete for message in cut)
    assert _heard(answer) == ["you said: hello"]


async def test_the_official_client_is_told_to_go_and_resumes_by_the_handle(trust):
    config = {**TELEPHONE, "session_resumption": {}}
    async with _client(trust, limits=Limits(life_s=0.5, notice_s=0.2)) as (_, aio):
        async with aio.live.connect(model=MODEL, config=config) as session:
            await session.send_client_content(turns={"role": "user", "parts": [{"text": "my code is 4711"}]})
            seen = await _turn(session)
            with pytest.raises(errors.APIError) as ended:
                await _all(session, seen)
        handle = [m.session_resumption_update for m in seen if m.session_resumption_update][-1].new_handle
        again = {**config, "session_resumption": {"handle": handle}}
        async with aio.live.connect(model=MODEL, config=again) as session:
            await session.send_client_content(turns={"role": "user", "parts": [{"text": "what is my code"}]})
            answer = await _turn(session)

    assert [message.go_away.time_left for message in seen if message.go_away] == ["0.2s"]
    assert ended.value.code == 1008
    assert _heard(answer) == ["your code is 4711"]


@pytest.mark.parametrize(
    ("key", "model", "code", "words"),
    [("AIza-wrong", MODEL, 1007, "API key not valid"), (KEY, "gemini-9", 1008, "is not found for API version")],
)
async def test_the_official_client_is_refused_with_a_wrong_key_or_model(trust, key, model, code, words):
    async with _client(trust, key=key) as (_, aio):
        with pytest.raises(errors.APIError, match=words) as refused:
            async with aio.live.connect(model=model, config=TELEPHONE):
                pass

    assert refused.value.code == code


async def test_the_official_client_is_refused_on_vertex_with_a_wrong_token(trust):
    async with _client(trust, vertex=True, token="ya29.wrong") as (running, aio):
        with pytest.raises(Exception, match="401"):
            async with aio.live.connect(model=MODEL, config=TELEPHONE):
                pass

    assert running.sockets.counts.refused == 1


async def test_a_fault_refuses_the_upgrade_in_googles_words(trust):
    async with _client(trust) as (running, aio):
        running.sockets.inject(Fault(kind="refuse", status=429))
        with pytest.raises(Exception, match="429"):
            async with aio.live.connect(model=MODEL, config=TELEPHONE):
                pass


async def test_the_cheap_probe_lists_the_models_to_those_with_a_key():
    async with serving() as running, aiohttp.ClientSession() as http:
        url = f"http://{running.address}/v1beta/models?pageSize=1"
        async with http.get(url, headers={"x-goog-api-key": KEY}) as well:
            listed = await well.json()
        async with http.get(url, headers={"x-goog-api-key": "AIza-wrong"}) as wrong:
            refused = await wrong.json()
        async with http.get(f"http://{running.address}/v1/chat", headers={"x-goog-api-key": KEY}) as unknown:
            assert unknown.status == 404
        running.sockets.inject(Fault(kind="refuse", status=503))
        async with http.get(url, headers={"x-goog-api-key": KEY}) as ill:
            assert ill.status == 503

    assert {"name": f"models/{MODEL}", "supportedGenerationMethods": ["bidiGenerateContent"]} in listed["models"]
    assert (wrong.status, refused["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"realtimeInput": {"text": "hi"}}, "setup must be the first message and only the first"),
        ({"setup": {}}, "Invalid value at 'setup'"),
        ({"setup": {"model": "models/" + MODEL, "inputAudioTranscript": {}}},
         "Invalid JSON payload received. Unknown name \"inputAudioTranscript\" at 'setup': Cannot find field."),
        ({"setup": {"model": "models/" + MODEL, "generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}}},
         "Request contains an invalid argument."),
        ({"setup": {"model": "models/" + MODEL, "sessionResumption": {"handle": None}}},
         "Invalid value at 'setup.session_resumption.handle'"),
        ({"setup": {"model": "models/" + MODEL, "tools": [{"functionDeclarations": [
            {"name": "book", "parameters": {"type": "object", "properties": {}}}]}]}},
         "* setup.tools[0].function_declarations[0].parameters.properties: should be non-empty for OBJECT type"),
        ({"setup": {"model": "models/" + MODEL, "tools": [{"functionDeclarations": [
            {"name": "book now"}]}]}}, "* setup.tools[0].function_declarations[0].name: Invalid function name."),
        ({"setup": {}, "clientContent": {}}, "Request contains an invalid argument."),
        ({"hello": {}}, 'Invalid JSON payload received. Unknown name "hello": Cannot find field.'),
        ([1], "Request contains an invalid argument."),
    ],
)  # fmt: skip
async def test_a_setup_that_the_vendor_does_not_take_closes_with_1007(message, reason):
    async with serving() as running:
        call = await _bare(running.address)
        call.send(message)
        await call.until(lambda _: False)

    assert call.close == (1007, reason)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ({"setup": {"model": "models/" + MODEL}}, 1007, "setup must be the first message and only the first"),
        ({"client_content": {"turns": [{"role": "system", "parts": []}]}}, 1007,
         "Please use a valid role: user, model."),
        ({"clientContent": {"turns": [{"role": "model", "parts": [{"functionCall": {"name": "book"}}]}]}}, 1007,
         "Function call is missing a thought_signature in functionCall parts."),
        ({"realtimeInput": {"audio": {"data": "AAAA", "mimeType": "audio/pcm;rate=8000"}}}, 1007,
         "The practice range hears audio/pcm;rate=16000 only."),
        ({"realtimeInput": {"activityStart": {}}}, 1007,
         "Explicit activity control is not supported when automatic activity detection is enabled."),
        ({"realtimeInput": {}}, 1007, "Request contains an invalid argument."),
        ({"toolResponse": {"functionResponses": [{"id": "no", "name": "book", "response": {}}]}}, 1008,
         "Requested entity was not found."),
        ({"toolResponse": {"functionResponses": [{"id": "no", "name": "book", "response": "B7"}]}}, 1007,
         "Invalid value at 'tool_response.function_responses[0].response'"),
    ],
)  # fmt: skip
async def test_what_the_vendor_does_not_take_later_closes_the_link(message, code, reason):
    async with serving() as running:
        call = await _bare(running.address)
        call.send({"setup": {"model": "models/" + MODEL, "generation_config": {"response_modalities": ["AUDIO"]}}})
        call.send(message)
        await call.until(lambda _: False)

    assert call.close == (code, reason)


class _Bare(Call):
    """Says what it is told to, whatever the codec would say."""

    def send(self, message: object) -> None:
        self._transport.send(WSMsgType.BINARY, json.dumps(message).encode())


async def _bare(address) -> _Bare:
    call = _Bare(GeminiCodec(live()))
    path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    await ws_connect(lambda: call, f"ws://{address}{path}?key={KEY}")
    return call
