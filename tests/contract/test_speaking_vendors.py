"""What holds for every simulated voice and our codec of it, over real sockets: lines, interruptions and faults."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from world_speaking import KEY, QUICK, Voice, served, spoken

from holdfast_bridge.core import stages as st
from holdfast_bridge.provider_link import ProviderUnreachable
from holdfast_bridge.providers import cartesia, deepgram, deepgram_aura, elevenlabs
from holdfast_gameday.world.cartesia import Cartesia
from holdfast_gameday.world.deepgram_speak import DeepgramSpeak
from holdfast_gameday.world.elevenlabs import ElevenLabs
from holdfast_gameday.world.speaking_sound import Pace
from holdfast_gameday.world.vendor_faults import Fault

pytestmark = pytest.mark.contract
SLOW = Pace(first_audio_s=0.005, chunk_ms=40, speed=4.0)
"""So that a line can be broken in its middle."""
LONG_LINE = "This line is long enough to be interrupted, or broken, somewhere in the middle of its sound."


@dataclass(frozen=True)
class Kind:
    vendor: Callable[..., Any]
    codec: Callable[[], Any]
    url: Callable[[str], str]
    headers: dict[str, str]
    whole: bool
    """A line is one utterance, however many pieces it came in."""
    broken: st.StageLost
    """What an error of the server is to the codec."""


EL, CA = elevenlabs.ElevenLabsVoice(voice="v1"), cartesia.CartesiaVoice(voice="v1")
KINDS = {
    "aura": Kind(
        DeepgramSpeak,
        deepgram_aura.AuraSpeaking,
        lambda base: deepgram_aura.link_url(base, deepgram_aura.AuraVoice(), {}),
        deepgram.headers(KEY),
        whole=True,
        broken=st.StageLost("closed_1011"),
    ),
    "elevenlabs": Kind(
        ElevenLabs,
        lambda: elevenlabs.ElevenLabsSpeaking(EL),
        lambda base: elevenlabs.link_url(base, EL, {}),
        elevenlabs.headers(KEY),
        whole=False,
        broken=st.StageLost("server"),
    ),
    "cartesia": Kind(
        Cartesia,
        lambda: cartesia.CartesiaSpeaking(CA),
        lambda base: cartesia.link_url(base, CA, {}),
        cartesia.headers(KEY),
        whole=False,
        broken=st.StageLost("server"),
    ),
}


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


@contextlib.asynccontextmanager
async def talking(kind: Kind, pace: Pace = QUICK):
    async with served(kind.vendor(keys={KEY: "clinic"}, pace=pace)) as (sockets, address):
        voice = await Voice.open(kind.codec(), kind.url(f"ws://{address}"), kind.headers)
        yield sockets, voice
        voice.close()


async def test_lines_in_three_languages_at_once_are_each_heard_whole_in_order_and_done_once(kind):
    lines = {
        "a1": ("Good morning, ", "this is the clinic. ", "How can I help you?"),
        "a2": ("Grüß Gott, ", "hier ist die Praxis. ", "Was fehlt Ihnen?"),
        "a3": ("おはようございます。", "こちらは予約受付です。", "ご用件をどうぞ。"),
    }
    async with talking(kind) as (sockets, voice):
        for piece in range(3):
            for line, texts in lines.items():
                voice.say(line, texts[piece])
        for line in lines:
            voice.end(line)
        await voice.until(*map(st.LineDone, lines))

    for line, texts in lines.items():
        pieces = ["".join(texts)] if kind.whole else [text.strip() for text in texts]
        assert spoken(voice.sound(line)) == pieces
        assert voice.events.count(st.LineDone(line)) == 1
        last = [event for event in voice.events if isinstance(event, st.Sound | st.LineDone) and event.line == line][-1]
        assert last == st.LineDone(line)
    assert [each.what for each in sockets.happened] == ["speaking"] * 3


@pytest.mark.parametrize("name", ["elevenlabs", "cartesia"])
async def test_a_line_in_three_pieces_is_heard_whole_and_once_and_its_end_is_told_once(name):
    async with talking(KINDS[name]) as (_, voice):
        voice.say("a1", "Good morning, ", "this is the clinic. ", "How can I help you?")
        voice.end("a1")
        await voice.until(st.LineDone("a1"))
        voice.say("a2", "Still there?")
        voice.end("a2")
        await voice.until(st.LineDone("a2"))

    assert " ".join(spoken(voice.sound("a1"))) == "Good morning, this is the clinic. How can I help you?"
    assert spoken(voice.sound("a2")) == ["Still there?"]
    assert voice.events.count(st.LineDone("a1")) == 1


@pytest.mark.parametrize(
    "texts", [("Good morning, ", "this is the clinic.", " How can I help?"), ("你好，", "这里是诊所。", "有什么事？")]
)
@pytest.mark.parametrize(("name", "exact"), [("elevenlabs", False), ("cartesia", True)])
async def test_the_place_of_the_words_grows_with_the_sound_to_the_end_of_both(name, exact, texts):
    async with talking(KINDS[name]) as (_, voice):
        voice.say("a1", *texts)
        voice.end("a1")
        await voice.until(st.LineDone("a1"))

    aligned = voice.aligned("a1")
    assert len(aligned) >= 3
    assert aligned == sorted(aligned, key=lambda each: (each.characters, each.upto_ms))
    assert aligned[-1].characters == len("".join(texts))
    sounded_ms = len(voice.sound("a1")) // 8
    assert 0 < aligned[-1].upto_ms <= sounded_ms
    if exact:
        assert aligned[-1].upto_ms == sounded_ms


async def test_a_line_begun_right_after_a_cancelled_one_is_heard_alone(kind):
    async with talking(kind, SLOW) as (_, voice):
        for number in range(6):
            line, ended = f"a{number}", number % 2 == 0
            voice.say(line, f"{LONG_LINE} ")
            if ended or kind.whole:
                voice.end(line)
            await voice.until_sound(line)
            before = voice.sound(line)
            voice.cancel(line)
            voice.say(f"b{number}", "Yes, please?")
            voice.end(f"b{number}")
            await voice.until(st.LineDone(f"b{number}"))
            assert voice.sound(line) == before
            assert st.LineDone(line) not in voice.events
            assert spoken(voice.sound(f"b{number}")) == ["Yes, please?"]
        assert not any(isinstance(event, st.StageLost) for event in voice.events)


async def test_a_line_that_was_cancelled_before_it_sounded_is_never_heard_and_the_others_are(kind):
    async with talking(kind) as (_, voice):
        for line in ("a1", "a2", "a3"):
            voice.say(line, f"This is {line}. ")
        voice.cancel("a2")
        voice.end("a1")
        voice.end("a3")
        await voice.until(st.LineDone("a1"), st.LineDone("a3"))

    assert [spoken(voice.sound(line)) for line in ("a1", "a2", "a3")] == [["This is a1."], [], ["This is a3."]]
    assert st.LineDone("a2") not in voice.events


async def test_a_line_of_signs_alone_is_done_and_the_next_one_heard(kind):
    async with talking(kind) as (_, voice):
        voice.say("a1", "…")
        voice.end("a1")
        voice.say("a2", "👍 Good. ")
        voice.end("a2")
        await voice.until(st.LineDone("a1"), st.LineDone("a2"))
        assert not any(isinstance(event, st.StageLost) for event in voice.events)
    assert spoken(voice.sound("a2")) == ["👍 Good."]


async def test_a_line_under_way_breaks_by_the_vendors_own_error(kind):
    async with talking(kind, SLOW) as (sockets, voice):
        sockets.inject(Fault("error", at="speaking"))
        voice.say("a1", LONG_LINE)
        voice.end("a1")
        assert await voice.until_lost() == kind.broken
    assert 0 < len(voice.sound("a1")) < len(LONG_LINE) // 2 * 160
    assert [each.what for each in sockets.happened] == ["speaking", "struck"]


async def test_a_line_that_is_asked_for_while_a_fault_is_in_force_breaks_before_it_sounds(kind):
    async with talking(kind) as (sockets, voice):
        for harmless in ("garbage", "unknown"):
            sockets.inject(Fault(harmless))
        sockets.heal()
        sockets.inject(Fault("error"))
        voice.say("a1", "Hello there. ")
        voice.end("a1")
        assert await voice.until_lost() == kind.broken
    assert voice.sound("a1") == b""


@pytest.mark.parametrize(("error_code", "word"), [("rate_limit_exceeded", "rate"), ("insufficient_quota", "quota")])
@pytest.mark.parametrize("name", ["elevenlabs", "cartesia"])
async def test_a_limit_that_is_met_in_a_line_is_told_in_the_vendors_words(name, error_code, word):
    async with talking(KINDS[name], SLOW) as (sockets, voice):
        voice.say("a1", LONG_LINE)
        voice.end("a1")
        await voice.until_sound("a1")
        sockets.inject(Fault("error", error_code=error_code))
        assert await voice.until_lost() == st.StageLost(word, retry_same=False)


async def test_a_link_that_is_dropped_while_it_speaks_may_be_tried_again(kind):
    async with talking(kind, SLOW) as (sockets, voice):
        sockets.inject(Fault("drop", at="speaking"))
        voice.say("a1", LONG_LINE)
        voice.end("a1")
        assert (await voice.until_lost()).retry_same


@pytest.mark.parametrize(("status", "word"), [(401, "auth"), (402, "quota"), (429, "rate"), (500, "server")])
async def test_a_refusal_is_understood_with_the_time_to_wait(kind, status, word):
    async with served(kind.vendor(keys={KEY: "clinic"}, pace=QUICK)) as (sockets, address):
        sockets.inject(Fault("refuse", status=status, retry_after_s=7))
        with pytest.raises(ProviderUnreachable) as refused:
            await Voice.open(kind.codec(), kind.url(f"ws://{address}"), kind.headers)
        assert (refused.value.error_class, refused.value.retry_after_s) == (word, 7.0 if status == 429 else 0.0)


@pytest.mark.parametrize(("name", "path"), [("aura", "/v1/projects"), ("elevenlabs", "/v1/user/subscription")])
async def test_a_probe_with_a_key_is_refused_as_a_link_is(name, path):
    kind = KINDS[name]
    async with served(kind.vendor(keys={KEY: "clinic"})) as (sockets, address), aiohttp.ClientSession() as http:
        async with http.get(f"http://{address}{path}", headers=kind.headers) as answer:
            assert answer.status == 200
        sockets.inject(Fault("refuse", status=503))
        async with http.get(f"http://{address}{path}", headers=kind.headers) as answer:
            assert answer.status == 503
