"""The caller's words that no provider has understood, and speech that nobody noticed."""

from __future__ import annotations

from holdfast_bridge.core.unheard import Deaf, Unheard

LOUD, QUIET = b"\x10" * 160, b"\xff" * 160


def frames(count: int, start: int = 0) -> list[bytes]:
    """Each its own, and none of them loud."""
    return [bytes([number % 256]) for number in range(start, start + count)]


def heard(unheard: Unheard, count: int, start: int = 0) -> None:
    for frame in frames(count, start):
        unheard.frame(frame)


def listens(unheard: Unheard, frame: bytes, count: int) -> list[Deaf]:
    return [deaf for _ in range(count) if (deaf := unheard.frame(frame)) is not None]


def again(unheard: Unheard) -> list[bytes]:
    """What the next provider is told when this one is lost now."""
    unheard.hold()
    return unheard.release()


def test_silence_is_not_said_again() -> None:
    unheard = Unheard()
    heard(unheard, 40)
    assert not unheard.hold()
    assert unheard.release() == []


def test_words_are_said_again_with_the_300_ms_before_they_were_noticed() -> None:
    unheard = Unheard()
    heard(unheard, 40)
    unheard.speech_started()
    heard(unheard, 10, 40)
    assert unheard.hold()
    assert unheard.release() == frames(25, 25)


def test_what_is_said_while_nobody_listens_is_said_to_the_next_one() -> None:
    unheard = Unheard()
    heard(unheard, 40)
    unheard.hold()
    heard(unheard, 5, 40)
    assert unheard.release() == frames(5, 40)
    assert again(unheard) == [], "there were no words in it"


def test_words_stay_open_until_a_provider_has_dealt_with_them() -> None:
    unheard = Unheard()
    unheard.speech_started()
    heard(unheard, 10)
    assert again(unheard) == frames(10)
    assert again(unheard) == frames(10), "the next one died over them, too"
    unheard.dealt_with()
    assert again(unheard) == []


def test_words_that_were_understood_are_not_said_again() -> None:
    unheard = Unheard()
    unheard.speech_started()
    heard(unheard, 10)
    unheard.dealt_with()
    heard(unheard, 10)
    assert again(unheard) == []


def test_no_more_than_three_seconds_are_kept() -> None:
    unheard = Unheard()
    unheard.speech_started()
    heard(unheard, 200)
    assert again(unheard) == frames(150, 50)


def test_a_second_start_within_one_turn_forgets_nothing() -> None:
    unheard = Unheard()
    unheard.speech_started()
    heard(unheard, 60)
    unheard.speech_started()
    heard(unheard, 10, 60)
    assert len(again(unheard)) == 70


def test_speech_that_no_provider_noticed_is_said_again_all_the_same() -> None:
    unheard = Unheard()
    listens(unheard, QUIET, 40)
    listens(unheard, LOUD, 20)
    assert again(unheard) == [QUIET] * 9 + [LOUD] * 20


def test_a_sentence_that_nobody_noticed_by_the_end_of_a_pause_was_spoken_to_a_deaf_one() -> None:
    unheard = Unheard()
    assert listens(unheard, LOUD, 40) == []
    assert listens(unheard, QUIET, 99) == []
    assert listens(unheard, QUIET, 1) == [Deaf.SURELY]
    assert listens(unheard, QUIET, 300) == [], "it is said once"


def test_a_word_that_nobody_noticed_may_have_been_a_cough() -> None:
    unheard = Unheard()
    listens(unheard, LOUD, 12)
    assert listens(unheard, QUIET, 100) == [Deaf.PERHAPS]


def test_a_click_proves_nothing() -> None:
    unheard = Unheard()
    listens(unheard, LOUD, 11)
    assert listens(unheard, QUIET, 200) == []
    assert again(unheard)[-1:] == [QUIET], "but it may have been the beginning of a word"


def test_a_provider_that_says_anything_is_not_deaf() -> None:
    unheard = Unheard()
    listens(unheard, LOUD, 60)
    unheard.noticed()
    assert listens(unheard, QUIET, 200) == []


def test_one_that_notices_the_beginning_and_then_nothing_more_is_deaf() -> None:
    unheard = Unheard()
    listens(unheard, LOUD, 10)
    unheard.speech_started()
    unheard.noticed()
    listens(unheard, LOUD, 50)
    assert listens(unheard, QUIET, 100) == [Deaf.SURELY]


def test_noise_without_a_pause_proves_nothing() -> None:
    unheard = Unheard()
    assert listens(unheard, LOUD, 3_000) == []


def test_of_a_provider_that_does_not_say_what_it_hears_silence_proves_nothing() -> None:
    unheard = Unheard()
    unheard.attentive = False
    listens(unheard, LOUD, 60)
    assert listens(unheard, QUIET, 200) == []
    assert len(again(unheard)) == 150, "but the words are said again when it is lost"
