"""What was said and done, in the turns that language models demand."""

from __future__ import annotations

import pytest

from holdfast_bridge.core import stages as st
from holdfast_bridge.core.events import Seed, SeedText, SeedTool
from holdfast_bridge.providers import history, openai_items
from holdfast_bridge.providers.history import Called, Note, Returned, Said, Turn


def turns(*seeds: Seed, asked: str | None = None) -> list[Turn]:
    return history.turns(st.Thought(instructions="Be kind.", history=seeds, asked=asked))


def caller(*parts: history.Part) -> Turn:
    return Turn(True, parts)


def agent(*parts: history.Part) -> Turn:
    return Turn(False, parts)


def test_a_conversation_alternates_and_texts_of_one_side_share_a_turn() -> None:
    seeds = (SeedText("user", "hi"), SeedText("user", "there"), SeedText("assistant", "yes?"), SeedText("user", "bye"))
    assert turns(*seeds) == [caller(Said("hi"), Said("there")), agent(Said("yes?")), caller(Said("bye"))]


def test_where_the_agent_began_the_call_begins_first() -> None:
    began = caller(Said("(the call begins)"))
    assert turns(SeedText("assistant", "hello"), SeedText("user", "hi")) == [
        began, agent(Said("hello")), caller(Said("hi"))
    ]  # fmt: skip


def test_a_call_in_which_nothing_was_said_has_a_turn_of_the_callers() -> None:
    assert turns() == [caller(Said("(the call begins)"))]
    assert turns(asked="Say exactly: hello") == [caller(Said("(the call begins)"), Note("Say exactly: hello"))]


def test_what_is_asked_comes_last_beside_the_callers_words() -> None:
    assert turns(SeedText("user", "hi"), asked="Be brief.") == [caller(Said("hi"), Note("Be brief."))]
    assert turns(SeedText("user", "hi"), SeedText("assistant", "yes"), asked="Go on.")[-1] == caller(Note("Go on."))


def test_the_agent_never_has_the_last_turn() -> None:
    assert turns(SeedText("user", "hi"), SeedText("assistant", "yes"))[-1] == caller(
        Said("(the caller waits for you to go on)")
    )


def test_a_tools_call_and_its_result_stand_side_by_side_under_an_id_that_every_vendor_takes() -> None:
    seeds = (
        SeedText("user", "book"), SeedText("assistant", "one moment"),
        SeedTool("2.1.functions.book:0", "book", '{"wish":"a table"}', "B1"), SeedTool("call_9", "look", "", "B2"),
        SeedText("user", "thanks"),
    )  # fmt: skip
    assert turns(*seeds) == [
        caller(Said("book")),
        agent(Said("one moment"), Called("call00001", "book", '{"wish":"a table"}')),
        caller(Returned("call00001", "B1")),
        agent(Called("call00002", "look", "{}")),
        caller(Returned("call00002", "B2"), Said("thanks")),
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("{", '{"input":"{"}'), ("[1]", '{"input":[1]}'), ("null", '{"input":null}'), ("", "{}"),
        ('{"a":"ü"}', '{"a":"ü"}'), ('{"a":1e999}', '{"input":"{\\"a\\":1e999}"}'),
        ("[" * 5_000, '{"input":"' + "[" * 5_000 + '"}'),
    ],
)  # fmt: skip
def test_arguments_that_are_no_object_are_put_into_one(arguments: str, expected: str) -> None:
    assert turns(SeedTool("c", "book", arguments, "7"))[1] == agent(Called("call00001", "book", expected))


def test_a_tool_called_by_an_impossible_name_or_without_output_does_not_spoil_the_history() -> None:
    [_, called, returned] = turns(SeedTool("c", "bücher.suchen " + "x" * 80, "{}", " "))
    assert called == agent(Called("call00001", "b_cher_suchen_" + "x" * 50, "{}"))
    assert returned == caller(Returned("call00001", "(no output)"))


def test_blank_texts_are_left_out_and_others_trimmed() -> None:
    assert turns(SeedText("user", " hi \n"), SeedText("assistant", " \n"), SeedText("user", "")) == [
        caller(Said("hi"))
    ]


def test_what_the_model_has_to_know_is_no_words_of_the_callers() -> None:
    assert turns(SeedText("system", "A tool failed."), SeedText("user", "hi")) == [
        caller(Said("(the call begins)"), Note("A tool failed."), Said("hi"))
    ]
    assert history.remark(Note("Be brief.")) == "[Not said by the caller, but an instruction to you]\nBe brief."


def test_words_and_tools_can_be_kept_apart_for_models_that_want_it() -> None:
    mixed = turns(
        SeedText("user", "book"), SeedText("assistant", "one moment"), SeedTool("c", "book", "{}", "B1"), asked="Go on."
    )
    called, returned = Called("call00001", "book", "{}"), Returned("call00001", "B1")
    assert history.apart(mixed) == [
        caller(Said("book")), agent(Said("one moment")), caller(Said("(the caller waits for you to go on)")),
        agent(called), caller(returned), agent(Said("(noted)")), caller(Note("Go on.")),
    ]  # fmt: skip


def test_the_call_can_always_be_ended_in_the_words_of_the_other_providers() -> None:
    wish = {"type": "object", "properties": {"wish": {"type": "string"}}}
    book, hang_up = st.Tool("book", "Books.", wish), st.Tool(history.END_CALL_TOOL.name, "Another.", wish)
    offered = history.tools(st.Thought(instructions="", history=(), tools=(book, hang_up)))
    assert offered == [book, history.END_CALL_TOOL]
    ours = history.END_CALL_TOOL
    theirs = {"type": "function", "name": ours.name, "description": ours.description, "parameters": ours.parameters}
    assert theirs == openai_items.END_CALL_TOOL


def test_a_tool_that_takes_nothing_takes_an_object_without_fields() -> None:
    bare, typed = st.Tool("look", "Looks.", {}), st.Tool("book", "Books.", {"type": "object", "required": []})
    offered = history.tools(st.Thought(instructions="", history=(), tools=(bare, typed)))
    assert [tool.parameters for tool in offered[:2]] == [
        {"type": "object", "properties": {}}, {"type": "object", "properties": {}, "required": []}
    ]  # fmt: skip
