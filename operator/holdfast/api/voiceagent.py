"""VoiceAgent: a tenant's agent. It names one FailoverPolicy and runs in all of its regions.

Everything else it refers to lies in its own namespace.
"""

import zoneinfo
from typing import Annotated, Any, ClassVar, Literal, Self

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.schema import AS_SET, FREE_FORM, Model, StatusModel, by_key, cel, immutable, rules

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


class WebhookSigning(Model):
    """The secrets that sign a webhook's requests: both of them while one takes the other's place."""

    current: SecretKeyRef
    previous: SecretKeyRef | None = None


class Webhook(Model):
    """Where a tool is carried out."""

    url: schema.HttpsUrl
    timeout_ms: Annotated[int, Field(ge=50, le=10_000)] = Field(
        default=2_000, description="From the question to the answer, second tries included."
    )
    network: Literal["public", "cluster"] = Field(
        default="public",
        description="cluster: it may also lie in the networks that the policy's tenants[].toolNetworks name.",
    )
    cache_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=0, description="How long a good answer is kept for the same arguments, also for other callers."
    )
    signing: WebhookSigning | None = Field(default=None, description="Without it requests are not signed.")


class Tool(Model):
    """A function that the model may call."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "!(has(self.sideEffects) && self.sideEffects) ||"
                " !has(self.webhook.cacheSeconds) || self.webhook.cacheSeconds == 0",
                "a tool with side effects has no answer that could be kept: webhook.cacheSeconds must be 0",
                at=".webhook.cacheSeconds",
            )
        )
    )
    name: Annotated[str, Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    description: schema.ShortText = ""
    parameters: Annotated[dict[str, Any], Field(json_schema_extra=FREE_FORM)] = Field(default_factory=dict)
    webhook: Webhook
    side_effects: bool = Field(default=False, description="Such a tool is never called twice for one intent.")

    @pydantic.model_validator(mode="after")
    def _no_kept_effects(self) -> Self:
        """The API server's own rule, for objects that are older than it."""
        if self.side_effects and self.webhook.cache_seconds:
            raise ValueError("a tool with side effects has no answer that could be kept: cacheSeconds must be 0")
        return self


class Persona(Model):
    """Who the caller hears."""

    instructions: Annotated[str, Field(max_length=16_384)]
    greeting: schema.ShortText
    disclosure: schema.ShortText = Field(default="", description="Spoken first, once per call.")
    language: Annotated[str, Field(max_length=35, pattern=r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$")] = "en"


class Replicas(Model):
    """Bridge pods in each region."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(cel("self.min <= self.max", "replicas.min must not be above replicas.max"))
    )
    min: Annotated[int, Field(ge=1, le=100)] = 2
    max: Annotated[int, Field(ge=1, le=500)] = 20


class WhileTool(Model):
    """A sentence for a tool that takes its time; empty: nothing is said."""

    say: Annotated[str, Field(max_length=300)] = ""
    after_ms: Annotated[int, Field(ge=300, le=10_000)] = 1_200


class WhenSilent(Model):
    """A question for a caller who says nothing, asked so many times on end before the call is ended; empty: none."""

    say: Annotated[str, Field(max_length=300)] = ""
    after_seconds: Annotated[int, Field(ge=3, le=300)] = 10
    times: Annotated[int, Field(ge=1, le=10)] = 2


class Turns(Model):
    """Who speaks when, and what fills a silence.

    `tone`: a soft sound while words are due and nobody can say them yet, as after the loss of a provider.
    """

    barge_in: bool = True
    silence_ms: Annotated[int, Field(ge=200, le=5_000)] = 500
    tone: bool = True
    while_tool: WhileTool = WhileTool()
    when_silent: WhenSilent = WhenSilent()


class TelephonyNumber(Model):
    """One number of a carrier that the policy grants to this namespace."""

    carrier: schema.Name
    number: schema.Number


class Escalation(Model):
    """Who gets a caller whom no provider in any region can serve: a person, else a machine that records."""

    transfer_to: Annotated[str, Field(max_length=16, pattern=r"^(\+[1-9][0-9]{6,14})?$")] = Field(
        default="", description="Within tenants[].transferPrefixes of the policy."
    )
    voicemail: bool = Field(default=False, description="Needs privacy.record.")


class Telephony(Model):
    """How callers reach the agent, and who gets them when it cannot answer."""

    escalation: Escalation = Escalation()

    numbers: Annotated[
        tuple[TelephonyNumber, ...],
        Field(
            max_length=50,
            json_schema_extra={
                **by_key("number"),
                **rules(
                    cel("self.all(n, n.carrier == self[0].carrier)", "numbers of one agent must lie with one carrier")
                ),
            },
        ),
    ] = ()


class Limits(Model):
    """What one pod and one call may use."""

    calls_per_pod: Annotated[int, Field(ge=1, le=2_000)] = 50
    max_call_seconds: Annotated[int, Field(ge=30, le=14_400)] = 3_600


Budget = Annotated[int, Field(ge=10, le=10_000)]


class Latency(Model):
    """What stages should take at most (p95). A slower one is reported as a brown-out, and used all the same."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            *(
                cel(
                    f"!has(self.firstAudioMs) || !has(self.{stage}) || self.{stage} <= self.firstAudioMs",
                    f"latency.{stage} must not be above latency.firstAudioMs, which it is a part of",
                )
                for stage in ("sttMs", "llmMs", "ttsMs")
            )
        )
    )
    stt_ms: Budget | None = Field(default=None, description="From the last sound of a turn to its words.")
    llm_ms: Budget | None = Field(default=None, description="From the question to the first of the answer.")
    tts_ms: Budget | None = Field(default=None, description="From the first words of a line to its first sound.")
    first_audio_ms: Budget | None = Field(
        default=None, description="From the end of the caller's turn to the first sound, for every attempt."
    )


class Privacy(Model):
    """What is kept of a call."""

    record: bool = Field(default=False, description="Whether its audio may be recorded.")
    vendor_storage: Literal["default", "off"] = Field(
        default="default",
        description="off: every provider whose vendor has a switch for it is told to store nothing, which may cost "
        "more or need a plan of the vendor's; noStore: false in the options of a part leaves that one as it is. The "
        "condition VendorStorageOff names the parts whose vendor has no switch.",
    )


class VoiceAgentSpec(Model):
    """The wish."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "!self.telephony.escalation.voicemail || self.privacy.record",
                "telephony.escalation.voicemail keeps what a caller says, so it needs privacy.record",
                at=".telephony.escalation.voicemail",
            )
        )
    )

    failover_policy: Annotated[
        schema.Name, Field(json_schema_extra=immutable("failoverPolicy", "moving to another zone is a new agent"))
    ]
    replicas: Replicas = Replicas()
    persona: Persona
    attempts: Annotated[tuple[Attempt, ...], Field(min_length=1, max_length=8, json_schema_extra=by_key("name"))]
    tools: Annotated[tuple[Tool, ...], Field(max_length=64, json_schema_extra=by_key("name"))] = ()
    turns: Turns = Turns()
    telephony: Telephony = Telephony()
    limits: Limits = Limits()
    latency: Latency | None = None
    compliance: Compliance = Field(
        default=(), description="Only attempts that declare all of these are ever tried, such as hipaa."
    )
    privacy: Privacy = Privacy()


class VoiceAgentStatus(StatusModel):
    """What one region's operator sees of the agent in its own cluster."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    region: Annotated[str, Field(max_length=40)] = ""
    pods: Annotated[str, Field(max_length=20)] = Field(default="", description="Ready and wanted bridge pods here.")
    numbers: Annotated[int, Field(ge=0)] = 0
    active_calls: Annotated[int, Field(ge=0)] | None = None
    calls_by_pod: Annotated[dict[str, Annotated[int, Field(ge=0)]], Field(max_length=200)] = Field(default_factory=dict)
    conditions: schema.Conditions = ()


class VoiceAgent(Model):
    """A voice agent that keeps answering when a provider or a region fails."""

    model_config = pydantic.ConfigDict(
        extra="ignore",  # apiVersion, kind and metadata are the API server's business.
        json_schema_extra=rules(
            cel(
                "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "the name must be a DNS label of at most 40 characters: objects and paths are named after it",
            )
        ),
    )
    names: ClassVar[schema.Json] = {
        "plural": "voiceagents", "singular": "voiceagent", "kind": "VoiceAgent", "listKind": "VoiceAgentList",
        "shortNames": ["va"],
    }
    scope: ClassVar[str] = "Namespaced"
    columns: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Policy", "string", ".spec.failoverPolicy"),
        ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
        ("Pods", "string", ".status.pods"),
        ("Numbers", "integer", ".status.numbers"),
        ("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    spec: VoiceAgentSpec
    status: VoiceAgentStatus | None = None
