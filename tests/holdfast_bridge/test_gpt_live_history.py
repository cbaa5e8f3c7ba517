"""What a GPT-Live session is told of the call's past."""

from __future__ import annotations

import pytest

from holdfast_bridge.core import events as ev
from holdfast_bridge.providers import gpt_live_history as past


def said(text: str) -> ev.SeedText:
    return ev.SeedText("user", text)


def test_notes_of_one_kind_are_told_together_and_in_order() -> None:
    told = past.notes([ev.SeedText("system", "One."), ev.SeedTool("c", "look", "{}", "x"), said("hi")])
    assert [kind for kind, _ in told] == ["session.instructions.append", "session.thinking.append"]
    assert told[0][1].startswith("One.\nDone already in this call: the tool look ")
    assert told[1][1].endswith('The caller said: "hi"')


def test_a_single_long_message_does_not_push_out_the_others() -> None:
    told = past.messages([said("first"), said("x" * 50_000), said("last")])
    assert [len(message["content"][0]["text"]) for message in told] == [5, 3_000, 4]


def test_an_empty_message_is_not_sent() -> None:
    assert past.messages([said("  "), ev.SeedText("assistant", "")]) == []


@pytest.mark.parametrize(
    ("seeds", "new"),
    [
        ([said("a"), said("b")], []),
        ([said("a"), said("b"), said("c")], [said("c")]),
        ([said("a"), said("B"), said("c")], [said("B"), said("c")]),
        ([said("a")], [said("a")]),
    ],
)
def test_only_what_goes_beyond_the_history_is_new(seeds: list[ev.Seed], new: list[ev.Seed]) -> None:
    assert list(past.new(seeds, [said("a"), said("b")])) == new


@pytest.mark.parametrize("text", ["a word " * 900, "予約" * 900, "x" * 5_000, "", " word\n" * 900])
def test_nothing_is_lost_when_a_text_is_cut_and_every_piece_fits(text: str) -> None:
    pieces = past.to_say(text)
    assert all(len(piece.encode()) <= 1_500 for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_the_callers_words_are_the_last_only_if_nothing_came_after_them() -> None:
    assert past.last_said([said("hi "), said(" what? ")]) == "what?"
    assert past.last_said([said("hi"), ev.SeedTool("c", "look", "{}", "x")]) == ""
    assert past.last_said([]) == ""
