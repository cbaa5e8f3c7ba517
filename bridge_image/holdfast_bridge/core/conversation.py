"""What was said and done in a call, kept outside every provider, and how it is told to the next one.

Knows no audio: how much of a line was sent and heard is told to it in milliseconds. Knows no vendor's item format.
Identifiers are the call's own (see `CallCore`), unique across providers, regions and owner epochs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec import structs

from holdfast_bridge.core.events import Seed, SeedText, SeedTool
from holdfast_bridge.core.journal import MAX_ITEMS, MAX_TEXT, MAX_TOOLS, Item, ToolUse

UNKNOWN_OUTCOME = (
    "The connection was interrupted while the tool {name} was running with the arguments {arguments}. Whether it took "
    "effect is not known. Do not call it again for this request; tell the caller so and ask how to go on."
)
REPEATABLE = (
    "The connection was interrupted while the tool {name} was running. It has no side effects and may be called again."
)


@dataclass(frozen=True, slots=True)
class TakeUp:
    """What the next provider has to know, and what is left to be said of the line that was cut."""

    seeds: tuple[Seed, ...]
    rest: str
    answer_due: bool
    """The caller's words are the last thing said."""
    words_lost: bool
    """The caller said something whose text never came."""
    unfinished: bool
    """The last line has no end: its provider went while making it."""


class Conversation:
    def __init__(self, items: tuple[Item, ...] = (), tools: tuple[ToolUse, ...] = ()) -> None:
        self._items = list(items)
        self._at = {item.id: index for index, item in enumerate(self._items)}
        self._tools = {tool.id: tool for tool in tools}
        self._ms_per_char = 0.0
        self.changes = 0
        """Grows with whatever is said or done."""
        self.open: dict[str, None] = {}
        """Lines of the agent that are still being made or heard."""

    # --- what is said

    def user_turn(self, item: str) -> None:
        if item not in self._at:
            self._add(Item(item, "user"))

    def user_text(self, item: str, text: str, *, final: bool) -> None:
        self.user_turn(item)
        known = self._items[self._at[item]]
        whole = text if final else known.text + text
        self._put(structs.replace(known, text=whole[:MAX_TEXT], final=final))

    def forget_open_turn(self) -> None:
        """The caller's last words are not known in full, and will be heard anew."""
        last = self._items[-1] if self._items else None
        if last is not None and last.role == "user" and not last.final:
            del self._at[last.id]
            self._items.pop()

    def left_unfinished(self) -> None:
        """The agent was to say more than the last line has, whatever its provider called the end of it."""
        last = self._items[-1] if self._items else None
        if last is not None and last.role == "assistant":
            self._put(structs.replace(last, final=False))

    def agent_line(self, item: str) -> None:
        if item not in self._at:
            self._add(Item(item, "assistant", heard_ms=0))
            self.open[item] = None

    def agent_text(self, item: str, text: str, *, final: bool) -> None:
        self.agent_line(item)
        known = self._items[self._at[item]]
        if known.final:
            return
        whole = text if final else known.text + text
        self._put(structs.replace(known, text=whole[:MAX_TEXT], final=final))

    def measure(self, item: str, *, heard_ms: int, sent_ms: int, all_sent: bool) -> None:
        """Note how far an open line got; a line that was heard to its end is closed."""
        at = self._at.get(item)
        if at is None or item not in self.open:
            return
        known = self._items[at]
        audio_ms = sent_ms
        if all_sent and known.final and known.text:
            self._ms_per_char = sent_ms / len(known.text)
        elif not all_sent:
            # The text runs ahead of the sound, so the length of what is still to come is guessed from earlier lines.
            audio_ms = max(sent_ms, int(len(known.text) * self._ms_per_char))
        if heard_ms != known.heard_ms or audio_ms != known.audio_ms:
            self._items[at] = structs.replace(known, heard_ms=heard_ms, audio_ms=audio_ms)
        if all_sent and known.final and heard_ms >= sent_ms:
            del self.open[item]

    def rest(self) -> tuple[str, bool]:
        """The words of the open lines that were not heard so far, and whether nothing was to follow them."""
        lines = [self._items[self._at[item]] for item in self.open]
        return " ".join(rest for line in lines if (rest := split(line)[1])), all(line.final for line in lines)

    def cut(self, item: str) -> str:
        """The caller interrupted the line: only what was heard was said. Those words are returned."""
        at = self._at.get(item)
        if at is None:
            return ""
        known = self._items[at]
        heard, _ = split(known)
        self._items[at] = structs.replace(known, text=heard, audio_ms=known.heard_ms, final=True)
        self.open.pop(item, None)
        return heard

    def shorten(self, item: str, sent_ms: int) -> None:
        """The provider is gone: the line is what was sent of it, and will be heard if nothing else happens."""
        known = self._items[self._at[item]]
        sent, _ = split(known, sent_ms)
        self._items[self._at[item]] = structs.replace(known, text=sent, audio_ms=sent_ms, final=True)
        if not sent_ms:
            del self.open[item]

    # --- what is done

    def tool_intent(self, tool: str, name: str, arguments: str) -> None:
        self.changes += 1
        if len(self._tools) >= 2 * MAX_TOOLS:
            self._tools.pop(next(iter(self._tools)))
        after = self._items[-1].id if self._items else ""
        self._tools[tool] = ToolUse(tool, name, arguments, after=after)

    def tool_done(self, tool: str, result: str) -> bool:
        known = self._tools.get(tool)
        if known is None or known.state != "intent":
            return False
        self._tools[tool] = structs.replace(known, state="done", result=result[:MAX_TEXT])
        self.changes += 1
        return True

    def ask_about_intents(self) -> tuple[ToolUse, ...]:
        """After a hand-over: tools whose result was lost with their bridge. They are asked about, never repeated."""
        lost = tuple(tool for tool in self._tools.values() if tool.state == "intent")
        for tool in lost:
            self._tools[tool.id] = structs.replace(tool, state="asked")
        return lost

    # --- what the journal and the next provider see

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items)

    @property
    def tools(self) -> tuple[ToolUse, ...]:
        return tuple(self._tools.values())

    @property
    def caller_spoke(self) -> bool:
        return any(item.role == "user" for item in self._items)

    def take_up(self, *, repeatable: frozenset[str], played_ms: dict[str, int] | None = None) -> TakeUp:
        """`played_ms`: lines that the carrier still holds and will play further than has been heard so far."""
        seeds: list[Seed] = self._tool_seeds("", repeatable)
        rests: list[str] = []
        for item in self._items:
            if item.role == "user":
                # A line that the caller has talked over or answered is not taken up again.
                rests.clear()
                if item.text:
                    seeds.append(SeedText("user", item.text))
            else:
                heard, rest = split(item, (played_ms or {}).get(item.id))
                if heard:
                    seeds.append(SeedText("assistant", heard))
                if rest:
                    rests.append(rest)
            seeds.extend(self._tool_seeds(item.id, repeatable))
        last = self._items[-1] if self._items else None
        caller_last = last.text if last is not None and last.role == "user" else None
        tool_last = bool(seeds) and isinstance(seeds[-1], SeedTool)
        return TakeUp(
            seeds=tuple(seeds),
            rest=" ".join(rests),
            answer_due=bool(caller_last) or tool_last,
            words_lost=caller_last == "",
            unfinished=last is not None and last.role == "assistant" and not last.final,
        )

    def close_past_lines(self) -> None:
        """Lines of an earlier owner end where they were heard: what is left of them is said anew, as another line."""
        for item in self._items:
            if item.role == "assistant" and item.id not in self.open:
                self.cut(item.id)

    def _tool_seeds(self, after: str, repeatable: frozenset[str]) -> list[Seed]:
        """The tools that were called at this place; those whose place is forgotten come first."""
        seeds: list[Seed] = []
        for tool in self._tools.values():
            if (tool.after if tool.after in self._at else "") != after:
                continue
            if tool.state == "done":
                seeds.append(SeedTool(tool.id, tool.name, tool.arguments, tool.result or ""))
            elif tool.state == "asked":
                text = REPEATABLE if tool.name in repeatable else UNKNOWN_OUTCOME
                seeds.append(SeedText("system", text.format(name=tool.name, arguments=tool.arguments)))
        return seeds

    def _add(self, item: Item) -> None:
        if len(self._items) >= 2 * MAX_ITEMS:
            self._items = self._items[-MAX_ITEMS:]
            self._at = {kept.id: index for index, kept in enumerate(self._items)}
            self.open = {item: None for item in self.open if item in self._at}
        self._at[item.id] = len(self._items)
        self._items.append(item)
        self.changes += 1

    def _put(self, item: Item) -> None:
        self.changes += 1
        self._items[self._at[item.id]] = item


def split(item: Item, played_ms: int | None = None) -> tuple[str, str]:
    """The words of a line that were heard, and the rest. A word in doubt counts as not heard."""
    heard_ms = max(item.heard_ms or 0, played_ms or 0)
    if not item.audio_ms:
        # No sound of it is known: nothing was heard, unless the line itself says that it is past.
        return ("", item.text) if not heard_ms else (item.text, "")
    if heard_ms >= item.audio_ms:
        return item.text, ""
    cut = len(item.text) * heard_ms // item.audio_ms
    boundary = cut if _SPACELESS.fullmatch(item.text[cut - 1 : cut]) else max(item.text.rfind(" ", 0, cut + 1), 0)
    return item.text[:boundary].strip(), item.text[boundary:].strip()


_SPACELESS = re.compile("[\u0e00-\u0eff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
"""Thai, Lao, Japanese and Chinese put no spaces between words: a line in them may be cut after any letter."""
