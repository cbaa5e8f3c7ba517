"""The bridge's own dialects against the simulated Azure: what it sends is accepted, what it is sent it reads."""

import msgspec
import pytest
from world_azure import SOON, TOKEN, dial, said, voice_live
from world_vendors import KEY

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.azure import headers, openai_link_url
from holdfast_bridge.providers.azure_voice_live import VoiceLiveCodec, VoiceLiveSession, link_url
from holdfast_bridge.providers.openai_realtime import OpenAIRealtimeCodec, RealtimeSession
from holdfast_gameday.world import voice
from holdfast_gameday.world.azure_openai import AzureOpenAI
from holdfast_gameday.world.vendor_sockets import VendorSockets

pytestmark = pytest.mark.contract
BOOK = {"name": "book", "description": "Books.", "parameters": {"type": "object", "properties": {}}}
SEEDS = (
    ev.SeedText("user", "my code is 4711"),
    ev.SeedText("assistant", "you said: my code is 4711"),
    ev.SeedText("user", "book a table"),
    ev.SeedTool("call_9", "book", "{}", '{"booking": "B1001"}'),
    ev.SeedText("assistant", "booked B1001"),
)
BACK = "Grüezi – ich bin wieder da."


async def resumed(codec, client) -> list[ev.Event]:
    """All that is read when a call is taken up, goes on, calls a tool and is cut where the caller stopped hearing."""
    for effect in (ev.SeedConversation(SEEDS), ev.Respond(f"Say exactly: {BACK}", words=BACK)):
        for message in (*codec.opening(), *codec.encode(effect)):
            client.send_raw(message)
    await client.until("response.done")
    speak(codec, client, "what is my code", 1)
    done = await client.until("response.done")
    client.send_raw(codec.encode(ev.Truncate(done["response"]["output"][0]["id"], 100))[0])
    await client.until("conversation.item.truncated")
    speak(codec, client, "book a room", 2)
    call = (await client.until("response.output_item.done"))["item"]
    await client.until("response.done")
    for effect in (ev.ToolOutput(call["call_id"], '{"booking": "B7"}'), ev.Respond()):
        for message in codec.encode(effect):
            client.send_raw(message)
    await client.until("response.done")
    assert "error" not in client.kinds()
    return [event for message in client.events for event in codec.decode(msgspec.json.encode(message))]


def speak(codec, client, text: str, number: int) -> None:
    audio = said(text, number) + voice.silence(15)
    for start in range(0, len(audio), 160):
        client.send_raw(codec.append(audio[start : start + 160]))


def check(read: list[ev.Event]) -> None:
    def final(kind: type) -> list[str]:
        return [event.text for event in read if isinstance(event, kind) and event.final]

    assert final(ev.ProviderTranscript) == [BACK, "your code is 4711", "booked B7"]
    assert final(ev.UserTranscript) == ["what is my code", "book a room"]
    assert [event.name for event in read if isinstance(event, ev.ToolCall)] == ["book"]
    assert sum(isinstance(event, ev.ProviderReady) for event in read) == 1
    assert sum(isinstance(event, ev.ResponseStarted) for event in read) == 4
    assert [event.ok for event in read if isinstance(event, ev.ResponseDone)] == [True] * 4
    assert any(isinstance(event, ev.ProviderAudio) for event in read)


async def test_a_resumed_conversation_goes_on_with_a_deployment_of_azure_openai():
    codec = OpenAIRealtimeCodec(
        RealtimeSession(voice="marin", instructions="Be kind.", silence_ms=200, tools=[BOOK])
    )
    server = VendorSockets(AzureOpenAI(keys={KEY: "clinic"}, pace=SOON))
    async with server.serving("127.0.0.1", 0) as address:
        url = openai_link_url(f"ws://{address}/openai/v1/realtime", "gpt-realtime", {})
        check(await resumed(codec, await dial(url, headers(KEY))))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "gpt-4.1"},
        {"model": "gpt-4.1", "language": "de", "given_words": False},
        {"model": "gpt-realtime", "voice": "marin"},
        {"model": "gpt-realtime", "turn_detection": "semantic_vad"},
    ],
)
async def test_a_resumed_conversation_goes_on_with_voice_live(changes):
    session = VoiceLiveSession(
        **{"voice": "en-US-AvaNeural", "instructions": "Be kind.", "silence_ms": 200, "tools": [BOOK], **changes}
    )
    async with voice_live() as (_, address):
        url = link_url(f"ws://{address}/voice-live/realtime", session, {})
        check(await resumed(VoiceLiveCodec(session), await dial(url, headers(KEY))))


async def test_an_agent_of_foundry_is_let_in_by_a_token_and_takes_a_conversation_up():
    session = VoiceLiveSession(voice="en-US-AvaNeural", agent="desk", project="clinic", silence_ms=200)
    codec = VoiceLiveCodec(session)
    async with voice_live() as (_, address):
        client = await dial(link_url(f"ws://{address}/voice-live/realtime", session, {}), headers(TOKEN))
        for message in (*codec.opening(), *codec.encode(ev.SeedConversation(SEEDS))):
            client.send_raw(message)
        speak(codec, client, "what is my code", 1)
        answer = await client.until("response.audio_transcript.done")

    assert answer["transcript"] == "your code is 4711"
    assert "error" not in client.kinds()


async def test_a_session_the_vendor_refuses_loses_the_provider_for_its_configuration():
    session = VoiceLiveSession(voice="nobody", model="gpt-realtime")
    codec = VoiceLiveCodec(session)
    async with voice_live() as (_, address):
        client = await dial(link_url(f"ws://{address}/voice-live/realtime", session, {}))
        client.send_raw(codec.opening()[0])
        error = await client.until("error")

    assert list(codec.decode(msgspec.json.encode(error))) == [ev.ProviderLost("config", retry_same=False)]
