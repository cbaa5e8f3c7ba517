"""What a FailoverPolicy says of speech providers: when one is tried last, and by which keys the fleet asks them."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.api import schema
from holdfast.api.attempts import Headers, TextMap
from holdfast.api.schema import AS_SET, Model


class Provider(Model):
    """When a speech provider is tried last. Our own keys and quotas always count; `on` says what else does."""

    failures: Annotated[int, Field(ge=1, le=100)] = 2
    window_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    on: Annotated[
        tuple[Literal["5xx", "429", "timeout", "stall"], ...],
        Field(min_length=1, max_length=4, json_schema_extra=AS_SET),
    ] = ("5xx", "429", "timeout", "stall")
    cooldown_seconds: Annotated[int, Field(ge=5, le=600)] = 60


class KeyOfSecret(Model):
    """One key of a Secret in the operator's namespace."""

    secret: schema.SecretName
    key: schema.SecretKey = "api-key"


class CanaryKey(Model):
    """A key of the fleet's own, by which the operator asks a provider now and then. One per host and model."""

    name: schema.Name
    kind: Literal["openai"]
    model: Annotated[str, Field(min_length=1, max_length=100)]
    base_url: schema.WssUrl
    query: TextMap = Field(default_factory=dict)
    headers: Headers = Field(default_factory=dict)
    key: KeyOfSecret
    interval_seconds: Annotated[int, Field(ge=5, le=3_600)] = 60
