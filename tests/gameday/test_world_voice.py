"""Voice frames: what was said is what is heard, wherever the stream was cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from holdfast_gameday.world import voice
from holdfast_gameday.world.voice import Silence, Speaker, VoiceFrame, VoiceScanner


def heard(*chunks: bytes) -> list[VoiceFrame]:
    scanner = VoiceScanner()
    return [sound for chunk in chunks for sound in scanner.feed(chunk) if isinstance(sound, VoiceFrame)]


def test_an_utterance_is_heard_as_it_was_spoken() -> None:
    stream = voice.encode_utterance(Speaker.AGENT, 7, 3, "good morning", 15)
    assert len(stream) == 15 * 160
    assert heard(stream) == [VoiceFrame(2, 7, 3, index, 15, "good morning") for index in range(15)]


def test_the_layout_is_the_published_one() -> None:
    frame = voice.encode_frame(VoiceFrame(1, 2, 3, 4, 5, "hi"))
    head = bytes.fromhex("5aa54846 01 00000002 00000003 0004 0005 02") + b"hi"
    assert frame == head + b"\x7f" * (160 - len(head))


def test_an_utterance_lasts_between_300_ms_and_3_s() -> None:
    assert [voice.frames_for(text) for text in ("", "a" * 30, "a" * 31, "a" * 299, "a" * 999)] == [15, 15, 16, 150, 150]


def test_silence_is_counted_between_frames() -> None:
    stream = voice.silence(2) + voice.encode_utterance(Speaker.CALLER, 1, 1, "x", 1) + voice.silence(1)
    scanner = VoiceScanner()
    assert scanner.feed(stream) == [Silence(320), VoiceFrame(1, 1, 1, 0, 1, "x"), Silence(160)]
    assert scanner.damaged == 0


def test_a_frame_cut_short_by_the_next_one_is_not_heard() -> None:
    frames = voice.encode_utterance(Speaker.AGENT, 1, 1, "cut here", 3)
    scanner = VoiceScanner()
    sounds = scanner.feed(frames[:100] + frames[160:])
    assert [sound.index for sound in sounds if isinstance(sound, VoiceFrame)] == [1, 2]
    assert scanner.damaged == 100


def test_a_frame_cut_short_by_silence_is_not_heard() -> None:
    frame = voice.encode_utterance(Speaker.AGENT, 1, 1, "cut here", 1)
    assert heard(frame[:100] + voice.silence(2)) == []


def test_an_altered_byte_is_noticed() -> None:
    frame = bytearray(voice.encode_utterance(Speaker.AGENT, 1, 1, "exact", 1))
    frame[159] = 0x00
    assert heard(bytes(frame), voice.silence(1)) == []


def test_text_too_long_for_a_frame_is_cut_between_characters() -> None:
    (frame,) = heard(voice.encode_utterance(Speaker.AGENT, 1, 1, "ü" * 100, 1))
    assert frame.text == "ü" * 70
    (frame,) = heard(voice.encode_utterance(Speaker.AGENT, 1, 1, "x" + "ü" * 100, 1))
    assert frame.text == "x" + "ü" * 69


@given(cuts=st.lists(st.integers(0, 160 * 9), max_size=12), lead=st.integers(0, 400))
def test_the_cutting_of_the_stream_changes_nothing(cuts: list[int], lead: int) -> None:
    stream = b"\xff" * lead + voice.encode_utterance(Speaker.AGENT, 9, 4, "anywhere", 6) + voice.silence(3)
    marks = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(marks)]
    assert heard(*chunks) == heard(stream)
    assert len(heard(stream)) == 6


@given(st.binary(max_size=2000))
def test_any_bytes_are_survived(noise: bytes) -> None:
    heard(noise, noise)
