"""The simulated mind: what it answers in each of its languages, from nothing but the conversation it is given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_gameday.world import openai_model
from holdfast_gameday.world.openai_model import Call, Say

BOOK = {
    "type": "function", "name": "book",
    "parameters": {"type": "object", "properties": {"wish": {"type": "string"}}, "required": ["wish"]},
}  # fmt: skip
END_CALL = {"type": "function", "name": "end_call", "parameters": {"type": "object", "properties": {}}}


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def agent(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": text}]}


def done(output: str) -> list[dict[str, Any]]:
    call = {"type": "function_call", "call_id": "c", "name": "book", "arguments": "{}"}
    return [call, {"type": "function_call_output", "call_id": "c", "output": output}]


def answer(*items: dict[str, Any], instructions: str | None = None) -> tuple[openai_model.Output, ...]:
    return openai_model.answer(items, instructions=instructions, tools=[BOOK, END_CALL])


@pytest.mark.parametrize(
    ("told", "asked", "known", "unknown"),
    [
        ("my code is 4711, please remember it", "What's my code?", "your code is 4711", "I do not know your code"),
        ("mein Code ist 4711, bitte merken Sie sich das", "Wie lautet mein Code?", "Ihr Code ist 4711",
         "Ihren Code weiß ich nicht"),
        ("私の番号は4711です、覚えておいてください", "私の番号は何ですか", "番号は4711です", "番号はわかりません"),
    ],
)  # fmt: skip
def test_a_code_is_known_when_it_was_told_in_whatever_language(
    told: str, asked: str, known: str, unknown: str
) -> None:
    assert answer(user(told), agent("…"), user(asked)) == (Say(known),)
    assert answer(user(asked), agent("…"), user(asked)) == (Say(unknown),)
    assert answer(user("my code is 4711"), user("mein Code ist 4711"), user(asked)) == (Say(known),)
    assert answer(user("my code is 1"), user(told), user("私の番号は何ですか"), user(asked)) == (Say(known),)


@pytest.mark.parametrize(
    ("wish", "understood", "booked"),
    [
        ("please book a table for 4711", "a table for 4711", "booked B7"),
        ("Buchen Sie einen Tisch für 4711", "einen Tisch für 4711", "gebucht: B7"),
        ("予約をお願いします、4711です", "お願いします、4711です", "予約しました、B7"),
    ],
)
def test_a_tool_is_called_with_the_wish_and_its_result_is_told_in_the_callers_language(
    wish: str, understood: str, booked: str
) -> None:
    [call] = answer(user(wish))
    assert isinstance(call, Call)
    assert (call.name, json.loads(call.arguments)) == ("book", {"wish": understood})
    for output in ('{"booking": "B7"}', '{"result": "B7"}', '"B7"', "B7"):
        assert answer(user(wish), *done(output)) == (Say(booked),)


@pytest.mark.parametrize(
    ("said", "farewell"),
    [("goodbye", "goodbye"), ("Auf Wiederhören!", "auf Wiederhören"), ("さようなら", "さようなら")],
)
def test_a_farewell_is_said_before_the_call_is_ended(said: str, farewell: str) -> None:
    assert answer(user(said)) == (Say(farewell), Call("end_call", "{}"))


@pytest.mark.parametrize(
    ("said", "echoed"),
    [
        ("good morning", "you said: good morning"),
        ("bitte wiederholen Sie das", "Sie sagten: bitte wiederholen Sie das"),
        ("もう一度", "こうおっしゃいました、もう一度"),
    ],
)
def test_whatever_else_is_said_is_repeated(said: str, echoed: str) -> None:
    assert openai_model.echo(said) == echoed
    assert answer(user(said)) == (Say(echoed),)


def test_words_given_to_the_letter_go_before_all_else_in_every_language() -> None:
    for instructions in (
        "Be kind.\n\nSay exactly: Grüezi, はい.",
        "Be kind.\n\nSay this in the language 'ja', and nothing else: Grüezi, はい.",
    ):
        assert answer(user("what is my code"), instructions=instructions) == (Say("Grüezi, はい."),)


@pytest.mark.parametrize(
    ("said", "heard", "rest"),
    [
        ("please go on with it", "you said: please", "go on with it"),
        ("bitte reden Sie weiter", "Sie sagten: bitte", "reden Sie weiter"),
        ("つづけてください", "こうおっしゃいました、つづ", "けてください"),
    ],
)
def test_told_to_go_on_it_says_what_was_not_heard_of_its_answer(said: str, heard: str, rest: str) -> None:
    items = user(said), agent(heard)
    assert answer(*items, instructions="Be kind.\n\nGo on where the caller stopped hearing you.") == (Say(rest),)
