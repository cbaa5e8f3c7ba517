"""Who has the floor of a Gemini Live session, by what the server shows and by the caller's own sound."""

from __future__ import annotations

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers.gemini_floor import Floor, audible

FRAME = b"\xff" * 160
SPEECH = b"\x10\x90" * 80


def test_silence_and_the_lines_own_noise_are_not_loud() -> None:
    assert not audible(FRAME)
    assert not audible(b"\x74\xf4" * 80)
    assert not audible(b"\x00" + FRAME[1:])
    assert audible(b"\x6f\xef" * 80)
    assert audible(SPEECH)


def test_a_hiss_does_not_become_speech_by_lasting_long() -> None:
    assert not audible((b"\xfb" * 15 + b"\x78") * 10_000)
    assert audible(FRAME * 10 + SPEECH)


def test_a_caller_who_is_quiet_has_stopped_at_once() -> None:
    assert Floor(silence_ms=500, words=True).understood() == [ev.SpeechStopped()]


def test_more_words_put_the_end_of_the_turn_off() -> None:
    floor = Floor(silence_ms=200, words=True)
    floor.hear(SPEECH)
    assert floor.understood() == []
    assert [floor.hear(SPEECH) for _ in range(200)] == [[]] * 200
    floor.understood()
    assert [floor.hear(SPEECH) for _ in range(249)] == [[]] * 249
    assert floor.hear(SPEECH) == [ev.SpeechStopped()]


def test_the_beginning_of_speech_is_told_once_until_it_has_ended() -> None:
    floor = Floor(silence_ms=200, words=True)
    assert floor.interrupted() == [ev.SpeechStarted()]
    assert floor.interrupted() == []
    assert floor.answered() == [ev.SpeechStopped()]
    assert floor.answered() == []
    assert floor.interrupted() == [ev.SpeechStarted()]


def test_speech_since_the_agent_began_is_forgotten_when_it_begins_again() -> None:
    floor = Floor(silence_ms=200, words=True)
    for _ in range(9):
        floor.hear(SPEECH)
    assert not floor.spoke
    floor.hear(SPEECH)
    assert floor.spoke
    floor.answered()
    assert not floor.spoke


def test_pieces_of_any_length_are_heard() -> None:
    floor = Floor(silence_ms=200, words=True)
    assert floor.hear(b"") == []
    floor.hear(SPEECH * 100)
    assert floor.spoke
    floor.understood()
    assert floor.hear(FRAME * 100) == [ev.SpeechStopped()]
