"""Between µ-law and linear PCM: levels, aliases, lengths, and that no cut of the input is heard."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_bridge.core.resample import FromPcm24k, ToPcm16k

SILENCE = b"\xff"


def tone(hertz: float, rate: int, *, seconds: float = 0.5, level: float = 16_000.0) -> bytes:
    at = np.arange(round(rate * seconds)) / rate
    return np.rint(level * np.sin(2 * np.pi * hertz * at)).astype("<i2").tobytes()


def down(pcm: bytes) -> np.ndarray:
    """The samples at 8 kHz after the codes of µ-law: read back by the way up, which keeps them."""
    return up(FromPcm24k().feed(pcm))[1::2]


def up(ulaw: bytes) -> np.ndarray:
    return np.frombuffer(ToPcm16k().feed(ulaw), "<i2").astype(np.float64)


def loudness(samples: np.ndarray, hertz: float, rate: int) -> float:
    """The level of one tone in the middle of the samples."""
    middle = samples[len(samples) // 4 : len(samples) * 3 // 4]
    turn = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / rate)
    return float(2 * abs(np.mean(middle * turn)))


def in_cuts(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(marks)]


def test_every_other_sample_on_the_way_up_is_the_callers_own() -> None:
    codes = bytes(range(256))
    came = up(codes + SILENCE * 30)[1::2][11 : 11 + 256]
    assert came[:4].tolist() == [-32124, -31100, -30076, -29052]
    assert came[0x80:0x82].tolist() == [32124, 31100]
    assert came[[0x7E, 0x7F, 0xFE, 0xFF]].tolist() == [-8, 0, 8, 0]
    assert (came[:0x80] == -came[0x80:]).all()


@pytest.mark.parametrize("code", [code for code in range(256) if code != 0x7F])
def test_a_steady_level_comes_down_as_its_own_code(code: int) -> None:
    level = up(bytes([code]) * 30)[-1]
    assert FromPcm24k().feed(np.full(300, level).astype("<i2").tobytes())[-1] == code


def test_a_tone_of_one_kilohertz_keeps_its_level_on_the_way_up() -> None:
    spoken = FromPcm24k().feed(tone(1_000, 24_000))
    assert loudness(up(spoken), 1_000, 16_000) == pytest.approx(16_000, rel=0.01)
    assert loudness(up(spoken), 7_000, 16_000) < 16_000 * 0.005


@pytest.mark.parametrize("hertz", [312.5, 1_000, 3_300])
def test_speech_keeps_its_level_on_the_way_down(hertz: float) -> None:
    assert loudness(down(tone(hertz, 24_000)), hertz, 8_000) == pytest.approx(16_000, rel=0.01)


@pytest.mark.parametrize(("hertz", "alias"), [(4_700, 3_300), (5_000, 3_000), (6_500, 1_500), (9_000, 1_000)])
def test_a_tone_too_high_for_the_telephone_does_not_come_back_as_another(hertz: int, alias: int) -> None:
    assert loudness(down(tone(hertz, 24_000, level=30_000)), alias, 8_000) < 30_000 * 0.01


def test_no_sound_is_later_than_two_milliseconds() -> None:
    crack = np.zeros(960)
    crack[300] = 30_000
    quiet_codes = np.frombuffer(FromPcm24k().feed(crack.astype("<i2").tobytes()), np.uint8) & 0x7F
    assert int(np.argmin(quiet_codes)) / 8 - 300 / 24 <= 2.0
    caller = SILENCE * 100 + b"\x80" + SILENCE * 100
    assert int(np.argmax(np.abs(up(caller)))) / 16 - 100 / 8 <= 2.0


def test_a_step_at_full_level_does_not_turn_over() -> None:
    came = up(b"\x00" * 60 + b"\x80" * 60)
    assert (came[40:130] < 0).all()
    assert (came[160:] > 0).all()


def test_each_frame_of_the_caller_comes_out_whole_at_once() -> None:
    codec = ToPcm16k()
    assert [len(codec.feed(SILENCE * 160)) for _ in range(3)] == [640, 640, 640]
    assert codec.feed(b"") == b""


def test_three_samples_become_one_byte_and_none_is_lost() -> None:
    codec = FromPcm24k()
    assert [len(codec.feed(b"\0\0" * count)) for count in (480, 1, 1, 1, 2, 0)] == [160, 1, 0, 0, 1, 0]


@given(cuts=st.lists(st.integers(0, 700), max_size=9), ulaw=st.binary(min_size=1, max_size=700))
def test_no_cut_of_the_callers_sound_is_heard(cuts: list[int], ulaw: bytes) -> None:
    codec = ToPcm16k()
    assert b"".join(codec.feed(piece) for piece in in_cuts(ulaw, cuts)) == ToPcm16k().feed(ulaw)


@given(cuts=st.lists(st.integers(0, 2_000), max_size=9), pcm=st.binary(max_size=2_000))
def test_no_cut_of_the_agents_sound_is_heard_even_within_a_sample(cuts: list[int], pcm: bytes) -> None:
    codec = FromPcm24k()
    assert b"".join(codec.feed(piece) for piece in in_cuts(pcm, cuts)) == FromPcm24k().feed(pcm)
