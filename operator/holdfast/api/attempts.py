"""The attempts of a VoiceAgent: which providers it may use, speech to speech or a cascade, and for which calls."""

import zoneinfo
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.schema import AS_SET, FREE_FORM, Model, cel, rules

Compliance = Annotated[tuple[schema.Name, ...], Field(max_length=16, json_schema_extra=AS_SET)]
TextMap = Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=20)]
# Whoever may read an agent may read its headers: credentials belong into Secrets.
_CREDENTIAL_HEADERS = [
    "authorization", "proxy-authorization", "cookie", "api-key", "x-api-key", "x-goog-api-key", "xi-api-key",
]  # fmt: skip

Headers = Annotated[
    TextMap,
    Field(
        json_schema_extra=rules(
            cel(
                f"self.all(name, !(name.lowerAscii() in {_CREDENTIAL_HEADERS}))",
                "credentials belong into a Secret, not into headers",
            )
        )
    ),
]


class SecretKeyRef(Model):
    """One key of a Secret in the agent's own namespace. The operator mounts it and never reads it."""

    secret: schema.SecretName
    key: schema.SecretKey


Options = Annotated[
    dict[str, Any],
    Field(
        max_length=20,
        description="What only this kind has, by its own names. Accepted tells of one that it does not have.",
        json_schema_extra=FREE_FORM,
    ),
]


class Realtime(Model):
    """A speech-to-speech model reached by one WebSocket."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.model) || self.kind == 'azure-voice-live'",
                "a model is named, except where an agent of azure-voice-live takes its place",
            )
        )
    )
    kind: Literal["openai", "azure-openai", "azure-voice-live", "gpt-live", "gemini"]
    model: schema.ModelName | None = None
    base_url: schema.WssUrl
    query: TextMap = Field(default_factory=dict)
    headers: Headers = Field(default_factory=dict)
    options: Options = Field(default_factory=dict)
    api_key: SecretKeyRef


class Hearing(Model):
    """What writes down the caller's words. Without a model its kind's usual one."""

    kind: Literal["deepgram-flux", "deepgram-nova"]
    model: schema.ModelName | None = None
    base_url: schema.WssUrl
    query: TextMap = Field(default_factory=dict)
    headers: Headers = Field(default_factory=dict)
    options: Options = Field(default_factory=dict)
    api_key: SecretKeyRef


class Thinking(Model):
    """The language model. {tenant}, {agent}, {region} and {call} may stand in the path, the query and the headers."""

    kind: Literal["openai-chat", "anthropic", "bedrock"]
    model: schema.ModelName
    base_url: schema.HttpsUrl
    query: TextMap = Field(default_factory=dict)
    headers: Headers = Field(default_factory=dict)
    options: Options = Field(default_factory=dict)
    api_key: SecretKeyRef


class Speaking(Model):
    """What gives the words their sound, in the attempt's voice. Without a model its kind's usual one."""

    kind: Literal["elevenlabs", "deepgram-aura", "cartesia"]
    model: schema.ModelName | None = None
    base_url: schema.WssUrl
    query: TextMap = Field(default_factory=dict)
    headers: Headers = Field(default_factory=dict)
    options: Options = Field(default_factory=dict)
    api_key: SecretKeyRef


class Cascade(Model):
    """Three providers in a row. Each may fail by itself, and is asked and counted by itself."""

    stt: Hearing
    llm: Thinking
    tts: Speaking


TimeOfDay = Annotated[str, Field(max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours(Model):
    """A part of the day, as clocks show it in a time zone. That of an end before the start is the next day's."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(cel("self.start != self.end", "hours end at another time than they start"))
    )
    start: TimeOfDay
    end: TimeOfDay
    zone: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$")]
    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7, json_schema_extra=AS_SET)] = _WEEK

    @pydantic.field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        """No rule of the API server's can tell, so that Accepted does."""
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("no time zone has this name; use one such as Europe/Berlin") from error
        return zone


class When(Model):
    """Which calls an attempt is meant for. All that is given must hold."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel("has(self.called) || has(self.callers) || has(self.hours)", "a rule without a condition is none")
        )
    )
    called: Annotated[tuple[schema.Number, ...], Field(max_length=50, json_schema_extra=AS_SET)] = Field(
        default=(), description="The numbers that were dialled."
    )
    callers: Annotated[
        tuple[Annotated[str, Field(max_length=4, pattern=r"^\+[1-9][0-9]{0,2}$")], ...],
        Field(max_length=50, json_schema_extra=AS_SET),
    ] = Field(default=(), description="How the caller's number begins, such as +49: three digits of it are looked at.")
    hours: Hours | None = Field(default=None, description="When the call began.")


class Attempt(Model):
    """One entry of the provider list. A call starts on the first healthy one that is meant for it."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.realtime) != has(self.cascade)",
                "an attempt is either realtime or a cascade: name exactly one of them",
            )
        )
    )
    name: schema.Name
    voice: schema.Voice
    regions: Annotated[tuple[schema.Name, ...], Field(max_length=10, json_schema_extra=AS_SET)] = Field(
        default=(), description="Where it may be tried. Empty: in every region."
    )
    weight: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0,
        description="Its share of the callers, each of whom begins with the same one again. The others follow by "
        "weight, and then those without. Where none has any: in their order.",
    )
    when: When | None = Field(
        default=None, description="The calls that it is meant for; for the others it comes after those that are."
    )
    declares: Compliance = Field(default=(), description="What its providers keep to: see spec.compliance.")
    realtime: Realtime | None = None
    cascade: Cascade | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_both(self) -> Self:
        """The API server's own rule, for objects that are older than it."""
        if (self.realtime is None) is (self.cascade is None):
            raise ValueError("name exactly one of realtime and cascade")
        return self
