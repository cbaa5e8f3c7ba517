"""The bridge's own Realtime dialect against the simulated API: what it sends is accepted, what it is sent it reads."""

import msgspec
import pytest
from world_vendors import KEY, RealtimeClient

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.openai_realtime import OpenAIRealtimeCodec, RealtimeSession
from holdfast_gameday.world import voice
from holdfast_gameday.world.openai_realtime import OpenAIRealtime
from holdfast_gameday.world.openai_response import Pace

pytestmark = pytest.mark.contract
BOOK = {"name": "book", "description": "Books.", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("told", "asked", "known"),
    [
        ("my code is 4711", "what is my code", "your code is 4711"),
        ("mein Code ist 4711", "wie lautet mein Code", "Ihr Code ist 4711"),
        ("私の番号は4711です", "私の番号は何ですか", "番号は4711です"),
    ],
)
async def test_a_resumed_conversation_goes_on_in_the_bridges_own_words(told, asked, known):
    codec = OpenAIRealtimeCodec(
        RealtimeSession(voice="marin", instructions="Be kind.", silence_ms=200, tools=[BOOK])
    )
    seeds = (
        ev.SeedText("user", told),
        ev.SeedText("assistant", "…"),
        ev.SeedText("user", "book a table"),
        ev.SeedTool("call_9", "book", "{}", '{"booking": "B1001"}'),
        ev.SeedText("assistant", "booked B1001"),
    )
    sim = OpenAIRealtime(keys={KEY: "clinic"}, pace=Pace(first_audio_s=0.005, speed=40.0))
    async with sim.serving("127.0.0.1", 0) as address:
        client = await RealtimeClient.connect(address)
        for effect in (ev.SeedConversation(seeds), ev.Respond("Say exactly: I am back.")):
            for message in (*codec.opening(), *codec.encode(effect)):
                client.send_raw(message)
        await client.until("response.done")
        audio = voice.encode_utterance(voice.Speaker.CALLER, 1, 1, asked) + voice.silence(15)
        for start in range(0, len(audio), 160):
            client.send_raw(codec.append(audio[start : start + 160]))
        done = await client.until("response.done")
        client.send_raw(codec.encode(ev.Truncate(done["response"]["output"][0]["id"], 100))[0])
        await client.until("conversation.item.truncated")

    assert "error" not in client.kinds()
    read = [event for sent in client.events for event in codec.decode(msgspec.json.encode(sent))]
    assert [event.text for event in read if isinstance(event, ev.ProviderTranscript) and event.final] == [
        "I am back.", known,
    ]  # fmt: skip
    assert [event.text for event in read if isinstance(event, ev.UserTranscript) and event.final] == [asked]
    assert sum(isinstance(event, ev.ProviderReady) for event in read) == 1
    assert any(isinstance(event, ev.ProviderAudio) for event in read)
