"""What was said, what of it was heard, and what the next provider is told."""

from __future__ import annotations

import pytest

from holdfast_bridge.core.conversation import Conversation, split
from holdfast_bridge.core.events import SeedText, SeedTool
from holdfast_bridge.core.journal import MAX_ITEMS, MAX_TEXT, Item, ToolUse

NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("heard_ms", "audio_ms", "heard", "rest"),
    [
        (0, 1000, "", "one two three four"),
        (500, 1000, "one two", "three four"),
        (999, 1000, "one two three", "four"),
        (1000, 1000, "one two three four", ""),
        (0, None, "", "one two three four"),
        (0, 0, "", "one two three four"),
        (300, None, "one two three four", ""),
    ],
)
def test_a_word_in_doubt_counts_as_not_heard(heard_ms: int, audio_ms: int | None, heard: str, rest: str) -> None:
    assert split(Item("a", "assistant", "one two three four", heard_ms, audio_ms)) == (heard, rest)


@pytest.mark.parametrize(
    ("text", "heard", "rest"),
    [
        ("窓側の席を予約したい", "窓側の席を", "予約したい"),
        ("ขอจองโต๊ะ", "ขอจอ", "งโต๊ะ"),
        # A line that mixes both is cut where it stands: within a word of ours it goes back to its beginning.
        ("予約は Friday です", "予約は", "Friday です"),
    ],
)
def test_a_language_without_spaces_is_cut_after_any_letter(text: str, heard: str, rest: str) -> None:
    assert split(Item("a", "assistant", text, 500, 1000)) == (heard, rest)


def test_the_length_of_a_line_in_the_making_is_guessed_from_earlier_ones() -> None:
    talk = Conversation()
    talk.agent_text("a", "ten chars!", final=True)
    talk.measure("a", heard_ms=1000, sent_ms=1000, all_sent=True)
    assert "a" not in talk.open
    talk.agent_text("b", "ten chars and ten more", final=False)
    talk.measure("b", heard_ms=400, sent_ms=800, all_sent=False)
    assert talk.items[-1].audio_ms == 2200


def test_a_line_that_the_caller_answered_is_not_taken_up_again() -> None:
    talk = Conversation((Item("a", "assistant", "one two", 0, 1000, True), Item("u", "user", "stop", final=True)))
    taken = talk.take_up(repeatable=NONE)
    assert taken.rest == ""
    assert taken.answer_due


def test_words_whose_text_never_came_are_known_to_be_lost() -> None:
    talk = Conversation()
    talk.user_turn("u")
    taken = talk.take_up(repeatable=NONE)
    assert taken.words_lost
    assert not taken.answer_due


def test_tools_are_told_where_they_were_called() -> None:
    talk = Conversation(
        (Item("u", "user", "book", final=True), Item("a", "assistant", "done", 10, 10, True)),
        (ToolUse("t", "book", "{}", "done", "7", after="u"), ToolUse("s", "look", "{}", "done", "8", after="gone")),
    )
    assert talk.take_up(repeatable=NONE).seeds == (
        SeedTool("s", "look", "{}", "8"),
        SeedText("user", "book"),
        SeedTool("t", "book", "{}", "7"),
        SeedText("assistant", "done"),
    )


def test_a_lost_tool_without_side_effects_may_be_called_again() -> None:
    talk = Conversation((), (ToolUse("s", "look", "{}"),))
    assert [tool.id for tool in talk.ask_about_intents()] == ["s"]
    [seed] = talk.take_up(repeatable=frozenset({"look"})).seeds
    assert isinstance(seed, SeedText)
    assert "may be called again" in seed.text
    assert talk.ask_about_intents() == ()


def test_a_result_is_taken_once() -> None:
    talk = Conversation()
    talk.tool_intent("t", "book", "{}")
    assert talk.tool_done("t", "7")
    assert not talk.tool_done("t", "8")
    assert not talk.tool_done("never", "8")


def test_an_hour_of_talk_and_an_endless_line_stay_bounded() -> None:
    talk = Conversation()
    for number in range(1000):
        talk.user_text(f"u{number}", "hi", final=True)
    assert MAX_ITEMS <= len(talk.items) <= 2 * MAX_ITEMS
    for _ in range(100):
        talk.agent_text("a", "x" * 100, final=False)
    assert len(talk.items[-1].text) == MAX_TEXT
