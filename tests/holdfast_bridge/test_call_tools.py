"""Tools of a call: a turn has so many, a model that only calls them ends, and results outlive whoever asked."""

from __future__ import annotations

from bridge_core import TENTH, Drive, asked, of, raised

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.toolbox import ANSWER_NOW, TOOLS_PER_TURN

READY = ev.ProviderReady()
TOO_MANY = '{"error":"too many tools in one turn"}'


def in_conversation(attempts: int = 2, **changes: object) -> Drive:
    call = Drive(greeting="", attempts=attempts, **changes)
    call.say(READY, at=0.0)
    call.turn("u", "what is the weather", at=0.5)
    return call


def calls_tool(call: Drive, number: int, *, at: float, name: str = "look") -> list[ev.Effect]:
    """The model answers with nothing but a tool, whose result comes at once."""
    out = call.say(ev.ResponseStarted(), ev.ToolCall(f"c{number}", name, "{}"), ev.ResponseDone(ok=True), at=at)
    for run in of(ev.RunTool, out):
        out += call.say(ev.ToolResult(run.id, "rain"), at=at)  # type: ignore[attr-defined]
    return out


def for_ever(call: Drive, *, until_s: float = 60.0) -> list[ev.Effect]:
    """A model of every provider that does nothing but call tools, ten times a second, however it is asked."""
    out: list[ev.Effect] = []
    for number in range(int(until_s * 10)):
        at = 1.0 + number / 10
        new = calls_tool(call, number, at=at)
        out += new
        if of(ev.EndCall, new):
            break
        if of(ev.ConnectProvider, new):
            out += call.say(READY, at=at + 0.05)
    return out


def test_after_the_last_tool_of_a_turn_the_model_is_told_to_answer() -> None:
    call = in_conversation()
    for number in range(TOOLS_PER_TURN):
        assert asked(calls_tool(call, number, at=1.0)) == [None]
    out = calls_tool(call, 8, at=2.0)
    assert of(ev.ToolOutput, out) == [ev.ToolOutput("c8", TOO_MANY)]
    assert asked(out) == [ANSWER_NOW]


def test_a_model_that_answers_when_it_is_told_to_is_heard_and_has_its_tools_again_in_the_next_turn() -> None:
    call = in_conversation()
    for number in range(TOOLS_PER_TURN + 1):
        calls_tool(call, number, at=1.0)
    marks = call.line("a", "It rains.", tenths=2, at=2.0)
    assert marks
    call.heard(marks, at=2.5)
    call.turn("v", "and tomorrow", at=3.0)
    assert of(ev.RunTool, calls_tool(call, 20, at=3.5))


def test_many_tools_at_once_are_one_answer_of_the_model_and_it_is_reminded_once() -> None:
    call = in_conversation()
    asked_for = [ev.ToolCall(f"c{number}", "look", "{}") for number in range(12)]
    out = call.say(ev.ResponseStarted(), *asked_for, ev.ResponseDone(ok=True), at=1.0)
    for run in of(ev.RunTool, out):
        out += call.say(ev.ToolResult(run.id, "rain"), at=1.1)  # type: ignore[attr-defined]
    assert (len(of(ev.RunTool, out)), asked(out)) == (8, [ANSWER_NOW])
    assert of(ev.ConnectProvider, out) == []


def test_a_provider_that_only_calls_tools_is_left_for_one_that_answers_and_knows_what_they_told() -> None:
    call = in_conversation()
    out: list[ev.Effect] = []
    for number in range(20):
        out += calls_tool(call, number, at=1.0 + number / 10)
        if of(ev.ConnectProvider, out):
            break
    assert len(of(ev.RunTool, out)) == TOOLS_PER_TURN
    assert asked(out) == [None] * TOOLS_PER_TURN + [ANSWER_NOW] * 2
    assert of(ev.ConnectProvider, out) == [ev.ConnectProvider(1, blame=False)]
    out = call.say(READY, at=4.0)
    [seeds] = of(ev.SeedConversation, out)
    assert [seed.output for seed in seeds.items if isinstance(seed, ev.SeedTool)] == ["rain"] * 8  # type: ignore[attr-defined]
    assert asked(out) == [None]
    assert call.line("a", "It rains.", tenths=2, at=4.2), "the caller has an answer"


def test_where_every_provider_only_calls_tools_the_call_is_given_back_to_the_carrier() -> None:
    """Which asks another region, and has an apology spoken in the end: no caller waits an hour in silence."""
    for attempts in (1, 2, 3):
        out = for_ever(in_conversation(attempts))
        assert of(ev.EndCall, out) == [ev.EndCall(ev.End.NO_PROVIDER, over=False, hang_up=False)]
        assert len(of(ev.RunTool, out)) == TOOLS_PER_TURN, "the next provider has no more tools in the same turn"


def test_a_provider_that_goes_on_by_itself_when_it_is_refused_is_left_as_well() -> None:
    call = in_conversation()
    out = call.say(ev.ResponseStarted(), at=1.0)
    for number in range(40):
        out += call.say(ev.ToolCall(f"c{number}", "rm", "{}"), at=1.0 + number / 10)
        if of(ev.ConnectProvider, out):
            break
    assert of(ev.ConnectProvider, out) == [ev.ConnectProvider(1, blame=False)]


def test_keys_begin_a_turn_too() -> None:
    call = in_conversation()
    for number in range(TOOLS_PER_TURN):
        calls_tool(call, number, at=1.0)
    call.line("a", "Press one for more.", tenths=1, at=2.0)
    call.say(ev.CallerDtmf("1"), at=3.0)
    call.tick(4.6)
    assert of(ev.RunTool, calls_tool(call, 20, at=5.0))


def test_a_repeated_question_is_asked_anew() -> None:
    """Whether something is done by now is a question that a model asks twice."""
    call = in_conversation()
    assert of(ev.RunTool, calls_tool(call, 1, at=1.0))
    assert of(ev.RunTool, calls_tool(call, 2, at=1.5))


# Results outlive whoever asked for them.


def test_a_result_that_comes_while_no_provider_is_there_is_told_to_the_next_one() -> None:
    call = in_conversation()
    [run] = of(ev.RunTool, call.say(ev.ResponseStarted(), ev.ToolCall("c", "book", "{}"), at=1.0))
    call.say(ev.ProviderLost("server", retry_same=False), at=1.1)
    assert of(ev.ToolOutput, call.say(ev.ToolResult(run.id, "B1001"), at=1.2)) == []  # type: ignore[attr-defined]
    out = call.say(READY, at=1.4)
    [seeds] = of(ev.SeedConversation, out)
    assert seeds.items[-1] == ev.SeedTool("1.1.c", "book", "{}", "B1001")  # type: ignore[attr-defined]
    assert asked(out) == [None]


def test_results_of_two_providers_are_all_told_to_the_third() -> None:
    call = in_conversation(3)
    calls_tool(call, 1, at=1.0, name="book")
    call.say(ev.ProviderLost("server", retry_same=False), at=1.1)
    call.say(READY, at=1.3)
    calls_tool(call, 1, at=1.5, name="look")
    call.say(ev.ProviderLost("server", retry_same=False), at=1.6)
    [seeds] = of(ev.SeedConversation, call.say(READY, at=1.8))
    told = [seed for seed in seeds.items if isinstance(seed, ev.SeedTool)]  # type: ignore[attr-defined]
    assert [(seed.id, seed.name) for seed in told] == [("1.1.c1", "book"), ("1.2.c1", "look")]


def test_a_result_outlives_a_hand_over_and_then_a_failover() -> None:
    call = in_conversation()
    calls_tool(call, 1, at=1.0, name="book")
    heir = Drive(greeting="", attempts=2, epoch=2, resumed=raised(call.record))
    heir.say(READY, at=0.1)
    heir.say(ev.ResponseStarted(), ev.ProviderAudio("a", TENTH), at=0.2)
    heir.say(ev.ProviderLost("server", retry_same=False), at=0.3)
    [seeds] = of(ev.SeedConversation, heir.say(READY, at=0.5))
    assert ev.SeedTool("1.1.c1", "book", "{}", "rain") in seeds.items  # type: ignore[attr-defined]
    assert of(ev.RunTool, heir.all) == [], "and nobody books twice"


def test_a_result_of_the_lost_owner_that_never_came_is_not_mistaken_for_one_of_the_heir() -> None:
    """Two provider sessions may use one id; the owner's epoch and the link's number tell their tools apart."""
    call = in_conversation()
    call.say(ev.ResponseStarted(), ev.ToolCall("c1", "book", "{}"), at=1.0)
    heir = Drive(greeting="", epoch=2, resumed=raised(call.record))
    heir.say(READY, at=0.1)
    heir.turn("v", "then do it again", at=1.0)
    [run] = of(ev.RunTool, heir.say(ev.ResponseStarted(), ev.ToolCall("c1", "book", "{}"), at=1.5))
    assert run.id == "2.1.c1"  # type: ignore[attr-defined]
    heir.say(ev.ToolResult("2.1.c1", "B1002"), at=1.6)
    assert {tool.id: tool.state for tool in heir.record.tools} == {"1.1.c1": "asked", "2.1.c1": "done"}
