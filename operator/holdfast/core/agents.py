"""A voice agent as values: what a tenant asked for, translated, and the key material its pods are given.

Nothing here knows the API's spelling or a manifest. Key material never shows in a repr, so it cannot slip into a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CASCADE = "cascade"


@dataclass(frozen=True, slots=True)
class KeyRef:
    """One key of a tenant's Secret: mounted into the pod, never read by the operator."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day as the clocks of `zone` show it; `end` before `start` is on the next day."""

    start: str
    end: str
    zone: str
    days: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class When:
    """Which calls an attempt is meant for: the numbers dialled, how the caller's begins, and the hours."""

    called: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    hours: Hours | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of the provider list: one link, or (kind `cascade`) its three stages, each called `ENTRY/ROLE`.

    `options`: what only its kind has, see `kinds`. `weight`: its share of the callers; 0: after those with one.
    `when` None: for every call.
    `regions` empty: everywhere. `declares`: the words of compliance that its provider keeps to.
    """

    name: str
    kind: str
    voice: str = ""
    model: str = ""
    base_url: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    key: KeyRef | None = None
    stages: tuple[Attempt, ...] = ()
    weight: int = 0
    when: When | None = None
    regions: frozenset[str] = frozenset()
    declares: frozenset[str] = frozenset()

    @property
    def parts(self) -> tuple[Attempt, ...]:
        """What of it is reached, and may fail, by itself: its stages, else it itself."""
        return self.stages or (self,)

    @property
    def role(self) -> str:
        """Of a stage: hearing, thinking or speaking; else empty."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call.

    `in_cluster`: its webhook may lie in the networks that the policy grants, too. `signing`: the secret that signs its
    requests, and the one that it replaces.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    url: str
    timeout_ms: int
    side_effects: bool
    in_cluster: bool = False
    cache_s: int = 0
    signing: tuple[KeyRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Persona:
    """Who the caller hears."""

    instructions: str
    greeting: str
    disclosure: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Number:
    """A number and the carrier it lies with."""

    carrier: str
    number: str


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who gets a caller whom no provider can serve: a person's number, else a machine that records."""

    transfer_to: str = ""
    voicemail: bool = False


@dataclass(frozen=True, slots=True)
class Turns:
    """Who speaks when, and what fills a silence; words that are empty are not said."""

    barge_in: bool = True
    silence_ms: int = 500
    tone: bool = True
    tool_words: str = ""
    tool_words_after_ms: int = 1_200
    prompt: str = ""
    prompt_after_s: int = 10
    prompts_max: int = 2


@dataclass(frozen=True, slots=True)
class Budgets:
    """What the stages of an attempt, and all of it until it is heard, should take at most (p95); None: nobody said."""

    stt_ms: int | None = None
    llm_ms: int | None = None
    tts_ms: int | None = None
    first_audio_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """Everything a pod of the agent must be told that does not depend on the region.

    `compliance`: what every attempt has to declare. `record`: whether audio may be kept. `vendors_keep`: whether
    vendors may store what they are sent, as far as they can be told; the attempts have their switches set already.
    """

    zone: str
    persona: Persona
    attempts: tuple[Attempt, ...]
    tools: tuple[Tool, ...] = ()
    numbers: tuple[Number, ...] = ()
    min_pods: int = 2
    max_pods: int = 20
    turns: Turns = Turns()
    escalation: Escalation = Escalation()
    calls_per_pod: int = 50
    max_call_s: int = 3_600
    compliance: frozenset[str] = frozenset()
    record: bool = False
    vendors_keep: bool = True
    latency: Budgets = Budgets()


@dataclass(frozen=True, slots=True)
class Keys:
    """What the operator puts into an agent's namespace: the zone key and a carrier's restricted credentials."""

    zone_key: bytes = field(repr=False)
    zone_key_previous: bytes | None = field(default=None, repr=False)
    carrier_token: bytes = field(default=b"", repr=False)
    carrier_token_previous: bytes | None = field(default=None, repr=False)
    carrier_api_key: bytes | None = field(default=None, repr=False)
    carrier_api_secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Owner:
    """The object whose end is the end of everything made for it."""

    api_version: str
    kind: str
    name: str
    uid: str
