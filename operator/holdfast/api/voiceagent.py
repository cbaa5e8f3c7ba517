"""VoiceAgent: a tenant's agent. It names one FailoverPolicy and runs in all of its regions.

Everything else it refers to lies in its own namespace.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.attempts import Attempt, Compliance, SecretKeyRef
from holdfast.api.schema import FREE_FORM, Model, StatusModel, by_key, cel, immutable, rules


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
