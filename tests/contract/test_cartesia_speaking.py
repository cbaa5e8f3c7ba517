"""The simulated Cartesia as the vendor's own client, the `cartesia` package, and our codec see it."""

import json

import httpx
import pytest
from cartesia import AsyncCartesia
from cartesia.types import websocket_response
from world_speaking import CALM, KEY, QUICK, HandWire, Voice, asked, served, spoken

from holdfast_bridge.core import stages as st
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providers.cartesia import CartesiaSpeaking, CartesiaVoice, headers, link_url
from holdfast_gameday.world import cartesia as simulated

pytestmark = pytest.mark.contract
VOICE = CartesiaVoice(voice="v1")
ASKED = {
    "model_id": "sonic-3",
    "voice": {"mode": "id", "id": "v1"},
    "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
}


@pytest.fixture
async def vendor():
    async with served(simulated.Cartesia(keys={KEY: "clinic"}, pace=QUICK)) as (sockets, address):
        yield sockets, f"ws://{address}"


async def _voice(base: str, key: str = KEY) -> Voice:
    return await Voice.open(CartesiaSpeaking(VOICE), link_url(base, VOICE, {}), headers(key))


def _by_hand(vendor: simulated.Cartesia | None = None, *, late_s: float = 0.0) -> HandWire:
    vendor = vendor or simulated.Cartesia(keys={KEY: "clinic"}, pace=CALM)
    return HandWire(late_s=late_s).open(vendor.admit(asked(link_url("wss://x", VOICE, {}), headers(KEY))))


# --- the vendor's client


def _client(base: str, key: str = KEY) -> AsyncCartesia:
    # It opens sockets of its own, and asks for the rest over HTTP.
    return AsyncCartesia(api_key=key, base_url=base.replace("ws", "http", 1), websocket_base_url=base, max_retries=0)


async def test_the_official_client_continues_a_context_and_gets_sound_and_times(vendor):
    _, base = vendor
    async with _client(base) as client, client.tts.websocket_connect() as connection:
        context = connection.context(**ASKED, add_timestamps=True, max_buffer_delay_ms=0)
        await context.push("Hello there, ")
        await context.push("how are you?")
        await context.no_more_inputs()
        said = [event async for event in context.receive()]

    sound = b"".join(event.audio for event in said if isinstance(event, websocket_response.Chunk))
    assert spoken(sound) == ["Hello there,", "how are you?"]
    times = [event.word_timestamps for event in said if isinstance(event, websocket_response.Timestamps)]
    assert [word for each in times for word in each.words] == ["Hello", "there,", "how", "are", "you?"]
    ends = [end for each in times for end in each.end]
    assert ends == sorted(ends)
    assert isinstance(said[-1], websocket_response.Done)


async def test_the_official_client_flushes_cancels_and_keeps_contexts_apart(vendor):
    _, base = vendor
    async with _client(base) as client, client.tts.websocket_connect() as connection:
        first, second = (connection.context(**ASKED) for _ in range(2))
        await first.push("Never mind ")
        await first.cancel()
        await second.push("Hello ", flush=True)
        await second.no_more_inputs()
        said = [event async for event in second.receive()]

    kinds = [event.type for event in said]
    assert kinds[-2:] == ["flush_done", "done"]
    sound = b"".join(event.audio for event in said if isinstance(event, websocket_response.Chunk))
    assert spoken(sound) == ["Hello"]


async def test_the_official_client_gets_errors_as_events_and_keeps_its_connection(vendor):
    _, base = vendor
    async with _client(base) as client, client.tts.websocket_connect() as connection:
        wrong = connection.context(**{**ASKED, "model_id": "aura-2"})
        await wrong.push("Hello.")
        [refused] = [event async for event in wrong.receive()]
        right = connection.context(**ASKED)
        await right.push("Hello.", continue_=False)
        said = [event async for event in right.receive()]

    assert isinstance(refused, websocket_response.Error)
    assert (refused.status_code, refused.error_code) == (400, "model_not_found")
    assert said[-1].type == "done"


async def test_the_official_client_asks_for_the_status_and_is_refused_with_a_wrong_key(vendor):
    _, base = vendor
    async with _client(base, "wrong") as client:
        assert (await client.get_status()).ok
        with pytest.raises(Exception, match="401"):
            async with client.tts.websocket_connect():
                pass


# --- our codec


async def test_a_wrong_key_is_refused_when_the_link_is_opened(vendor):
    with pytest.raises(ProviderUnreachable) as refused:
        await _voice(vendor[1], "wrong")
    assert (refused.value.error_class, refused.value.retry_same) == ("auth", False)


async def test_lines_over_the_limit_of_the_account_are_told_so():
    async with served(simulated.Cartesia(keys={KEY: "clinic"}, pace=QUICK, limit=1)) as (_, address):
        first, second = await _voice(f"ws://{address}"), await _voice(f"ws://{address}")
        first.say("a1", "The first line is long enough to be spoken for a while, and a little longer than that.")
        await first.until_sound("a1")
        second.say("a1", "Me too.")
        assert await second.until_lost() == st.StageLost("rate", retry_same=False)
        first.end("a1")
        await first.until(st.LineDone("a1"))
        second.close()
        third = await _voice(f"ws://{address}")
        third.say("a1", "Now me.")
        third.end("a1")
        await third.until(st.LineDone("a1"))
        for voice in (first, third):
            voice.close()


async def test_the_probe_asks_for_no_key(vendor):
    async with httpx.AsyncClient() as http:
        assert (await http.get(vendor[1].replace("ws", "http", 1) + "/")).json()["ok"] is True


# --- our codec and the vendor's rules of time


def _read(wire: HandWire, codec: CartesiaSpeaking) -> list[st.SpeakingEvent]:
    """All that the codec makes of what has come by now."""
    said = [json.dumps(message).encode() for _, message in wire.said]
    wire.said.clear()
    return [event for message in said for event in codec.decode(message, binary=False)]


def test_a_line_that_pauses_until_its_context_expired_is_heard_to_its_end():
    wire, codec = _by_hand(), CartesiaSpeaking(VOICE)
    wire.give(codec.say("a1", "One moment, please. "))
    wire.advance(10.0)
    first = _read(wire, codec)
    wire.give(codec.say("a1", "I found it."))
    wire.give(codec.end("a1"))
    wire.advance(10.0)
    events = first + _read(wire, codec)

    sound = b"".join(event.payload for event in events if isinstance(event, st.Sound))
    assert spoken(sound) == ["One moment, please.", "I found it."]
    placed = [event for event in events if isinstance(event, st.Aligned)]
    assert placed[-1] == st.Aligned("a1", 31, len(sound) // 8)
    assert [event for event in events if isinstance(event, st.LineDone)] == [st.LineDone("a1")]


def test_a_line_that_ends_after_its_context_expired_is_told_to_be_done():
    wire, codec = _by_hand(), CartesiaSpeaking(VOICE)
    wire.give(codec.say("a1", "One moment, please. "))
    wire.advance(10.0)
    assert st.LineDone("a1") not in _read(wire, codec)
    wire.give(codec.end("a1"))
    wire.advance(1.0)
    assert _read(wire, codec) == [st.LineDone("a1")]


def test_text_that_crosses_with_the_expiry_of_its_context_loses_the_link_instead_of_the_text():
    wire, codec = _by_hand(), CartesiaSpeaking(VOICE)
    wire.give(codec.say("a1", "One moment, please. "))
    wire.advance(10.0)
    wire.give(codec.say("a1", "I found it."))
    assert _read(wire, codec)[-1] == st.StageLost("session_expired")
