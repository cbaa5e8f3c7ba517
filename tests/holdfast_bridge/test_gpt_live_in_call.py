"""GPT-Live as a call sees it: what the call's deadlines and its care for the caller's words make of it."""

from __future__ import annotations

from typing import get_args

from bridge_core import Drive, asked, of
from provider_gpt_live import SILENCE, SOUND, Live

from holdfast_bridge.core import events as ev

FRAME = ev.CallerAudio(b"\x01" * 160)
ANOTHER = ev.ConnectProvider(1)


class Talk:
    """A call and the codec of its provider, which hear each other; ten pieces of sound are a second."""

    def __init__(self, **plan: object) -> None:
        self.live, self.call = Live(), Drive(attempts=2, **plan)
        self.at = 0.1
        self.tell(*self.live.ready)

    def tell(self, *events: ev.Event) -> list[ev.Effect]:
        told: list[ev.Effect] = []
        for event in events:
            told += self._passed_on(self.call.say(event, at=self.at))
        return told

    def sounds(self, *chunks: bytes) -> list[ev.Effect]:
        told: list[ev.Effect] = []
        for chunk in chunks:
            self.at += 0.1
            due = self.call.core.get_timer()
            if due is not None and due <= self.at:
                told += self._passed_on(self.call.tick(self.at))
            told += self.tell(*self.live.sounds(chunk))
        return told

    def line(self, text: str) -> None:
        """Half a second of speech, heard to its end."""
        out = self.sounds(*[SOUND] * 5)
        self.tell(*self.live.agent(text))
        out += self.sounds(*[SILENCE] * 8)
        self.tell(*(ev.CallerMark(effect.name) for effect in out if isinstance(effect, ev.SendMark)))

    def _passed_on(self, effects: list[ev.Effect]) -> list[ev.Effect]:
        for effect in effects:
            if isinstance(effect, get_args(ev.ToProvider)):
                self.live.sent(effect)
        return effects

    @property
    def items(self) -> list[tuple[str, str]]:
        return [(item.role, item.text) for item in self.call.record.items]


def test_a_call_takes_it_for_a_provider_like_any_other() -> None:
    talk = Talk(greeting="Hello!")
    assert asked(talk.call.all) == ["Say exactly: Hello!"]
    talk.line("Hello!")
    talk.tell(*talk.live.caller("book a table"))
    talk.sounds(*[SILENCE] * 8)
    talk.live.asks("c1")
    assert talk.tell(*talk.live.inner("response.completed")) == [ev.RunTool("1.1.c1", "book", "{}")]
    talk.sounds(*[SILENCE] * 30)
    assert talk.tell(ev.ToolResult("1.1.c1", "B7")) == [ev.ToolOutput("c1", "B7"), ev.Respond()]
    talk.sounds(*[SILENCE] * 50)
    talk.line("Booked, B7.")
    assert talk.items == [("assistant", "Hello!"), ("user", "book a table"), ("assistant", "Booked, B7.")]
    talk.sounds(*[SILENCE] * 200)
    assert ANOTHER not in talk.call.all
    assert talk.call.core.silent()


def test_a_tool_that_is_called_before_the_turn_is_over_has_its_time() -> None:
    talk = Talk(greeting="")
    talk.tell(*talk.live.caller("book a table"))
    talk.sounds(*[SILENCE] * 3)
    talk.live.asks("c1")
    talk.tell(*talk.live.inner("response.completed"))
    talk.sounds(*[SILENCE] * 30)
    talk.tell(ev.ToolResult("1.1.c1", "B7"))
    talk.line("Booked, B7.")
    assert talk.items == [("user", "book a table"), ("assistant", "Booked, B7.")]
    assert ANOTHER not in talk.call.all


def test_a_call_that_the_model_leaves_in_silence_is_not_torn_from_it() -> None:
    talk = Talk(greeting="")
    talk.tell(*talk.live.caller("one moment, I am looking for it"))
    talk.sounds(*[SILENCE] * 300)
    assert ANOTHER not in talk.call.all


def test_a_greeting_may_come_later_than_that_of_other_vendors() -> None:
    talk = Talk(greeting="Hello!")
    talk.sounds(*[SILENCE] * 28)
    talk.line("Hello!")
    assert ANOTHER not in talk.call.all
    assert talk.items == [("assistant", "Hello!")]


def test_a_greeting_that_does_not_come_is_said_by_the_next_provider() -> None:
    talk = Talk(greeting="Hello!")
    talk.sounds(*[SILENCE] * 30)
    assert ANOTHER in talk.call.all
    assert asked(talk.call.say(ev.ProviderReady(), at=4.0)) == ["Say exactly: Hello!"]


def test_a_vendor_that_is_mute_is_held_to_the_deadline_of_every_other() -> None:
    talk = Talk(greeting="Hello!")
    assert ANOTHER in talk.call.tick(0.1 + 1.8)


def test_words_that_were_understood_are_known_when_the_provider_goes_right_after_them() -> None:
    talk = Talk(greeting="")
    talk.tell(FRAME, *talk.live.caller("my code is 4711"), FRAME)
    talk.sounds(*[SILENCE] * 8)
    talk.tell(ev.ProviderLost("server", retry_same=False))
    out = talk.call.say(ev.ProviderReady(), at=3.0)
    [seeded] = of(ev.SeedConversation, out)
    assert seeded == ev.SeedConversation((ev.SeedText("user", "my code is 4711"),))
    assert of(ev.AppendAudio, out) == []
    assert asked(out) == [None], "it is answered at once"


def test_words_that_were_half_understood_are_said_again_to_the_next_provider() -> None:
    talk = Talk(greeting="")
    talk.tell(FRAME, *talk.live.caller("my co"), FRAME)
    talk.sounds(*[SILENCE] * 7)
    talk.tell(ev.ProviderLost("server", retry_same=False))
    out = talk.call.say(ev.ProviderReady(), at=3.0)
    assert of(ev.SeedConversation, out) == []
    assert len(of(ev.AppendAudio, out)) == 2


def test_words_whose_answer_has_begun_are_known_before_their_turn_is_over() -> None:
    talk = Talk(greeting="")
    talk.tell(FRAME, *talk.live.caller("my code is 4711"))
    talk.sounds(SILENCE, SOUND)
    talk.tell(ev.ProviderLost("server", retry_same=False))
    [seeded] = of(ev.SeedConversation, talk.call.say(ev.ProviderReady(), at=3.0))
    assert seeded.items[0] == ev.SeedText("user", "my code is 4711")  # type: ignore[attr-defined]


def test_an_uh_huh_stops_no_line_and_a_word_that_the_model_yields_to_does() -> None:
    talk = Talk(greeting="")
    talk.sounds(*[SOUND] * 3)
    talk.tell(*talk.live.agent("The line"))
    talk.sounds(*[SOUND] * 2)
    talk.tell(*talk.live.caller("mhm"))
    assert of(ev.ClearCarrier, talk.sounds(*[SOUND] * 10)) == []
    talk.tell(*talk.live.caller("no, stop"))
    assert of(ev.ClearCarrier, talk.sounds(SILENCE, SILENCE)) == [ev.ClearCarrier()]


def test_a_backend_that_fails_makes_room_for_the_next_provider() -> None:
    talk = Talk(greeting="")
    talk.tell(*talk.live.caller("book a table"))
    talk.sounds(*[SILENCE] * 8)
    talk.tell(*talk.live.inner("response.failed", response={"error": {"code": "server_error"}}))
    assert of(ev.ConnectProvider, talk.call.all)[1:] != []


def test_a_goodbye_without_a_word_is_asked_for() -> None:
    talk = Talk(greeting="")
    talk.tell(*talk.live.caller("that is all"))
    talk.sounds(*[SILENCE] * 8)
    talk.live.asks("c1", "end_call")
    out = talk.tell(*talk.live.inner("response.completed"))
    assert of(ev.ToolOutput, out) == [ev.ToolOutput("c1", "{}")]
    assert asked(out) == ["Say a short goodbye to the caller. Call no tool."]
    talk.line("Goodbye.")
    assert of(ev.EndCall, talk.call.all) == [ev.EndCall(ev.End.AGENT_HUNG_UP, over=True, hang_up=True)]
