"""Whether the caller noticed more than he may, and how long he waited. Pure: from a report to a finding.

A sentence that was cut has to be taken up where it was heard to: every word of it is heard, and none twice but the one
in which it was cut. A language that puts no spaces between its words is judged by its characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from holdfast_gameday.matrix.cases import Case, Mode, Tongue
from holdfast_gameday.world.callers import CallReport, Outcome
from holdfast_gameday.world.callers_ear import Segment

FIRST_AUDIO_MAX_S = 4.0
"""No single switch may take longer, whatever the percentiles say."""
CHARACTERS_DOUBLED_MAX = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a case left behind. Times are the callers' clock."""

    case: Case
    report: CallReport
    sentence: str
    """What the agent was saying when it was struck."""
    struck_at: float | None
    next_spoke_at: float | None
    """When the next provider began to sound."""
    bookings: int


@dataclass(frozen=True, slots=True)
class Finding:
    case: Case
    wrong: tuple[str, ...]
    first_audio_s: float | None = None
    gap_s: float | None = None
    silence_s: float | None = None
    """The longest time without any sound, from the blow to the next provider's."""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.wrong


def judge(seen: Seen) -> Finding:
    report, case = seen.report, seen.case
    wrong = _of_the_call(report, bookings=seen.bookings)
    if case.mode is None:
        return Finding(case, tuple(wrong))
    first_audio_s = gap_s = silence_s = None
    if seen.struck_at is None:
        wrong.append("it was never struck")
    elif seen.next_spoke_at is None:
        wrong.append("the next provider never spoke")
    else:
        first_audio_s = seen.next_spoke_at - seen.struck_at
        gap_s = report.longest_gap_s(since=seen.struck_at, until=seen.next_spoke_at + 1.0)
        silence_s = report.longest_silence_s(since=seen.struck_at, until=seen.next_spoke_at)
        if first_audio_s > FIRST_AUDIO_MAX_S:
            wrong.append(f"the next provider spoke after {first_audio_s:.2f} s")
        if case.mode is not Mode.TOOL:
            asked_at = min((turn.asked_at for turn in report.turns if turn.question in seen.sentence), default=0.0)
            heard = [segment for segment in report.segments if segment.since >= asked_at]
            wrong += told_whole(seen.sentence, heard, case.tongue)
    return Finding(case, tuple(wrong), first_audio_s, gap_s, silence_s)


def _of_the_call(report: CallReport, *, bookings: int) -> list[str]:
    """What every call has to come to, whatever happened in it."""
    wrong = []
    if report.outcome is not Outcome.AGENT_HUNG_UP:
        wrong.append(f"the call ended as {report.outcome.value}: {report.detail}")
    for turn in report.turns:
        if not turn.answered:
            wrong.append(f"never answered: {turn.question!r}")
        elif turn.attempts > 1:
            wrong.append(f"had to be asked {turn.attempts} times: {turn.question!r}")
    if not report.fact_answered:
        wrong.append("the fact was not remembered")
    if bookings != 1:
        wrong.append(f"the tool ran {bookings} times")
    if report.carrier_said:
        wrong.append("the carrier had to speak")
    return wrong


def told_whole(sentence: str, heard: Sequence[Segment], tongue: Tongue) -> list[str]:
    """What is wrong with how a sentence was heard. It may come in pieces, each an utterance of its own."""
    words, glue = (list, "") if tongue is Tongue.JAPANESE else (str.split, " ")
    whole: list[str] = words(sentence)
    upto, cut = 0, False
    for segment in _pieces(sentence, heard):
        said: list[str] = words(segment.text)
        at = next((at for at in range(upto, -1, -1) if whole[at : at + len(said)] == said), None)
        if at is None:
            later = next((at for at in range(upto, len(whole)) if whole[at : at + len(said)] == said), upto)
            return [f"words were lost: {glue.join(whole[upto:later])!r}"]
        # Whoever hears half a word has to hear it again.
        doubled = glue.join(whole[at : upto - 1 if cut else upto])
        if len(doubled) > (CHARACTERS_DOUBLED_MAX if cut else 0):
            return [f"words were doubled: {doubled!r}"]
        upto = at + len(words(_heard_of(segment)))
        cut = not segment.complete
    if upto == 0:
        return ["the sentence was never begun"]
    return [] if upto == len(whole) and not cut else [f"it ended in the middle: {glue.join(whole[:upto])!r}"]


def _pieces(sentence: str, heard: Sequence[Segment]) -> list[Segment]:
    """The pieces of the sentence in order, each once, as far as it was heard."""
    pieces: list[Segment] = []
    for segment in heard:
        text = segment.text.strip()
        if not text or text not in sentence or (not pieces and not sentence.startswith(text)):
            continue
        if not segment.complete and sentence.startswith(text):
            # Some voices tell their text bit by bit.
            segment = replace(segment, text=sentence)  # noqa: PLW2901 - the same piece, better known
        if pieces and (pieces[-1].speaker, pieces[-1].utterance) == (segment.speaker, segment.utterance):
            pieces[-1] = segment
        else:
            pieces.append(segment)
    return pieces


def _heard_of(segment: Segment) -> str:
    """The text as far as it was spoken by the last frame that was heard."""
    text = segment.text.strip()
    return text if segment.complete else text[: round(len(text) * (segment.last + 1) / segment.total)]
