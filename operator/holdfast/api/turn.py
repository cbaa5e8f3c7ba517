"""TURN servers of a Region: where they are, what they fail with, and where their credentials come from."""

from typing import Annotated

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.carriers import SecretRef
from holdfast.api.schema import AS_SET, Model, cel, rules

TurnUri = Annotated[
    str, Field(max_length=255, pattern=r"^turns?:[^\s?:/@]+(:[0-9]{1,5})?(\?transport=(udp|tcp))?$")
]
Network = Annotated[str, Field(max_length=18, pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$")]
SecretKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]


class Urls(Model):
    """How the server is reached over each transport that it has."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel("has(self.udp) || has(self.tcp) || has(self.tls)", "urls: name at least one of udp, tcp and tls")
        )
    )
    udp: TurnUri | None = None
    tcp: TurnUri | None = None
    tls: TurnUri | None = None


class CoturnSecret(Model):
    """The secret of coturn's REST credentials (static-auth-secret). `keys` of the Secret: the newest first."""

    secret: schema.SecretName
    keys: Annotated[
        tuple[SecretKey, ...], Field(min_length=1, max_length=4, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ("secret",)
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ":"


class CloudflareTurn(Model):
    """A TURN key. Key of the Secret: token."""

    key_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9a-zA-Z]+$")]
    credentials: SecretRef


class TwilioTurn(Model):
    """Network Traversal Service. Keys of the Secret: apiKey and apiSecret."""

    account_sid: Annotated[str, Field(max_length=34, pattern=r"^AC[0-9a-zA-Z]{32}$")]
    credentials: SecretRef


class ForbiddenPeers(Model):
    """What the server must not relay to: an open door into private networks is a hard failure. Empty: the usual."""

    networks: Annotated[tuple[Network, ...], Field(max_length=16, json_schema_extra=AS_SET)] = ()
    allowed: Annotated[tuple[Network, ...], Field(max_length=16, json_schema_extra=AS_SET)] = ()


class TurnServer(Model):
    """One TURN server that callers of this region may be offered."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "[has(self.coturnSecret), has(self.cloudflare), has(self.twilio)].exists_one(each, each)",
                "name exactly one of coturnSecret, cloudflare and twilio: where credentials come from",
            )
        )
    )
    name: schema.Name
    urls: Urls
    jurisdiction: Annotated[str, Field(max_length=16, pattern=r"^[a-z]{2,16}$")]
    failure_domain: Annotated[str, Field(max_length=200)] = ""
    coturn_secret: CoturnSecret | None = None
    cloudflare: CloudflareTurn | None = None
    twilio: TwilioTurn | None = None
    forbidden_peers: ForbiddenPeers | None = Field(
        default=None, description="Asked of a server of your own; a vendor's is taken at its word unless it is given."
    )
