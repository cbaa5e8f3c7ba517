"""The simulated Aura as the vendor's own client, the `deepgram-sdk` package, its description and our codec see it."""

import json
import warnings

import httpx
import pytest
from world_deepgram import check_client, check_server, check_url, vendors_client
from world_speaking import CALM, KEY, QUICK, HandWire, Voice, asked, served, spoken

from holdfast_bridge.core import stages as st
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providers.deepgram import headers
from holdfast_bridge.providers.deepgram_aura import AuraSpeaking, AuraVoice, link_url
from holdfast_gameday.world.deepgram_speak import PATH, DeepgramSpeak
from holdfast_gameday.world.vendor_sockets import Admitted, Answer

with warnings.catch_warnings():
    # The vendor's package takes the old client of `websockets`, whose import is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import deepgram.speak.v1.client  # noqa: F401 - loaded here, where its warning is let pass
    from deepgram.core.api_error import ApiError
    from deepgram.speak.v1.types import SpeakV1Flushed, SpeakV1Text

pytestmark = pytest.mark.contract
ULAW = {"model": "aura-2-thalia-en", "encoding": "mulaw", "sample_rate": "8000"}
LONG = "Once upon a time there was a king who lived in a castle, and this line is longer than one frame of voice, too. "


@pytest.fixture
async def aura():
    async with served(DeepgramSpeak(keys={KEY: "clinic"}, pace=QUICK)) as (sockets, address):
        yield sockets, f"ws://{address}"


async def _voice(base: str, key: str = KEY) -> Voice:
    return await Voice.open(AuraSpeaking(), link_url(base, AuraVoice(), {}), headers(key))


def _by_hand(**options) -> HandWire:
    vendor = DeepgramSpeak(keys={KEY: "clinic"}, pace=CALM)
    admitted = vendor.admit(asked(link_url("wss://x", AuraVoice(), {}), headers(KEY)))
    return HandWire(**options).open(admitted)


# --- the vendor's client


async def test_the_official_client_speaks_flushes_clears_and_closes(aura):
    _, base = aura
    async with httpx.AsyncClient() as http:
        client = vendors_client(base.removeprefix("ws://"), http, key=KEY)
        async with client.speak.v1.connect(**ULAW) as socket:
            first = await socket.recv()
            await socket.send_text(SpeakV1Text(text="Hello there. "))
            await socket.send_text(SpeakV1Text(text="How are you?"))
            await socket.send_flush()
            sound = b""
            while isinstance(said := await socket.recv(), bytes):
                sound += said
            await socket.send_clear()
            cleared = await socket.recv()
            await socket.send_close()

    assert first.type == "Metadata"
    assert first.model_name == "aura-2-thalia-en"
    assert spoken(sound) == ["Hello there. How are you?"]
    assert isinstance(said, SpeakV1Flushed)
    assert (cleared.type, cleared.sequence_id) == ("Cleared", 0)


async def test_the_official_client_probes_its_key_and_is_refused_with_a_wrong_one(aura):
    _, base = aura
    async with httpx.AsyncClient() as http:
        projects = await vendors_client(base.removeprefix("ws://"), http, key=KEY).manage.v1.projects.list()
        assert [project.name for project in projects.projects] == ["clinic"]
        wrong = vendors_client(base.removeprefix("ws://"), http, key="wrong")
        with pytest.raises(ApiError) as refused:
            await wrong.manage.v1.projects.list()
        assert refused.value.status_code == 401
        with pytest.raises(ApiError) as refused:
            async with wrong.speak.v1.connect(**ULAW):
                pass
        assert refused.value.status_code == 401


# --- our codec


async def test_a_line_in_three_pieces_is_heard_whole_and_once_and_its_end_is_told_once(aura):
    _, base = aura
    voice = await _voice(base)
    voice.say("a1", LONG, "再见，老朋友。", " Goodbye.")
    voice.end("a1")
    await voice.until(st.LineDone("a1"))
    voice.say("a2", "Still there?")
    voice.end("a2")
    await voice.until(st.LineDone("a2"))
    voice.close()

    assert " ".join(spoken(voice.sound("a1"))) == f"{LONG}再见，老朋友。 Goodbye."
    assert spoken(voice.sound("a2")) == ["Still there?"]
    assert voice.events.count(st.LineDone("a1")) == 1
    assert voice.aligned("a1") == []


async def test_a_line_spoken_while_another_sounds_is_told_apart_from_it(aura):
    _, base = aura
    voice = await _voice(base)
    voice.say("a1", "The first line.")
    voice.say("a2", "The second ")
    voice.end("a1")
    await voice.until_sound("a1")
    voice.say("a2", "line.")
    voice.end("a2")
    await voice.until(st.LineDone("a1"), st.LineDone("a2"))
    voice.close()

    assert spoken(voice.sound("a1")) == ["The first line."]
    assert spoken(voice.sound("a2")) == ["The second line."]


async def test_all_that_is_sent_either_way_is_described_by_the_vendor(aura):
    _, base = aura
    check_url(link_url(base, AuraVoice(no_store=True), {}))
    voice = await _voice(base)
    voice.say("a1", "Hello.")
    voice.end("a1")
    await voice.until(st.LineDone("a1"))
    voice.say("a2", "Hello again.")
    voice.end("a2")
    await voice.until_sound("a2")
    voice.cancel("a2")
    voice.say("a3", "And again.")
    voice.end("a3")
    await voice.until(st.LineDone("a3"))
    voice.give(AuraSpeaking().closing())
    assert await voice.until_lost() == st.StageLost("closed_1000")

    for message in voice.came:
        check_server(PATH, message)
    for message in voice.sent:
        check_client(PATH, json.dumps(message).encode(), binary=False)
    assert {message["type"] for message in voice.came} == {"Metadata", "Flushed", "Cleared"}
    assert {message["type"] for message in voice.sent} == {"Speak", "Flush", "Clear", "Close"}


async def test_links_over_the_limit_are_refused_until_one_has_gone():
    async with served(DeepgramSpeak(keys={KEY: "clinic"}, pace=QUICK, limit=1)) as (_, address):
        first = await _voice(f"ws://{address}")
        with pytest.raises(ProviderUnreachable) as refused:
            await _voice(f"ws://{address}")
        assert refused.value.error_class == "rate"
        first.give(AuraSpeaking().closing())
        await first.until_lost()
        (await _voice(f"ws://{address}")).close()


# --- what the vendor refuses, and its rules of time


@pytest.mark.parametrize(
    ("url", "key", "status"),
    [
        ("wss://x/v1/speaks?encoding=mulaw&sample_rate=8000", KEY, 404),
        ("wss://x/v2/speak?encoding=mulaw&sample_rate=8000", KEY, 404),
        ("wss://x/v1/speak?encoding=mulaw&sample_rate=8000", "wrong", 401),
        ("wss://x/v1/projects", "wrong", 401),
        ("wss://x/v1/speak?encoding=mulaw&sample_rate=8000&modle=x", KEY, 400),
        ("wss://x/v1/speak?encoding=mulaw&sample_rate=8000&model=nova-3", KEY, 400),
        ("wss://x/v1/speak?encoding=linear16&sample_rate=8000", KEY, 400),
        ("wss://x/v1/speak", KEY, 400),
    ],
)
def test_what_the_vendor_would_refuse_is_refused_with_its_headers(url, key, status):
    answer = DeepgramSpeak(keys={KEY: "clinic"}).admit(asked(url, headers(key)))
    assert isinstance(answer, Answer)
    assert answer.status == status
    assert {"dg-error", "dg-request-id"} <= set(answer.headers)


def test_a_key_is_a_token_and_its_request_has_a_name():
    vendor = DeepgramSpeak(keys={KEY: "clinic"})
    url = link_url("wss://x", AuraVoice(), {})
    assert isinstance(vendor.admit(asked(url, {"Authorization": f"Bearer {KEY}"})), Answer)
    admitted = vendor.admit(asked(url, headers(KEY)))
    assert isinstance(admitted, Admitted)
    assert admitted.key_name == "clinic"
    assert "dg-request-id" in admitted.headers


@pytest.mark.parametrize(
    ("message", "binary", "code"),
    [
        (b'{"type":"Reset"}', False, 1008), (b'{"type":"Speak"}', False, 1008), (b"{", False, 1008),
        (b'{"type":"Flush","now":true}', False, 1008), (b"\xff", False, 1008), (b"\x01", True, 1003),
    ],
)  # fmt: skip
def test_a_message_the_vendor_does_not_know_ends_the_link(message, binary, code):
    wire = _by_hand()
    wire.session.receive(message, binary=binary)
    assert wire.left[1] == code
    assert wire.waiting == 0


def test_text_is_spoken_at_a_flush_first_after_a_while_and_then_at_the_pace():
    wire = _by_hand()
    wire.send(type="Speak", text="x" * 40)
    wire.advance(10.0)
    assert wire.sounds == []
    wire.send(type="Flush")
    wire.advance(0.35)
    assert [round(at, 3) for at, _ in wire.sounds] == [10.1, 10.2, 10.3]
    assert wire.moments == [(pytest.approx(10.1), "speaking")]
    wire.advance(1.0)
    assert spoken(b"".join(sound for _, sound in wire.sounds)) == ["x" * 40]
    assert wire.kinds() == ["Metadata", "Flushed"]


def test_a_slow_vendor_lets_wait_for_the_first_sound():
    wire = _by_hand(late_s=3.0)
    wire.send(type="Speak", text="Hello.")
    wire.send(type="Flush")
    wire.advance(3.0)
    assert wire.sounds == []
    wire.advance(0.1)
    assert len(wire.sounds) == 1


def test_a_clear_is_answered_after_one_more_piece_of_sound_and_nothing_of_it_follows():
    wire = _by_hand()
    wire.send(type="Speak", text="x" * 40)
    wire.send(type="Flush")
    wire.advance(0.2)
    wire.send(type="Speak", text="never")
    wire.send(type="Clear")
    wire.send(type="Flush")
    wire.advance(10.0)
    assert len(wire.sounds) == 3
    assert wire.kinds() == ["Metadata", "Cleared", "Flushed"]


def test_more_than_twenty_flushes_a_minute_are_answered_with_a_warning():
    wire = _by_hand()
    for _ in range(21):
        wire.send(type="Flush")
    wire.advance(60.0)
    wire.send(type="Flush")
    wire.advance(1.0)
    assert wire.kinds().count("Warning") == 1
    assert wire.kinds().count("Flushed") == 21


def test_our_codec_gives_up_a_link_whose_flushes_are_refused():
    wire, codec = _by_hand(), AuraSpeaking()
    for number in range(21):
        wire.give([*codec.say(f"a{number}", "Hello."), *codec.end(f"a{number}")])
    said = [json.dumps(message).encode() for _, message in wire.said]
    events = [event for message in said for event in codec.decode(message, binary=False)]
    assert events == [st.StageLost("rate", retry_same=False)]


def test_a_link_is_closed_after_an_hour():
    wire = _by_hand()
    wire.advance(3600.0)
    assert wire.left[:2] == (3600.0, 1011)
