"""Frames of tones: what was said is what is heard, through the bridge's resampler, µ-law and any cut."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_bridge.core.resample import FromPcm24k, ToPcm16k
from holdfast_gameday.world import voice, voice_linear
from holdfast_gameday.world.voice import Silence, Sound, Speaker, VoiceFrame
from holdfast_gameday.world.voice_linear import EitherScanner, LinearScanner, ulaw_to_pcm

TEXTS = (
    "your code is 4711", "goodbye", "", "x", "Grüß Gott, wie kann ich helfen?",
    "ようこそ、ご予約は何時がよろしいですか", "مرحبا بك كيف يمكنني مساعدتك",
    "here is more, part 7: the line stays open and the story goes on", "ü" * 70, "数" * 120,
)  # fmt: skip


def frames(sounds: list[Sound] | list[VoiceFrame]) -> list[VoiceFrame]:
    return [sound for sound in sounds if isinstance(sound, VoiceFrame)]


def through_the_bridge(pcm: bytes, *, step: int = 9_600) -> bytes:
    """From a provider's PCM at 24 kHz to the µ-law that a caller hears."""
    codec = FromPcm24k()
    return b"".join(codec.feed(pcm[at : at + step]) for at in range(0, len(pcm), step))


def heard(ulaw: bytes, *, step: int = 160) -> list[VoiceFrame]:
    scanner = LinearScanner()
    pieces = [ulaw[at : at + step] for at in range(0, len(ulaw), step)]
    return [frame for piece in pieces for frame in frames(scanner.feed(ulaw_to_pcm(piece)))]


def test_two_hundred_utterances_through_the_bridge_are_heard_without_one_error() -> None:
    dice = random.Random(7)
    scanner, codec = LinearScanner(), FromPcm24k()
    for number in range(200):
        text = TEXTS[number % len(TEXTS)]
        said = voice_linear.encode_utterance(Speaker.AGENT, 900_000 + number, number, text, rate=24_000)
        ulaw = codec.feed(said) + codec.feed(bytes(2 * dice.randrange(0, 9_000)))
        found = frames(scanner.feed(ulaw_to_pcm(ulaw)))
        total = max(voice.frames_for(text), voice_linear.pieces_for(text))
        expected = [(2, 900_000 + number, number, index, total) for index in range(total)]
        assert [(f.kind, f.speaker, f.utterance, f.index, f.total) for f in found] == expected
        assert found[-1].text == text
    assert scanner.damaged == 0


@pytest.mark.parametrize("text", TEXTS)
def test_a_caller_who_speaks_in_tones_is_heard_by_a_provider_at_sixteen_kilohertz(text: str) -> None:
    pcm = np.frombuffer(voice_linear.encode_utterance(Speaker.CALLER, 7, 3, text, rate=24_000), "<i2")
    ulaw = FromPcm24k().feed(pcm.tobytes())
    sounds = LinearScanner(16_000).feed(ToPcm16k().feed(ulaw + b"\xff" * 160))
    assert {(frame.kind, frame.speaker, frame.utterance) for frame in frames(sounds)} == {(1, 7, 3)}
    assert frames(sounds)[-1].text == text


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_an_utterance_lasts_as_long_at_every_rate(rate: int) -> None:
    said = voice_linear.encode_utterance(Speaker.AGENT, 1, 1, "good morning", 20, rate=rate)
    assert len(said) == 20 * rate // 50 * 2
    assert [frame.index for frame in frames(LinearScanner(rate).feed(said))] == list(range(20))


def test_the_text_grows_while_it_is_said() -> None:
    said = voice_linear.encode_utterance(Speaker.AGENT, 1, 1, "your code is 4711", rate=8_000)
    assert [frame.text for frame in frames(LinearScanner().feed(said))][:4] == [
        "your c", "your code is", "your code is 4711", "your code is 4711",
    ]  # fmt: skip


def test_an_utterance_that_is_too_short_for_its_text_is_made_longer() -> None:
    said = voice_linear.encode_utterance(Speaker.AGENT, 1, 1, "ü" * 70, 3, rate=8_000)
    assert len(said) == 24 * 320
    assert frames(LinearScanner().feed(said))[-1].text == "ü" * 70


def test_each_frame_is_heard_with_the_sound_that_completes_it() -> None:
    ulaw = through_the_bridge(voice_linear.encode_utterance(Speaker.AGENT, 1, 1, "good morning", 15, rate=24_000))
    scanner = LinearScanner()
    counts = [len(frames(scanner.feed(ulaw_to_pcm(ulaw[at : at + 160])))) for at in range(0, len(ulaw), 160)]
    assert sum(counts) == 15
    assert max(itertools.accumulate(1 - count for count in counts)) <= 2


def test_what_is_left_of_an_utterance_that_was_cut_is_heard_and_the_next_one_whole() -> None:
    first = through_the_bridge(voice_linear.encode_utterance(Speaker.AGENT, 1, 1, "tell me more", 30, rate=24_000))
    second = through_the_bridge(voice_linear.encode_utterance(Speaker.AGENT, 1, 2, "sorry", 15, rate=24_000))
    found = heard(first[:1_677] + second)
    assert [frame.index for frame in found if frame.utterance == 1] == list(range(10))
    assert [frame.index for frame in found if frame.utterance == 2] == list(range(15))
    found = heard(first[:1_677] + b"\xff" * 777 + second)
    assert [frame.index for frame in found if frame.utterance == 2] == list(range(15))


def test_a_hole_in_the_sound_leaves_a_hole_in_the_text() -> None:
    said = voice_linear.encode_utterance(Speaker.AGENT, 1, 1, "your code is 4711", 15, rate=8_000)
    found = frames(LinearScanner().feed(said[:320] + said[640:]))
    assert [frame.index for frame in found] == [0, *range(2, 15)]
    assert found[-1].text == "your c"


def test_noise_and_the_other_voice_are_no_frames_of_tones() -> None:
    noise = np.random.default_rng(3).normal(0, 4_000, 80_000).astype("<i2").tobytes()
    scanner = LinearScanner()
    assert frames(scanner.feed(noise)) == []
    assert scanner.damaged > 70_000
    assert heard(voice.encode_utterance(Speaker.AGENT, 1, 1, "good morning") * 20) == []


def test_silence_is_counted_between_utterances() -> None:
    said = voice_linear.encode_utterance(Speaker.AGENT, 1, 1, "x", 15, rate=8_000)
    sounds = LinearScanner().feed(bytes(2 * 400) + said + bytes(2 * 4_000))
    silent = sum(sound.octets for sound in sounds if isinstance(sound, Silence))
    assert 4_360 <= silent <= 4_430


def test_numbers_too_large_for_a_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        voice_linear.encode_utterance(Speaker.AGENT, 1 << 24, 1, "x", rate=8_000)
    with pytest.raises(ValueError, match="too large"):
        voice_linear.encode_utterance(Speaker.AGENT, 1, 1 << 16, "x", rate=8_000)


def test_one_listener_understands_both_voices_in_turn() -> None:
    tones = through_the_bridge(voice_linear.encode_utterance(Speaker.AGENT, 2, 1, "in tones", 15, rate=24_000))
    octets = voice.encode_utterance(Speaker.AGENT, 1, 1, "in octets", 15)
    ulaw = octets + tones + voice.silence(3) + octets + voice.silence(2) + tones + voice.silence(1)
    listener = EitherScanner()
    found = [frame for at in range(0, len(ulaw), 160) for frame in listener.feed(ulaw[at : at + 160])]
    texts = [text for text, _ in itertools.groupby(frame.text for frame in found if frame.last)]
    assert texts == ["in octets", "in tones", "in octets", "in tones"]
    assert len(found) == 60


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 2_720), max_size=8), lead=st.integers(0, 500))
def test_the_cutting_of_the_stream_changes_nothing(cuts: list[int], lead: int) -> None:
    said = voice_linear.encode_utterance(Speaker.AGENT, 9, 4, "anywhere", 15, rate=24_000)
    ulaw = b"\xff" * lead + through_the_bridge(said) + b"\xff" * 320
    marks = [0, *sorted(min(cut + lead, len(ulaw)) for cut in cuts), len(ulaw)]
    scanner = LinearScanner()
    found = [frame for a, b in itertools.pairwise(marks) for frame in frames(scanner.feed(ulaw_to_pcm(ulaw[a:b])))]
    assert [frame.index for frame in found] == list(range(15))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=2_000))
def test_any_bytes_are_survived(noise: bytes) -> None:
    LinearScanner().feed(noise)
    EitherScanner().feed(noise)
