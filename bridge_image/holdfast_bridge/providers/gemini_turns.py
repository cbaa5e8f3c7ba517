"""The turns and lines of a Gemini Live session, made of messages that name neither. Pure; it knows no tools' ids.

    the server says                     what it means to a call
    inputTranscription                  the caller's turn, a piece of its words; an answer is due when he is quiet
    modelTurn                           the first of a turn: a response has begun, and with its first sound a line
    interrupted                         the caller spoke over the agent: the line and the response end here
    generationComplete                  all sound of the line has come
    toolCall                            tools, and the end of this response: their results begin another one
    turnComplete                        the end of the response
    turnComplete, and nothing before    nobody spoke to the model, or it fell silent: then the call's deadline tells

Words of either side come in any order: what the caller is said to have said, and has been quiet since the agent last
began, belongs to the turn before. A line begins with what can be heard, because there are sessions that send silence.

https://ai.google.dev/api/live
https://github.com/google-gemini/gemini-live-api-examples/issues/40 (lines of silence, and empty turns)
"""

from __future__ import annotations

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.resample import FromPcm24k
from holdfast_bridge.providers import gemini_messages as wire
from holdfast_bridge.providers.gemini_floor import Floor, audible

MAX_TEXT = 16_384


class Turns:
    def __init__(self, *, silence_ms: int, replies_to_all: bool) -> None:
        self.goes_on = False
        """The results of its tools make the model speak, without being asked."""
        self.tools_run = False
        """The model waits for its tools."""
        self._floor = Floor(silence_ms=silence_ms, words=replies_to_all)
        self._asked = False
        self._replaced = False
        """What the model was about to say after its tools was replaced by another request of ours."""
        self._preempted = False
        """So may be what it was about to answer the caller."""
        self._responding = False
        self._cut = False
        """The end of a turn that was interrupted is still to come."""
        self._more = False
        """The model goes on to think, and may speak again by itself."""
        self._count = {"a": 0, "u": 0}
        self._line = ""
        self._text = ""
        self._early = ""
        """Words that came before the sound they belong to."""
        self._sounding = False
        self._down = FromPcm24k()
        self._turn = ""
        self._last_turn = ""
        self._heard = ""
        """Of the turn, or of the last one."""
        self._settled = True
        self._wordless = False
        """The last turn was answered before any of its words came."""

    # --- what we do

    def hear(self, ulaw: bytes) -> list[ev.Event]:
        """A piece of the caller's sound goes out."""
        return self._then_settle(self._floor.hear(ulaw))

    def ask(self) -> None:
        """The model is asked to speak."""
        self._replaced, self._preempted = self.goes_on, bool(self._turn)
        self._asked, self.goes_on, self._early = True, False, ""

    def tool_answered(self, *, last: bool) -> None:
        self.goes_on, self._early = last, ""

    # --- what the server says

    def content(self, said: wire.Content) -> list[ev.Event]:
        out: list[ev.Event] = []
        if said.input_transcription is not None and said.input_transcription.text:
            out += self._caller(said.input_transcription.text)
        if said.interrupted:
            out += self._interrupted()
        if said.model_turn is not None:
            for part in said.model_turn.parts:
                if part.inline_data is not None and part.inline_data.data:
                    out += self._sound(part.inline_data.data)
        if said.output_transcription is not None and said.output_transcription.text:
            out += self._words(said.output_transcription.text)
        if said.generation_complete:
            out += self._sound_over()
        if said.turn_complete:
            out += self._turn_over(said)
        elif said.waiting_for_input and self._idle():
            out += self._waits()
        return out

    def activity(self, kind: str) -> list[ev.Event]:
        return self._then_settle(self._floor.activity(kind))

    def tools(self, calls: list[ev.ToolCall]) -> list[ev.Event]:
        out = [*self._begin(), *self._line_over(), *calls]
        self._responding = False
        return [*out, ev.ResponseDone(ok=True, detail="tool_calls")]

    # --- the agent speaks

    def _begin(self) -> list[ev.Event]:
        """The first of a turn of the model."""
        if self._responding:
            return []
        out: list[ev.Event] = []
        if not (self._asked or self.goes_on or self.tools_run or self._more or self._turn):
            out += self._open_turn()  # The caller made it speak, but his words are not known yet.
        self._wordless = bool(self._turn) and not self._heard
        out += [*self._close_turn(), *self._floor.answered(), ev.ResponseStarted()]
        self._responding = True
        self._asked = self.goes_on = self._preempted = self._cut = self._more = False
        self._down = FromPcm24k()
        return out

    def _sound(self, pcm: bytes) -> list[ev.Event]:
        out = self._begin()
        payload = self._down.feed(pcm)
        if not self._line:
            if not audible(payload):
                return out
            self._line, self._text = self._next("a"), ""
        self._sounding = True
        if payload:
            out.append(ev.ProviderAudio(self._line, payload))
        early, self._early = self._early, ""
        return [*out, *self._words(early)] if early else out

    def _words(self, text: str) -> list[ev.Event]:
        if not self._line:
            # They may also come late, so they alone begin nothing.
            self._early = (self._early + text)[-MAX_TEXT:]
            return []
        text = text[: MAX_TEXT - len(self._text)]
        self._text += text
        return [ev.ProviderTranscript(self._line, text, final=False)] if text else []

    def _sound_over(self) -> list[ev.Event]:
        if not self._line or not self._sounding:
            return []
        self._sounding = False
        return [ev.ProviderAudioDone(self._line)]

    def _line_over(self) -> list[ev.Event]:
        if not self._line:
            return []
        out = [*self._sound_over(), ev.ProviderTranscript(self._line, self._text.strip(), final=True)]
        self._line = ""
        return out

    def _turn_over(self, said: wire.Content) -> list[ev.Event]:
        if not self._responding:
            return self._empty_turn(said)
        failure = "" if self._line else wire.failure(said.turn_complete_reason) or "stall"
        out = self._line_over()
        self._early = ""
        self._responding = self._replaced = False
        self._more = said.more_follows
        return [*out, ev.ResponseDone(ok=not failure, detail=failure or "completed")]

    def _empty_turn(self, said: wire.Content) -> list[ev.Event]:
        """The end of a turn that had none of the model's sound in it."""
        if self._cut or self.tools_run:
            self._cut = False
            return []
        if failure := wire.failure(said.turn_complete_reason):
            self._asked = self.goes_on = False
            return [*self._close_turn(), ev.ResponseDone(ok=False, detail=failure)]
        if not self._idle() or said.more_follows:
            return []
        if said.turn_complete_reason == wire.NEED_MORE_INPUT:
            return self._waits()
        spoken_to = self._floor.spoke or bool(self._turn and self._heard)
        return [*self._close_turn(), *([] if spoken_to else self._floor.unanswered())]

    def _waits(self) -> list[ev.Event]:
        """The model expects the caller to go on."""
        return [*self._close_turn(), *self._floor.unanswered()]

    def _interrupted(self) -> list[ev.Event]:
        """The server has cut its turn: because the caller spoke, or because we asked for another one."""
        ours = self._replaced or self._preempted
        self._replaced = self._preempted = False
        self._cut, self._early = True, ""
        out: list[ev.Event] = [] if ours else self._floor.interrupted()
        responded, self._responding = self._responding, False
        out += self._line_over()
        if ours:
            self._asked = True
            return out
        if responded:
            out.append(ev.ResponseDone(ok=True, detail="cancelled"))
        self._asked = self.goes_on = False
        # Some sessions fall silent for good here, so an answer is waited for even if no words come.
        return [*out, *self._close_turn(), *self._floor.understood()]

    def _idle(self) -> bool:
        """Nothing is expected of the model but an answer to the caller."""
        return not (self._responding or self._asked or self.goes_on or self.tools_run)

    # --- the caller speaks

    def _caller(self, text: str) -> list[ev.Event]:
        if not self._turn and self._last_turn and self._is_late():
            return self._late(text)
        out = [] if self._turn else self._open_turn()
        text = text[: MAX_TEXT - len(self._heard)]
        self._heard += text
        self._settled = False
        if text:
            out.append(ev.UserTranscript(self._turn, text, final=False))
        if not self._idle():
            return out
        self._early = ""
        return [*out, *self._then_settle(self._floor.understood())]

    def _is_late(self) -> bool:
        """These words are of a turn that is being answered and has none, or of a caller who has been quiet since."""
        answered_unread = self._responding and self._wordless
        return answered_unread or (self._floor.hears and not self._floor.spoke)

    def _late(self, text: str) -> list[ev.Event]:
        """More words of a turn that was answered already."""
        self._heard = (self._heard + text)[:MAX_TEXT]
        return [ev.UserTranscript(self._last_turn, self._heard.strip(), final=True)]

    def _open_turn(self) -> list[ev.Event]:
        self._turn, self._heard, self._settled = self._next("u"), "", True
        return [ev.UserTurn(self._turn)]

    def _close_turn(self) -> list[ev.Event]:
        out = self._settle_turn()
        self._last_turn, self._turn = self._turn or self._last_turn, ""
        return out

    def _settle_turn(self) -> list[ev.Event]:
        """All words of the turn that have come so far."""
        if not self._turn or self._settled:
            return []
        self._settled = True
        return [ev.UserTranscript(self._turn, self._heard.strip(), final=True)]

    def _then_settle(self, told: list[ev.Event]) -> list[ev.Event]:
        """A caller who has stopped has said what is known of it, whatever becomes of the link."""
        return [*told, *self._settle_turn()] if told and isinstance(told[-1], ev.SpeechStopped) else told

    def _next(self, kind: str) -> str:
        self._count[kind] += 1
        return f"{kind}{self._count[kind]}"
