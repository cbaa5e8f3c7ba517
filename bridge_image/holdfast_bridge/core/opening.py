"""What the agent says first when a provider comes on the line: the opening of a new call, or the taking-up of one.

Pure. The words of ours are few and English; for other languages the model is asked to say them in the agent's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_bridge.core.conversation import Conversation
from holdfast_bridge.core.events import Seed
from holdfast_bridge.core.journal import ToolUse
from holdfast_bridge.core.plan import CallPlan

GOODBYE = "Say a short goodbye to the caller. Call no tool."
TOO_LONG = (
    "This call has reached its longest allowed time. Tell the caller so in one sentence and say goodbye. Call no tool."
)
NOBODY_THERE = "The caller has not answered for some time. Say that you will hang up now, and goodbye. Call no tool."

SAY_AGAIN = "Sorry, the line was interrupted for a moment. Please say that again."
TOOL_IN_DOUBT = (
    "Sorry, the line was interrupted while I was doing that. I cannot tell yet whether it went through. "
    "Shall I check before we go on?"
)


@dataclass(frozen=True, slots=True)
class Line:
    """`words`: what has to be said is known to the letter, in the agent's own language."""

    instructions: str | None
    disclosure: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    seeds: tuple[Seed, ...]
    lines: tuple[Line, ...]


def take_up(
    plan: CallPlan,
    conversation: Conversation,
    *,
    played_ms: dict[str, int],
    disclose: bool,
    handover: bool,
    lost_tools: tuple[ToolUse, ...],
) -> Taken:
    """What to tell a provider that has just come, and what to let it say."""
    known = conversation.take_up(repeatable=plan.repeatable, played_ms=played_ms)
    lines: list[Line] = [Line(exactly(plan.disclosure), disclosure=True, words=plan.disclosure)] if disclose else []
    in_doubt = any(tool.name not in plan.repeatable for tool in lost_tools)
    if not conversation.caller_spoke:
        if disclose:
            left = [plan.greeting]
        else:
            said = len(conversation.items)
            left = [known.rest, *[text for text in (plan.disclosure, plan.greeting) if text][said:]]
        lines += [Line(exactly(text), words=text) for text in left if text]
        if not lines and handover:
            lines.append(_ours(SAY_AGAIN, plan.language))
    elif in_doubt:
        lines.append(_ours(TOOL_IN_DOUBT, plan.language))
    elif known.rest:
        lines.append(go_on(known.rest, whole=not known.unfinished))
    elif known.unfinished:
        lines.append(Line(_GO_ON))
    elif known.answer_due:
        lines.append(Line(None))
    elif handover or known.words_lost:
        lines.append(_ours(SAY_AGAIN, plan.language))
    return Taken(known.seeds, tuple(lines))

_GO_ON = (
    "The line was interrupted while you were speaking, and is back. Go on where the caller stopped hearing you; "
    "neither greet nor apologise."
)


def exactly(text: str) -> str:
    return f"Say exactly: {text}"


def go_on(rest: str, *, whole: bool = False) -> Line:
    """The line that was cut, from where it was heard to. `whole`: nothing follows these words."""
    return Line(
        f"{_GO_ON} Begin with these words and finish the thought. Say exactly: {rest}", words=rest if whole else ""
    )


def _ours(text: str, language: str) -> Line:
    if language.lower().startswith("en"):
        return Line(exactly(text), words=text)
    return Line(f"Say this in the language {language!r}, and nothing else: {text}")
