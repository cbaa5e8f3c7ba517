"""What can happen to a call (events) and what the call may ask for (effects): no carrier's and no vendor's words.

The values that exist once per audio frame are msgspec structs outside the garbage collector's care, because a
frozen dataclass costs five times as much to make; all others are frozen dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import msgspec

from holdfast_bridge.core.journal import CallRecord

BYTES_PER_MS = 8
BYTES_PER_S = 1000 * BYTES_PER_MS
"""G.711 at 8 kHz: one byte a sample."""

# --- once per frame -------------------------------------------------------------------------------------------------


class CallerAudio(msgspec.Struct, frozen=True, gc=False):
    payload: bytes


class ProviderAudio(msgspec.Struct, frozen=True, gc=False):
    item: str
    payload: bytes


class SendAudio(msgspec.Struct, frozen=True, gc=False):
    payload: bytes


class AppendAudio(msgspec.Struct, frozen=True, gc=False):
    payload: bytes


class PlayTone(msgspec.Struct, frozen=True, gc=False):
    """A piece of the sound that fills a silence: for the caller's ear, and no speech of anybody's."""

    payload: bytes


# --- events: the caller's side ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallerMark:
    """All audio sent before the mark has been played, or was cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class CallerDtmf:
    digit: str


@dataclass(frozen=True, slots=True)
class CallerStop:
    """The carrier says that the stream is over."""


@dataclass(frozen=True, slots=True)
class CarrierLost:
    """The carrier's socket is gone without a word: not the end of the call."""


@dataclass(frozen=True, slots=True)
class Released:
    """The carrier was told to fetch `next` elsewhere."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """Another bridge owns the call under a higher epoch."""

    epoch: int


# --- events: the provider's side -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProviderReady:
    """The link is open and the session is configured: it may be seeded and asked to speak."""

    attentive: bool = True
    """It always says when it hears speech. False: that it says nothing of it proves nothing."""


@dataclass(frozen=True, slots=True)
class ProviderLost:
    reason: str
    retry_same: bool = True
    """False when asking the same attempt again cannot help, as with a refused key."""
    part: str = ""
    """Of a provider that is made of several: the one that failed."""
    retry_after_s: float = 0.0
    """How long the vendor asks us to wait."""


@dataclass(frozen=True, slots=True)
class ProviderEnding:
    """The vendor will close this session, or may, in so many seconds: it is time to look for a moment to change."""

    in_s: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """The second link, to the attempt of this index, is open and configured."""

    attempt: int


@dataclass(frozen=True, slots=True)
class PreparedLost:
    """The second link did not come about, or is gone."""

    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptsOrdered:
    """What to try from now on, and in which order, by index. What is tried already is not left for it."""

    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProviderAudioDone:
    item: str


@dataclass(frozen=True, slots=True)
class ProviderTranscript:
    """A piece of what the agent says, or (final) all of it."""

    item: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class UserTurn:
    """The provider took the caller's words as a turn: their place in the conversation, before their text is known."""

    item: str


@dataclass(frozen=True, slots=True)
class UserTranscript:
    item: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    pass


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    words: bool = True
    """False when it was no speech after all: no answer is due."""


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    pass


@dataclass(frozen=True, slots=True)
class ResponseDone:
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`ran` is False when the tool was not started, because its intent could not be made safe first."""

    id: str
    output: str
    ran: bool = True


# --- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendMark:
    name: str


@dataclass(frozen=True, slots=True)
class ClearCarrier:
    pass


@dataclass(frozen=True, slots=True)
class Truncate:
    item: str
    heard_ms: int
    heard: str = ""
    """The words of the line that were heard, for providers that count in words."""


@dataclass(frozen=True, slots=True)
class SeedText:
    role: str
    """user, assistant or system"""
    text: str


@dataclass(frozen=True, slots=True)
class SeedTool:
    id: str
    name: str
    arguments: str
    output: str


Seed: TypeAlias = SeedText | SeedTool


@dataclass(frozen=True, slots=True)
class SeedConversation:
    items: tuple[Seed, ...]


@dataclass(frozen=True, slots=True)
class Respond:
    """Ask the model to speak now; without instructions it answers the conversation as it stands."""

    instructions: str | None = None
    words: str = ""
    """What has to be said is these very words: a provider that can speak them by itself need not ask its model."""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    id: str
    output: str


@dataclass(frozen=True, slots=True)
class ConnectProvider:
    """Use a link to the attempt of this index: the prepared one or a new one; any earlier link is dropped."""

    attempt: int
    blame: bool = True
    """False: that the call left an earlier link which is still open says nothing against it."""
    planned: bool = False
    """Nothing was lost: the session in use would have ended, and nobody spoke."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Open a second link, to the attempt of this index, and hold it ready beside the one in use."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Unprepare:
    """The second link is not needed any more."""


@dataclass(frozen=True, slots=True)
class RunTool:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Record:
    """The newest state of the call for the journal; `now` when it must not wait for the next batch."""

    record: CallRecord
    now: bool


class End(Enum):
    """How this bridge's part of the call ends."""

    AGENT_HUNG_UP = "agent-hung-up"
    CALLER_HUNG_UP = "caller-hung-up"
    TOO_LONG = "too-long"
    CALLER_SILENT = "caller-silent"
    NO_PROVIDER = "no-provider"
    CARRIER_LOST = "carrier-lost"
    RELEASED = "released"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class EndCall:
    """`over`: the call itself ended and is recorded so. `hang_up`: the carrier must be told. Else our socket closes."""

    reason: End
    over: bool
    hang_up: bool


SIGNS_OF_LIFE = frozenset({SpeechStarted, SpeechStopped, UserTurn, UserTranscript, ResponseStarted, ProviderAudio})
"""What a provider says that listens."""

Event: TypeAlias = (
    CallerAudio | ProviderAudio | CallerMark | CallerDtmf | CallerStop | CarrierLost | Released | Superseded
    | ProviderReady | ProviderLost | ProviderEnding | Prepared | PreparedLost | AttemptsOrdered
    | ProviderAudioDone | ProviderTranscript | UserTurn | UserTranscript
    | SpeechStarted | SpeechStopped | ResponseStarted | ResponseDone | ToolCall | ToolResult
)  # fmt: skip
ToProvider: TypeAlias = AppendAudio | Truncate | SeedConversation | Respond | ToolOutput
Effect: TypeAlias = (
    SendAudio | PlayTone | AppendAudio | SendMark | ClearCarrier | Truncate | SeedConversation | Respond | ToolOutput
    | ConnectProvider | Prepare | Unprepare | RunTool | Record | EndCall
)  # fmt: skip
