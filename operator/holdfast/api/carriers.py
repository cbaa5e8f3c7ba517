"""Carriers of a FailoverPolicy: the accounts that numbers live in. Their Secrets lie in the operator's namespace."""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.schema import Model, cel, rules

SipUri = Annotated[str, Field(max_length=256, pattern=r"^sips?:[^\s<>@]+$")]
Place = Annotated[str, Field(max_length=20, pattern=r"^[a-z0-9-]*$")]


class SecretRef(Model):
    """A Secret in the operator's namespace."""

    secret: schema.SecretName


class Twilio(Model):
    """An account's half in one Region. Keys of its Secret: authToken, apiKey, apiSecret, and authTokenPrevious."""

    account_sid: Annotated[str, Field(max_length=34, pattern=r"^AC[0-9a-zA-Z]{32}$")]
    region: Place = Field(default="us1", description="The Twilio Region whose keys the Secret holds.")
    edge: Place = Field(default="", description="The edge by which that Region is reached; known for us1 to jp1.")
    api_url: schema.HttpsUrl = "https://api.twilio.com"
    credentials: SecretRef


class Telnyx(Model):
    """An account. Key of its Secret: apiKey."""

    application: Literal["callControl", "texml"] = Field(
        default="texml", description="The sort of application that each agent is given there."
    )
    api_url: schema.HttpsUrl = "https://api.telnyx.com/v2"
    credentials: SecretRef


class Carrier(Model):
    """Where numbers live. `sip`: an address that is asked by SIP OPTIONS whether it is alive, too."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.twilio) != has(self.telnyx)",
                "a carrier is either twilio or telnyx: name exactly one of them",
            )
        )
    )
    name: schema.Name
    twilio: Twilio | None = None
    telnyx: Telnyx | None = None
    sip: SipUri | None = None
