"""What a silence is filled with, by literal times."""

from __future__ import annotations

from dataclasses import replace

from holdfast_bridge.core import tone
from holdfast_bridge.core.silence import GiveUp, Manners, Owed, Prompt, Silence, Tone, ToolWords
from holdfast_bridge.core.ulaw import LEVELS, encoded

POLITE = Manners(prompt="Are you still there?", tool_words="One moment, please.")
SENTENCE = {"agent": True, "caller": False}
NOBODY = {"agent": False, "caller": False}
CALLER = {"agent": False, "caller": True}


def test_words_that_nobody_can_say_are_replaced_by_a_sound_within_300_ms_of_the_last_one() -> None:
    silence = Silence(Manners())
    silence.look(1.0, **SENTENCE, owed=Owed.PROVIDER)
    assert silence.get_timer() is None, "what the carrier holds plays on"
    silence.look(2.0, **NOBODY, owed=Owed.PROVIDER)
    assert silence.get_timer() == 2.2
    assert silence.fill(2.1) is None
    assert silence.fill(2.2) == Tone(tone.piece(0, 200))


def test_the_sound_goes_on_without_a_break_until_somebody_speaks() -> None:
    silence = Silence(Manners())
    silence.look(0.0, **NOBODY, owed=Owed.PROVIDER)
    given = []
    for _ in range(30):
        due = silence.get_timer()
        assert due is not None
        found = silence.fill(due)
        assert isinstance(found, Tone)
        given.append((due, found.payload))
        silence.look(due, **NOBODY, owed=Owed.ANSWER)
    heard_until = given[0][0]
    for due, payload in given:
        assert due <= heard_until, "the carrier has something to play at every moment"
        heard_until += len(payload) / 8000
    assert b"".join(payload for _, payload in given) == tone.piece(0, 3100)
    silence.look(9.0, **SENTENCE, owed=Owed.ANSWER)
    assert silence.get_timer() is None


def test_a_timer_that_comes_late_does_not_make_the_sound_run_behind_for_good() -> None:
    silence = Silence(Manners())
    silence.look(0.0, **NOBODY, owed=Owed.PROVIDER)
    silence.fill(0.2)
    silence.fill(5.0)
    assert silence.get_timer() == 5.0


def test_a_normal_answer_is_not_disturbed() -> None:
    silence = Silence(Manners())
    silence.look(1.0, **CALLER, owed=Owed.NOTHING)
    silence.look(2.0, **NOBODY, owed=Owed.ANSWER)
    assert silence.get_timer() == 3.4
    silence.look(3.3, **SENTENCE, owed=Owed.ANSWER)
    assert silence.get_timer() is None


def test_a_pause_between_two_lines_is_left_alone_for_a_moment() -> None:
    silence = Silence(Manners())
    silence.look(0.0, **SENTENCE, owed=Owed.ANSWER)
    silence.look(10.0, **NOBODY, owed=Owed.ANSWER)
    assert silence.get_timer() == 10.6


def test_the_rest_of_a_line_that_is_late_is_replaced_within_300_ms_whatever_the_carrier_says_of_it() -> None:
    silence = Silence(Manners())
    silence.look(10.0, **SENTENCE, owed=Owed.REST, plays_until=10.5)
    assert not silence.counts
    assert silence.get_timer(plays_until=10.7) == 10.95, "more of it came"
    silence.look(10.95, **SENTENCE, owed=Owed.REST, plays_until=10.7)
    assert isinstance(silence.fill(10.95), Tone)
    assert silence.counts
    silence.look(11.0, **SENTENCE, owed=Owed.REST, plays_until=11.2)
    assert silence.get_timer(plays_until=11.2) == 11.45, "its sound ends the other one"


def test_without_the_sound_nothing_is_due_within_a_line() -> None:
    silence = Silence(Manners(tone=False))
    silence.look(10.0, **SENTENCE, owed=Owed.REST, plays_until=10.5)
    assert silence.get_timer(plays_until=10.5) is None


def test_without_the_sound_a_silence_stays_one() -> None:
    silence = Silence(Manners(tone=False))
    silence.look(0.0, **NOBODY, owed=Owed.PROVIDER)
    assert silence.get_timer() is None
    assert silence.fill(9.0) is None


def test_a_tool_that_takes_its_time_is_covered_by_words_once_and_then_by_the_sound() -> None:
    silence = Silence(POLITE)
    silence.look(1.0, **NOBODY, owed=Owed.TOOL)
    assert silence.get_timer() == 2.2
    assert silence.fill(2.2) == ToolWords()
    silence.look(2.3, **SENTENCE, owed=Owed.TOOL)
    silence.look(4.0, **NOBODY, owed=Owed.TOOL)
    assert silence.get_timer() == 4.6
    assert isinstance(silence.fill(4.6), Tone)


def test_another_tool_later_in_the_call_has_its_words_again() -> None:
    silence = Silence(POLITE)
    silence.look(1.0, **NOBODY, owed=Owed.TOOL)
    silence.fill(2.2)
    silence.look(3.0, **SENTENCE, owed=Owed.NOTHING)
    silence.look(9.0, **NOBODY, owed=Owed.TOOL)
    assert silence.fill(10.2) == ToolWords()


def test_words_for_a_tool_are_no_reason_for_the_sound() -> None:
    silence = Silence(replace(POLITE, tone=False))
    silence.look(1.0, **NOBODY, owed=Owed.TOOL)
    assert silence.fill(2.2) == ToolWords()
    assert silence.get_timer() is None


def test_a_silent_caller_is_asked_twice_and_then_let_go() -> None:
    silence = Silence(POLITE)
    silence.look(0.0, **NOBODY, owed=Owed.NOTHING)
    assert silence.get_timer() == 10.0
    assert silence.fill(10.0) == Prompt()
    silence.look(10.5, **SENTENCE, owed=Owed.ANSWER)
    silence.look(12.0, **NOBODY, owed=Owed.NOTHING)
    assert silence.fill(22.0) == Prompt()
    silence.look(22.0, **NOBODY, owed=Owed.NOTHING)
    assert silence.fill(32.0) == GiveUp()
    silence.look(32.0, **NOBODY, owed=Owed.NOTHING)
    assert silence.get_timer() is None, "it is said once"


def test_a_caller_who_says_something_is_counted_anew() -> None:
    silence = Silence(POLITE)
    silence.look(0.0, **NOBODY, owed=Owed.NOTHING)
    for at in (10.0, 20.0):
        assert silence.fill(at) == Prompt()
        silence.look(at, **NOBODY, owed=Owed.NOTHING)
    silence.look(21.0, **CALLER, owed=Owed.NOTHING)
    silence.look(22.0, **NOBODY, owed=Owed.NOTHING)
    assert silence.fill(32.0) == Prompt()


def test_an_agent_without_a_question_asks_none() -> None:
    silence = Silence(Manners())
    silence.look(0.0, **NOBODY, owed=Owed.NOTHING)
    assert silence.get_timer() is None


def test_the_sound_is_soft_and_never_quite_silent() -> None:
    pieces = [tone.piece(at, 20) for at in range(0, 16_000, 160)]
    loudest = [max(LEVELS[code] for code in piece) for piece in pieces]
    assert min(loudest) > 100
    assert max(loudest) < 1_000


def test_the_sound_joins_at_its_ends() -> None:
    whole = tone.piece(0, 4_000)
    assert whole[:16_000] == whole[16_000:]
    assert tone.piece(15_900, 200) == whole[15_900:17_500]


def test_every_code_is_that_of_its_own_level() -> None:
    for code, level in enumerate(LEVELS):
        assert LEVELS[encoded(level)] == level
        assert LEVELS[encoded(-level)] == level
        assert encoded(level if code >= 0x80 else -level) == code or level == 0
    assert LEVELS[encoded(32_767)] == max(LEVELS)
