"""The tool calls of a reply that comes in pieces: each is given out once and whole, when the reply is over.

Not earlier, because only the reply's end tells whether its last call was cut short: a call with half of its arguments
could still look whole, and would be run. It knows no vendor and runs nothing.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

import msgspec

from holdfast_bridge.core import stages as st

MAX_ARGUMENTS = 16_384
MAX_CALLS = 16
MAX_NAME = 128
REMEMBERED = 512
"""So many of the last ids are told apart: more than any call has, and a vendor may make up new ones for ever."""
_OURS = "holdfast-"
_FIT = re.compile(r"[\x21-\x7e]{1,64}")


class CallIds:
    """Tells the calls of one link apart. Some models number the calls of each reply anew, or give no ids at all."""

    def __init__(self) -> None:
        self._given: deque[str] = deque(maxlen=REMEMBERED)
        self._count = 0

    def of(self, vendors: str) -> str:
        """The vendor's id, unless it is unfit or was given out before."""
        self._count += 1
        fits = _FIT.fullmatch(vendors) and vendors not in self._given and not vendors.startswith(_OURS)
        found = vendors if fits else f"{_OURS}{self._count}"
        self._given.append(found)
        return found


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    pieces: list[str] = field(default_factory=list)
    size: int = 0


class ToolCalls:
    """The calls of one reply, by the vendor's index."""

    def __init__(self, ids: CallIds) -> None:
        self.pieces = 0
        """How many have come that said something."""
        self._ids = ids
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}
        self._spoiled = False

    def begin(self, index: int, call: str, name: str) -> None:
        self.pieces += 1
        if len(self._calls) >= MAX_CALLS:
            self._spoiled = True
            self._at.pop(index, None)
            return
        self._at[index] = _Call(call, name)
        self._calls.append(self._at[index])

    def known(self, index: int, call: str) -> bool:
        """True when the call at this index has begun and is not another than this one, as far as its id tells."""
        open_call = self._at.get(index)
        return open_call is not None and call in ("", open_call.id)

    def piece(self, index: int, text: str, *, name: str = "") -> None:
        """A piece of the arguments, or the name where it comes late.

        What is over the limit is not kept, and the call is not given out.
        """
        call = self._at.get(index)
        if call is None:
            return
        call.name = call.name or name
        call.size += len(text)
        if text and call.size <= MAX_ARGUMENTS:
            self.pieces += 1
            call.pieces.append(text)

    def finish(self, how: st.Ended, *, tokens_in: int = 0, tokens_out: int = 0) -> list[st.ThinkingEvent]:
        """The reply is over: its calls, and its end. `how` is the vendor's word, and what was asked for decides."""
        cut = how in (st.Ended.TOO_LONG, st.Ended.FILTERED)
        asked: list[st.ThinkingEvent] = []
        for call in self._calls:
            arguments = "".join(call.pieces).strip()
            fit = call.size <= MAX_ARGUMENTS and 0 < len(call.name) <= MAX_NAME
            if not fit or how is st.Ended.FILTERED or (cut and not _whole(arguments)):
                self._spoiled = True
                continue
            asked.append(st.ToolAsked(self._ids.of(call.id), call.name, arguments or "{}"))
        if not cut:
            how = st.Ended.TOOLS if asked else st.Ended.TOO_LONG if self._spoiled else st.Ended.SAID
        return [*asked, st.ReplyEnded(how, tokens_in, tokens_out)]


def _whole(arguments: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
