"""agent.json: its shape, and what of it cannot be meant. Values and refusals; it opens no file and holds no secret."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from holdfast_bridge.errors import SettingsError

SUPPORTED_VERSION = 1

Name = Annotated[str, Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Host = Annotated[str, Meta(max_length=253, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?$")]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class RegionEntry(msgspec.Struct, frozen=True, rename="camel"):
    name: Name
    host: Host
    weight: Count = 0


class Persona(msgspec.Struct, frozen=True, rename="camel"):
    instructions: str = ""
    greeting: str = ""
    disclosure: str = ""
    language: str = "en"


class Stage(msgspec.Struct, frozen=True, rename="camel"):
    """One stage of a cascade: what hears, thinks or speaks. Which kinds fit where is `stage_codecs`' business."""

    kind: Annotated[str, Meta(min_length=1, max_length=40)]
    voice: str = ""
    model: str = ""
    base_url: str = ""
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    options: dict[str, Any] = {}
    """What only this kind knows, in its own words; see docs/providers.md."""
    key_file: str = ""
    key_source: str = ""


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Hours(msgspec.Struct, frozen=True, rename="camel"):
    """A part of the day, as clocks show it in that zone."""

    start: TimeOfDay
    end: TimeOfDay
    zone: str
    days: tuple[Day, ...] = DAYS


class When(msgspec.Struct, frozen=True, rename="camel"):
    """Which calls an attempt is meant for; all that is given must hold. See `core.choice`."""

    called: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    hours: Hours | None = None


class Attempt(msgspec.Struct, frozen=True, rename="camel"):
    """One entry of the agent's provider list: one speech-to-speech provider, or (kind `cascade`) three stages."""

    name: Name
    kind: Literal[
        "openai", "gpt-live", "azure-openai", "azure-voice-live", "gemini", "cascade", "loopback"
    ]
    voice: str = ""
    model: str = ""
    base_url: str = ""
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    options: dict[str, Any] = {}
    weight: Count = 0
    when: When | None = None
    key_file: str = ""
    key_source: str = ""
    hearing: Stage | None = None
    thinking: Stage | None = None
    speaking: Stage | None = None

    @property
    def stages(self) -> dict[str, Stage]:
        """Those that are given, by the name under which their key is kept."""
        given = {"hearing": self.hearing, "thinking": self.thinking, "speaking": self.speaking}
        return {f"{self.name}/{role}": stage for role, stage in given.items() if stage is not None}

    @property
    def parts(self) -> tuple[str, ...]:
        """What outcomes are counted for: each part may fail by itself."""
        return tuple(self.stages) if self.kind == "cascade" else (self.name,)

    @property
    def opened(self) -> tuple[str, ...]:
        """The parts that are proved well by a link that has opened: a language model is asked only later."""
        return tuple(part for part in self.parts if not part.endswith("/thinking"))

    @property
    def key_files(self) -> dict[str, str]:
        """Where each key of it lies, by the name under which it is kept."""
        if self.kind == "cascade":
            return {name: stage.key_file for name, stage in self.stages.items()}
        return {} if self.kind == "loopback" else {self.name: self.key_file}


class Tool(msgspec.Struct, frozen=True, rename="camel"):
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    description: str = ""
    parameters: dict[str, Any] = {}
    url: str = ""
    timeout_ms: Positive = 2_000
    """From the question to the answer, second tries included."""
    side_effects: bool = False
    networks: Annotated[tuple[str, ...], Meta(max_length=32)] = ()
    """CIDRs beside the public addresses that its webhook may lie in."""
    cache_seconds: Count = 0
    signing_files: Annotated[tuple[str, ...], Meta(max_length=2)] = ()
    """Where its signing secret lies, and the one that it replaces. Empty: its requests are not signed."""
    signing_sources: Annotated[tuple[str, ...], Meta(max_length=2)] = ()


class WhileTool(msgspec.Struct, frozen=True, rename="camel"):
    """Said once while a tool takes longer than that; empty: nothing is said."""

    say: str = ""
    after_ms: Positive = 1_200


class WhenSilent(msgspec.Struct, frozen=True, rename="camel"):
    """Said when the caller says nothing for so long, so many times on end; then the call is ended.

    Empty: a caller may be silent for as long as the call may last.
    """

    say: str = ""
    after_seconds: Positive = 10
    times: Positive = 2


class Turns(msgspec.Struct, frozen=True, rename="camel"):
    barge_in: bool = True
    silence_ms: Positive = 500
    tone: bool = True
    """A soft sound is heard while words are due and nobody can say them yet."""
    while_tool: WhileTool = WhileTool()
    when_silent: WhenSilent = WhenSilent()


class Budgets(msgspec.Struct, frozen=True, rename="camel"):
    """What the stages of an attempt should take at most, in milliseconds (p95); None: nobody said."""

    stt_ms: Positive | None = None
    llm_ms: Positive | None = None
    tts_ms: Positive | None = None
    first_audio_ms: Positive | None = None


class Limits(msgspec.Struct, frozen=True, rename="camel"):
    calls_per_pod: Positive = 50
    max_call_seconds: Positive = 3_600


class Escalation(msgspec.Struct, frozen=True, rename="camel"):
    """Who gets a caller whom no provider can serve: a person, else a machine that records; with neither, an apology."""

    transfer_to: Annotated[str, Meta(pattern=r"^(\+[1-9][0-9]{6,14})?$")] = ""
    voicemail: bool = False


class Carrier(msgspec.Struct, frozen=True, rename="camel"):
    name: Name
    kind: Literal["twilio", "canary"]
    account_sid: str = ""
    api_url: str = ""


class AgentConfig(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """agent.json, as the operator writes it. Unknown fields are let pass: an operator may be newer than its bridges."""

    version: int
    namespace: Name
    agent: Name
    generation: int = 0
    region: Name
    zone: Name
    policy_host: Host
    regions: Annotated[tuple[RegionEntry, ...], Meta(min_length=1, max_length=32)]
    buddy: str | None = None
    persona: Persona = Persona()
    attempts: Annotated[tuple[Attempt, ...], Meta(min_length=1, max_length=16)]
    tools: Annotated[tuple[Tool, ...], Meta(max_length=64)] = ()
    turns: Turns = Turns()
    limits: Limits = Limits()
    escalation: Escalation = Escalation()
    latency: Budgets = Budgets()
    carrier: Carrier
    operator_url: str = ""
    redis_url: str = ""
    drain_seconds: Positive = 600

    @property
    def id(self) -> str:
        return f"{self.namespace}/{self.agent}"

    @property
    def path(self) -> str:
        """The public path under which this agent's ports are reached in every region."""
        return f"/a/{self.namespace}/{self.agent}"

    @property
    def budgets_ms(self) -> dict[str, int]:
        """By the names under which outcomes are counted: each whole attempt, and each stage of a cascade."""
        told = self.latency
        by_role = {"hearing": told.stt_ms, "thinking": told.llm_ms, "speaking": told.tts_ms}
        parts = [(name, by_role[name.rpartition("/")[2]]) for attempt in self.attempts for name in attempt.stages]
        parts += [(attempt.name, told.first_audio_ms) for attempt in self.attempts]
        return {name: budget_ms for name, budget_ms in parts if budget_ms is not None}

    def host_of(self, region: str) -> str | None:
        return next((entry.host for entry in self.regions if entry.name == region), None)

    @property
    def own_host(self) -> str:
        return self.host_of(self.region) or self.policy_host

    @property
    def hosts(self) -> frozenset[str]:
        """The public names under which this pod may be called; anything else in `Host` is refused."""
        return frozenset({self.own_host.lower(), self.policy_host.lower()})


def decode_agent(data: bytes, *, source: str) -> AgentConfig:
    try:
        config = msgspec.json.decode(data, type=AgentConfig)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{source}: is not JSON") from error
    _check(config, source=source)
    return config


def _check(config: AgentConfig, *, source: str) -> None:
    if config.version != SUPPORTED_VERSION:
        raise SettingsError(f"{source}: version {config.version} is not understood (this bridge reads 1)")
    names = [entry.name for entry in config.regions]
    if len(set(names)) != len(names):
        raise SettingsError(f"{source}: regions names a region twice")
    if config.region not in names:
        raise SettingsError(f"{source}: region {config.region!r} is not among regions")
    if config.buddy is not None and config.buddy not in names:
        raise SettingsError(f"{source}: buddy {config.buddy!r} is not among regions")
    attempts = [attempt.name for attempt in config.attempts]
    if len(set(attempts)) != len(attempts):
        raise SettingsError(f"{source}: attempts names an attempt twice")
    for index, attempt in enumerate(config.attempts):
        if attempt.kind == "cascade":
            missing = [role for role in ("hearing", "thinking", "speaking") if getattr(attempt, role) is None]
            if missing:
                raise SettingsError(f"{source}: attempts[{index}] is a cascade without {missing[0]}")
        elif attempt.kind != "loopback" and not attempt.base_url.startswith(("wss://", "ws://")):
            raise SettingsError(f"{source}: attempts[{index}].baseUrl must be a wss:// URL")
    if config.carrier.kind == "twilio" and not (config.carrier.account_sid and config.carrier.api_url):
        raise SettingsError(f"{source}: carrier needs accountSid and apiUrl")
