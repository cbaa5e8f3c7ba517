"""What a caller keeps when the provider of his call goes: the words that nobody understood, and the floor."""

from __future__ import annotations

from bridge_core import TENTH, Drive, asked, of

from holdfast_bridge.core import events as ev

READY = ev.ProviderReady()
LOST = ev.ProviderLost("server", retry_same=False)


def frame(number: int) -> ev.CallerAudio:
    return ev.CallerAudio(bytes([number]) * 160)


def in_conversation() -> Drive:
    """Greeted, and nobody speaks."""
    call = Drive(attempts=2)
    call.say(READY, at=0.1)
    call.heard(call.line("g", "How can I help?", tenths=2, at=0.2), at=0.5)
    return call


def replayed(effects: list[ev.Effect]) -> list[int]:
    return [effect.payload[0] for effect in effects if isinstance(effect, ev.AppendAudio)]


def test_words_that_the_lost_provider_had_not_understood_are_said_to_the_next_one() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), *[frame(n) for n in range(5)], ev.SpeechStopped(), at=1.0)
    call.say(LOST, frame(5), at=1.2)
    assert replayed(call.say(READY, at=1.4)) == [0, 1, 2, 3, 4, 5]


def test_a_turn_whose_text_was_half_known_is_not_in_the_conversation_twice() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), frame(1), ev.SpeechStopped(), ev.UserTurn("u"), at=1.0)
    call.say(ev.UserTranscript("u", "my co", final=False), LOST, at=1.2)
    [seeded] = of(ev.SeedConversation, call.say(READY, at=1.4))
    assert [seed.text for seed in seeded.items] == ["How can I help?"]


def test_a_turn_that_was_understood_is_told_as_text_and_not_as_sound() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), frame(1), ev.SpeechStopped(), ev.UserTurn("u"), at=1.0)
    call.say(ev.UserTranscript("u", "my code is 4711", final=True), LOST, at=1.2)
    out = call.say(READY, at=1.4)
    assert replayed(out) == []
    assert [seed.text for seed in of(ev.SeedConversation, out)[0].items][-1] == "my code is 4711"
    assert asked(out) == [None], "it is answered at once"


def test_words_whose_answer_is_being_heard_are_not_said_again() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), frame(1), ev.SpeechStopped(), ev.UserTurn("u"), at=1.0)
    call.say(ev.ResponseStarted(), ev.ProviderAudio("a", TENTH), LOST, at=1.2)
    assert replayed(call.say(READY, at=1.4)) == []


def test_words_that_called_a_tool_are_not_said_again() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), frame(1), ev.SpeechStopped(), ev.UserTurn("u"), at=1.0)
    call.say(ev.ResponseStarted(), ev.ToolCall("c", "book", "{}"), LOST, at=1.2)
    assert replayed(call.say(READY, at=1.4)) == []


def test_while_a_tool_runs_the_next_provider_is_not_asked_to_speak_before_its_result() -> None:
    call = in_conversation()
    call.turn("u", "book a table", at=1.0)
    [run] = of(ev.RunTool, call.say(ev.ResponseStarted(), ev.ToolCall("c", "book", "{}"), at=1.2))
    call.say(ev.ResponseDone(ok=True), LOST, at=1.3)
    assert asked(call.say(READY, at=1.5)) == [], "asked now, it would call the tool again"
    out = call.say(ev.ToolResult(run.id, "B1001"), at=1.8)
    assert of(ev.SeedConversation, out) == [ev.SeedConversation((ev.SeedTool(run.id, "book", "{}", "B1001"),))]
    assert asked(out) == [None]


def test_a_provider_that_has_to_be_told_the_past_at_once_is_told_what_was_heard() -> None:
    call = in_conversation()
    call.turn("u", "tell me more", at=1.0)
    call.say(ev.ResponseStarted(), ev.ProviderTranscript("a", "Once upon a time", final=True), at=1.2)
    call.say(*[ev.ProviderAudio("a", TENTH)] * 4, LOST, at=1.3)
    texts = [seed.text for seed in call.core.past() if isinstance(seed, ev.SeedText)]
    assert texts[:2] == ["How can I help?", "tell me more"]


def test_a_line_that_was_closed_because_its_response_failed_is_finished_by_the_next_provider() -> None:
    call = in_conversation()
    call.turn("u", "tell me more", at=1.0)
    call.say(ev.ResponseStarted(), ev.ProviderTranscript("a", "Once upon", final=True), at=1.2)
    call.say(ev.ProviderAudio("a", TENTH), ev.ProviderAudioDone("a"), at=1.2)
    call.say(ev.ResponseDone(ok=False, detail="server_error"), at=1.3)
    [wish] = asked(call.say(READY, at=1.5))
    assert wish is not None
    assert wish.startswith("The line was interrupted while you were speaking")


def test_a_line_before_the_response_that_failed_is_not_taken_up_again() -> None:
    call = in_conversation()
    call.turn("u", "tell me more", at=1.0)
    call.heard(call.line("a", "Once upon a time.", tenths=2, at=1.2), at=1.5)
    call.turn("u2", "and then", at=2.0)
    call.say(ev.ResponseStarted(), ev.ResponseDone(ok=False, detail="server_error"), at=2.2)
    assert asked(call.say(READY, at=2.4)) == [None]


def test_a_late_text_of_an_earlier_turn_does_not_lose_the_present_one() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), frame(1), ev.SpeechStopped(), ev.UserTurn("u"), at=1.0)
    call.say(ev.ResponseStarted(), ev.ResponseDone(ok=True), ev.SpeechStarted(), frame(2), at=2.0)
    call.say(ev.UserTranscript("u", "hello", final=True), LOST, at=2.2)
    assert replayed(call.say(READY, at=2.4))[-1] == 2


def test_no_more_than_three_seconds_are_said_again() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), *[frame(n) for n in range(200)], LOST, at=1.0)
    assert replayed(call.say(READY, at=1.4)) == list(range(50, 200))


def test_a_noise_without_words_leaves_nobody_waiting_for_an_answer() -> None:
    call = in_conversation()
    call.say(ev.SpeechStarted(), frame(1), ev.SpeechStopped(words=False), at=1.0)
    assert call.core.silent()
    assert of(ev.ConnectProvider, call.tick(9.0)) == []


def test_a_provider_that_falls_mute_in_the_middle_of_a_line_is_given_up() -> None:
    call = in_conversation()
    call.turn("u", "tell me more", at=1.0)
    call.say(ev.ResponseStarted(), ev.ProviderTranscript("a", "Once upon a time", final=False), at=1.2)
    call.say(ev.ProviderAudio("a", TENTH), at=1.3)
    assert of(ev.ConnectProvider, call.tick(2.7)) == []
    assert of(ev.ConnectProvider, call.tick(2.8)) == [ev.ConnectProvider(1)]


def test_exact_words_are_handed_to_a_provider_that_can_speak_them_by_itself() -> None:
    call = Drive()
    [wish] = of(ev.Respond, call.say(READY, at=0.1))
    assert wish == ev.Respond("Say exactly: How can I help?", words="How can I help?")


def test_a_provider_that_counts_in_words_is_told_which_were_heard() -> None:
    call = in_conversation()
    call.turn("u", "tell me more", at=1.0)
    call.say(ev.ResponseStarted(), ev.ProviderTranscript("a", "Once upon a time", final=True), at=1.2)
    out = call.say(*[ev.ProviderAudio("a", TENTH)] * 4, ev.ProviderAudioDone("a"), at=1.2)
    first, *_ = [effect.name for effect in out if isinstance(effect, ev.SendMark)]
    call.heard([first], at=1.5)
    [cut] = of(ev.Truncate, call.say(ev.SpeechStarted(), at=1.6))
    assert cut == ev.Truncate("a", 200, heard="Once")
